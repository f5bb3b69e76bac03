"""Ray Reframe Video: the same film in another ratio, with nothing cut off."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from . import footage, host, inputs
from .generation.canvas import SMALLEST
from .generation.request import Operation


class RayReframeVideo(inputs.Prompted):
    """A film in a wider or taller picture: what is around it is generated."""

    @classmethod
    def define_schema(cls) -> Any:
        """The node as ComfyUI shows it."""
        return inputs.generating(
            node_id="RayReframeVideo",
            display_name="Ray Reframe Video",
            description=(
                "Brings a film into another ratio with nothing cut off: what is around it is generated. "
                "Without a key, the film in its place on a dark ground as a free preview."
            ),
            search_aliases=[
                "reframe",
                "outpaint",
                "outpainting",
                "aspect ratio",
                "vertical",
                "portrait",
                "expand",
                "uncrop",
                "resize",
            ],
            inputs=[
                inputs.prompt(
                    required=False,
                    tooltip="What is around the film, 3 to 5000 characters. Optional at Ray 2.",
                ),
                inputs.provider(),
                inputs.model(Operation.REFRAME_VIDEO),
                inputs.aspect_ratio(Operation.REFRAME_VIDEO, follows_picture=False),
                inputs.resolution(Operation.REFRAME_VIDEO),
                _percent(
                    "size", 100, "Of the largest size at which the film fits into the picture.", SMALLEST
                ),
                _percent("across", 50, "Where the film stands: 0 at the left edge, 100 at the right."),
                _percent("down", 50, "Where the film stands: 0 at the top, 100 at the bottom."),
                inputs.take(),
                *inputs.film_to_change(),
                inputs.first_look(),
            ],
        )

    @classmethod
    async def execute(
        cls,
        size: int,
        across: int,
        down: int,
        generation: tuple[str, ...] = (),
        video: Any = None,
        frames: Any = None,
        first_frame: Any = None,
        **widgets: Any,
    ) -> Any:
        """Buy or recall the film."""
        settings = inputs.settings(**widgets)

        def make(studio: Any, clock: Any, report: Any) -> Any:
            from .editing import Place

            return studio.reframe_video(
                settings,
                footage.source(generation, video, frames, clock),
                place=Place(scale=size / 100, across=across / 100, down=down / 100),
                first_frame=None if first_frame is None else footage.still(first_frame, "first_frame"),
                clock=clock,
                report=report,
            )

        return await host.film(cls, make)


def _percent(id: str, default: int, tooltip: str, smallest: float = 0.0) -> Any:
    return inputs.widget(
        io.Int, id, default=default, min=round(100 * smallest), max=100, tooltip=f"Percent. {tooltip}"
    )
