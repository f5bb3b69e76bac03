"""Video files: what is in them, their pictures one by one, and new ones.

Only the first video stream is read. Sound is neither read nor written here.
"""

from __future__ import annotations

import os
import uuid
from bisect import bisect_right
from contextlib import closing, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import av.error
import numpy as np
import numpy.typing as npt

from ..generation.errors import BrokenClip, InvalidInput
from . import images
from .colour import Bt709Writer, RgbReader

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import torch
    from av.container import InputContainer
    from av.video.stream import VideoStream

# Clips come from strangers. Files only, and no playlists: those can point at any file or address.
_OPEN_OPTIONS = {
    "protocol_whitelist": "file",
    "format_whitelist": "mov,matroska,avi,mpegts,mpeg,flv,ogg,gif,h264,hevc,ivf",
}
_EXACT_TIMES = ("mov", "matroska")
"""Containers that give each frame its own time, so that a frame is found by seeking."""

_MOST_THREADS = 8
"""Each decoding thread holds frames of its own; beyond this they cost memory and gain nothing."""

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
    line = timeline(path)
    with closing(pictures(path)) as shown:
        first = next(shown)
    last_picture(path, line)
    width, height = RgbReader().size(first)
    return ClipFacts(line.frames, width, height, line.frame_rate, line.seconds, line.has_audio)


def timeline(path: Path) -> Timeline:
    """Read the packets of a clip and count its frames; decodes nothing.

    Raises:
        BrokenClip: it is no video, it has no frames, or it was cut off.
    """
    with _opened(path) as (container, stream):
        packets = [packet for packet in container.demux(stream) if packet.size]
        # Those that an edit list cuts away are decoded, but never shown.
        shown = [packet for packet in packets if not packet.is_discard]
        if not shown:
            raise BrokenClip(f"{path} has no frames in it.")
        if packets[-1].is_corrupt:
            raise _cut_off(path, len(packets))
        name, unit = container.format.name.split(",")[0], stream.time_base
        starts = sorted(packet.pts for packet in shown if packet.pts is not None)
        exact = name in _EXACT_TIMES and len(set(starts)) == len(shown) and unit is not None
        has_audio = bool(container.streams.audio)
        rate = stream.average_rate or stream.guessed_rate or Fraction(24)
        if not exact or unit is None:
            return Timeline(len(shown), Fraction(rate), float(len(shown) / rate), has_audio, (), ())
        end = max(packet.pts + (packet.duration or 0) for packet in packets if packet.pts is not None)
        first = min(packet.pts for packet in packets if packet.pts is not None)
        # The index at the front of an MP4 may promise what a broken download does not hold.
        if name == "mov" and stream.duration and stream.duration - (end - first) > 2 / rate / unit:
            raise _cut_off(path, len(packets))
        shown_end = max(packet.pts + (packet.duration or 0) for packet in shown if packet.pts is not None)
        seconds = float((shown_end - starts[0]) * unit) or float(len(shown) / rate)
        keyframes = sorted(packet.pts for packet in packets if packet.is_keyframe and packet.pts is not None)
        return Timeline(len(shown), Fraction(rate), seconds, has_audio, tuple(starts), tuple(keyframes))


def pictures(path: Path, start: int = 0, line: Timeline | None = None) -> Iterator[av.VideoFrame]:
    """Decoded frames from number *start* on, in the order of showing, converted to nothing.

    With the clip's *line*, decoding begins at the keyframe before *start* where the file allows it.
    Close the iterator (`contextlib.closing`) to close the file.

    Raises:
        BrokenClip: at once, or at the frame that does not decode.
        InvalidInput: the clip is HDR.
    """
    if line is not None and start and start < len(line.times):
        with closing(_pictures_from(path, line, start)) as shown:
            first = next(shown, None)
            if first is not None and first.pts == line.times[start]:
                yield first
                yield from shown
                return
    with _opened(path) as (container, stream):
        _refuse_hdr(path, stream)
        number = 0
        for number, picture in enumerate(container.decode(stream), 1):
            if number > start:
                yield picture
        if not number:
            raise BrokenClip(f"No frame of {path} can be decoded.")


def last_picture(path: Path, line: Timeline) -> av.VideoFrame:
    """The last frame: decoded from the last keyframe on, without the frames that no other is made from.

    Raises:
        BrokenClip: it does not decode.
        InvalidInput: the clip is HDR.
    """
    last: av.VideoFrame | None = None
    if line.times:
        final = line.times[-1]
        with _opened(path) as (container, stream):
            _refuse_hdr(path, stream)
            container.seek(_keyframe_before(line, final), stream=stream)
            for packet in container.demux(stream):
                # The final frame itself may be one that no other is made from.
                stream.codec_context.skip_frame = "DEFAULT" if packet.pts in (None, final) else "NONREF"
                for picture in packet.decode():
                    last = picture
        if last is not None and last.pts == final:
            return last
    with closing(pictures(path)) as shown:
        for picture in shown:
            last = picture
    if last is None:
        raise BrokenClip(f"No frame of {path} can be decoded.")
    return last


def read(
    path: Path, *, start: int = 0, size: tuple[int, int] | None = None
) -> Iterator[npt.NDArray[np.uint8]]:
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


def write(
    frames: Iterable[npt.NDArray[np.uint8]],
    path: Path,
    *,
    frame_rate: Fraction | float,
    width: int,
    height: int,
    crf: int = 16,
) -> None:
    """An MP4 from uint8 [height, width, 3] frames, encoded as they come.

    H.264, yuv420p, bt709 limited range and tagged so, a keyframe every second, playable while it loads, no
    metadata. yuv420p has only even sides: the last column or row of an odd one is cut off. The file gets
    its name when it is whole; if *frames* raises, nothing is left behind.

    Args:
        frames: any number of frames but none.
        path: where to; its folder must exist.
        frame_rate: frames a second.
        width: of each frame in pixels.
        height: of each frame in pixels.
        crf: x264's quality, 0 (lossless) to 51; 16 is beyond what the eye tells apart.

    Raises:
        InvalidInput: no frames, or a frame of another size.
    """
    if width < 2 or height < 2:
        raise InvalidInput(f"A video of {width}x{height} cannot be made; each side needs two pixels or more.")
    rate = Fraction(frame_rate).limit_denominator(1001)
    unfinished = path.with_name(f".{path.stem}-{uuid.uuid4().hex[:8]}.unfinished")
    try:
        _encode(frames, unfinished, path, rate, (height, width, 3), crf)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_tensor(images_: torch.Tensor, path: Path, frame_rate: Fraction | float, *, crf: int = 16) -> None:
    """An MP4 from an IMAGE [frames, height, width, 3 or 4]; see `write`. The tensor is only read.

    Raises:
        InvalidInput: the tensor is no series of finite RGB pictures.
    """
    images.check_shape(images_, "images")
    stack = images_ if images_.ndim == 4 else images_[None]
    height, width = stack.shape[1:3]
    frames = (images.eight_bit(image, name="images") for image in stack)
    write(frames, path, frame_rate=frame_rate, width=width, height=height, crf=crf)
