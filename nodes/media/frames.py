"""Clips as IMAGE tensors: exact colours, in the memory of the frames alone."""

from __future__ import annotations

import importlib
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from ..generation.errors import BrokenClip, Interrupted, InvalidInput
from . import clips
from .colour import Plane, RgbReader

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    import av

_BAND = 32
"""Rows converted at a time, so that they stay in the processor's cache."""

_WAITING = 2
"""Frames that wait for conversion at most: they overlap it with decoding and bound the memory."""

_SPARE = 128 * 2**20
"""Bytes for the decoder and everything else, beside the frames."""

_CGROUP_ROOT = Path("/sys/fs/cgroup")
_CGROUPS = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    (
        "memory/memory.limit_in_bytes",
        "memory/memory.usage_in_bytes",
        "memory/memory.stat",
        "total_inactive_file",
    ),
)
"""Where Linux keeps a container's limit, its use, and what of that it would give back."""


def decode(
    path: Path,
    *,
    start: int = 0,
    count: int | None = None,
    step: int = 1,
    size: tuple[int, int] | None = None,
    stopped: Callable[[], bool] = clips.never,
    progress: Callable[[float], None] | None = None,
) -> torch.Tensor:
    """Frames of a clip as float32 [frames, height, width, 3], 0..1.

    Args:
        path: the clip.
        start: the first frame wanted, from 0.
        count: how many frames at most; None takes all that are left.
        step: 2 takes every second frame.
        size: width and height to resize to, antialiased; None keeps the clip's. Rotation is applied, pixels
            are taken as square.
        stopped: asked before each frame.
        progress: told the fraction done, 0..1, after each frame.

    Raises:
        BrokenClip: the clip does not decode.
        InvalidInput: frames that are not there, too little memory, or an HDR clip.
        Interrupted: `stopped` said so.
    """
    _check(start, count, step, size)
    line = clips.timeline(path)
    choice = _Choice(path, line.frames, start, count, step)
    wanted = choice.wanted(step)
    if not wanted:
        raise InvalidInput(
            f"Frame {start} was asked for, and {path} has {line.frames} frames (0 to {line.frames - 1})."
        )
    reader = RgbReader(size)
    frames: npt.NDArray[np.float32] | None = None
    shape: tuple[int, int] | None = None
    filled = 0
    pending: deque[Future[None]] = deque()
    with (
        ThreadPoolExecutor(1, "luma-ray-frames") as worker,
        closing(clips.pictures(path, start, line)) as pictures,
    ):
        for number, picture in enumerate(pictures):
            if stopped():
                raise Interrupted(f"Stopped while decoding; the clip stays at {path}.")
            if number % step:
                continue
            if frames is None or shape is None:
                shape = reader.size(picture)
                frames = _allocate(choice, *shape)
            elif reader.size(picture) != shape:
                raise BrokenClip(
                    f"{path} changes its size: frame {start + number} is not {shape[0]}x{shape[1]}."
                )
            elif filled == len(frames):
                # More frames than packets: rare, and the array must not move while it is written to.
                _finish(pending, 0)
                _grow(frames, choice, *shape)
            _finish(pending, _WAITING - 1)
            pending.append(worker.submit(_convert, reader, picture, frames[filled]))
            filled += 1
            if progress is not None:
                progress(min(filled / wanted, 1.0))
            if filled == count:
                break
        _finish(pending, 0)
    if frames is None:
        raise BrokenClip(f"{path} says that it has {line.frames} frames, and frame {start} does not decode.")
    return torch.from_numpy(frames[:filled])


def first_frame(path: Path) -> torch.Tensor:
    """The first frame as float32 [1, height, width, 3], 0..1. Raises as `decode` does."""
    with closing(clips.pictures(path)) as pictures:
        return _single(next(pictures))


def last_frame(path: Path) -> torch.Tensor:
    """The last frame as float32 [1, height, width, 3], 0..1, in the memory of one frame.

    Raises as `decode` does.
    """
    return _single(clips.last_picture(path, clips.timeline(path)))


def free_memory() -> int | None:
    """Bytes that can be allocated without swapping; None where the system does not tell."""
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        machine = _field(meminfo, "MemAvailable:")
        limits = [free for free in map(_left_in_cgroup, _CGROUPS) if free is not None]
        if machine is not None:
            return min([machine * 1024, *limits])
    try:
        psutil = importlib.import_module("psutil")
    except ImportError:
        return None
    return int(psutil.virtual_memory().available)


def _check(start: int, count: int | None, step: int, size: tuple[int, int] | None) -> None:
    if start < 0:
        raise InvalidInput(f"Frames are counted from 0, so they cannot start at {start}.")
    if count is not None and count < 1:
        raise InvalidInput(f"{count} frames cannot be decoded; ask for 1 or more.")
    if step < 1:
        raise InvalidInput(f"A step of {step} leads nowhere; 1 takes every frame, 2 every second one.")
    if size is not None and min(size) < 1:
        raise InvalidInput(f"Frames cannot be {size[0]}x{size[1]} pixels.")


@dataclass(frozen=True)
class _Choice:
    """Which frames of a clip are wanted."""

    path: Path
    total: int
    """Frames in the clip."""
    start: int
    count: int | None
    step: int

    def wanted(self, step: int) -> int:
        """How many frames there are with another *step*."""
        return len(range(self.start, self.total, step)[: self.count])


def _allocate(choice: _Choice, width: int, height: int) -> npt.NDArray[np.float32]:
    """Memory for the frames if there is enough of it; else InvalidInput with what would fit."""
    wanted = choice.wanted(choice.step)
    free = free_memory()
    if free is not None and wanted * _bytes(width, height) + _SPARE > free:
        raise InvalidInput(_too_large(choice, width, height, max(free - _SPARE, 0)))
    try:
        # numpy asks the system for huge pages where torch.empty does not: less time lost at first touch.
        return np.empty((wanted, height, width, 3), np.float32)
    except MemoryError:
        raise InvalidInput(_too_large(choice, width, height, 0)) from None


def _grow(frames: npt.NDArray[np.float32], choice: _Choice, width: int, height: int) -> None:
    """Room for an eighth more frames, in place; the clip has more than it said."""
    more = len(frames) // 8 + 1
    free = free_memory()
    refusal = InvalidInput(
        f"{choice.path} has more frames than it says, and there is no memory for more than {len(frames)} of them: "
        "take a part of it (start and count)."
    )
    if free is not None and more * _bytes(width, height) + _SPARE > free:
        raise refusal
    try:
        frames.resize((len(frames) + more, *frames.shape[1:]), refcheck=False)
    except MemoryError:
        raise refusal from None


def _too_large(choice: _Choice, width: int, height: int, room: int) -> str:
    each, wanted = _bytes(width, height), choice.wanted(choice.step)
    fitting: list[str] = []
    twice = choice.step * 2
    sparse = choice.wanted(twice)
    if sparse < wanted and sparse * each <= room:
        fitting.append(f"step {twice} ({sparse} frames, {_gigabytes(sparse * each)})")
    half_width, half_height = max(width // 2, 1), max(height // 2, 1)
    small = wanted * _bytes(half_width, half_height)
    if small <= room:
        fitting.append(f"half the size ({half_width}x{half_height}, {_gigabytes(small)})")
    if each <= room:
        fitting.append(f"a range of up to {room // each} frames at a time (start and count)")
    advice = "; or ".join(fitting) if fitting else "not even half of it: free some memory first"
    return (
        f"{wanted} frames of {width}x{height} from {choice.path} need {_gigabytes(wanted * each)} of memory, "
        f"and {_gigabytes(room)} are free. What would fit: {advice}."
    )


def _bytes(width: int, height: int) -> int:
    return width * height * 3 * np.dtype(np.float32).itemsize


def _convert(reader: RgbReader, picture: av.VideoFrame, target: npt.NDArray[np.float32]) -> None:
    _fill(target, reader.planes(picture))


def _fill(target: npt.NDArray[np.float32], planes: tuple[Plane, Plane, Plane]) -> None:
    """8-bit planes into float32 [height, width, 3], 0..1."""
    levels = np.empty((_BAND, *target.shape[1:]), np.uint8)
    for top in range(0, len(target), _BAND):
        band = target[top : top + _BAND]
        part = levels[: len(band)]
        for channel, plane in enumerate(planes):
            part[..., channel] = plane[top : top + _BAND]
        # Divided, not multiplied by 1/255: that is off in the last digit. The type is named because numpy 1
        # would divide in float16.
        np.divide(part, 255, out=band, dtype=np.float32)


def _single(picture: av.VideoFrame) -> torch.Tensor:
    reader = RgbReader()
    width, height = reader.size(picture)
    frame = np.empty((1, height, width, 3), np.float32)
    _fill(frame[0], reader.planes(picture))
    return torch.from_numpy(frame)


def _finish(pending: deque[Future[None]], allowed: int) -> None:
    """Wait until no more than *allowed* conversions are under way, and raise what they raised."""
    while len(pending) > allowed:
        pending.popleft().result()


def _left_in_cgroup(names: tuple[str, str, str, str]) -> int | None:
    limit_file, use_file, stat_file, cache = names
    try:
        limit = (_CGROUP_ROOT / limit_file).read_text().strip()
        used = int((_CGROUP_ROOT / use_file).read_text())
        reclaimable = _field(_CGROUP_ROOT / stat_file, cache) or 0
    except OSError:
        return None
    return max(int(limit) - used + reclaimable, 0) if limit.isdecimal() else None


def _field(path: Path, name: str) -> int | None:
    """The number after *name* in a file of lines like `MemAvailable:  123 kB`."""
    for line in path.read_text().splitlines():
        words = line.split()
        if words and words[0] == name:
            return int(words[1])
    return None


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
