"""The colours of one clip made those of the clip before it: a curve for each channel, fitted at their seam.

The curve is fitted to frames that both clips hold, where they do, else to the last one of the one and the first one
of the other, laid over each other as the camera moved, without what moved by itself. What is matched is how the
levels of each channel are spread there (their quantiles): that survives grain and compression, which comparing pixel
with pixel does not. The curve is smooth, never falls, and is no steeper than a drift is.

Where the light flickers, the last frame of the one clip and the first of the other are not lit as their clips are:
how they differ from the frames next to them is told within each clip, and taken out before the curve is fitted.

It holds for the whole clip. Faded out, the drift would come back, be handed on to the next clip, and add up
along a chain; held, every clip of a chain has the colours of the first, and nothing changes on the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from . import difference, overlay

Stack = npt.NDArray[np.float32]
"""Small frames [frames, height, width, 3] in levels."""

VISIBLE: Final = 0.6
"""CIEDE2000 of a whole picture from one frame to the next, from which on a change is seen."""

_QUANTILES: Final = np.linspace(0.004, 0.996, 125)
_KNOTS: Final = 33
_SMOOTH, _FLAT, _SMALL = 30.0, 0.05, 0.0005
"""What a bend, a slope and a shift cost, against a level of error at one of 125 quantiles."""
_SLOPES: Final = (0.6, 1.6)
_MOST: Final = 32.0
"""Levels that a curve moves a colour by at most."""
_ALIGNED: Final = 0.8
"""Correlation of two frames, from which on one lies well on the other."""
_AROUND: Final = 3
"""Frames of each clip that are laid over each other, as far as they lie nearly as well as the first two do."""
_LESS_ALIKE: Final = 0.03
_ROUNDS: Final = 3
_OFF: Final = 2.5
"""Times the usual gap between two frames that lie on each other: what is more moved by itself."""
_EDGE: Final = 2
"""Pixels at the edges, which are blurred with nothing."""
_FEWEST: Final = 400
"""Pixels that a curve is fitted to at least."""
_LIT: Final = (24, 240)
"""Levels that tell how much light there is: the others may be cut off."""
_LOOKED: Final = 20
_FEW_STEPS: Final = 4
"""Frames of each clip in which flicker is looked for, and from which on it is told."""
_SURE: Final = 3.0
"""Times its error: what the light must grow or fade by, to be believed."""
_FLICKERS: Final = 0.008
"""Of the light, from a frame to the next; less is no flicker."""
_BLOCK: Final = 16
"""Pixels of a block, whose mean colour is compared."""
_BETTER: Final = 0.6
"""Of the difference: what may be left of it, if a match is to be trusted."""
_ALIKE: Final = 0.6
"""Correlation of frames of one scene."""
_END: Final = 16
"""Levels next to black and white that come nearer to where those go."""
_TILE: Final = 64


@dataclass(frozen=True)
class Curve:
    """What becomes of each level of each channel."""

    levels: npt.NDArray[np.float64]
    """[3, 256]: levels 0..255, with fractions."""

    def __call__(self, frames: Stack) -> Stack:
        """Frames in levels, with fractions."""
        places = np.arange(256.0)
        return np.stack(
            [np.interp(frames[..., channel], places, self.levels[channel]) for channel in range(3)], axis=-1
        ).astype(np.float32)

    def then(self, other: Curve) -> Curve:
        """This one, and *other* after it."""
        return Curve(
            np.stack(
                [
                    np.interp(mine, np.arange(256.0), its)
                    for mine, its in zip(self.levels, other.levels, strict=True)
                ]
            )
        )

    def painter(self) -> Painter:
        """What applies it to whole frames."""
        return Painter(self)


AS_IS: Final = Curve(np.tile(np.arange(256.0), (3, 1)))


class Painter:
    """A curve on 8-bit frames. Fractions of a level become a fine pattern, so that skies do not fall into bands."""

    def __init__(self, curve: Curve) -> None:
        # 64ths of a level; the pattern adds 0 to 63 of them before the fraction is cut off.
        self._levels = np.rint(curve.levels.clip(0, 255) * 64).astype(np.uint16)

    def __call__(self, frame: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """A new frame [height, width, 3]."""
        height, width, _ = frame.shape
        painted = np.empty_like(frame)
        # In bands that stay in the processor's cache.
        for top in range(0, height, _TILE):
            band = frame[top : top + _TILE]
            pattern = np.tile(_pattern()[: len(band)], (1, -(-width // _TILE)))[:, :width]
            for channel in range(3):
                fine = self._levels[channel].take(band[..., channel])
                fine += pattern
                fine >>= 6
                painted[top : top + _TILE, :, channel] = fine
        return painted


@dataclass(frozen=True)
class _Common:
    """Frames of both clips that show the same."""

    wanted: list[Stack]
    given: list[Stack]
    shown: list[npt.NDArray[np.bool_]]
    """Where they do, for each pair of them."""
    alike: float
    """Correlation."""

    def distance(self, earlier: Curve, later: Curve) -> float:
        """CIEDE2000 between them, each in the colours of its curve: the median over the picture."""
        found = [
            difference.ciede2000(*(difference.lab(_blocks(frame, shown)) for frame in pair))
            for *pair, shown in zip(
                (earlier(frame) for frame in self.wanted),
                (later(frame) for frame in self.given),
                self.shown,
                strict=True,
            )
        ]
        return float(np.median(np.concatenate(found)))

    @property
    def curve(self) -> Curve:
        """From the colours of `given` to those of `wanted`."""
        return _curve(
            [frame[shown] for frame, shown in zip(self.given, self.shown, strict=True)],
            [frame[shown] for frame, shown in zip(self.wanted, self.shown, strict=True)],
        )


@dataclass(frozen=True)
class Match:
    """What was found at a seam."""

    curve: Curve
    """From the later clip's colours to the earlier one's."""
    same_scene: bool
    before: float
    """CIEDE2000 between the clips where they meet: the median over the picture."""
    after: float
    """The same with the curve."""
    _common: _Common

    @property
    def trusted(self) -> bool:
        """Whether the curve explains the difference: the same scene, and little is left of it."""
        return self.same_scene and self.after <= _BETTER * self.before

    def distance(self, earlier: Curve, later: Curve) -> float:
        """CIEDE2000 between the clips where they meet, each in the colours of its curve."""
        return self._common.distance(earlier, later)


def fit(tail: Stack, head: Stack, repeated: int) -> Match:
    """How the colours at the start of *head* become those at the end of *tail*.

    Args:
        tail: the earlier clip's last frames.
        head: the later one's first.
        repeated: how many frames at the start of *head* are the last of *tail*.
    """
    if repeated:
        wanted, given = list(tail[-repeated:]), list(head[:repeated])
        common = _Common(wanted, given, [_all(frame) for frame in wanted], 1.0)
    else:
        common = _overlaid(tail, head)
    curve = common.curve
    return Match(
        curve,
        bool(repeated) or common.alike > _ALIKE,
        common.distance(AS_IS, AS_IS),
        common.distance(AS_IS, curve),
        common,
    )


def _overlaid(tail: Stack, head: Stack) -> _Common:
    """The last frames of *tail* and the first of *head* in one place, lit as their clips are."""
    before, after = tail[::-1] / _flicker(tail[::-1]), head / _flicker(head)
    first = overlay.laid(before[0], after[0])
    if first.likeness < _ALIGNED:  # another scene, or too much of it moves: as they are
        return _Common([before[0]], [after[0]], [_all(before[0])], first.likeness)
    # More than one of each: what compression makes of one of them is not the clip's.
    wanted, given, inside = [overlay.blurred(before[0])], [overlay.blurred(first.frame)], first.known
    for one, other in zip(before[1:_AROUND], after[1:_AROUND], strict=False):
        both = [overlay.laid(before[0], frame) for frame in (one, other)]
        if min(each.likeness for each in both) < max(first.likeness - _LESS_ALIKE, _ALIGNED):
            break
        wanted.append(overlay.blurred(both[0].frame))
        given.append(overlay.blurred(both[1].frame))
        inside = inside & both[0].known & both[1].known
    inside[:_EDGE] = inside[-_EDGE:] = inside[:, :_EDGE] = inside[:, -_EDGE:] = False
    if inside.sum() < _FEWEST:
        return _Common([before[0]], [first.frame], [first.known], first.likeness)
    common = _Common(wanted, given, [inside] * len(wanted), first.likeness)
    for _ in range(_ROUNDS):
        curve, shown = common.curve, []
        for one, other in zip(wanted, given, strict=True):
            gap = overlay.blurred(np.abs(one - curve(other)).max(-1))
            still = inside & (gap < _OFF * float(np.median(gap[inside])) + 1)
            shown.append(still if still.sum() >= _FEWEST else inside)
        common = _Common(wanted, given, shown, first.likeness)
    return common


def _flicker(frames: Stack) -> Stack:
    """How much brighter each of *frames* is than all of them let expect [frames, 1, 1, 1]; 1 where light is steady.

    Expected is the mean of their light, or a straight line through it: light that grows or fades is no flicker.
    """
    steady = np.ones((len(frames), 1, 1, 1), np.float32)
    steps: list[float] = []
    for one, other in pairwise(frames[:_LOOKED, ::2, ::2]):
        if len(steps) == _FEW_STEPS and np.std(steps) < _FLICKERS:
            return steady
        found = overlay.laid(one, other)
        light, next_light = one.mean(-1), found.frame.mean(-1)
        lit = found.known & (light > _LIT[0]) & (light < _LIT[1])
        if found.likeness < _ALIGNED or lit.sum() < _FEWEST:
            break
        # The median: what moves by itself is no light.
        steps.append(float(np.median(np.log(np.maximum(next_light[lit], 1) / light[lit]))))
    if len(steps) < _FEW_STEPS or np.std(steps) < _FLICKERS:
        return steady
    light = np.concatenate([[0.0], np.cumsum(steps)])
    places = np.arange(len(light)) - (len(light) - 1) / 2
    slope = float(places @ light / (places @ places))
    rest = light - light.mean() - slope * places
    unsure = float(np.sqrt(rest @ rest / (len(light) - 2) / (places @ places)))
    if abs(slope) < _SURE * unsure:
        slope = 0.0
    steady[: len(light), 0, 0, 0] = np.exp(light - light.mean() - slope * places)
    return steady


def _all(frame: Stack) -> npt.NDArray[np.bool_]:
    return np.ones(frame.shape[:2], bool)


def _curve(given: list[Stack], wanted: list[Stack]) -> Curve:
    levels = np.empty((3, 256))
    for channel in range(3):
        from_, to = (
            np.quantile(np.concatenate([pixels[:, channel] for pixels in each]), _QUANTILES)
            for each in (given, wanted)
        )
        levels[channel] = np.arange(256.0) + _shift(from_, to)
    steps = np.diff(levels, axis=1).clip(*_SLOPES)
    middle = levels[:, 128:129]
    bounded = np.concatenate([np.zeros((3, 1)), np.cumsum(steps, axis=1)], axis=1)
    bounded += middle - bounded[:, 128:129]
    return Curve(bounded.clip(AS_IS.levels - _MOST, AS_IS.levels + _MOST).clip(0, 255))


def _shift(given: npt.NDArray[np.float64], wanted: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """A smooth shift for each of 256 levels that takes the quantiles *given* to those *wanted*."""
    # What was cut off at black or white says nothing about the rest.
    inside = (given > 2) & (given < 253) & (wanted > 2) & (wanted < 253)
    step = 255 / (_KNOTS - 1)
    place = given / step
    low = np.minimum(place.astype(int), _KNOTS - 2)
    part = place - low
    rows = np.zeros((len(given), _KNOTS))
    index = np.arange(len(given))
    rows[index, low], rows[index, low + 1] = 1 - part, part
    first = np.diff(np.eye(_KNOTS), axis=0)
    second = np.diff(first, axis=0)
    cost = _SMOOTH * second.T @ second + _FLAT * first.T @ first + _SMALL * np.eye(_KNOTS)
    weight = inside.astype(float)
    for _ in range(3):  # what fits badly counts less
        weighted = rows * weight[:, None]
        knots = np.linalg.solve(rows.T @ weighted + cost, weighted.T @ (wanted - given))
        off = np.abs(rows @ knots - (wanted - given))
        weight = inside / np.maximum(off / (2 * np.median(off) + 0.2), 1)
    shift: npt.NDArray[np.float64] = np.interp(np.arange(256.0), np.arange(_KNOTS) * step, knots)
    # Black itself becomes what it was on the whole, not what a curve through the rest would make of it.
    for end, cut, away in ((0, given <= 2, np.arange(_END)), (255, given >= 253, 255 - np.arange(_END))):
        if cut.any():
            share = 1 - np.arange(_END) / _END
            shift[away] += share * (float((wanted - given)[cut].mean()) - shift[end])
    return shift


def _blocks(frame: Stack, shown: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """Mean colours of blocks of what is shown, [blocks, 3]: too large for grain and compression to count."""
    side = max(min(_BLOCK, *frame.shape[:2]), 1)
    height, width = (size // side * side for size in frame.shape[:2])

    def summed(plane: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        blocks = plane[:height, :width].reshape(height // side, side, width // side, side, -1)
        total: npt.NDArray[np.float32] = blocks.sum((1, 3)).reshape(-1, plane.shape[-1])
        return total

    count = summed(shown[..., None].astype(np.float32))
    colours = summed(frame * shown[..., None]) / np.maximum(count, 1)
    enough = count[:, 0] >= min(side * side / 2, float(count.max()))
    return np.ascontiguousarray(colours[enough])


@cache
def _pattern() -> npt.NDArray[np.uint16]:
    """0 to 63 in an order without lumps, always the same [64, 64]: Roberts' additive recurrence (2018)."""
    rows, columns = np.mgrid[:_TILE, :_TILE]
    value = (rows * 0.7548776662466927 + columns * 0.5698402909980532) % 1
    triangle: npt.NDArray[np.uint16] = (value * 64).astype(np.uint16)
    return triangle
