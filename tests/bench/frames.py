"""One frame of a clip: the first, the last, and the way through all of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from . import footage
from .loading import opencv_module
from .plan import OURS, Bench, Column, Part, Skip, Trial, times

Work = tuple[Callable[[], Any], Callable[[Any], dict[str, float]]]


def last(path: str) -> Work:
    """The pack's `last_frame`."""
    from luma_ray.nodes.media import frames

    return partial(frames.last_frame, Path(path)), _beside(path)


def first(path: str) -> Callable[[], Any]:
    """The pack's `first_frame`."""
    from luma_ray.nodes.media import frames

    Path(path).read_bytes()
    return partial(frames.first_frame, Path(path))


def whole(path: str) -> Work:
    """All frames, for the last of them."""
    from luma_ray.nodes.media import frames

    return lambda: frames.decode(Path(path))[-1:], _beside(path)


def sought(path: str) -> Work:
    """The last frame as OpenCV finds it."""
    cv2 = opencv_module()
    import numpy as np
    import torch

    def work() -> Any:
        capture = cv2.VideoCapture(path)
        capture.set(cv2.CAP_PROP_POS_FRAMES, capture.get(cv2.CAP_PROP_FRAME_COUNT) - 1)
        there, picture = capture.read()
        picture = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB) if there else np.zeros((1, 1, 3), np.uint8)
        return torch.from_numpy(picture[None].astype(np.float32)) / 255

    return work, _beside(path)


def _beside(path: str) -> Callable[[Any], dict[str, float]]:
    """How far a frame is from the last one of a whole decode, in levels."""
    from luma_ray.nodes.media import clips

    for picture in clips.read(Path(path)):
        true = picture

    def levels(frame: Any) -> dict[str, float]:
        if tuple(frame.shape[1:]) != true.shape:
            return {"off": 255.0}
        return {"off": float(abs(frame[0].numpy() * 255 - true).mean())}

    return levels


def plan(bench: Bench) -> Iterator[Trial | Skip]:
    """For a clip with one keyframe, and one with a keyframe a second."""
    size = footage.TINY if bench.tiny else footage.HD
    for words, every in (("one keyframe", 250), ("a keyframe a second", footage.FRAMES_PER_SECOND)):
        given = {"path": str(footage.clip(bench.folder, size, every=every))}
        trial = partial(Trial, group=f"{size.name}, {words}", options=given)
        yield trial(way="bench.frames:last", name=OURS)
        yield trial(way="bench.frames:first", name="Luma Ray, the first frame")
        yield trial(way="bench.frames:whole", name="all frames, then the last", needs=1.1 * size.output)
        yield trial(way="bench.frames:sought", name="OpenCV, sought")


PART = Part(
    name="frames",
    title="The last frame alone",
    about=(
        "What *Ray Extend Video* and a linked `last_frame` need. *memory*: times the bytes of one frame as float32; "
        "a decoder holds up to 16 frames of its own. *off*: mean distance in levels from the true last frame."
    ),
    columns=(
        *times(digits=3),
        Column("of ours", "wall", against=OURS),
        Column("CPU, s", "cpu"),
        Column("memory", "memory", over="output", digits=1),
        Column("off", "off"),
    ),
    plan=plan,
)
