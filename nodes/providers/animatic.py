"""The free local preview: the same operations as Ray 2, rendered on this machine and marked PREVIEW."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from ..generation.errors import Interrupted, InvalidInput
from ..generation.offer import Completed, Job, Offer, Provider, Source, Status
from ..generation.ray import ASPECT_RATIOS, CONCEPTS, MODELS, MODES, SHORT_SIDE, frame_size, proportion
from ..generation.remaking import Remaking
from ..generation.request import (
    AS_THE_SOURCE,
    GenerationReference,
    GenerationRequest,
    Json,
    Keyframe,
    Operation,
    SourceVideo,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from ..generation.client import Client
    from ..generation.clock import Clock
    from ..media.animatic import Remake

_KINDS = ("none", "image", "generation")
_KEYFRAMES = {
    Operation.TEXT_TO_VIDEO: {("none", "none")},
    Operation.IMAGE_TO_VIDEO: {("image", "none")},
    Operation.KEYFRAMES_TO_VIDEO: {("image", "image"), ("none", "image"), ("image", "none")},
    Operation.EXTEND_VIDEO: {(a, b) for a in _KINDS for b in _KINDS if {a, b} & {"generation"} and a != b},
    Operation.INTERPOLATE_VIDEO: {("generation", "generation")},
}
_LOOKS = (Operation.MODIFY_VIDEO, Operation.REFRAME_VIDEO)
"""Operations that take a first frame."""
_SOURCES = frozenset({"video", "generation"})
_LONGEST = 60
"""Seconds of a film that is previewed; Ray takes 30 at most."""
_REMAKING = {
    # what is made from a clip: ratios, resolutions, what it may be
    Operation.MODIFY_VIDEO: (
        *((AS_THE_SOURCE,), (AS_THE_SOURCE, "360p", "540p", "720p", "1080p")),
        Remaking(kinds=_SOURCES, longest=_LONGEST, modes=MODES),
    ),
    Operation.REFRAME_VIDEO: (
        *(ASPECT_RATIOS, (AS_THE_SOURCE, "360p", "540p", "720p", "1080p")),
        Remaking(kinds=_SOURCES, longest=_LONGEST, places=True),
    ),
    Operation.UPSCALE_VIDEO: (
        *((AS_THE_SOURCE,), ("720p", "1080p", "4k")),
        Remaking(kinds=frozenset({"generation"}), longest=_LONGEST, grows=True),
    ),
    Operation.ADD_AUDIO: (
        *((AS_THE_SOURCE,), (AS_THE_SOURCE,)),
        Remaking(kinds=frozenset({"generation"}), longest=_LONGEST, avoids=True),
    ),
}
_SAME_SHAPE = 0.015
"""A crop to a ratio is off by up to a pixel or two; the clip has the ratio's own size all the same."""
_RESOLUTIONS = ("360p", "540p", "720p", "1080p")
_DURATIONS = (5, 9, 10)


class Animatic(Provider):
    """An honest pre-visualisation: title cards, camera moves over your pictures, eased morphs. Never Ray."""

    name = "animatic"
    title = "Animatic"
    docs = ""
    local = True
    cancel_notice = "is free."
    offers = tuple(
        Offer(
            model=model,
            operation=operation,
            endpoint="",
            durations=_DURATIONS,
            resolutions=_RESOLUTIONS,
            aspect_ratios=ASPECT_RATIOS,
            keyframes=frozenset(kinds),
            loops=frozenset(pair for pair in kinds if pair[1] == "none"),
            concepts=CONCEPTS,
            prompt_length=(3, 5000),
            prompt_optional_with_image=True,
            enhances=True,
            middle_frames=62 if operation is Operation.KEYFRAMES_TO_VIDEO else 0,
            image_sides=(16, 16384),
            reduces=False,
            prices={
                (resolution, seconds): Decimal(0) for resolution in _RESOLUTIONS for seconds in _DURATIONS
            },
            price_source=Source(where="this pack", day="2026-11-21"),
        )
        for model in MODELS
        for operation, kinds in _KEYFRAMES.items()
    ) + tuple(
        Offer(
            model=model,
            operation=operation,
            endpoint="",
            durations=(),
            resolutions=resolutions,
            aspect_ratios=ratios,
            keyframes=frozenset(
                {("none", "none")} | ({("image", "none")} if operation in _LOOKS else frozenset())
            ),
            prompt_length=(3, 6000),
            prompt_optional=True,
            image_sides=(16, 16384),
            price_source=Source(where="this pack", day="2026-11-21"),
            remaking=remaking,
        )
        for model in MODELS
        for operation, (ratios, resolutions, remaking) in _REMAKING.items()
    )

    def encode(self, request: GenerationRequest, pictures: Mapping[str, str]) -> Json:  # noqa: ARG002
        """Nothing is sent anywhere."""
        return {}

    def submit(self, client: Client, offer: Offer, body: Json, key: str) -> Job:  # noqa: ARG002
        """Nothing to start: the rendering is the download."""
        return Job(id=secrets.token_hex(8))

    def status(self, client: Client, job: Job) -> Status:  # noqa: ARG002
        """Ready to be rendered."""
        return Completed(url="", billed_usd=Decimal(0))

    def download(
        self,
        client: Client,  # noqa: ARG002
        completed: Completed,  # noqa: ARG002
        path: Path,
        *,
        request: GenerationRequest | None,
        clock: Clock,
        progress: Callable[[float], None],
    ) -> None:
        """Render the preview to *path*."""
        from ..media import images
        from ..media.animatic import RenderStopped, Shot, remake, render

        if request is None:
            raise InvalidInput("A local preview is rendered again by queueing its graph; it is free.")
        if request.source is not None:
            try:
                remake(_remake(request), path, progress=progress, stopped=lambda: clock.stopped)
            except RenderStopped:
                raise Interrupted("The preview was stopped; it is free.") from None
            return
        first, last = (
            _picture(frame, at_end=end) for frame, end in zip(request.keyframes, (True, False), strict=True)
        )
        middle = tuple((frame.index, images.pixels(frame.still)) for frame in request.middle_frames)
        leading = next((one for one in (first, *(one for _, one in middle), last) if one is not None), None)
        shape = proportion(request.aspect_ratio)
        if leading is not None and abs(leading.shape[1] / leading.shape[0] / shape - 1) > _SAME_SHAPE:
            shape = leading.shape[1] / leading.shape[0]  # like Ray, the clip follows the picture
        width, height = frame_size(request.resolution, shape)
        shot = Shot(
            prompt=request.prompt,
            width=width,
            height=height,
            duration=request.duration,
            model=request.model,
            concepts=request.concepts,
            loop=request.loop,
            first_frame=first,
            last_frame=last,
            middle_frames=middle,
            follows=isinstance(request.first_frame, GenerationReference),
            turns_card=any(reference.from_text for reference in request.references),
        )
        try:
            render(shot, path, progress=progress, stopped=lambda: clock.stopped)
        except RenderStopped:
            raise Interrupted("The preview was stopped; it is free.") from None


def _remake(request: GenerationRequest) -> Remake:
    """What is rendered of a film that is made from a film."""
    from ..media import images
    from ..media.animatic import Remake

    source, placement = request.source, request.placement
    path = source.path if isinstance(source, SourceVideo) else source.clip if source is not None else None
    if source is None or path is None:
        raise InvalidInput("The clip to work on is not in the library; queue the graph that makes it first.")
    shape = source.width / source.height
    if request.aspect_ratio != AS_THE_SOURCE:
        shape = proportion(request.aspect_ratio)
    short = min(source.width, source.height)
    if request.operation is Operation.REFRAME_VIDEO:
        short = SHORT_SIDE["720p"]
    size = frame_size(request.resolution, shape) if request.resolution in SHORT_SIDE else _sized(short, shape)
    place = None
    if placement is not None:
        by = size[0] / placement.canvas[0], size[1] / placement.canvas[1]
        left, top = round(placement.left * by[0]), round(placement.top * by[1])
        place = (
            *(left, top),
            max(1, min(round(placement.width * by[0]), size[0] - left)),
            max(1, min(round(placement.height * by[1]), size[1] - top)),
        )
    return Remake(
        source=path,
        width=size[0],
        height=size[1],
        place=place,
        mode=request.mode,
        prompt=request.prompt,
        first_frame=images.pixels(request.stills[0]) if request.stills else None,
        sounds=request.operation is Operation.ADD_AUDIO,
    )


def _sized(short: int, shape: float) -> tuple[int, int]:
    """A frame as large as the source, and not larger than a preview has to be: both sides even."""
    even = max(2, min(short, SHORT_SIDE["1080p"]) // 2 * 2)
    long = max(2, 2 * round(even * max(shape, 1 / shape) / 2))
    return (long, even) if shape >= 1 else (even, long)


def _picture(frame: Keyframe | None, *, at_end: bool) -> npt.NDArray[np.uint8] | None:
    """A keyframe as uint8 [H, W, 3]; of an earlier clip its last frame, or its first where it comes after."""
    from ..media import frames, images

    if frame is None:
        return None
    if not isinstance(frame, GenerationReference):
        return images.pixels(frame)
    if frame.clip is None:
        raise InvalidInput(f"The clip of generation {frame.id} is not in the library; queue its graph first.")
    still = frames.last_frame(frame.clip) if at_end else frames.first_frame(frame.clip)
    return images.pixels(images.still(still, name="the earlier clip"))
