"""How many frames at the start of one clip repeat the end of another, from small copies of both.

Two copies of one frame differ by compression, by grain, and by the colours of another run of a model; two
frames in a row differ by motion. So colours are matched first (a curve for each channel, and the light of each
frame, as far as a drift goes), pixels count by how much moves there, and then:

- An overlap of d frames is the d for which the last d frames of the earlier clip and the first d of the later
  one differ least, if that is clearly less than a natural step.
- Where compression changes as much as motion does, what counts is how far the later clip's frames are ahead of
  the earlier one's *along the motion*, in steps: 0 repeats, 1 follows. How much of a step shows is measured
  within the clips, where it is known.
- Where nothing moves enough to be measured, any overlap would fit: one frame is dropped if the later clip
  begins with the picture that the earlier one ends with, and none otherwise. Of a still scene no more is lost.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Stack = npt.NDArray[np.float32]
"""Small frames [frames, height, width, 3] in levels."""

MOST_REPEATED: Final = 12
"""Frames of overlap that are looked for: half a second."""
WINDOW: Final = MOST_REPEATED + 8
"""Frames of each clip that are looked at."""

_CLEARLY_LESS: Final = 0.5
"""Of a natural step, in squares. Without an overlap the clips are a whole step or more apart."""
_LESS: Final = 0.75
"""Of a natural step, in squares, where nothing else tells."""
_SHOWS: Final = 0.2
"""Of a known step: what must show of it, if the measure along the motion is to count."""
_STEADY: Final = 0.25
"""How alike two measures of the same motion are at least."""
_REST_SAME: Final = 2.0
"""The same where things come to rest, and little of the motion around is left."""
_FAR: Final = 1.5
"""Steps ahead that can still be measured."""
_NOISE: Final = 6.5
"""Levels (root of the mean square) by which two encodings of one frame differ at most."""
_STILL_SAME: Final = 5.0
"""The same where nothing moves, so that compression has nothing to hide behind."""
_OTHER: Final = 120.0
"""Levels. A mark or a title on one of the clips does not hide what is the same."""
_DETAIL: Final = 3.0
"""Levels by which a picture with anything in it spreads."""
_CHANGE: Final = 3.0
"""Levels between frames far apart, from which on a clip is no still picture."""
_GAIN: Final = 1.33
_SHIFT: Final = 24.0
"""Levels. A drift is no larger; what is, is another scene or another light, and stays as it is."""
_QUANTILES: Final = np.linspace(0.01, 0.99, 33)
_TINY: Final = 1e-6


def count(tail: Stack, head: Stack) -> int:
    """How many frames at the start of *head* repeat the end of *tail*.

    Args:
        tail: the last `WINDOW` frames of the earlier clip, or as many as it has.
        head: the first of the later one, as many.
    """
    best, apart = 0, [0.0]
    for _ in range(2):  # the second time in the light of the frames that match
        lit = _weighed(*_in_one_light(tail, head, best or WINDOW))
        best, apart = _nearest(*lit)
    return _judged(*lit, best, apart)


def is_beginning(originals: Stack, found: Stack) -> bool:
    """Whether frames from all over one clip are found at the same places of another.

    They are if each is nearest to its own, and far nearer than they are to each other. Of a picture that stays
    the same that cannot be told, and the answer is no.
    """
    if len(originals) != len(found) or len(originals) < 2:
        return False
    originals, found = _in_one_light(originals, found, len(found))
    apart = np.array([[_apart(one, other) for other in found] for one in originals])
    own = apart.diagonal()
    changes = [_apart(one, other) for one, other in pairwise(originals)]
    change = float(np.median(changes))
    return bool(
        change > _CHANGE**2 and own.max() < change / 3 and (apart.argmin(axis=1) == np.arange(len(own))).all()
    )


def jump(tail: Stack, head: Stack, repeated: int) -> float:
    """The motion across a seam against the motion around it: 1 goes on, 0 stands still; 1 where nothing moves."""
    if repeated >= len(head):
        return 1.0
    tail, head = _in_one_light(tail, head, repeated or 1)
    near = [*pairwise(tail[-5:]), *pairwise(head[repeated : repeated + 5])]
    around = float(np.median([_apart(one, other) for one, other in near])) if near else 0.0
    across = _apart(tail[-1], head[repeated])
    # What two copies of one frame differ by is no motion.
    noise = _apart(tail[-1], head[repeated - 1]) if repeated else 0.0
    return float(np.sqrt((max(across - noise, 0) + 1) / (around + 1)))


def same_picture(one: Stack, other: Stack) -> bool:
    """Whether two frames [1, height, width, 3] could be copies of one, so that looking closer is worth it."""
    one, other = _in_one_light(one, other, 1)
    return _apart(one[0], other[0]) < 4 * _NOISE**2


def _nearest(tail: Stack, head: Stack) -> tuple[int, list[float]]:
    """The overlap at which the clips differ least, and how far they are apart at each."""
    longest = min(MOST_REPEATED, len(tail), len(head))
    apart = [
        float(np.mean([_apart(one, other) for one, other in zip(tail[-number:], head, strict=False)]))
        for number in range(1, longest + 1)
    ]
    return int(np.argmin(apart)) + 1, apart


def _judged(tail: Stack, head: Stack, best: int, apart: list[float]) -> int:
    """Whether *best*, at which the clips are nearest, is an overlap; another number where it is not."""
    least, step = apart[best - 1], _step(tail, head, best)
    same = _nearly_everywhere_same(tail[-1], head[0])
    if least > 2.5 * step + _NOISE**2 and not same:
        return 0  # other pictures
    if max(_moves(tail), _moves(head)) <= least:
        return int(same or apart[0] <= _STILL_SAME**2)
    if best == 1 and not _could_be_one(tail, head, step):
        clearly = _steps_ahead(tail, head, best, shows=0.5)
        if clearly is None or abs(clearly) > 0.3:
            return 0
    if least < _CLEARLY_LESS * step:
        return best
    if step > 2 * _NOISE**2:
        return 0  # no noise adds that much
    ahead = _steps_ahead(tail, head, best)
    if ahead is not None and abs(ahead) < _FAR:
        return max(best - round(ahead), 0)
    if best == 1 and step <= least / 4:
        return int(least <= _STILL_SAME**2)  # at rest just here
    if 1 < best < len(apart) and (apart[best - 2] + apart[best]) / 2 - least > _CLEARLY_LESS * step:
        return best
    if step <= apart[0] and (same or apart[0] <= _REST_SAME**2):
        return 1
    return best if least < _LESS * step else 0


def _in_one_light(tail: Stack, head: Stack, number: int) -> tuple[Stack, Stack]:
    """Both in the colours of *tail*, and all frames in the same light; as they are where more than a drift.

    The colours are those of the last *number* frames of *tail* and the first of *head*.
    """
    drifted = np.empty_like(head)
    for channel in range(3):
        given = np.quantile(head[:number, ::2, ::2, channel], _QUANTILES)
        given += np.arange(len(_QUANTILES)) * 1e-4
        wanted = np.quantile(tail[-number:, ::2, ::2, channel], _QUANTILES)
        if not _is_drift(given, wanted):
            return tail, head
        levels = head[..., channel]
        drifted[..., channel] = levels + np.interp(levels, given, wanted - given)
    both = np.concatenate([tail, drifted])
    mean, spread = both.mean((1, 2), keepdims=True), both.std((1, 2), keepdims=True) + _TINY
    if float(spread.mean()) < _DETAIL:
        return tail, head  # light is all there is to compare
    both = (both - mean) / spread * spread.mean(0) + mean.mean(0)
    return both[: len(tail)], both[len(tail) :]


def _is_drift(given: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> bool:
    spreads = (wanted.std() + 1) / (given.std() + 1)
    return bool(1 / _GAIN < spreads < _GAIN and abs(wanted - given).mean() < _SHIFT)


def _weighed(tail: Stack, head: Stack) -> tuple[Stack, Stack]:
    """Each pixel by the root of how much moves around it, so that squares count by how much moves."""
    steps = [np.square(np.diff(frames, axis=0)).sum((0, 3)) for frames in (tail, head) if len(frames) > 1]
    if not steps:
        return tail, head
    moves: npt.NDArray[Any] = _blurred(
        np.sum(steps, axis=0) / sum(len(frames) - 1 for frames in (tail, head))
    )
    # What moves everywhere is noise, or else a fade, in which all pixels count.
    moves = np.maximum(moves - np.quantile(moves, 0.1), moves.mean() / 10) + _TINY
    weight = moves / (moves + moves.mean())
    root = np.sqrt(weight / weight.mean())[..., None].astype(np.float32)
    return tail * root, head * root


def _blurred(plane: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The mean of 5 by 5."""
    height, width = plane.shape
    padded = np.pad(plane, 2, mode="edge")
    rows = np.sum([padded[number : number + height] for number in range(5)], axis=0)
    blurred: npt.NDArray[Any] = np.sum([rows[:, number : number + width] for number in range(5)], axis=0) / 25
    return blurred


def _nearly_everywhere_same(one: Stack, other: Stack) -> bool:
    """Whether two frames are one but for a mark or a title on one of them."""
    return float(np.quantile(np.abs(one - other), 0.95)) <= _REST_SAME


def _moves(frames: Stack) -> float:
    """How far frames are apart that are a quarter of a second apart."""
    if len(frames) < 2:
        return 0.0
    far = min(6, len(frames) - 1)
    return float(np.mean([_apart(one, other) for one, other in zip(frames, frames[far:], strict=False)]))


def _step(tail: Stack, head: Stack, number: int) -> float:
    """How far neighbours are apart around an overlap of *number* frames."""
    around = max(number, 1)
    steps = [
        float(np.mean([_apart(one, other) for one, other in pairwise(frames)]))
        for frames in (tail[-around - 1 :], head[: around + 1])
        if len(frames) > 1
    ]
    return float(np.mean(steps)) if steps else 0.0


def _could_be_one(tail: Stack, head: Stack, step: float) -> bool:
    """Whether the last of *tail* and the first of *head* can be one frame: as far from the frames around them.

    Two copies of it are no further from each other than what the noise of both adds to that distance.
    """
    last, first = tail[-1], head[0]
    most = 1.2 * _apart(last, first) + 0.2 * step
    ways = (
        [_apart(last, other) - _apart(first, other) for other in head[1:5]],
        [_apart(first, other) - _apart(last, other) for other in tail[-5:-1]],
    )
    return all(abs(np.mean(way)) <= most for way in ways if way)


def _steps_ahead(tail: Stack, head: Stack, number: int, *, shows: float = _SHOWS) -> float | None:
    """How far the first *number* frames of *head* are ahead of the last of *tail*, in steps; None if unclear.

    Measured along the motion before the frames of *tail* and along the one after those of *head*, in which the
    two frames themselves take no part: their noise would look like going backwards. How much of a step shows
    so, which is less than all of it where things move far, is measured in the same way between neighbours.
    """
    gaps = [head[place] - tail[len(tail) - number + place] for place in range(number)]
    back = tail[::-1]
    seen = known = 0.0
    for frames, measured, steps in (
        (
            head,
            list(enumerate(gaps)),
            [(place, head[place] - head[place - 1]) for place in range(1, len(head))],
        ),
        (
            back,
            list(enumerate(reversed(gaps))),
            [(place, back[place - 1] - back[place]) for place in range(1, len(back))],
        ),
    ):
        of_step, of_gap = _along(frames, steps), _along(frames, measured)
        if of_step is None or of_gap is None or abs(of_step[0]) < shows:
            continue
        if of_gap[1] < of_step[1] / 10:
            continue  # it comes to rest here: what a step shows elsewhere says nothing
        (part, power), sign = of_step, np.sign(of_step[0])
        seen += of_gap[0] * sign * power
        known += part * sign * power
    return seen / known if known else None


def _along(frames: Stack, gaps: list[tuple[int, Stack]]) -> tuple[float, float] | None:
    """The mean of *gaps*, each at a place of *frames*, along the motion that follows there, in steps of it.

    And how large that motion is, squared. None if it is not to be told from noise.
    """
    total = power = noisy = 0.0
    number = 0
    for place, gap in gaps:
        if place + 4 >= len(frames):
            continue
        motion, again = frames[place + 3] - frames[place + 1], frames[place + 4] - frames[place + 2]
        total += _product(gap, motion)
        power += _product(motion, again)
        noisy += _product(motion, motion)
        number += 1
    if noisy <= 0 or power < _STEADY * noisy:
        return None
    return 2 * total / power, power / number


def _product(one: Stack, other: Stack) -> float:
    return float(np.vdot(one, other))


def _apart(one: Stack, other: Stack) -> float:
    """Mean squared difference in levels; a pixel that is quite another counts no more than one of `_OTHER`."""
    gap = (one - other).ravel()
    np.clip(gap, -_OTHER, _OTHER, out=gap)
    return float(np.dot(gap, gap)) / gap.size
