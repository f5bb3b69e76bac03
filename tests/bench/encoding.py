"""Frames to files: pictures for uploads, and clips."""

from __future__ import annotations

import io
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from . import footage
from .plan import OURS, Bench, Column, Part, Skip, Trial, in_comfyui, times

STILLS = (footage.HD, footage.FULL_HD)
TYPES = {"PNG": "image/png", "WebP, lossless": "image/webp", "JPEG": "image/jpeg"}
LEVEL_6 = "PNG as Pillow writes it"
SHOTS = 10


def still(
    size: list[Any], media_type: str
) -> tuple[Callable[[], bytes], Callable[[bytes], dict[str, float]]]:
    """An IMAGE as the file that is uploaded."""
    from luma_ray.nodes.media import images

    numbers = iter(range(10**6))
    frame = _frames(size, 1)

    def work() -> bytes:
        # Another picture each time: the same one would be known already.
        frame[0, 0, 0, 0] = next(numbers) % 256 / 255
        return images.still(frame, name="image").encode(media_type)

    return work, _megabytes


def pillow(size: list[Any]) -> tuple[Callable[[], bytes], Callable[[bytes], dict[str, float]]]:
    """The usual way to a PNG."""
    import numpy as np
    from PIL import Image

    frame = _frames(size, 1)

    def work() -> bytes:
        file = io.BytesIO()
        Image.fromarray(np.clip(255 * frame[0].numpy(), 0, 255).astype(np.uint8)).save(file, "PNG")
        return file.getvalue()

    return work, _megabytes


def shots(size: list[Any], pictures: int) -> Callable[[], None]:
    """Pictures for ten shots: *pictures* different ones, each as often as needed."""
    from luma_ray.nodes.media import images

    frames = _frames(size, pictures)

    def work() -> None:
        for number in range(SHOTS):
            images.still(frames[number % pictures], name="image").encode("image/png")

    return work


def film(levels: str) -> tuple[Callable[[], Path], Callable[[Path], dict[str, float]]]:
    """An IMAGE batch as an MP4; *levels* is a file with the frames as uint8."""
    import numpy as np
    from luma_ray.nodes.media import encoding, images

    frames, path = images.tensor(np.load(levels)), _place()

    def work() -> Path:
        encoding.write_tensor(frames, path, footage.FRAMES_PER_SECOND)
        return path

    return work, _file_megabytes


def comfyui(levels: str) -> tuple[Callable[[], Path], Callable[[Path], dict[str, float]]]:
    """The same, as ComfyUI's Create Video and Save Video do it."""
    import numpy as np

    sys.path.insert(0, os.environ["COMFYUI_DIR"])
    sys.argv[1:] = ["--cpu"]
    latest, torch = import_module("comfy_api.latest"), import_module("torch")
    images = torch.from_numpy(np.load(levels)).float() / 255
    path = _place()

    def work() -> Path:
        parts = latest.Types.VideoComponents(images=images, frame_rate=Fraction(footage.FRAMES_PER_SECOND))
        latest.InputImpl.VideoFromComponents(parts).save_to(str(path))
        return path

    return work, _file_megabytes


def join(clips: list[str]) -> tuple[Callable[[], Path], Callable[[Path], dict[str, float]]]:
    """Clips as one film."""
    from luma_ray.nodes.media import seams

    path = _place()

    def work() -> Path:
        seams.join([Path(clip) for clip in clips], path)
        return path

    return work, _file_megabytes


def plan(bench: Bench) -> Iterator[Trial | Skip]:
    """Pictures of two sizes, ten shots, a clip."""
    repeats = 2 if bench.tiny else 5
    for size in (footage.TINY,) if bench.tiny else STILLS:
        trial = partial(Trial, group=f"one picture, {size.width}x{size.height}", repeats=repeats)
        for name, media_type in TYPES.items():
            yield trial(
                way="bench.encoding:still", name=name, options={"size": size, "media_type": media_type}
            )
        yield trial(way="bench.encoding:pillow", name=LEVEL_6, options={"size": size})
    size = footage.TINY if bench.tiny else footage.HD
    for name, pictures in (("the same picture", 1), ("ten pictures", SHOTS)):
        yield Trial(
            way="bench.encoding:shots",
            name=name,
            group=f"pictures for ten shots, {size.width}x{size.height}",
            options={"size": size, "pictures": pictures},
        )
    group = f"frames to an MP4, {size.name}"
    levels = bench.folder / "levels.npy"
    _save_levels(size, levels)
    given = {"options": {"levels": str(levels)}, "group": group, "needs": 2 * size.output}
    yield Trial(way="bench.encoding:film", name=OURS, **given)
    yield in_comfyui(way="bench.encoding:comfyui", name="ComfyUI's Create Video, Save Video", **given)
    other = size._replace(picture="luma-ray-coffee.jpg")
    first = footage.clip(bench.folder, size)
    for name, codec in (("of one kind", "libx264"), ("the second another codec", "mpeg4")):
        second = footage.clip(bench.folder, other, codec=codec)
        yield Trial(
            way="bench.encoding:join",
            name=name,
            group=f"two clips to a film, each {size.name}",
            options={"clips": [str(first), str(second)]},
        )


def _frames(size: list[Any], count: int) -> Any:
    """The first *count* frames of a clip as IMAGE."""
    import numpy as np
    from luma_ray.nodes.media import images

    kind = footage.Size(*size)
    pictures = footage.pictures(kind)
    return images.tensor(np.stack([next(pictures) for _ in range(count)]))


def _save_levels(size: footage.Size, path: Path) -> None:
    import numpy as np

    np.save(path, np.stack(list(footage.pictures(size))))


def _place() -> Path:
    return Path(tempfile.mkdtemp(prefix="luma-ray-bench-")) / "film.mp4"


def _megabytes(file: bytes) -> dict[str, float]:
    return {"size": len(file) / 1e6}


def _file_megabytes(path: Path) -> dict[str, float]:
    size = path.stat().st_size / 1e6
    path.unlink()
    path.parent.rmdir()
    return {"size": size}


PART = Part(
    name="encode",
    title="Frames to files",
    about=(
        "What is uploaded, and what joined and extended films are written with. ComfyUI's own MP4 is of a lower "
        "quality (x264's usual crf 23 or so, where the pack takes 16)."
    ),
    columns=(
        *times(unit="ms", divided=1e-3, digits=0),
        Column("CPU, s", "cpu"),
        Column("MB", "size"),
        Column("memory, MB", "memory", divided=1e6, digits=0),
    ),
    plan=plan,
    rounds=2,
)
