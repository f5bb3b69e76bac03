"""Lenses of the animatic: how far from straight the frame looks into its picture."""

from __future__ import annotations

import numpy as np

from .stage import Bend, Plane


def bulge(strength: float) -> Bend:
    """The middle comes nearer, up to 1 + *strength* times as large, while the edges stay."""

    def bend(x: Plane, y: Plane) -> tuple[Plane, Plane]:
        near = np.exp(-(x * x + y * y) * np.float32(2.2))
        near *= np.float32(strength / (1 + strength))
        np.subtract(1, near, out=near)
        return x * near, y * near

    return bend


def planet(strength: float, half_width: float, half_height: float) -> Bend:
    """The picture bent around its lower edge, up to a full turn at *strength* 1: a tiny planet.

    *half_width* and *half_height* of the frame are in camera units.
    """
    closed = half_width * 1.2 / np.pi
    radius = closed / max(strength, 1e-3)
    whole = 1 + strength * 0.9 * (1 + closed / half_height)
    # At full strength the planet's middle is in the frame's middle.
    lifted = strength * strength * (half_height + radius)

    def bend(x: Plane, y: Plane) -> tuple[Plane, Plane]:
        across = x * np.float32(whole)
        up = np.float32(half_height + radius - lifted) - y * np.float32(whole)
        turn = np.arctan2(across, up)
        turn *= np.float32(radius)
        away = np.sqrt(across * across + up * up)
        return turn, np.subtract(np.float32(half_height + radius), away, out=away)

    return bend
