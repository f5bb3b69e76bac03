"""H.264 pictures from clip to film packet by packet: nothing is decoded, and nothing is lost.

Only where it is certain to play: the clips were encoded with the same parameters, one packet is one picture, times
are evenly spaced, each stretch begins with a picture from which decoding can start (IDR), and ends where no
picture that is kept was decoded with the help of one that is not. Nothing is hidden by an edit list, which many
editors ignore.
"""

from __future__ import annotations

from bisect import bisect_left
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from typing import TYPE_CHECKING, Final

import av
import av.error

from ..generation.errors import BrokenClip, InvalidInput
from . import clips, encoding
from .h264 import IDR, PARAMETERS, Headers, kind
from .opening import opened

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from pathlib import Path

    from av.video.stream import VideoStream

    from .sound import Sound

_CONTAINERS: Final = ("mov", "matroska")
_ANY_UNIT: Final = int(av.__version__.split(".")[0]) >= 15
"""Older PyAV tells the times of copies in 1/90000 of a second: too rough for 23.976 frames a second."""
_UNEVEN: Final = Fraction(1, 20)
"""Of a frame: how far a picture's time may be off; Matroska rounds to milliseconds."""


@dataclass(frozen=True)
class Stretch:
    """Some frames of a clip, one after the other."""

    path: Path
    line: clips.Timeline
    first: int
    count: int
    delay: int = 0
    """Packets by which decoding is ahead of showing; for copies."""


@dataclass(frozen=True)
class Index:
    """Where a clip can be cut without decoding it."""

    starts: dict[int, int]
    """Frames with which a copy can begin, each with the id that such pictures have."""
    ends: dict[int, int | None]
    """Frames before which a copy can end, each with that id of the picture before it, if it has one. The number
    of all frames is one of them."""
    delay: int
    """Packets by which decoding is ahead of showing."""

    def leads_to(self, end: int, later: Index, start: int) -> bool:
        """Whether frame *start* of a *later* clip may follow where this one ends before frame *end*."""
        if end not in self.ends or start not in later.starts:
            return False
        # Two such pictures in a row must have different ids, or some decoders take them for one.
        return self.ends[end] != later.starts[start]


@dataclass(frozen=True)
class _Encoded:
    """How a clip is encoded. Clips with the same can follow each other."""

    parameters: bytes
    size: tuple[int, int]
    pixels: str
    aspect: Fraction | None
    colour: tuple[int, ...]


def indexes(parts: Sequence[tuple[Path, clips.Timeline]]) -> list[Index] | None:
    """Where each clip can be cut; None if they cannot be copied into one file. Raises BrokenClip."""
    found: list[Index] = []
    first: _Encoded | None = None
    for path, line in parts:
        looked = _look(path, line)
        if looked is None:
            return None
        index, encoded = looked
        if first is not None and encoded != first:
            return None
        first = encoded
        found.append(index)
    return found


def write(
    stretches: Sequence[Stretch],
    path: Path,
    *,
    frame_rate: Fraction,
    sound: Sound | None,
    before: Callable[[], None],
    after: Callable[[], None],
) -> None:
    """An MP4 of *stretches*, each from one of its clip's `starts` to one of its `ends`.

    *before* and *after* are called before and after each picture; what they raise ends the writing.

    Raises:
        BrokenClip: a clip is not what it was when it was looked at.
        InvalidInput: the pictures cannot be put into an MP4.
    """
    try:
        with encoding.mp4(path, frame_rate) as container:
            with opened(stretches[0].path) as (_, template):
                stream = container.add_stream_from_template(template, opaque=True)
            if _ANY_UNIT:
                stream.time_base = 1 / frame_rate
            track = encoding.Soundtrack(container, sound) if sound is not None else None
            delay = max(stretch.delay for stretch in stretches)
            place = 0
            for stretch in stretches:
                with closing(_packets(stretch)) as packets:
                    for number, (shown, packet) in enumerate(packets, place):
                        before()
                        packet.stream, packet.time_base, packet.duration = stream, 1 / frame_rate, 1
                        packet.pts, packet.dts = place + shown, number - delay
                        container.mux(packet)
                        if track is not None:
                            track.follow((number + 1) / frame_rate)
                        after()
                place += stretch.count
            if track is not None:
                track.finish()
    except av.error.FFmpegError as error:
        if isinstance(error, OSError):
            raise
        raise InvalidInput(
            f"The pictures of {stretches[0].path} cannot be put into an MP4: {error.strerror}."
        ) from error


def _packets(stretch: Stretch) -> Generator[tuple[int, av.Packet[VideoStream]], None, None]:
    """The packets of a stretch as they are decoded, each with its place in the order of showing."""
    times, stop = stretch.line.times, stretch.first + stretch.count
    given = 0
    with opened(stretch.path) as (container, stream):
        for number, packet in enumerate(packet for packet in container.demux(stream) if packet.size):
            if number >= stop:
                break
            if number >= stretch.first:
                shown = _place(times, packet.pts)
                if shown is None or not stretch.first <= shown < stop:
                    raise _changed(stretch.path)
                given += 1
                yield shown - stretch.first, packet
    if given != stretch.count:
        raise _changed(stretch.path)


def _changed(path: Path) -> BrokenClip:
    return BrokenClip(f"{path} is not what it was a moment ago; leave it alone while it is read.")


def _place(times: Sequence[int], time: int | None) -> int | None:
    """The number of the frame with that time."""
    place = bisect_left(times, time) if time is not None else len(times)
    return place if place < len(times) and times[place] == time else None


def _look(path: Path, line: clips.Timeline) -> tuple[Index, _Encoded] | None:
    """Where a clip can be cut and how it is encoded; None if it cannot be copied."""
    if not line.times or len(line.times) != line.frames:
        return None
    rate = encoding.as_rate(line.frame_rate)
    with opened(path) as (container, stream):
        context = stream.codec_context
        headers = Headers.read(bytes(context.extradata or b"")) if context.name == "h264" else None
        if headers is None:
            return None
        if container.format.name.split(",")[0] not in _CONTAINERS or not stream.time_base:
            return None
        if not _ANY_UNIT and (90_000 / rate).denominator != 1:
            return None
        if not _even(line.times, stream.time_base * rate):
            return None
        encoded = _Encoded(
            headers.content,
            (stream.width, stream.height),
            str(context.pix_fmt),
            stream.sample_aspect_ratio,
            tuple(
                int(tag)
                for tag in (
                    context.colorspace,
                    context.color_primaries,
                    context.color_trc,
                    context.color_range,
                )
            ),
        )
        index = _index(container.demux(stream), line.times, headers)
    if index is None or _turned(path):
        return None
    return index, encoded


def _index(packets: Iterator[av.Packet[VideoStream]], times: Sequence[int], headers: Headers) -> Index | None:
    starts, ends = dict[int, int](), dict[int, int | None]()
    number = highest = -1
    delay = 0
    for number, packet in enumerate(packet for packet in packets if packet.size):
        shown = _place(times, packet.pts)
        if shown is None or packet.is_corrupt:
            return None
        try:
            own = _id_of(packet, headers)
        except ValueError:
            return None
        if own is not None and shown == number == highest + 1:
            starts[number] = own
        highest = max(highest, shown)
        if highest == number:
            ends[number + 1] = own
        delay = max(delay, number - shown)
    return Index(starts, ends, delay) if number + 1 == len(times) else None


def _id_of(packet: av.Packet[VideoStream], headers: Headers) -> int | None:
    """The id of a picture from which decoding can start, None for another. Raises ValueError if it is none."""
    found = None
    for unit in headers.units(memoryview(packet)):
        # Parameters among the pictures do no harm where they are those of the whole film.
        if kind(unit) in PARAMETERS and bytes(unit) not in headers.content:
            raise ValueError("the parameters change on the way")
        if kind(unit) == IDR and found is None:
            found = headers.idr_id(unit)
    return found


def _even(times: Sequence[int], frames: Fraction) -> bool:
    """Whether pictures are evenly spaced; *frames* of them last one unit of their times."""
    return all(abs((time - times[0]) * frames - number) <= _UNEVEN for number, time in enumerate(times))


def _turned(path: Path) -> bool:
    """Whether it lies on its side, as a phone's may: a film has no such mark for a part of it."""
    with opened(path) as (container, stream):
        return any(picture.rotation for picture in islice(container.decode(stream), 1))
