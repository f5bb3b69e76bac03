"""Ray Interpolate Video: from the end of one clip to the beginning of another."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from . import host, inputs
from .generation.request import Operation


class RayInterpolateVideo(inputs.Prompted):
    """A clip that leads from one clip to the next."""

    @classmethod
    def define_schema(cls) -> Any:
        """The node as ComfyUI shows it."""
        return inputs.generating(
            node_id="RayInterpolateVideo",
            display_name="Ray Interpolate Video",
            description=(
                "A clip that leads from the end of one clip to the beginning of another, by the provider that made "
                "both. Without a key, a morph between them as a free preview."
            ),
            search_aliases=[
                "interpolate",
                "interpolation",
                "transition",
                "bridge",
                "morph",
                "between",
                "in between",
                "inbetween",
                "blend",
            ],
            inputs=[
                *inputs.unlooped(Operation.INTERPOLATE_VIDEO),
                inputs.widget(
                    io.Combo,
                    "output",
                    options=["new part", "whole film"],
                    default="new part",
                    tooltip="The clip between them alone, or all of it joined into one film.",
                ),
                inputs.Generation.Input(
                    "before", tooltip="The film that it leads from; its last clip counts."
                ),
                inputs.Generation.Input("after", tooltip="The film that it leads to; its first clip counts."),
            ],
        )

    @classmethod
    async def execute(
        cls, output: str, before: tuple[str, ...], after: tuple[str, ...], **widgets: Any
    ) -> Any:
        """Buy or recall the clip."""
        settings = inputs.settings(**widgets)
        return await host.film(
            cls,
            lambda studio, clock, report: studio.interpolate_video(
                settings,
                tuple(before or ()),
                tuple(after or ()),
                whole=output == "whole film",
                clock=clock,
                report=report,
            ),
        )
