"""Ray Text to Video: a prompt in, a clip out."""

from __future__ import annotations

from typing import Any

from . import host, inputs
from .generation.request import Operation


class RayTextToVideo(inputs.Prompted):
    """One clip from a prompt."""

    @classmethod
    def define_schema(cls) -> Any:
        """The node as ComfyUI shows it."""
        return inputs.generating(
            node_id="RayTextToVideo",
            display_name="Ray Text to Video",
            description=(
                "A 5 to 10 s clip from a prompt, by Luma Ray 2, Ray 2 Flash or Ray 3.2; a free preview without a key."
            ),
            search_aliases=[
                "t2v",
                "text to video",
                "text2video",
                "txt2vid",
                "prompt to video",
                "video generation",
                "generate video",
                "loop",
                "seamless loop",
            ],
            inputs=[
                *inputs.shared(Operation.TEXT_TO_VIDEO, prompt_required=True, follows_picture=False),
                inputs.concepts(),
                inputs.enhance_prompt(),
            ],
        )

    @classmethod
    async def execute(cls, concepts: tuple[str, ...] = (), **widgets: Any) -> Any:
        """Buy or recall the clip."""
        settings = inputs.settings(concepts=concepts, **widgets)
        return await host.film(
            cls, lambda studio, clock, report: studio.text_to_video(settings, clock=clock, report=report)
        )
