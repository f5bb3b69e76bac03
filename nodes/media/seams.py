"""Where one clip continues another: how many frames it repeats, its colours, and films joined accordingly.

How many frames repeat is told by `overlap`, from frames 128 pixels wide. A later clip contains the earlier one if
it is longer, and five frames from the earlier one's start to its end, which differ from each other, are found at
the same places of the later one. A clip of the same length is no continuation: a loop shown twice stays two
rounds.

Colours are matched by `matching`, each clip to the one before it as it is shown, so all to the first. Where a film
is continued before its start, all are matched to the clip that was there: those before it to the one after them.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from ..generation.errors import BrokenClip, Interrupted, InvalidInput
from . import clips, matching, overlap, retiming, splicing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

ColourMatch = Literal["off", "on", "auto"]
COLOUR_MATCHES: Final[tuple[ColourMatch, ...]] = ("auto", "on", "off")
LONGEST_DISSOLVE: Final = 48

_WIDTH = 128
_TALLEST = 1024
"""Rows compared at most; only what is no film has more."""
_SAME_SHAPE = 1.02
_JUMPS, _HALTS = 1.8, 0.35
"""Of the motion around a seam: what is worth telling."""


@dataclass(frozen=True)
class Seam:
    """How a clip continues the one before it."""

    dropped: int
    """Frames at its start that repeat what came before; all of the earlier clip's where it contains that."""
    contains_earlier: bool
    """Whether it begins with the whole of the earlier clip."""


@dataclass(frozen=True)
class SeamReport:
    """What was found at a seam, and what was done there."""

    seam: Seam
    same_scene: bool
    """False at a cut to something else."""
    colour_before: float
    """CIEDE2000 between the clips where they meet, as they came: the median over the picture."""
    colour_after: float
    """The same in the film."""
    matched: bool
    """Whether the later clip's colours were changed."""
    jump: float
    """Motion across the seam against the motion around it: 1 goes on, 2 is a jump, 0 stands still."""
    dissolve: int = 0
    """Frames of the dissolve."""
    notes: tuple[str, ...] = ()
    """What else was done to the later clip, in words."""

    @property
    def dropped(self) -> int:
        """Frames dropped at the start of the later clip."""
        return self.seam.dropped

    @property
    def line(self) -> str:
        """The seam in one line of words."""
        if self.seam.contains_earlier:
            words = ["begins with all of the clip before"]
        elif self.dropped:
            words = [f"{self.dropped} repeated {'frame' if self.dropped == 1 else 'frames'} dropped"]
        else:
            words = ["no frame repeats"]
        if not self.same_scene:
            words.append("a cut")
        if self.matched:
            words.append(f"colour matched, dE {self.colour_before:.1f} to {self.colour_after:.1f}")
        elif self.same_scene:
            words.append(f"colour dE {self.colour_before:.1f}")
        if self.same_scene:
            if self.jump > _JUMPS:
                words.append(f"motion jumps ({self.jump:.1f} times the steps around)")
            elif self.jump < _HALTS:
                words.append(f"motion halts ({self.jump:.1f} times the steps around)")
        if self.dissolve:
            words.append(f"dissolve of {self.dissolve} {'frame' if self.dissolve == 1 else 'frames'}")
        return ", ".join([*words, *self.notes])


@dataclass(frozen=True)
class _Pair:
    """A seam, and the small frames on both of its sides."""

    seam: Seam
    tail: overlap.Stack
    head: overlap.Stack
    """The later clip's, so that `repeated` of them are the last of `tail`."""
    repeated: int
    match: matching.Match
    """From the later clip's colours to the earlier one's."""

    @property
    def mirrored(self) -> matching.Match:
        """From the earlier clip's colours to the later one's."""
        return matching.fit(self.head[::-1], self.tail[::-1], self.repeated)


@dataclass(frozen=True)
class Assembly:
    """How clips make a film: decided, and nothing written yet."""

    parts: tuple[splicing.Part, ...]
    size: tuple[int, int]
    reports: tuple[SeamReport, ...]
    """One between each clip and the next."""


def find(earlier: Path, later: Path) -> Seam:
    """How many frames at the start of *later* repeat the end of *earlier*, by the rules of this module.

    Raises:
        BrokenClip: one of the clips does not decode.
        InvalidInput: one of the clips is HDR.
    """
    first = retiming.reel(earlier)
    size = _small_size(clips.shown_size(earlier))
    return _look(first, retiming.reel(later, first.line.frame_rate), size).seam


def measure(earlier: Path, later: Path) -> SeamReport:
    """What `join` would find between two clips, with nothing done. A clip and itself: how well it loops.

    Raises as `find`.
    """
    first = retiming.reel(earlier)
    second = retiming.reel(later, first.line.frame_rate)
    pair = _look(first, second, _small_size(clips.shown_size(earlier)))
    return _report(pair, matching.AS_IS, matching.AS_IS)


def join(
    parts: Sequence[Path],
    path: Path,
    *,
    match: ColourMatch = "off",
    dissolve: int = 0,
    keeps: int = 0,
    stopped: Callable[[], bool] = clips.never,
    progress: Callable[[float], None] | None = None,
) -> list[SeamReport]:
    """One film of several clips in order of play, with their sound, without the frames that repeat.

    Frame rate and size are the first clip's; a clip of another size is resized, antialiased, and of one of
    another rate the nearest frames are taken: the report says so. Pictures are copied as they are where the clips
    and their seams allow it (see `splicing`), else decoded and encoded frame by frame; the memory needed does
    not grow with the length. Sound is cut where the clips follow each other, and the repeated frames take theirs
    with them.

    Args:
        parts: the clips, one or more.
        path: the MP4 to write; see `splicing.splice`.
        match: see `assembled`.
        dissolve: see `assembled`.
        keeps: see `assembled`.
        stopped: asked before each frame.
        progress: told the fraction done, 0..1, after each frame.

    Returns:
        One report between each clip and the next.

    Raises:
        BrokenClip: a clip does not decode.
        InvalidInput: no clips, another shape, or an HDR clip.
        Interrupted: `stopped` said so; nothing is written.
    """
    film = assembled(parts, match=match, dissolve=dissolve, keeps=keeps, stopped=stopped)
    splicing.splice(film.parts, path, size=film.size, stopped=stopped, progress=progress)
    return list(film.reports)


def assembled(
    parts: Sequence[Path],
    *,
    match: ColourMatch = "off",
    dissolve: int = 0,
    keeps: int = 0,
    stopped: Callable[[], bool] = clips.never,
) -> Assembly:
    """How `join` makes a film of *parts*.

    Args:
        parts: the clips, one or more.
        match: "on" gives each clip the colours of one of them, as far as the seams tell them. "auto" does so
            where a difference can be seen and a curve explains it, and leaves a cut to another scene alone.
        dissolve: frames over which each clip fades into the next. Frames that both clips hold are laid over each
            other, so a dissolve of more frames than repeat makes the film shorter by the rest.
        keeps: which clip keeps its colours, from 0.
        stopped: asked before each seam.

    Raises as `join`.
    """
    if not parts:
        raise InvalidInput("There are no clips to join.")
    if match not in COLOUR_MATCHES:
        raise InvalidInput(f"Colours are matched {', '.join(COLOUR_MATCHES)}; not {match!r}.")
    if not 0 <= dissolve <= LONGEST_DISSOLVE:
        raise InvalidInput(f"A dissolve has 0 to {LONGEST_DISSOLVE} frames, not {dissolve}.")
    first = retiming.reel(parts[0])
    rate = first.line.frame_rate
    reels = [first, *(retiming.reel(part, rate) for part in parts[1:])]
    sizes = [clips.shown_size(part) for part in parts]
    for part, size in zip(parts[1:], sizes[1:], strict=True):
        _check_shape(parts[0], sizes[0], part, size)
    small = _small_size(sizes[0])
    pairs = []
    for earlier, later in pairwise(reels):
        if stopped():
            raise Interrupted(splicing.STOPPED)
        pairs.append(_look(earlier, later, small))
    curves = _curves(pairs, match, min(keeps, len(pairs)))
    together = [splicing.Part(first.path, first.line, 0, 0, first.line.frames, curve=_painted(curves[0]))]
    reports = []
    for number, (pair, reel) in enumerate(zip(pairs, reels[1:], strict=True), 1):
        before, frames = together[-1], reel.line.frames
        length = _fitting(dissolve, together, reel)
        offset = before.end - max(pair.seam.dropped, length)
        curve = curves[number]
        together.append(
            splicing.Part(reel.path, reel.line, offset, 0, frames, reel.places, _painted(curve), length)
        )
        changed = curves[number - 1] if number <= keeps else curve
        report = _report(pair, curves[number - 1], curve)
        reports.append(
            replace(
                report,
                matched=changed is not matching.AS_IS,
                dissolve=length,
                notes=_notes(parts[number], reel, sizes[number], sizes[0], dissolve, length),
            )
        )
    return Assembly(tuple(together), sizes[0], tuple(reports))


def _look(earlier: retiming.Reel, later: retiming.Reel, size: tuple[int, int]) -> _Pair:
    """Both sides of the seam between two clips."""
    before, after = earlier.line.frames, later.line.frames
    window = overlap.WINDOW
    tail = _small(earlier, range(max(before - window, 0), before), size)
    if after > before and _contains(earlier, later, before, size):
        seam = Seam(before, contains_earlier=True)
        repeated = min(overlap.MOST_REPEATED, before)
        start = before - repeated
    else:
        start, repeated = 0, -1
    head = _small(later, range(start, min(start + window, after)), size)
    if repeated < 0:
        repeated = overlap.count(tail, head)
        seam = Seam(repeated, contains_earlier=False)
    return _Pair(seam, tail, head, repeated, matching.fit(tail, head, repeated))


def _curves(pairs: list[_Pair], match: ColourMatch, keeps: int) -> list[matching.Curve]:
    """What is done to the colours of each clip, so that all have those of clip number *keeps*."""
    if match == "off":
        return [matching.AS_IS] * (len(pairs) + 1)
    after, seen_after = _followed([(pair, pair.match) for pair in pairs[keeps:]], match, mirrored=False)
    before, seen_before = _followed(
        [(pair, pair.mirrored) for pair in pairs[:keeps][::-1]], match, mirrored=True
    )
    if match == "on" or seen_after or seen_before:
        return [*before[::-1], matching.AS_IS, *after]
    return [matching.AS_IS] * (len(pairs) + 1)


def _followed(
    seams: list[tuple[_Pair, matching.Match]], match: ColourMatch, *, mirrored: bool
) -> tuple[list[matching.Curve], bool]:
    """The curves of the clips behind these seams, which lead away from the one that keeps its colours.

    Each is its own, then those of the clip that it follows. And whether a difference is seen at any of them.
    """
    curves, before, seen = [], matching.AS_IS, False
    for pair, found in seams:
        own = found.curve if before is matching.AS_IS else found.curve.then(before)
        # Else no difference that a curve would take away, or another scene, which has its own colours.
        otherwise = before if found.same_scene else matching.AS_IS
        here = own if match == "on" or found.trusted else otherwise
        if here is not matching.AS_IS:
            both = (matching.AS_IS, before) if mirrored else (before, matching.AS_IS)
            as_it_came = pair.match.distance(*both)
            seen = seen or as_it_came >= matching.VISIBLE or found.before >= matching.VISIBLE
        curves.append(here)
        before = here
    return curves, seen


def _painted(curve: matching.Curve) -> matching.Curve | None:
    return None if curve is matching.AS_IS else curve


def _report(pair: _Pair, earlier: matching.Curve, later: matching.Curve) -> SeamReport:
    as_they_came = earlier is matching.AS_IS and later is matching.AS_IS
    return SeamReport(
        pair.seam,
        pair.match.same_scene,
        pair.match.before,
        pair.match.before if as_they_came else pair.match.distance(earlier, later),
        later is not matching.AS_IS,
        overlap.jump(pair.tail, pair.head, pair.repeated),
    )


def _fitting(dissolve: int, together: list[splicing.Part], reel: retiming.Reel) -> int:
    """The frames that a dissolve can have here: no clip is in two dissolves at once."""
    part = together[-1]
    alone = part.end - (together[-2].end if len(together) > 1 else 0)
    return max(min(dissolve, alone, reel.line.frames - 1), 0)


def _notes(
    path: Path,
    reel: retiming.Reel,
    size: tuple[int, int],
    wanted: tuple[int, int],
    asked: int,
    dissolve: int,
) -> tuple[str, ...]:
    """What had to be done to a clip so that it fits, in words."""
    notes = []
    if reel.places is not None:
        own = f"{float(clips.timeline(path).frame_rate):.6g}"
        notes.append(f"{own} to {float(reel.line.frame_rate):.6g} frames a second by the nearest frame")
    if size != wanted:
        notes.append(f"resized from {size[0]}x{size[1]} to {wanted[0]}x{wanted[1]}")
    if dissolve < asked:
        notes.append(f"dissolve of {dissolve} instead of {asked} frames, the clips are too short")
    return tuple(notes)


def _check_shape(first: Path, first_size: tuple[int, int], part: Path, size: tuple[int, int]) -> None:
    shape, first_shape = size[0] / size[1], first_size[0] / first_size[1]
    if max(shape, first_shape) / min(shape, first_shape) > _SAME_SHAPE:
        raise InvalidInput(
            f"{part} is {size[0]}x{size[1]}, and {first}, which it follows, is {first_size[0]}x{first_size[1]}: "
            "another shape. Crop one of them first; joined as they are, one would be stretched."
        )


def _small_size(size: tuple[int, int]) -> tuple[int, int]:
    width, height = size
    across = min(_WIDTH, width)
    return across, min(max(1, round(across * height / width)), _TALLEST)


def _small(reel: retiming.Reel, places: Sequence[int], size: tuple[int, int]) -> overlap.Stack:
    """The frames at *places* (ascending), small; decoded only as far as needed."""
    frames = []
    with closing(reel.frames(places[0], size)) as shown:
        for place, frame in enumerate(shown, places[0]):
            if place in places:
                frames.append(frame.astype(np.float32))
            if place >= places[-1]:
                break
    if not frames:
        raise BrokenClip(f"Frame {places[0]} of {reel.path} does not decode.")
    return np.stack(frames)


def _contains(earlier: retiming.Reel, later: retiming.Reel, frames: int, size: tuple[int, int]) -> bool:
    """Whether *later* begins with all *frames* of *earlier*."""
    places = sorted({round(quarter * (frames - 1) / 4) for quarter in range(5)})
    if not overlap.same_picture(_small(earlier, places[:1], size), _small(later, places[:1], size)):
        return False  # the usual case, without decoding all of both
    return overlap.is_beginning(_small(earlier, places, size), _small(later, places, size))
