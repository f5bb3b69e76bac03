"""Clips of one frame rate in films of another: each frame of the film shows the nearest one of the clip."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..generation.errors import InvalidInput
from . import clips

if TYPE_CHECKING:
    from collections.abc import Generator
    from fractions import Fraction
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

_SAME_RATE = 1.0001
_FURTHEST = 60
"""Times by which rates may differ: a picture a second in a film of 60. Beyond it a few bytes claim hours of film."""


@dataclass(frozen=True)
class Reel:
    """A clip as a film takes it."""

    path: Path
    line: clips.Timeline
    """At the film's rate."""
    places: tuple[int, ...] | None = None
    """The clip's frame for each of the film's; None if the rates are the same."""

    def frames(self, start: int, size: tuple[int, int]) -> Generator[npt.NDArray[np.uint8], None, None]:
        """Frames from the film's number *start* on, as `clips.read` gives them. Close it to close the file."""
        if self.places is None:
            yield from clips.read(self.path, start=start, size=size)
            return
        wanted = self.places[start:]
        if not wanted:
            return
        reader = clips.read(self.path, start=wanted[0], size=size)
        try:
            place, frame = wanted[0], next(reader)
            for number in wanted:
                while place < number:
                    place, frame = place + 1, next(reader)
                yield frame
        except StopIteration:
            return
        finally:
            reader.close()


def reel(path: Path, rate: Fraction | None = None) -> Reel:
    """The clip for a film of *rate* frames a second; None leaves its own.

    Raises BrokenClip, InvalidInput (the rates have nothing to do with each other).
    """
    line = clips.timeline(path)
    if rate is None or max(rate, line.frame_rate) / min(rate, line.frame_rate) <= _SAME_RATE:
        return Reel(path, line)
    count = max(1, round(line.frames * rate / line.frame_rate))
    if max(rate, line.frame_rate) / min(rate, line.frame_rate) > _FURTHEST or count > clips.MOST_FRAMES:
        raise InvalidInput(
            f"{path} has {float(line.frame_rate):.3g} frames a second and the film {float(rate):.6g}: "
            "convert it first."
        )
    # Halves go down, so that a doubled rate shows each frame twice.
    places = tuple(
        min(-int((1 - 2 * number * line.frame_rate / rate) // 2), line.frames - 1) for number in range(count)
    )
    times = tuple(line.times[place] for place in places) if line.times else ()
    return Reel(path, replace(line, frames=count, frame_rate=rate, times=times), places)
