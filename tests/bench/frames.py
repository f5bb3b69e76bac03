"""One frame of a clip: the first, the last, and the way through all of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from . import footage
from .loading import opencv_module
from .plan import OURS, Bench, Column, Part, Skip, Trial, times

WHOLE = "all frames, then the last"
FLOOR = "floor: what must be decoded, two threads, and one frame converted"

Work = tuple[Callable[[], Any], Callable[[Any], dict[str, float]]]


def last(path: str, true: str) -> Work:
    """The pack's `last_frame`."""
    from luma_ray.nodes.media import frames

    return partial(frames.last_frame, Path(path)), _beside(true)


def first(path: str, true: str) -> Callable[[], Any]:
    """The pack's `first_frame`."""
    from luma_ray.nodes.media import frames

    return partial(frames.first_frame, Path(path))


def whole(path: str, true: str) -> Work:
    """All frames, for the last of them."""
    from luma_ray.nodes.media import frames

    return lambda: frames.decode(Path(path))[-1:], _beside(true)


def floor(path: str, true: str) -> Callable[[], None]:
    """What the clip's structure allows: from the last keyframe on, without what no other frame is made from.

    And that one frame as floats, the quick way.
    """
    import av
    import numpy as np

    def work() -> None:
        with av.open(path) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            stream.codec_context.thread_count = 2
            stream.codec_context.skip_frame = "NONREF"
            container.seek(container.duration or 0)
            for picture in container.decode(stream):
                last = picture
            last.to_ndarray(format="rgb24").astype(np.float32)

    return work


def sought(path: str, true: str) -> Work:
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

    return work, _beside(true)


def _beside(file: str) -> Callable[[Any], dict[str, float]]:
    """How far a frame is from the one in *file*, in levels."""
    import numpy as np

    true = np.load(file)

    def levels(frame: Any) -> dict[str, float]:
        if tuple(frame.shape[1:]) != true.shape:
            return {"off": 255.0}
        return {"off": float(np.abs(frame[0].numpy() * 255 - true).mean())}

    return levels


def _last_of_all(clip: Path) -> str:
    """A file with the last frame of a whole decode: in a process that measures memory nobody decodes before."""
    import numpy as np
    from luma_ray.nodes.media import clips

    true = deque(clips.read(clip), maxlen=1).pop()
    path = clip.with_suffix(".npy")
    np.save(path, true)
    return str(path)


def plan(bench: Bench) -> Iterator[Trial | Skip]:
    """For a clip with one keyframe, and one with a keyframe a second."""
    size = footage.TINY if bench.tiny else footage.HD
    for words, every in (("one keyframe", 250), ("a keyframe a second", footage.FRAMES_PER_SECOND)):
        clip = footage.clip(bench.folder, size, every=every)
        given = {"path": str(clip), "true": _last_of_all(clip)}
        trial = partial(Trial, group=f"{size.name}, {words}", options=given)
        yield trial(way="bench.frames:last", name=OURS)
        yield trial(way="bench.frames:floor", name=FLOOR)
        yield trial(way="bench.frames:first", name="Luma Ray, the first frame")
        yield trial(way="bench.frames:whole", name=WHOLE, needs=1.1 * size.output)
        yield trial(way="bench.frames:sought", name="OpenCV, sought")


PART = Part(
    name="frames",
    title="The last frame alone",
    about=(
        "What *Ray Extend Video* and a linked `last_frame` need. *memory*: times the bytes of one frame as float32, "
        "with what the decoder holds. *off*: mean distance in levels from the true last frame."
    ),
    columns=(
        *times(digits=3),
        Column("of the floor", "wall", against=FLOOR),
        Column("CPU, s", "cpu"),
        Column("memory", "memory", over="output", digits=1),
        Column("off", "off"),
    ),
    plan=plan,
)
