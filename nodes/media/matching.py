"""The colours of one clip made those of the clip before it: a curve for each channel, fitted at their seam.

The curve is fitted to frames that both clips hold, where they do, else to the last ones of the one and the first
ones of the other, laid over each other as the camera moved. What is matched is how the levels of each channel
are spread (their quantiles): that survives motion, grain and compression, which comparing pixel with pixel does
not. The curve is smooth, never falls, and is no steeper than a drift is.

It holds for the whole clip. Faded out, the drift would come back, be handed on to the next clip, and add up
along a chain; held, every clip of a chain has the colours of the first, and nothing changes on the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from . import difference

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
_PAIRS: Final = 5
"""Frames of each clip that are compared where none repeats: the light of one alone may flicker."""
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
class Match:
    """What was found at a seam."""

    curve: Curve
    """From the later clip's colours to the earlier one's."""
    same_scene: bool
    before: float
    """CIEDE2000 between the clips where they meet: the median over the picture."""
    after: float
    """The same with the curve."""

    @property
    def trusted(self) -> bool:
        """Whether the curve explains the difference: the same scene, and little is left of it."""
        return self.same_scene and self.after <= _BETTER * self.before


def fit(tail: Stack, head: Stack, repeated: int) -> Match:
    """How the colours at the start of *head* become those at the end of *tail*.

    Args:
        tail: the earlier clip's last frames.
        head: the later one's first.
        repeated: how many frames at the start of *head* are the last of *tail*.
    """
    wanted, given, alike = _pairs(tail, head, repeated)
    curve = _curve(given, wanted)
    return Match(
        curve,
        bool(repeated) or alike > _ALIKE,
        _distance(wanted, given),
        _distance(wanted, [curve(frame) for frame in given]),
    )


def distance(tail: Stack, head: Stack, repeated: int, earlier: Curve, later: Curve) -> float:
    """CIEDE2000 between two clips where they meet, each in the colours of its curve."""
    wanted, given, _ = _pairs(tail, head, repeated)
    return _distance([earlier(frame) for frame in wanted], [later(frame) for frame in given])


def _pairs(tail: Stack, head: Stack, repeated: int) -> tuple[list[Stack], list[Stack], float]:
    """Frames of both clips that show the same part of the scene, and how alike they are (correlation)."""
    if repeated:
        return list(tail[-repeated:]), list(head[:repeated]), 1.0
    number = min(_PAIRS, len(tail), len(head))
    wanted, given, alike = [], [], []
    for place in range(number):
        one, other = _overlaid(tail[-1 - place], head[place])
        alike.append(_correlation(one.mean(-1), other.mean(-1)))
        if not place or alike[-1] > 0.9 * alike[0]:
            wanted.append(one)
            given.append(other)
    return wanted, given, alike[0]


def _correlation(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> float:
    """1 for two frames without any detail."""
    one, other = one - one.mean(), other - other.mean()
    return float(((one * other).mean() + 1) / (np.sqrt(np.square(one).mean() * np.square(other).mean()) + 1))


def _overlaid(one: Stack, other: Stack) -> tuple[Stack, Stack]:
    """What both frames show, where the whole picture moved by whole pixels; both whole if it did not."""
    height, width = one.shape[:2]
    window = np.hanning(height)[:, None] * np.hanning(width)
    spectra = []
    for frame in (one, other):
        light = frame.mean(-1)
        spectra.append(np.fft.rfft2((light - light.mean()) * window))
    cross = spectra[0] * spectra[1].conj()
    peak = np.fft.irfft2(cross / (np.abs(cross) + 1e-6 * np.abs(cross).max() + 1e-9), s=(height, width))
    down, across = np.unravel_index(int(peak.argmax()), peak.shape)
    down, across = (
        (int(down) + height // 2) % height - height // 2,
        (int(across) + width // 2) % width - width // 2,
    )
    if abs(down) > height // 4 or abs(across) > width // 4:
        return one, other
    moved = (
        one[max(down, 0) : height + min(down, 0), max(across, 0) : width + min(across, 0)],
        other[max(-down, 0) : height + min(-down, 0), max(-across, 0) : width + min(-across, 0)],
    )
    return moved if _unlike(*moved) < _unlike(one, other) else (one, other)


def _unlike(one: Stack, other: Stack) -> float:
    gap = (one - one.mean((0, 1))) - (other - other.mean((0, 1)))
    return float(np.square(gap).mean())


def _curve(given: list[Stack], wanted: list[Stack]) -> Curve:
    levels = np.empty((3, 256))
    for channel in range(3):
        from_, to = (
            np.quantile(np.concatenate([frame[..., channel].ravel() for frame in frames]), _QUANTILES)
            for frames in (given, wanted)
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


def _distance(wanted: list[Stack], given: list[Stack]) -> float:
    found = [
        difference.ciede2000(*(difference.lab(_blocks(frame)) for frame in pair))
        for pair in zip(wanted, given, strict=True)
    ]
    return float(np.median(np.concatenate(found)))


def _blocks(frame: Stack) -> npt.NDArray[np.float32]:
    """Mean colours of blocks, [blocks, 3]: too large for grain, compression and small moves to count."""
    side = max(min(_BLOCK, *frame.shape[:2]), 1)
    height, width = (size // side * side for size in frame.shape[:2])
    blocks = frame[:height, :width].reshape(height // side, side, width // side, side, 3).mean((1, 3))
    return np.ascontiguousarray(blocks.reshape(-1, 3))


@cache
def _pattern() -> npt.NDArray[np.uint16]:
    """0 to 63 in an order without lumps, always the same [64, 64]: Roberts' additive recurrence (2018)."""
    rows, columns = np.mgrid[:_TILE, :_TILE]
    value = (rows * 0.7548776662466927 + columns * 0.5698402909980532) % 1
    triangle: npt.NDArray[np.uint16] = (value * 64).astype(np.uint16)
    return triangle
