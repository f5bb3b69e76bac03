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
from typing import Final

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
_STILL: Final = 4.0
"""Levels (root of the mean square) that a still picture changes by at most: its noise."""
_STILL_SAME: Final = 5.0
"""Levels by which two encodings of a still picture differ at most."""
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
    tail, head = _weighed(*in_one_light(tail, head))
    longest = min(MOST_REPEATED, len(tail), len(head))
    apart = [
        float(np.mean([_apart(one, other) for one, other in zip(tail[-number:], head, strict=False)]))
        for number in range(1, longest + 1)
    ]
    best = int(np.argmin(apart)) + 1
    if _is_still(tail) and _is_still(head):
        return int(apart[0] <= _STILL_SAME**2)
    step = _step(tail, head, best)
    if apart[best - 1] > 8 * step + _STILL_SAME**2:
        return 0  # other pictures altogether
    if best == 1 and not _could_be_one(tail, head, step):
        return 0
    if apart[best - 1] < _CLEARLY_LESS * step:
        return best
    ahead = _steps_ahead(tail, head, best)
    if ahead is None:
        return best if apart[best - 1] < _LESS * step else 0
    return max(best - round(ahead), 0)


def in_one_light(tail: Stack, head: Stack) -> tuple[Stack, Stack]:
    """Both in the colours of *tail*, and all frames in the same light; as they are where more than a drift."""
    drifted = np.empty_like(head)
    for channel in range(3):
        levels = head[..., channel]
        given = np.quantile(levels, _QUANTILES) + np.arange(len(_QUANTILES)) * 1e-4
        wanted = np.quantile(tail[..., channel], _QUANTILES)
        if not _is_drift(given, wanted):
            return tail, head
        shift = wanted - given
        drifted[..., channel] = levels + np.interp(levels, given, shift)
    both = np.concatenate([tail, drifted])
    mean, spread = both.mean((1, 2), keepdims=True), both.std((1, 2), keepdims=True) + _TINY
    both = (both - mean) / spread * spread.mean(0) + mean.mean(0)
    return both[: len(tail)], both[len(tail) :]


def _is_drift(given: npt.NDArray[np.float64], wanted: npt.NDArray[np.float64]) -> bool:
    spreads = (wanted.std() + 1) / (given.std() + 1)
    return bool(1 / _GAIN < spreads < _GAIN and abs(wanted - given).mean() < _SHIFT)


def _weighed(tail: Stack, head: Stack) -> tuple[Stack, Stack]:
    """Each pixel by the root of how much moves around it, so that squares count by how much moves."""
    steps = [np.square(np.diff(frames, axis=0)).sum((0, 3)) for frames in (tail, head) if len(frames) > 1]
    if not steps:
        return tail, head
    moves = _blurred(np.sum(steps, axis=0) / sum(len(frames) - 1 for frames in (tail, head)))
    moves = np.maximum(moves - np.quantile(moves, 0.1), 0) + _TINY
    weight = moves / (moves + moves.mean())
    root = np.sqrt(weight / weight.mean())[..., None].astype(np.float32)
    return tail * root, head * root


def _blurred(plane: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The mean of 5 by 5."""
    height, width = plane.shape
    padded = np.pad(plane, 2, mode="edge")
    rows = sum(padded[number : number + height] for number in range(5))
    return sum(rows[:, number : number + width] for number in range(5)) / 25  # type: ignore[index,no-any-return]


def _is_still(frames: Stack) -> bool:
    """Whether frames further apart differ no more than neighbours do: by noise alone."""
    if len(frames) < 2:
        return False
    far = min(6, len(frames) - 1)
    near = float(np.mean([_apart(one, other) for one, other in pairwise(frames)]))
    distant = float(np.mean([_apart(one, other) for one, other in zip(frames, frames[far:], strict=False)]))
    return distant <= _STILL**2 and distant <= 1.5 * near + 0.02


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


def _steps_ahead(tail: Stack, head: Stack, number: int) -> float | None:
    """How far the first *number* frames of *head* are ahead of the last of *tail*, in steps; None if unclear.

    Measured along the motion before the frames of *tail* and along the one after those of *head*, in which the
    two frames themselves take no part: their noise would look like going backwards. How much of a step shows
    so, which is less than all of it where things move far, is measured in the same way between neighbours.
    """
    gaps = [head[place] - tail[len(tail) - number + place] for place in range(number)]
    back = tail[::-1]
    seen = known = 0.0
    for frames, measured, steps in (
        (head, list(enumerate(gaps)), [(place, head[place] - head[place - 1]) for place in range(1, len(head))]),
        (
            back,
            list(enumerate(reversed(gaps))),
            [(place, back[place - 1] - back[place]) for place in range(1, len(back))],
        ),
    ):
        shows, gap = _along(frames, steps), _along(frames, measured)
        if shows is None or gap is None or abs(shows[0]) < _SHOWS:
            continue
        seen += gap[0] * np.sign(shows[0]) * shows[1]
        known += abs(shows[0]) * shows[1]
    return seen / known if known else None


def _along(frames: Stack, gaps: list[tuple[int, Stack]]) -> tuple[float, float] | None:
    """The mean of *gaps*, each at a place of *frames*, along the motion that follows there, in steps of it."""
    total = power = noisy = 0.0
    for place, gap in gaps:
        if place + 4 >= len(frames):
            continue
        motion, again = frames[place + 3] - frames[place + 1], frames[place + 4] - frames[place + 2]
        total += _product(gap, motion)
        power += _product(motion, again)
        noisy += _product(motion, motion)
    if noisy <= 0 or power < _STEADY * noisy:
        return None
    return 2 * total / power, power


def _product(one: Stack, other: Stack) -> float:
    return float(np.vdot(one, other))


def _apart(one: Stack, other: Stack) -> float:
    """Mean squared difference in levels."""
    gap = (one - other).ravel()
    return float(np.dot(gap, gap)) / gap.size
