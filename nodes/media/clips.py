"""Video files: what is in them, and their pictures one by one.

Only the first video stream is read.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import av
import av.error
import numpy as np
import numpy.typing as npt

from ..generation.errors import BrokenClip
from .colour import RgbReader
from .opening import ANY, RAY_PIXELS, Bounds, explained, soon
from .reading import OpenClip

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from av.video.stream import VideoStream

MOST_FRAMES: Final = 2**20
"""Of a clip: twelve hours."""
_EXACT_TIMES = ("mov", "matroska")
"""Containers that give each frame its own time, so that a frame is found by seeking."""


@dataclass(frozen=True)
class Timeline:
    """What the packets of a clip say, without decoding any."""

    frames: int
    """Counted, because the number in a file's header may be missing or wrong."""
    frame_rate: Fraction
    """Frames a second; the average where it varies."""
    seconds: float
    has_audio: bool
    times: tuple[int, ...]
    """Time of each frame in the order of showing, in units of the stream; empty if the file is not exact."""
    keyframes: tuple[int, ...]
    """Times at which decoding can start, ascending; empty if `times` is."""
    order: tuple[int, ...] = ()
    """Times in the order of decoding, also of what an edit list cuts away; empty if `times` is."""


@dataclass(frozen=True)
class ClipFacts:
    """A clip that was opened and whose first and last frame decode."""

    frames: int
    width: int
    """Pixels, as shown (after rotation)."""
    height: int
    frame_rate: Fraction
    seconds: float
    has_audio: bool


def never() -> bool:
    """Nobody asks to stop."""
    return False


def inspect(path: Path) -> ClipFacts:
    """Count the frames and decode the first and the last.

    Raises:
        BrokenClip: it is no video, it has no frames, or it was cut off.
    """
    return _inspected(path, soon())


def arrived(path: Path) -> ClipFacts:
    """As `inspect`, of what a provider gave: no larger than anything that Ray makes."""
    return _inspected(path, soon(RAY_PIXELS))


def _inspected(path: Path, bounds: Bounds) -> ClipFacts:
    # Whatever its light: what was paid is kept, also where it cannot become an IMAGE.
    with OpenClip(path, bounds, any_light=True) as clip:
        line = timeline(path, bounds, clip=clip)
        width, height = RgbReader(pixel_shape=clip.pixel_shape).size(_first(clip, line))
        _last(clip, line)
    return ClipFacts(line.frames, width, height, line.frame_rate, line.seconds, line.has_audio)


def timeline(path: Path, bounds: Bounds = ANY, *, clip: OpenClip | None = None) -> Timeline:
    """Read the packets of a clip and count its frames; decodes nothing.

    Args:
        path: the clip.
        bounds: how far it is trusted.
        clip: the same, where it is open already and nothing was read of it.

    Raises:
        BrokenClip: it is no video, it has no frames or too many, it was cut off, or it takes too long.
    """
    if clip is None:
        with OpenClip(path, bounds) as clip:
            return timeline(path, bounds, clip=clip)
    packets: list[_Packet] = []
    for packet in clip.packets():
        if packet.size:
            packets.append(_Packet.of(packet))
        if len(packets) > MOST_FRAMES:
            raise BrokenClip(f"{path} has more than {MOST_FRAMES} frames, and that is the most that is read.")
    with explained(path):
        return _timeline(clip, packets)


def _timeline(clip: OpenClip, packets: list[_Packet]) -> Timeline:
    path, container, stream = clip.path, clip.container, clip.stream
    kind, unit = container.format.name.split(",")[0], stream.time_base or Fraction(1)
    rate = max(Fraction(stream.average_rate or stream.guessed_rate or 0), Fraction(0)) or Fraction(24)
    has_audio = bool(container.streams.audio)
    promised = (stream.duration or 0) if kind == "mov" else 0
    # What an edit list cuts away is decoded, but never shown.
    shown = [packet for packet in packets if not packet.cut]
    if not shown:
        raise BrokenClip(f"{path} has no frames in it.")
    if packets[-1].partial:
        raise _broken_off(path, len(packets))
    times = sorted({packet.time for packet in shown if packet.time is not None})
    if kind not in _EXACT_TIMES or len(times) < len(shown):
        return Timeline(len(shown), rate, float(len(shown) / rate), has_audio, (), ())
    # The index at the front of an MP4 may promise what a broken download does not hold.
    if promised - _span(packets) > 2 / (rate * unit):
        raise _broken_off(path, len(packets))
    seconds = float(_span(shown) * unit) or float(len(shown) / rate)
    keyframes = sorted(packet.time for packet in packets if packet.keyframe and packet.time is not None)
    order = tuple(packet.time for packet in packets if packet.time is not None)
    return Timeline(len(shown), rate, seconds, has_audio, tuple(times), tuple(keyframes), order)


def shown_size(path: Path, *, bounds: Bounds = ANY) -> tuple[int, int]:
    """Width and height as shown, of the first frame as it decodes. Raises as `pictures` does."""
    with OpenClip(path, bounds) as clip:
        return RgbReader(pixel_shape=clip.pixel_shape).size(_first(clip, None))


def pictures(
    path: Path, start: int = 0, line: Timeline | None = None, *, bounds: Bounds = ANY
) -> Generator[av.VideoFrame, None, None]:
    """Decoded frames from number *start* on, in the order of showing, converted to nothing.

    With the clip's *line*, decoding begins at the keyframe before *start* where the file allows it.
    Close the iterator (`contextlib.closing`) to close the file.

    Raises:
        BrokenClip: at once, or at the frame that does not decode.
        InvalidInput: the clip is HDR.
    """
    with OpenClip(path, bounds) as clip:
        yield from clip.pictures(line, start)


def first_frame(path: Path, *, stopped: Callable[[], bool] = never) -> npt.NDArray[np.uint8]:
    """The first frame as uint8 [height, width, 3]. Raises as `pictures` does, and Interrupted."""
    with OpenClip(path, stopped=stopped) as clip:
        return RgbReader(pixel_shape=clip.pixel_shape).pixels(_first(clip, None))


def last_frame(path: Path, *, stopped: Callable[[], bool] = never) -> npt.NDArray[np.uint8]:
    """The last frame as uint8 [height, width, 3], in the memory of one frame.

    It is decoded from the last keyframe on, without the frames that no other is made from.

    Raises:
        BrokenClip: it does not decode, or takes too long.
        InvalidInput: the clip is HDR.
        Interrupted: `stopped` said so.
    """
    bounds = soon()
    with OpenClip(path, bounds, stopped=stopped) as clip:
        line = timeline(path, bounds, clip=clip)
        return RgbReader(pixel_shape=clip.pixel_shape).pixels(_last(clip, line))


def read(
    path: Path, *, start: int = 0, size: tuple[int, int] | None = None
) -> Generator[npt.NDArray[np.uint8], None, None]:
    """Frames as uint8 [height, width, 3], one at a time, from number *start* on.

    Args:
        path: the clip.
        start: the first frame wanted, from 0.
        size: width and height to resize to; None keeps the clip's.

    Raises:
        BrokenClip: at once, or at the frame that does not decode.
        InvalidInput: the clip is HDR.
    """
    with OpenClip(path) as clip:
        line = timeline(path, clip=clip) if start else None
        reader = RgbReader(size, pixel_shape=clip.pixel_shape)
        for picture in clip.pictures(line, start):
            yield reader.pixels(picture)


def _first(clip: OpenClip, line: Timeline | None) -> av.VideoFrame:
    with closing(clip.pictures(line, count=1)) as shown:
        return next(shown)


def _last(clip: OpenClip, line: Timeline) -> av.VideoFrame:
    last: av.VideoFrame | None = None
    start = len(line.times) - 1 if line.times else 0
    with closing(clip.pictures(line, start)) as shown:
        for picture in shown:
            last = picture
    if last is None or (line.times and last.pts != line.times[-1]):
        raise BrokenClip(f"The last frame of {clip.path} cannot be decoded.")
    return last


@dataclass(frozen=True, slots=True)
class _Packet:
    """What is worth keeping of a packet: everything but its data."""

    time: int | None
    duration: int
    keyframe: bool
    cut: bool
    """An edit list says not to show it."""
    partial: bool
    """The file ends in the middle of it."""

    @classmethod
    def of(cls, packet: av.Packet[VideoStream]) -> _Packet:
        return cls(packet.pts, packet.duration or 0, packet.is_keyframe, packet.is_discard, packet.is_corrupt)


def _span(packets: list[_Packet]) -> int:
    """From the first packet's start to the last one's end, in units of the stream."""
    timed = [(packet.time, packet.duration) for packet in packets if packet.time is not None]
    return max(time + duration for time, duration in timed) - min(time for time, _ in timed)


def _broken_off(path: Path, packets: int) -> BrokenClip:
    return BrokenClip(f"{path} is cut off: it ends in or after frame {packets}, and promises more.")
