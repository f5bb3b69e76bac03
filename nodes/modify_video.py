"""Ray Modify Video: the same moves, another world."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from . import footage, host, inputs
from .generation.ray import MODES
from .generation.request import Operation


class RayModifyVideo(inputs.Prompted):
    """A film made over: its moves and timing stay, what is seen changes."""

    @classmethod
    def define_schema(cls) -> Any:
        """The node as ComfyUI shows it."""
        return inputs.generating(
            node_id="RayModifyVideo",
            display_name="Ray Modify Video",
            description=(
                "Makes a film over: its moves and timing stay, and what is seen follows the prompt and the first "
                "frame. Without a key, the film in other colours as a free preview."
            ),
            search_aliases=[
                "modify",
                "restyle",
                "style transfer",
                "video to video",
                "video2video",
                "vid2vid",
                "v2v",
                "edit",
                "reskin",
                "relight",
            ],
            inputs=[
                inputs.prompt(
                    required=False, tooltip="What the film becomes, 3 to 5000 characters. Optional at Ray 2."
                ),
                inputs.provider(),
                inputs.model(Operation.MODIFY_VIDEO),
                inputs.resolution(Operation.MODIFY_VIDEO),
                inputs.widget(
                    io.Combo,
                    "mode",
                    options=list(MODES),
                    default="flex_1",
                    tooltip=(
                        "How far it may leave the film: adhere keeps its shapes, flex its moves and more freedom, "
                        "reimagine little but its moves. 1 is the closest, 3 the loosest of each."
                    ),
                ),
                inputs.take(),
                *inputs.film_to_change(),
                inputs.first_look(),
            ],
        )

    @classmethod
    async def execute(
        cls,
        mode: str,
        generation: tuple[str, ...] = (),
        video: Any = None,
        frames: Any = None,
        first_frame: Any = None,
        **widgets: Any,
    ) -> Any:
        """Buy or recall the film."""
        settings = inputs.settings(**widgets)
        return await host.film(
            cls,
            lambda studio, clock, report: studio.modify_video(
                settings,
                footage.source(generation, video, frames, clock),
                mode=mode,
                first_frame=None if first_frame is None else footage.still(first_frame, "first_frame"),
                clock=clock,
                report=report,
            ),
        )
