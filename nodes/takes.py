"""Ray Takes: several takes of one shot, to choose from."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from . import footage, host, inputs, plan
from .generation.request import Operation
from .variations import MOST_TAKES


class RayTakes(inputs.Prompted):
    """Takes of one shot side by side, then the chosen one."""

    @classmethod
    def define_schema(cls) -> Any:
        """The node as ComfyUI shows it."""
        return inputs.generating(
            node_id="RayTakes",
            display_name="Ray Takes",
            description=(
                "Several takes of one shot at the same time. With choose at 0 all play side by side, numbered; set "
                "it to the number of the one that goes on, which costs nothing more."
            ),
            search_aliases=[
                "variations",
                "takes",
                "compare",
                "choose",
                "batch",
                "seed",
                "seeds",
                "grid",
                "re-roll",
                "reroll",
                "retry",
            ],
            inputs=[
                *inputs.shared(Operation.KEYFRAMES_TO_VIDEO, prompt_required=False, follows_picture=True),
                inputs.widget(
                    io.Int,
                    "takes",
                    default=4,
                    min=1,
                    max=MOST_TAKES,
                    tooltip="How many, counted from the take above.",
                ),
                inputs.widget(
                    io.Int,
                    "choose",
                    default=0,
                    min=0,
                    max=MOST_TAKES,
                    tooltip="0: all of them side by side. 1 and up: that one alone.",
                ),
                io.Image.Input("first_frame", optional=True, tooltip="One picture: each take starts on it."),
                io.Image.Input("last_frame", optional=True, tooltip="One picture: each take ends on it."),
                inputs.concepts(),
                inputs.enhance_prompt(),
            ],
        )

    @classmethod
    async def execute(
        cls,
        takes: int,
        choose: int,
        first_frame: Any = None,
        last_frame: Any = None,
        concepts: tuple[str, ...] = (),
        **widgets: Any,
    ) -> Any:
        """Buy or recall the takes."""
        settings = inputs.settings(concepts=concepts, **widgets)
        return await host.film(
            cls,
            lambda studio, clock, report: studio.takes(
                settings,
                footage.frames_of(first_frame, last_frame, ()),
                count=takes,
                choose=choose,
                marks=plan.marks_of(cls.hidden.prompt or {}, cls.hidden.unique_id),
                clock=clock,
                report=report,
            ),
        )
