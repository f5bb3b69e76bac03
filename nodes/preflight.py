"""Ray Preflight: the keyframes of a shot, looked at before they cost anything."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from . import footage, host, inputs
from .generation.ray import ASPECT_RATIOS
from .generation.request import Operation


class RayPreflight(io.ComfyNode):
    """What would become of two pictures as first and last frame, free."""

    @classmethod
    def define_schema(cls) -> Any:
        """The node as ComfyUI shows it."""
        shared = {
            each.id: each
            for each in inputs.shared(
                Operation.KEYFRAMES_TO_VIDEO, prompt_required=False, follows_picture=True
            )
        }
        return inputs.schema(
            node_id="RayPreflight",
            display_name="Ray Preflight",
            category=inputs.CATEGORY,
            description=(
                "Looks at the pictures of a shot before it costs anything: what is cropped, what will be soft, how "
                "far apart they are, who makes it and for how much. Sends and buys nothing."
            ),
            search_aliases=[
                "keyframes",
                "check",
                "crop",
                "preview",
                "align",
                "price",
                "cost",
                "quote",
                "estimate",
                "compare images",
            ],
            inputs=[
                shared["provider"],
                shared["model"],
                inputs.widget(
                    io.Combo,
                    "aspect_ratio",
                    options=["auto", *ASPECT_RATIOS],
                    default="auto",
                    tooltip="auto: the shape of the first picture.",
                ),
                shared["resolution"],
                shared["duration"],
                io.Image.Input("first_frame", optional=True, tooltip="One picture."),
                io.Image.Input("last_frame", optional=True, tooltip="One picture."),
            ],
            outputs=[
                io.Image.Output("first_frame", tooltip="As it will be used, cropped."),
                io.Image.Output("last_frame", tooltip="As it will be used, cropped."),
                io.String.Output("report", tooltip="What stands on the node, one finding a line."),
            ],
            hidden=[io.Hidden.unique_id, io.Hidden.prompt],
            is_output_node=True,
        )

    @classmethod
    async def execute(cls, first_frame: Any = None, last_frame: Any = None, **widgets: Any) -> Any:
        """Look at the pictures."""
        settings = inputs.settings(prompt="preflight", **widgets)

        def look(clock: Any, report: Any) -> Any:  # noqa: ARG001
            from .generation.errors import InvalidInput
            from .inspection import inspect
            from .media import images

            frames = footage.frames_of(first_frame, last_frame, ())
            if frames.leading is None:
                raise InvalidInput("Connect a first frame, a last frame, or both. Nothing was billed.")
            used, lines = inspect(host.studio().lifecycle, settings, frames)
            pictures = [
                None if still is None else images.tensor(images.pixels(still))
                for still in (used.first, used.last)
            ]
            return pictures, lines

        pictures, lines = await host.run(cls, look)
        host.say(cls.hidden.unique_id, "  \n".join(lines))
        return io.NodeOutput(*pictures, "\n".join(lines))
