"""Clips as IMAGE tensors: exact colours, in the memory of the frames alone."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import torch

from ..generation.errors import BrokenClip, InvalidInput
from . import clips
from .attended import Attendance, attended
from .colour import Plane, RgbReader
from .memory import PROMISES, Promise, free_memory
from .opening import CORES, most_threads
from .reading import OpenClip

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from pathlib import Path

    import av

__all__ = ["decode", "first_frame", "free_memory", "last_frame"]

_BAND = 32
"""Rows converted at a time, so that they stay in the processor's cache."""

_CONVERTING: Final = max(1, min(CORES // 2, 4))
"""Frames converted at once. Two cores have enough to do with one beside the decoder."""

_WAITING: Final = 1
"""Frames that wait for conversion beside those at most: they overlap it with decoding and bound the memory."""

_REFERENCES: Final = 17
"""Frames that a decoder keeps at most to make others from, and the one that it makes."""

_SPARE = 128 * 2**20
"""Bytes that are left free beside the frames, at least."""

# The decoders of the process. One clip of its own keeps eight cores busy: more at once would only fight for the
# cores and need the memory of all. Clips wait here in the order in which they were asked for.
_WHOLE = ThreadPoolExecutor(max(1, CORES // 8), "luma-ray-frames")
_SINGLE = ThreadPoolExecutor(2, "luma-ray-frame")
_CONVERTERS = ThreadPoolExecutor(_CONVERTING, "luma-ray-colours")


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

    Beside them it holds decoded frames, of mostly 1.5 bytes a pixel: 17 at most that others are made from, one
    for each thread, and two that are or wait to be converted (on two cores).

    Args:
        path: the clip.
        start: the first frame wanted, from 0.
        count: how many frames at most; None takes all that are left.
        step: 2 takes every second frame.
        size: width and height to resize to, antialiased; None keeps the clip's. Rotation is applied, and
            pixels that are not square are stretched.
        stopped: asked every 20 ms, whatever the decoder is busy with.
        progress: told the fraction done, 0..1, as often, if it grew.

    Raises:
        BrokenClip: the clip does not decode.
        InvalidInput: frames that are not there, too little memory, or an HDR clip.
        Interrupted: `stopped` said so.
    """
    _check(start, count, step, size)

    def work(attendance: Attendance) -> npt.NDArray[np.float32]:
        with OpenClip(path, stopped=attendance.stopped) as clip, PROMISES.one() as promise:
            line = clips.timeline(path, clip=clip)
            choice = _Choice(path, line.frames, start, count, step)
            return _Decode(clip, choice, size, promise, attendance).frames(line)

    words = f"Stopped while decoding; the clip stays at {path}."
    return torch.from_numpy(attended(_WHOLE, work, stopped=stopped, progress=progress, words=words))


def first_frame(path: Path, *, stopped: Callable[[], bool] = clips.never) -> torch.Tensor:
    """The first frame as float32 [1, height, width, 3], 0..1. Raises as `decode` does."""
    return _single(clips.first_frame, path, stopped)


def last_frame(path: Path, *, stopped: Callable[[], bool] = clips.never) -> torch.Tensor:
    """The last frame as float32 [1, height, width, 3], 0..1, in the memory of one frame.

    Raises as `decode` does.
    """
    return _single(clips.last_frame, path, stopped)


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


class _Decode:
    """One clip on its way into memory: decoded on this thread, converted on others."""

    def __init__(
        self,
        clip: OpenClip,
        choice: _Choice,
        size: tuple[int, int] | None,
        promise: Promise,
        attendance: Attendance,
    ) -> None:
        self._clip, self._choice, self._promise, self._attendance = clip, choice, promise, attendance
        self._wanted = choice.wanted(choice.step)
        self._pending: deque[Future[None]] = deque()
        self._converted = 0
        # A reader is for one thread at a time.
        self._readers: SimpleQueue[RgbReader] = SimpleQueue()
        for _ in range(_CONVERTING):
            self._reader = RgbReader(size, pixel_shape=clip.pixel_shape)
            self._readers.put(self._reader)

    def frames(self, line: clips.Timeline) -> npt.NDArray[np.float32]:
        """The frames wanted."""
        choice, path = self._choice, self._choice.path
        if not self._wanted:
            raise InvalidInput(
                f"Frame {choice.start} was asked for, and {path} has {line.frames} frames (0 to {line.frames - 1})."
            )
        frames: npt.NDArray[np.float32] | None = None
        shape: tuple[int, int] | None = None
        filled = 0
        try:
            with closing(self._clip.pictures(line, choice.start, choice.step, choice.count)) as pictures:
                for picture in pictures:
                    if frames is None or shape is None:
                        shape = self._reader.size(picture)
                        frames = self._allocate(picture, *shape)
                    elif self._reader.size(picture) != shape:
                        number = choice.start + filled * choice.step
                        raise BrokenClip(
                            f"{path} changes its size: frame {number} is not {shape[0]}x{shape[1]}."
                        )
                    elif filled == len(frames):
                        # More frames than packets: rare, and the array must not move while it is written to.
                        self._finish(0, *shape)
                        self._grow(frames, *shape)
                    self._finish(_CONVERTING + _WAITING - 1, *shape)
                    self._pending.append(_CONVERTERS.submit(self._convert, picture, frames[filled]))
                    filled += 1
            if frames is None or shape is None:
                raise BrokenClip(
                    f"{path} says that it has {line.frames} frames, and frame {choice.start} does not decode."
                )
            self._finish(0, *shape)
        finally:
            wait(self._pending)
        return frames[:filled]

    def _convert(self, picture: av.VideoFrame, target: npt.NDArray[np.float32]) -> None:
        reader = self._readers.get()
        try:
            _fill(target, reader.planes(picture))
        finally:
            self._readers.put(reader)

    def _finish(self, allowed: int, width: int, height: int) -> None:
        """Wait until no more than *allowed* conversions are under way, and raise what they raised."""
        while len(self._pending) > allowed:
            self._pending.popleft().result()
            self._promise.touched(_bytes(width, height))
            self._converted += 1
            self._attendance.done = min(self._converted / self._wanted, 1.0)

    def _allocate(self, picture: av.VideoFrame, width: int, height: int) -> npt.NDArray[np.float32]:
        """Memory for the frames if there is enough of it; else InvalidInput with what would fit."""
        need, spare = self._wanted * _bytes(width, height), _spare(picture)
        room = PROMISES.extend(self._promise, need, spare, free_memory)
        if room is not None:
            raise InvalidInput(_too_large(self._choice, width, height, room))
        try:
            # numpy asks the system for huge pages where torch.empty does not: less time lost at first touch.
            return np.empty((self._wanted, height, width, 3), np.float32)
        except MemoryError:
            raise InvalidInput(_too_large(self._choice, width, height, 0)) from None

    def _grow(self, frames: npt.NDArray[np.float32], width: int, height: int) -> None:
        """Room for an eighth more frames, in place; the clip has more than it said."""
        more = len(frames) // 8 + 1
        refusal = InvalidInput(
            f"{self._choice.path} has more frames than it says, and there is no memory for more than {len(frames)} "
            "of them: take a part of it (start and count)."
        )
        if PROMISES.extend(self._promise, more * _bytes(width, height), _SPARE, free_memory) is not None:
            raise refusal
        try:
            frames.resize((len(frames) + more, *frames.shape[1:]), refcheck=False)
        except MemoryError:
            raise refusal from None


def _spare(picture: av.VideoFrame) -> int:
    """Bytes for the decoder and everything else, beside the frames."""
    decoded = _REFERENCES + most_threads(picture.width, picture.height) + _CONVERTING + _WAITING
    rgb = _CONVERTING * picture.width * picture.height * 3
    return max(decoded * sum(plane.buffer_size for plane in picture.planes) + rgb, _SPARE)


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


def _fill(target: npt.NDArray[np.float32], planes: tuple[Plane, Plane, Plane]) -> None:
    """8-bit planes into float32 [height, width, 3], 0..1."""
    for top in range(0, len(target), _BAND):
        band = target[top : top + _BAND]
        for channel, plane in enumerate(planes):
            band[..., channel] = plane[top : top + _BAND]
        # Divided, not multiplied by 1/255: that is off in the last digit.
        band /= 255


def _single(
    look: Callable[..., npt.NDArray[np.uint8]], path: Path, stopped: Callable[[], bool]
) -> torch.Tensor:
    words = f"Stopped while decoding; the clip stays at {path}."
    pixels = attended(
        _SINGLE, lambda attendance: look(path, stopped=attendance.stopped), stopped=stopped, words=words
    )
    frame = np.empty((1, *pixels.shape), np.float32)
    _fill(frame[0], (pixels[..., 0], pixels[..., 1], pixels[..., 2]))
    return torch.from_numpy(frame)


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
