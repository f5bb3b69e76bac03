"""One frame laid over another as the camera moved between them: shifted, turned, nearer or further.

Lucas and Kanade's method in its inverse form (Baker and Matthews, "Lucas-Kanade 20 Years On", 2004), for an affine
move, on small frames in which light and contrast are evened out: another exposure is no move.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Move = npt.NDArray[np.float64]
"""[2, 3]: where in the one frame to look (down, across) for what stands at (down, across, 1) of the other, from the
middle."""

_STEPS: Final = 8
_BLURS: Final = (4, 1)
"""From coarse to fine."""
_DONE: Final = 0.01
"""Pixels of a step, from which on it lies as well as it will."""
_STIFF: Final = np.diag([1.0, 1.0, 1e-3, 1.0, 1.0, 1e-3])
_MOST_BENT: Final = 0.3
"""Of a turn, or of a change of size, between two frames in a row."""
_LEAST: Final = 0.35
"""Of the frame: what both must show."""
_FAR: Final = 0.25
"""Of a side: shifts that are looked for."""
_STAYS: Final = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


@dataclass(frozen=True)
class Overlay:
    """A frame as it would stand in another one's place."""

    frame: Plane
    """[height, width, 3]; of no meaning where it is not `known`."""
    known: Mask
    likeness: float
    """Correlation of the two where both are known, -1..1."""


def laid(one: Plane, other: Plane) -> Overlay:
    """*other* in the place of *one*, both [height, width, 3] in levels and of one size."""
    gray, goal = other.mean(-1), one.mean(-1)
    moves = [_STAYS, _shift(goal, gray)]
    coarse = [blurred(goal, _BLURS[0]), blurred(gray, _BLURS[0])]
    move = max(moves, key=lambda each: _likeness(coarse[0], *_seen(coarse[1], each)))
    for blur in _BLURS:
        move = _refined(blurred(goal, blur), blurred(gray, blur), move)
    best = max((move, *moves), key=lambda each: _likeness(goal, *_seen(gray, each)))
    frame, known = _seen(other, best)
    return Overlay(frame.astype(np.float32), known, _likeness(goal, *_seen(gray, best)))


def blurred(plane: Plane, times: int = 1) -> Plane:
    """*plane* [height, width, ...] with each pixel a little like those next to it."""
    for _ in range(times):
        for axis in (0, 1):
            sides = [(0, 0)] * plane.ndim
            sides[axis] = (1, 1)
            padded = np.pad(plane, sides, mode="edge")
            middle = [slice(None)] * plane.ndim
            before, after = middle.copy(), middle.copy()
            before[axis], middle[axis], after[axis] = slice(None, -2), slice(1, -1), slice(2, None)
            total = padded[tuple(before)] + 2 * padded[tuple(middle)] + padded[tuple(after)]
            plane = (total / 4).astype(np.float32)
    return plane


def _refined(goal: Plane, plane: Plane, move: Move) -> Move:
    """*move* so that *plane* lies better on *goal*; as it was where that leads nowhere."""
    down, across = _places(goal.shape)
    start = move
    for _ in range(_STEPS):
        seen, known = _seen(plane, move)
        if known.mean() < _LEAST:
            return start
        wanted, given = _even(goal, known), _even(seen, known)
        rows, columns = np.gradient(given)
        slopes = np.stack(
            [rows * down, rows * across, rows, columns * down, columns * across, columns], axis=-1
        )[known]
        gap = (wanted - given)[known]
        size = np.abs(gap)
        weight = 1 / np.maximum(
            size / (1.5 * float(np.median(size)) + 1e-3), 1
        )  # what moves by itself counts less
        weighted = (slopes * weight[:, None]).T
        step = np.linalg.solve(weighted @ slopes + _STIFF, weighted @ gap)
        bend = np.array([[1 + step[0], step[1], step[2]], [step[3], 1 + step[4], step[5]], [0, 0, 1]])
        move = (np.vstack([move, [0, 0, 1]]) @ bend)[:2]
        if float(np.abs(move[:, :2] - _STAYS[:, :2]).max()) > _MOST_BENT:
            return start
        if max(abs(step[2]), abs(step[5])) < _DONE:
            break
    return move


def _seen(plane: Plane, move: Move) -> tuple[Plane, Mask]:
    """*plane* as it stands after *move*, and where that is known."""
    height, width = plane.shape[:2]
    down, across = _places((height, width))
    rows = move[0, 0] * down + move[0, 1] * across + move[0, 2] + (height - 1) / 2
    columns = move[1, 0] * down + move[1, 1] * across + move[1, 2] + (width - 1) / 2
    known = (rows >= 0) & (rows <= height - 1) & (columns >= 0) & (columns <= width - 1)
    rows, columns = rows.clip(0, height - 1.001), columns.clip(0, width - 1.001)
    top, left = rows.astype(int), columns.astype(int)
    lower, right = rows - top, columns - left
    if plane.ndim == 3:
        lower, right = lower[..., None], right[..., None]
    seen = (
        plane[top, left] * (1 - lower) * (1 - right)
        + plane[top + 1, left] * lower * (1 - right)
        + plane[top, left + 1] * (1 - lower) * right
        + plane[top + 1, left + 1] * lower * right
    )
    return seen, known


def _places(shape: tuple[int, ...]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """How far down and across of the middle each pixel is."""
    height, width = shape
    down, across = np.mgrid[:height, :width].astype(np.float64)
    return down - (height - 1) / 2, across - (width - 1) / 2


def _shift(goal: Plane, plane: Plane) -> Move:
    """By how many whole pixels *plane* is to be shifted, by the phases of its waves."""
    height, width = goal.shape
    window = np.hanning(height)[:, None] * np.hanning(width)
    one, other = (np.fft.rfft2((each - each.mean()) * window) for each in (goal, plane))
    cross = one * other.conj()
    peak = np.fft.irfft2(cross / (np.abs(cross) + 1e-6 * np.abs(cross).max() + 1e-9), s=(height, width))
    down, across = (int(place) for place in np.unravel_index(int(peak.argmax()), peak.shape))
    down, across = (down + height // 2) % height - height // 2, (across + width // 2) % width - width // 2
    if abs(down) > _FAR * height or abs(across) > _FAR * width:
        return _STAYS
    return np.array([[1.0, 0.0, -down], [0.0, 1.0, -across]])


def _even(plane: Plane, known: Mask) -> Plane:
    values = plane[known]
    even: Plane = (plane - values.mean()) / (values.std() + 1e-3)
    return even


def _likeness(goal: Plane, seen: Plane, known: Mask) -> float:
    """1 for frames without any detail; -1 where they share too little."""
    if known.mean() < _LEAST:
        return -1.0
    one, other = goal[known], seen[known]
    one, other = one - one.mean(), other - other.mean()
    power = float(np.square(one).mean() * np.square(other).mean())
    return float(((one * other).mean() + 1) / (power**0.5 + 1))
