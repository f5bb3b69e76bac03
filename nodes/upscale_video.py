"""Ray Upscale Video: a clip with more pixels."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from . import host, inputs
from .generation.request import Operation


class RayUpscaleVideo(io.ComfyNode):
    """A clip that Luma made, larger."""

    @classmethod
    def define_schema(cls) -> Any:
        """The node as ComfyUI shows it."""
        return inputs.generating(
            node_id="RayUpscaleVideo",
            display_name="Ray Upscale Video",
            description=(
                "A clip with more pixels, by the provider that made it, which must sell that. A preview is enlarged "
                "here, as a free preview."
            ),
            search_aliases=[
                "upscale",
                "upscaler",
                "super resolution",
                "4k",
                "1080p",
                "enlarge",
                "enhance",
                "hd",
            ],
            inputs=[
                inputs.provider(),
                inputs.resolution(Operation.UPSCALE_VIDEO),
                inputs.take(),
                inputs.Generation.Input("generation", tooltip="A clip from a Ray node; not a joined film."),
            ],
        )

    @classmethod
    async def execute(cls, generation: tuple[str, ...], **widgets: Any) -> Any:
        """Buy or recall the clip."""
        settings = inputs.settings(**widgets)
        return await host.film(
            cls,
            lambda studio, clock, report: studio.upscale_video(
                settings, tuple(generation or ()), clock=clock, report=report
            ),
        )
