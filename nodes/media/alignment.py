"""How far apart two pictures are: the same one, the same scene moved, or two different ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

_ACROSS: Final = 64
"""Pixels of the longer side at which pictures are compared."""
_FURTHEST: Final = 0.3
"""Of a side: moves that are looked for."""
_SCALES: Final = (0.67, 0.75, 0.83, 0.91, 1.0, 1.1, 1.2, 1.33, 1.5)
_SAME: Final = 0.97
_ALIKE: Final = 0.6
"""Correlation from which it is the same scene; unrelated photographs reach 0.45 (see the tests)."""
_LIGHT: Final = 20.0
"""Levels of difference in brightness that are worth a word."""

Gray = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """How a later picture lies on an earlier one."""

    likeness: float
    """Correlation of the two where they lie best, -1..1."""
    right: float
    """How far the contents moved to the right, of the width."""
    down: float
    """How far they moved down, of the height."""
    closer: float
    """How much larger they became: 1.2 is a fifth."""
    brighter: float
    """Levels, 0..255, of the mean."""

    @property
    def same(self) -> bool:
        """Whether nothing seems to have moved."""
        return self.likeness >= _SAME and not self.right and not self.down and self.closer == 1

    @property
    def words(self) -> str:
        """It in words, as what follows "the pictures are"."""
        if self.same:
            what = "nearly the same: expect little motion"
        elif self.likeness >= _ALIKE:
            moves = [
                f"{abs(part):.0%} {there if part > 0 else back}"
                for part, there, back in (
                    (self.right, "to the right", "to the left"),
                    (self.down, "down", "up"),
                )
                if abs(part) >= 0.02
            ]
            if self.closer != 1:
                moves.append(
                    f"{self.closer:.1f} times closer"
                    if self.closer > 1
                    else f"{1 / self.closer:.1f} times further"
                )
            what = (
                f"of the same scene, moved {', '.join(moves)}"
                if moves
                else "of the same scene, in the same place"
            )
        else:
            what = "different: Ray has to invent the way between them"
        if abs(self.brighter) >= _LIGHT:
            way = "brighter" if self.brighter > 0 else "darker"
            what += f"; the second is {way} by {abs(self.brighter):.0f} levels"
        return what


def between(earlier: npt.NDArray[np.uint8], later: npt.NDArray[np.uint8]) -> Alignment:
    """How *later* lies on *earlier*, both [height, width, 3] of the same shape (sizes may differ)."""
    height, width = earlier.shape[:2]
    scale = _ACROSS / max(height, width)
    size = (max(round(width * scale), 8), max(round(height * scale), 8))
    one, other = _gray(earlier, size), _gray(later, size)
    best = (-1.0, 0, 0, 1.0)
    for closer in sorted(_SCALES, key=lambda each: abs(each - 1)):
        grown = one if closer == 1 else _scaled(one, closer)
        found = _moved(grown, other)
        if found[0] > best[0] + 0.01:  # what needs no move is preferred
            best = (*found, closer)
    likeness, right, down, closer = best
    return Alignment(
        likeness=likeness,
        right=right / size[0],
        down=down / size[1],
        closer=closer,
        brighter=float(np.nanmean(other) - np.nanmean(one)),
    )


def _moved(one: Gray, other: Gray) -> tuple[float, int, int]:
    """The best correlation of *other* with *one* moved, and the move; NaN where *one* holds nothing."""
    height, width = other.shape
    across, down = round(width * _FURTHEST), round(height * _FURTHEST)
    best = (-1.0, 0, 0)
    moves = sorted(
        ((x, y) for x in range(-across, across + 1) for y in range(-down, down + 1)),
        key=lambda move: abs(move[0]) + abs(move[1]),
    )
    for x, y in moves:
        here = one[max(-y, 0) : height - max(y, 0), max(-x, 0) : width - max(x, 0)]
        there = other[max(y, 0) : height - max(-y, 0), max(x, 0) : width - max(-x, 0)]
        known = ~np.isnan(here)
        if known.sum() * 2 < height * width * 0.6:
            continue
        a, b = here[known], there[known]
        a, b = a - a.mean(), b - b.mean()
        norm = float(np.sqrt((a * a).sum() * (b * b).sum()))
        likeness = float((a * b).sum()) / norm if norm > 1e-3 else 0.0
        if likeness > best[0] + 0.005:
            best = (likeness, x, y)
    return best


def _gray(picture: npt.NDArray[np.uint8], size: tuple[int, int]) -> Gray:
    return np.asarray(Image.fromarray(picture).convert("L").resize(size, Image.Resampling.BOX), np.float32)


def _scaled(gray: Gray, closer: float) -> Gray:
    """The picture seen from nearer or further, in the same frame; NaN where there is nothing."""
    height, width = gray.shape
    size = (max(round(width * closer), 1), max(round(height * closer), 1))
    grown = np.asarray(Image.fromarray(gray).resize(size, Image.Resampling.BILINEAR), np.float32)
    result = np.full((height, width), np.nan, np.float32)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    inner = grown[max(top, 0) : max(top, 0) + height, max(left, 0) : max(left, 0) + width]
    place_top, place_left = max(-top, 0), max(-left, 0)
    result[place_top : place_top + inner.shape[0], place_left : place_left + inner.shape[1]] = inner
    return result
