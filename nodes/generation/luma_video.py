"""How Luma is asked for Ray 2, and Ray 3.2 for a film, for Luma's own APIs and for gateways that hand its body on.

Contract: Luma's OpenAPI "Dream Machine API" 1.1.0 and docs.lumalabs.ai/docs/video-generation, read 2026-11-20; of Ray
3.2 the `luma-agents` SDK 0.5.0 and ComfyUI's nodes, read 2026-11-21.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

from .canvas import Placement
from .request import GenerationReference, GenerationRequest, Json, Operation, StillImage

RESOLUTIONS: Final = ("540p", "720p", "1080p", "4k")
KEYFRAMES: Final = {
    Operation.TEXT_TO_VIDEO: {("none", "none")},
    Operation.IMAGE_TO_VIDEO: {("image", "none")},
    Operation.KEYFRAMES_TO_VIDEO: {("image", "image"), ("none", "image")},
    Operation.EXTEND_VIDEO: {
        ("generation", "none"),
        ("none", "generation"),
        ("generation", "image"),
        ("image", "generation"),
    },
    Operation.INTERPOLATE_VIDEO: {("generation", "generation")},
}
# "Loop is not supported for keyframes / extend reverse / interpolate ...": only where there is no last frame.
LOOPS: Final = frozenset({("none", "none"), ("image", "none"), ("generation", "none")})
_SHORT: Final = 5.05
"""Seconds up to which an edit of Ray 3.2 is asked for as 5 s, as ComfyUI does; what is longer as 10 s."""


def prices(rows: Mapping[tuple[str, int], Sequence[str]], model: str) -> dict[tuple[str, int], Decimal]:
    """The prices of *model* for an offer, out of rows (model, seconds): USD for each of `RESOLUTIONS`."""
    return {
        (resolution, seconds): Decimal(usd)
        for (priced, seconds), row in rows.items()
        if priced == model
        for resolution, usd in zip(RESOLUTIONS, row, strict=True)
    }


def settings(request: GenerationRequest) -> Json:
    """What decides how the clip looks and costs."""
    return {
        "aspect_ratio": request.aspect_ratio,
        "resolution": request.resolution,
        "duration": f"{request.duration}s",
        "loop": request.loop,
    }


def keyframes(request: GenerationRequest, pictures: Mapping[str, str]) -> Json:
    """The field `keyframes`, where there are any; pictures are public URLs."""
    frames: Json = {}
    for name, frame in zip(("frame0", "frame1"), request.keyframes, strict=True):
        if isinstance(frame, StillImage):
            frames[name] = {"type": "image", "url": pictures[frame.sha256]}
        elif isinstance(frame, GenerationReference):
            frames[name] = {"type": "generation", "id": frame.job_id}
    return {"keyframes": frames} if frames else {}


def place(placement: Placement, *, sized: bool = True) -> Json:
    """Where the source of a reframe stands, in Luma's numbers: pixels on its canvas.

    *sized*: with the two that say how large the source becomes, which follows from the others too.
    """
    numbers: Json = {
        "grid_position_x": placement.left,
        "grid_position_y": placement.top,
        "x_start": placement.left,
        "x_end": placement.right,
        "y_start": placement.top,
        "y_end": placement.bottom,
    }
    if sized:
        numbers.update(resized_width=placement.width, resized_height=placement.height)
    return numbers


def remade(request: GenerationRequest, film: Json, first_frame: Json | None) -> Json:
    """The body for a film that Ray 3.2 makes from *film*; that and the first frame are references of its API."""
    video: Json = {"resolution": request.resolution}
    body: Json = {"prompt": request.prompt, "source": film, "video": video}
    if request.operation is Operation.MODIFY_VIDEO:
        seconds = request.source.seconds if request.source is not None else 0.0
        video["duration"] = "5s" if seconds <= _SHORT else "10s"
        video["edit"] = {"strength": request.mode}
        if first_frame is not None:
            video["start_frame"] = first_frame
        return {**body, "type": "video_edit"}
    if request.placement is not None:
        where = request.placement
        wide, tall = where.canvas
        video["source_position"] = {
            "x_norm": round(where.left / wide, 6),
            "y_norm": round(where.top / tall, 6),
            "w_norm": round(where.width / wide, 6),
            "h_norm": round(where.height / tall, 6),
        }
    return {**body, "type": "video_reframe", "aspect_ratio": request.aspect_ratio}
