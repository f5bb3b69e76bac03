"""What the Ray models understand, whoever sells them.

Sources (read 2026-11-20): Luma's OpenAPI for the Dream Machine API 1.1.0, the `lumaai` SDK 1.21.0, and for
the camera concepts ComfyUI 0.33's `comfy_api_nodes/apis/luma.py` (the live list is GET /concepts/list).
"""

from __future__ import annotations

from typing import Final

MODELS: Final = ("ray-2", "ray-flash-2", "ray-3.2")
"""Model names as Luma spells them; the last one is what Luma's current API serves."""

RESOLUTIONS: Final = ("360p", "540p", "720p", "1080p", "4k")
DURATIONS: Final = (5, 9, 10)
"""Seconds any provider sells for these models; which one sells which is in its offers."""

ASPECT_RATIOS: Final = ("16:9", "9:16", "1:1", "4:3", "3:4", "21:9", "9:21")

CONCEPTS: Final = (
    "static", "handheld", "push_in", "pull_out", "zoom_in", "zoom_out", "dolly_zoom",
    "pan_left", "pan_right", "tilt_up", "tilt_down", "roll_left", "roll_right",
    "truck_left", "truck_right", "pedestal_up", "pedestal_down", "crane_up", "crane_down",
    "orbit_left", "orbit_right", "bolt_cam", "aerial", "aerial_drone", "overhead",
    "high_angle", "eye_level", "low_angle", "ground_level", "pov", "over_the_shoulder",
    "selfie", "tiny_planet", "elevator_doors",
)  # fmt: skip
"""The 34 camera concepts, grouped for people."""

MODES: Final = tuple(f"{kind}_{level}" for kind in ("adhere", "flex", "reimagine") for level in (1, 2, 3))
"""How far a modified film may leave its source, from closest to loosest."""

FRAMES_PER_SECOND: Final = 24
"""Of every Ray clip; inferred from Luma's prices, which count 24 frames a second."""
LONGEST_EXTEND: Final = 30
"""Seconds up to which a provider's own extend is asked for; where Luma's own app ends a chain of extends."""
LONGEST_FILM: Final = 300
"""Seconds to which a film is extended from its last picture: a film's worth of drift, and of money."""

SHORT_SIDE: Final = {"360p": 360, "540p": 540, "720p": 720, "1080p": 1080, "4k": 2160}
"""Pixels of the shorter side. Inferred: Luma publishes prices per pixel, no table of frame sizes."""


def proportion(aspect_ratio: str) -> float:
    """Width divided by height of a ratio such as `"16:9"`."""
    width, _, height = aspect_ratio.partition(":")
    return int(width) / int(height)


def frame_size(resolution: str, proportion: float) -> tuple[int, int]:
    """(width, height) in pixels, both even, for a resolution name and width / height."""
    short = SHORT_SIDE[resolution]
    long = 2 * round(short * max(proportion, 1 / proportion) / 2)
    return (long, short) if proportion >= 1 else (short, long)


def frame_count(duration: int) -> int:
    """Frames of a clip of *duration* seconds: 24 a second and one more (121 for 5 s).

    Inferred: keyframe indexes of Luma's current API run from 0 to 120 for 5 s; no page states a count.
    """
    return FRAMES_PER_SECOND * duration + 1
