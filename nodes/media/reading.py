"""A clip that is open: its packets, and its pictures with no more decoded than they need."""

from __future__ import annotations

from bisect import bisect_right
from contextlib import AbstractContextManager, ExitStack, closing
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Literal

from ..generation.errors import BrokenClip, Interrupted, InvalidInput
from .opening import ANY, Bounds, explained, open_clip, threaded

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Sequence
    from pathlib import Path
    from types import TracebackType

    import av
    from av.video.stream import VideoStream

    from .clips import Timeline

_HDR = {16: "PQ", 18: "HLG"}
_Skip = Literal["DEFAULT", "NONREF"]
_EVERYTHING: Final = "DEFAULT"
_REFERENCES: Final = "NONREF"
"""What FFmpeg's `skip_frame` is set to: frames that no other is made from need not be decoded."""


class OpenClip(AbstractContextManager["OpenClip"]):
    """A clip from a stranger, open for reading. Use it in `with`, and on one thread.

    Whatever PyAV raises becomes a `BrokenClip`; it may come from any method.
    """

    def __init__(
        self,
        path: Path,
        bounds: Bounds = ANY,
        *,
        any_light: bool = False,
        stopped: Callable[[], bool] | None = None,
    ) -> None:
        """Open the file at *path*; pictures are refused if it is HDR and not *any_light* will do.

        *stopped* is asked before each packet.
        """
        self.path = path
        self._bounds, self._any_light, self._stopped = bounds, any_light, stopped
        self._untouched = True
        self._decoding = False
        with explained(path), ExitStack() as held:
            container, self.stream = open_clip(path, bounds)
            self.container = held.enter_context(container)
            self._held = held.pop_all()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file and give its threads back."""
        self._held.close()

    @property
    def pixel_shape(self) -> Fraction:
        """Width of a pixel over its height."""
        return Fraction(self.stream.sample_aspect_ratio or 1)

    def packets(self) -> Generator[av.Packet[VideoStream], None, None]:
        """The packets from here to the end; the last one is empty."""
        self._untouched = False
        with explained(self.path):
            for packet in self.container.demux(self.stream):
                self._look_up()
                yield packet

    def pictures(
        self, line: Timeline | None = None, start: int = 0, step: int = 1, count: int | None = None
    ) -> Generator[av.VideoFrame, None, None]:
        """Decoded frames from number *start* on in the order of showing: each *step*-th, *count* at most.

        With the clip's *line* and where the file allows it, only the frames are decoded that these are made from.

        Raises:
            BrokenClip: at once, or at the frame that does not decode.
            InvalidInput: the clip is HDR.
            Interrupted: `stopped` said so.
        """
        if not self._any_light:
            _refuse_hdr(self.path, self.stream)
        given = 0
        if line is not None and line.times[start:]:
            wanted = line.times[start::step][:count]
            with closing(self._sought(line, wanted)) as sought:
                for picture in sought:
                    if picture.pts != wanted[given]:
                        break  # a frame is missing: count from the beginning
                    yield picture
                    given += 1
                    if given == len(wanted):
                        return
        yield from self._counted(line, start + given * step, step, None if count is None else count - given)

    def _sought(self, line: Timeline, wanted: Sequence[int]) -> Generator[av.VideoFrame, None, None]:
        """The frames shown at the times *wanted* (ascending), from the keyframes before them on."""
        effort = _effort(line, wanted)
        chosen, unfinished = set(wanted), len(effort)
        decoder = self.stream.codec_context
        gap, fed = False, False
        self._lend_threads()
        with explained(self.path):
            self.container.seek(_keyframe_before(line, wanted[0]), stream=self.stream)
        for packet in self.packets():
            skip = effort.get(packet.pts) if packet.size and packet.pts is not None else _EVERYTHING
            if skip is None:
                gap = fed
                continue
            with explained(self.path):
                if gap:
                    # Frames in between are left out: what follows must not be made from what came before.
                    yield from _those(self.stream.decode(None), chosen)
                    decoder.flush_buffers()
                # Some decoders look at this only when they begin, and what they begin with is a keyframe.
                decoder.skip_frame = skip if fed else _EVERYTHING
                yield from _those(packet.decode(), chosen)
                gap, fed = False, True
                unfinished -= packet.pts in effort
                if not unfinished and packet.size:
                    yield from _those(self.stream.decode(None), chosen)
                    return

    def _counted(
        self, line: Timeline | None, start: int, step: int, count: int | None
    ) -> Generator[av.VideoFrame, None, None]:
        """The same by decoding everything and counting."""
        if not self._untouched:
            with self._again() as clip:
                yield from clip._counted(line, start, step, count)
            return
        self._lend_threads()
        number = given = 0
        for packet in self.packets():
            with explained(self.path):
                for picture in packet.decode():
                    if number >= start and (number - start) % step == 0:
                        if given == count:
                            return
                        given += 1
                        yield picture
                    number += 1
            if given == count:
                return
        if not number:
            raise BrokenClip(f"No frame of {self.path} can be decoded.")
        if line is not None and number <= start < line.frames:
            raise BrokenClip(
                f"{self.path} says that it has {line.frames} frames, and frame {start} does not decode."
            )

    def _again(self) -> OpenClip:
        return OpenClip(self.path, self._bounds, any_light=self._any_light, stopped=self._stopped)

    def _lend_threads(self) -> None:
        if not self._decoding:
            self._held.enter_context(threaded(self.stream))
            self._decoding = True

    def _look_up(self) -> None:
        """Raise if it was asked to stop, or takes too long."""
        if self._stopped is not None and self._stopped():
            raise Interrupted(f"Stopped while decoding; the clip stays at {self.path}.")
        self._bounds.in_time(self.path)


def _effort(line: Timeline, wanted: Sequence[int]) -> dict[int, _Skip]:
    """What to do with the packets of a clip for the frames *wanted*: by their times; the rest is left out.

    From a keyframe on, everything up to the last frame wanted is decoded, but not what no other frame is made
    from. Frames that are shown before a keyframe and stored after it are made from both sides of it (an open
    group of pictures), so they need all of the group before too.
    """
    chosen, keyframes = set(wanted), set(line.keyframes)
    starts = [0, *(place for place, time in enumerate(line.order) if place and time in keyframes)]
    groups = [line.order[begin:end] for begin, end in pairwise([*starts, len(line.order)])]
    effort: dict[int, _Skip] = {}
    leading = False
    for group in reversed(groups):
        places = [place for place, time in enumerate(group) if time in chosen]
        last = len(group) - 1 if leading else max(places, default=-1)
        for time in group[: last + 1]:
            effort[time] = _EVERYTHING if time in chosen else _REFERENCES
        leading = any(group[place] < group[0] for place in places)
    return effort


def _keyframe_before(line: Timeline, time: int) -> int:
    """The time of the last keyframe at or before *time*."""
    return line.keyframes[max(bisect_right(line.keyframes, time) - 1, 0)] if line.keyframes else line.times[0]


def _those(pictures: list[av.VideoFrame], times: Collection[int]) -> list[av.VideoFrame]:
    return [picture for picture in pictures if picture.pts in times]


def _refuse_hdr(path: Path, stream: VideoStream) -> None:
    curve = _HDR.get(stream.codec_context.color_trc)
    if curve is not None:
        raise InvalidInput(
            f"{path} is HDR video ({curve}), and an IMAGE has ordinary brightness: convert it to SDR (bt709) first."
        )
