"""The pack as ComfyUI loads it: nodes in menu order, and what is set up once."""

from __future__ import annotations

import functools
import logging
import os
from pathlib import Path
from typing import Final

from comfy_api.latest import ComfyExtension, io

from . import host, routes
from .add_audio import RayAddAudio
from .camera_concepts import RayCameraConcepts
from .collect_generation import RayCollectGeneration
from .export_film import RayExportFilm
from .extend_video import RayExtendVideo
from .frames import RayFrames
from .generation.clock import Clock
from .image_to_video import RayImageToVideo
from .interpolate_video import RayInterpolateVideo
from .join_clips import RayJoinClips
from .keyframe import RayKeyframe
from .keyframes_to_video import RayKeyframesToVideo
from .modify_video import RayModifyVideo
from .preflight import RayPreflight
from .reframe_video import RayReframeVideo
from .scene import RayScene
from .takes import RayTakes
from .text_to_video import RayTextToVideo
from .upscale_video import RayUpscaleVideo

NODES: list[type[io.ComfyNode]] = [
    RayTextToVideo,
    RayImageToVideo,
    RayKeyframesToVideo,
    RayExtendVideo,
    RayCameraConcepts,
    RayJoinClips,
    RayFrames,
    RayCollectGeneration,
    RayKeyframe,
    RayScene,
    RayTakes,
    RayPreflight,
    RayExportFilm,
    RayModifyVideo,
    RayReframeVideo,
    RayUpscaleVideo,
    RayAddAudio,
    RayInterpolateVideo,
]
DECODED: Final = ("IMAGE", "AUDIO")
"""Types of outputs that are made only where something is linked to them."""
COLLECT: Final = "LUMA_RAY_COLLECT"
"""Environment variable: off leaves unfinished generations alone until somebody asks for them."""
COLLECT_AFTER: Final = 10.0
"""Seconds after the start until unfinished generations are looked for."""
_PICTURES = Path(__file__).resolve().parent.parent / "example_workflows" / "inputs"


class LumaRay(ComfyExtension):
    """The pack."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """The nodes in menu order. ComfyUI 0.8 calls nothing but this, so the rest is set up here too."""
        _set_up()
        return NODES


@functools.cache
def _set_up() -> None:
    """Once, before ComfyUI builds its routes: what linked outputs need, and the pictures of the examples."""
    from server import PromptServer

    decoded = {
        schema.node_id: frozenset(
            index for index, output in enumerate(schema.outputs) if output.io_type in DECODED
        )
        for schema in (node.GET_SCHEMA() for node in NODES)
    }
    PromptServer.instance.add_on_prompt_handler(lambda body: host.mark_linked(body, decoded))
    # Long after ComfyUI is there: collecting opens the journal and asks providers.
    collector = routes.register(PromptServer.instance)
    if os.environ.get(COLLECT, "").lower() not in ("off", "0", "no"):
        collector.start(COLLECT_AFTER, Clock())
    try:
        host.put_example_pictures(_PICTURES)
    except OSError:
        logging.getLogger(__name__).warning(
            "Luma Ray could not copy its example pictures to the input folder."
        )
