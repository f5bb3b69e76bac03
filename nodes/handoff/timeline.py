"""A film as editors see it: which part of which file stands where."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, kw_only=True)
class Event:
    """A clip in a film."""

    name: str
    """Of the clip, for people."""
    file: str
    """Its file, from the folder of the cut list on, with slashes."""
    frames: int
    """In the file: what lies outside of the cut are its handles."""
    start: int
    """The first frame that is shown."""
    stop: int
    """The frame before which it ends."""
    dissolve: int = 0
    """Of its frames the first ones, in which it fades in over what follows in the clip before it."""
    has_audio: bool = False
    remarks: tuple[str, ...] = ()
    """What an editor should know of the file."""

    @property
    def length(self) -> int:
        """Frames that are shown."""
        return self.stop - self.start


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """Clips in order of play."""

    name: str
    events: Sequence[Event]
    frame_rate: Fraction
    width: int
    height: int
    audio_rate: int = 48000

    @property
    def frames(self) -> int:
        """Of the whole film."""
        return sum(event.length for event in self.events)

    @property
    def has_audio(self) -> bool:
        """Whether any clip has sound."""
        return any(event.has_audio for event in self.events)

    def placed(self) -> Iterator[tuple[int, Event]]:
        """Each event with the frame of the film at which it begins."""
        place = 0
        for event in self.events:
            yield place, event
            place += event.length


def timecode(frame: int, frame_rate: Fraction) -> str:
    """`01:00:02:11`, counted without dropping numbers: the nearest whole number of frames is a second."""
    each = round(frame_rate)
    seconds, frames = divmod(frame, each)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}:{frames:02}"
