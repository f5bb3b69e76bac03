"""Video files: what is in them, and their pictures one by one.

Only the first video stream is read.
"""

from __future__ import annotations

from bisect import bisect_right
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import av
import numpy as np
import numpy.typing as npt

from ..generation.errors import BrokenClip, InvalidInput
from .colour import RgbReader
from .opening import ANY, RAY_PIXELS, Bounds, opened, soon

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from av.video.stream import VideoStream

MOST_FRAMES: Final = 2**20
"""Of a clip: twelve hours."""
_EXACT_TIMES = ("mov", "matroska")
"""Containers that give each frame its own time, so that a frame is found by seeking."""

_HDR = {16: "PQ", 18: "HLG"}


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
    line = timeline(path, bounds)
    # Whatever its light: what was paid is kept, also where it cannot become an IMAGE.
    width, height = shown_size(path, any_light=True, bounds=bounds)
    last_picture(path, line, any_light=True, bounds=bounds)
    return ClipFacts(line.frames, width, height, line.frame_rate, line.seconds, line.has_audio)


def timeline(path: Path, bounds: Bounds = ANY) -> Timeline:
    """Read the packets of a clip and count its frames; decodes nothing.

    Raises:
        BrokenClip: it is no video, it has no frames or too many, it was cut off, or it takes too long.
    """
    with opened(path, bounds) as (container, stream):
        packets: list[_Packet] = []
        for packet in container.demux(stream):
            if packet.size:
                packets.append(_Packet.of(packet))
            if len(packets) > MOST_FRAMES:
                raise BrokenClip(
                    f"{path} has more than {MOST_FRAMES} frames, and that is the most that is read."
                )
            bounds.in_time(path)
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
    return Timeline(len(shown), rate, seconds, has_audio, tuple(times), tuple(keyframes))


def shown_size(path: Path, *, any_light: bool = False, bounds: Bounds = ANY) -> tuple[int, int]:
    """Width and height after rotation, of the first frame as it decodes. Raises as `pictures` does."""
    with closing(pictures(path, any_light=any_light, bounds=bounds)) as shown:
        return RgbReader().size(next(shown))


def pictures(
    path: Path,
    start: int = 0,
    line: Timeline | None = None,
    *,
    any_light: bool = False,
    bounds: Bounds = ANY,
) -> Generator[av.VideoFrame, None, None]:
    """Decoded frames from number *start* on, in the order of showing, converted to nothing.

    With the clip's *line*, decoding begins at the keyframe before *start* where the file allows it.
    Close the iterator (`contextlib.closing`) to close the file.

    Raises:
        BrokenClip: at once, or at the frame that does not decode.
        InvalidInput: the clip is HDR, and not *any_light* will do.
    """
    if line is not None and start and start < len(line.times):
        with closing(_pictures_from(path, line, start)) as shown:
            first = next(shown, None)
            if first is not None and first.pts == line.times[start]:
                yield first
                yield from shown
                return
    with opened(path, bounds) as (container, stream):
        if not any_light:
            _refuse_hdr(path, stream)
        number = 0
        for packet in container.demux(stream):
            bounds.in_time(path)
            for picture in packet.decode():
                number += 1
                if number > start:
                    yield picture
        if not number:
            raise BrokenClip(f"No frame of {path} can be decoded.")
        if line is not None and number <= start < line.frames:
            raise BrokenClip(
                f"{path} says that it has {line.frames} frames, and frame {start} does not decode."
            )


def last_picture(
    path: Path, line: Timeline, *, any_light: bool = False, bounds: Bounds | None = None
) -> av.VideoFrame:
    """The last frame: decoded from the last keyframe on, without the frames that no other is made from.

    Raises:
        BrokenClip: it does not decode, or takes too long.
        InvalidInput: the clip is HDR.
    """
    bounds = soon() if bounds is None else bounds
    last: av.VideoFrame | None = None
    if line.times:
        final = line.times[-1]
        with opened(path, bounds) as (container, stream):
            if not any_light:
                _refuse_hdr(path, stream)
            container.seek(_keyframe_before(line, final), stream=stream)
            for packet in container.demux(stream):
                bounds.in_time(path)
                # The final frame itself may be one that no other is made from.
                stream.codec_context.skip_frame = "DEFAULT" if packet.pts in (None, final) else "NONREF"
                for picture in packet.decode():
                    last = picture
        if last is not None and last.pts == final:
            return last
    with closing(pictures(path, any_light=any_light, bounds=bounds)) as shown:
        for picture in shown:
            last = picture
    if last is None or (line.times and last.pts != line.times[-1]):
        raise BrokenClip(f"The last frame of {path} cannot be decoded.")
    return last


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
    line = timeline(path) if start else None
    reader = RgbReader(size)
    with closing(pictures(path, start, line)) as shown:
        for picture in shown:
            yield reader.pixels(picture)


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


def _refuse_hdr(path: Path, stream: VideoStream) -> None:
    curve = _HDR.get(stream.codec_context.color_trc)
    if curve is not None:
        raise InvalidInput(
            f"{path} is HDR video ({curve}), and an IMAGE has ordinary brightness: convert it to SDR (bt709) first."
        )


def _keyframe_before(line: Timeline, time: int) -> int:
    """The time of the last keyframe at or before *time*."""
    return line.keyframes[max(bisect_right(line.keyframes, time) - 1, 0)] if line.keyframes else line.times[0]


def _pictures_from(path: Path, line: Timeline, start: int) -> Generator[av.VideoFrame, None, None]:
    """Frames from number *start* on, decoded from the keyframe before it."""
    time = line.times[start]
    with opened(path) as (container, stream):
        _refuse_hdr(path, stream)
        container.seek(_keyframe_before(line, time), stream=stream)
        for picture in container.decode(stream):
            if picture.pts is not None and picture.pts >= time:
                yield picture
