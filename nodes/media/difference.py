"""How different two colours look: CIEDE2000, from sRGB.

The formula is that of Sharma, Wu and Dalal, "The CIEDE2000 Color-Difference Formula: Implementation Notes,
Supplementary Test Data, and Mathematical Observations" (2005). One is about the least difference that shows
between two patches side by side; a change of a whole picture from one frame to the next shows sooner.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Colours = npt.NDArray[np.float64]
"""[..., 3]"""

_TO_XYZ: Final = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
"""From linear light; IEC 61966-2-1, white D65."""
_WHITE: Final = _TO_XYZ.sum(axis=1)
_FAR: Final = 25.0**7


def lab(levels: npt.ArrayLike) -> Colours:
    """CIE L*a*b* of sRGB in levels 0..255, [..., 3]."""
    light = np.asarray(levels, np.float64).clip(0, 255) / 255
    light = np.where(light <= 0.04045, light / 12.92, ((light + 0.055) / 1.055) ** 2.4)
    part = light @ _TO_XYZ.T / _WHITE
    root = np.where(part > 216 / 24389, np.cbrt(part), (part * 24389 / 27 + 16) / 116)
    x, y, z = np.moveaxis(root, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def ciede2000(one: npt.ArrayLike, other: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The difference of each pair of colours in L*a*b*, [..., 3]."""
    (light_1, a_1, b_1), (light_2, a_2, b_2) = (
        np.moveaxis(np.asarray(colours, np.float64), -1, 0) for colours in (one, other)
    )
    mean = (np.hypot(a_1, b_1) + np.hypot(a_2, b_2)) / 2
    stretch = 1.5 - 0.5 * np.sqrt(mean**7 / (mean**7 + _FAR))
    chroma_1, chroma_2 = np.hypot(a_1 * stretch, b_1), np.hypot(a_2 * stretch, b_2)
    hue_1, hue_2 = (np.degrees(np.arctan2(b, a * stretch)) % 360 for a, b in ((a_1, b_1), (a_2, b_2)))
    grey = chroma_1 * chroma_2 == 0
    turn = hue_2 - hue_1
    turn = np.where(grey, 0, (turn + 180) % 360 - 180)
    # Exactly opposite hues: the formula goes the way on which no turn is added.
    turn = np.where((turn == -180) & (hue_2 > hue_1), 180, turn)
    apart = np.abs(hue_1 - hue_2) > 180
    total = hue_1 + hue_2
    middle = np.where(apart, np.where(total < 360, total + 360, total - 360), total) / 2
    middle = np.where(grey, total, middle)
    light, chroma = (light_1 + light_2) / 2, (chroma_1 + chroma_2) / 2
    weight = (
        1
        - 0.17 * _cos(middle - 30)
        + 0.24 * _cos(2 * middle)
        + 0.32 * _cos(3 * middle + 6)
        - 0.20 * _cos(4 * middle - 63)
    )
    off = (light - 50) ** 2
    by_light = (light_2 - light_1) / (1 + 0.015 * off / np.sqrt(20 + off))
    by_chroma = (chroma_2 - chroma_1) / (1 + 0.045 * chroma)
    by_hue = 2 * np.sqrt(chroma_1 * chroma_2) * np.sin(np.radians(turn / 2)) / (1 + 0.015 * chroma * weight)
    rotation = (
        -2
        * np.sqrt(chroma**7 / (chroma**7 + _FAR))
        * np.sin(np.radians(60 * np.exp(-(((middle - 275) / 25) ** 2))))
    )
    squares = by_light**2 + by_chroma**2 + by_hue**2 + rotation * by_chroma * by_hue
    found: npt.NDArray[np.float64] = np.sqrt(np.maximum(squares, 0))
    return found


def _cos(degrees: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    found: npt.NDArray[np.float64] = np.cos(np.radians(degrees))
    return found
