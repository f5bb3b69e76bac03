"""How long an animatic is rendered, for each kind of scene."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from . import footage
from .plan import Bench, Column, Part, Trial, times

Wishes = dict[str, Any]

TRAVEL = "a camera over a picture"
SCENES: dict[str, Wishes] = {
    "a title card": {},
    TRAVEL: {"first": True},
    "the same, with three camera moves": {"first": True, "concepts": ["orbit_left", "handheld", "zoom_in"]},
    "a loop over a picture": {"first": True, "loop": True},
    "an arrival at a picture": {"last": True},
    "from one picture to another": {"first": True, "last": True},
    "past a picture in between": {"first": True, "last": True, "middle": True},
}


def scene(
    size: list[Any],
    *,
    first: bool = False,
    last: bool = False,
    middle: bool = False,
    loop: bool = False,
    concepts: list[str] | None = None,
) -> tuple[Callable[[], Path], Callable[[Path], dict[str, float]]]:
    """One clip."""
    from luma_ray.nodes.media.animatic import Shot, render
    from luma_ray.nodes.media.clips import never

    kind = footage.Size(*size)
    one, other, third = (_photograph(name) for name in ("rocket", "coffee", "deep-field"))
    shot = Shot(
        prompt="A lighthouse at dusk, waves against the rocks, the camera rises slowly",
        width=kind.width,
        height=kind.height,
        duration=kind.seconds,
        concepts=tuple(concepts or ()),
        loop=loop,
        first_frame=one if first else None,
        last_frame=other if last else None,
        middle_frames=((kind.frames // 2, third),) if middle else (),
    )
    path = Path(tempfile.mkdtemp(prefix="luma-ray-bench-")) / "preview.mp4"

    def work() -> Path:
        render(shot, path, progress=lambda part: None, stopped=never)
        return path

    def after(path: Path) -> dict[str, float]:
        path.unlink()
        path.parent.rmdir()
        return {"film": kind.frames / footage.FRAMES_PER_SECOND}

    return work, after


def plan(bench: Bench) -> Iterator[Trial]:
    """Every scene in 5 s; one of them longer, for its memory, and in 1080p."""
    hd = footage.HD
    sizes = {
        hd.name: hd,
        "720p, 10 s": hd._replace(seconds=10),
        "1080p, 5 s": footage.FULL_HD._replace(seconds=5),
    }
    if bench.tiny:
        sizes = {"tiny": footage.TINY}
    for group, size in sizes.items():
        for name, wishes in SCENES.items():
            if (size.seconds == hd.seconds and size.height == hd.height) or name == TRAVEL:
                yield Trial(
                    way="bench.previews:scene", name=name, group=group, options={"size": size, **wishes}
                )


def _photograph(name: str) -> footage.Rgb:
    import numpy as np
    from PIL import Image

    with Image.open(footage.PICTURES / f"luma-ray-{name}.jpg") as file:
        return np.array(file.convert("RGB"))


PART = Part(
    name="animatic",
    title="The animatic",
    about="Rendering to an MP4 with the mark PREVIEW.",
    columns=(
        *times(),
        Column("seconds for one of film", "wall", over="film"),
        Column("CPU, s", "cpu"),
        Column("memory, MB", "memory", divided=1e6, digits=0),
    ),
    plan=plan,
    rounds=2,
)
