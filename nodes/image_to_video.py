"""Ray Image to Video: a picture comes alive."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from . import footage, host, inputs
from .generation.request import Operation


class RayImageToVideo(inputs.Prompted):
    """One clip that starts on a picture."""

    @classmethod
    def define_schema(cls) -> Any:
        """The node as ComfyUI shows it."""
        return inputs.generating(
            node_id="RayImageToVideo",
            display_name="Ray Image to Video",
            description="A clip that starts on your picture. Without a key, a camera move over it as a free preview.",
            search_aliases=[
                "i2v",
                "image to video",
                "image2video",
                "img2vid",
                "animate",
                "photo to video",
                "picture to video",
                "start frame",
                "loop",
                "seamless loop",
            ],
            inputs=[
                *inputs.shared(Operation.IMAGE_TO_VIDEO, prompt_required=False, follows_picture=True),
                io.Image.Input("first_frame", tooltip="One picture: the first frame of the clip."),
                inputs.concepts(),
                inputs.enhance_prompt(),
            ],
        )

    @classmethod
    async def execute(cls, first_frame: Any, concepts: tuple[str, ...] = (), **widgets: Any) -> Any:
        """Buy or recall the clip."""
        settings = inputs.settings(concepts=concepts, **widgets)
        return await host.film(
            cls,
            lambda studio, clock, report: studio.image_to_video(
                settings, footage.still(first_frame, "first_frame"), clock=clock, report=report
            ),
        )
