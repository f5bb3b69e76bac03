"""Ray Extend Video: a film goes on, after its end or before its start."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from . import footage, host, inputs, sheet
from .generation.ray import LONGEST_FILM
from .generation.request import Operation


class RayExtendVideo(inputs.Prompted):
    """A film made longer, clip by clip."""

    @classmethod
    def define_schema(cls) -> Any:
        """The node as ComfyUI shows it."""
        return inputs.generating(
            node_id="RayExtendVideo",
            display_name="Ray Extend Video",
            description=(
                "Makes a film longer, to 30 s and beyond: by the provider's own extend where it has one and made the "
                "clip, else from the film's last picture, joined without a repeated frame."
            ),
            search_aliases=[
                "extend",
                "continue",
                "longer",
                "lengthen",
                "extension",
                "30 seconds",
                "long video",
                "prepend",
                "loop",
            ],
            inputs=[
                *inputs.shared(Operation.EXTEND_VIDEO, prompt_required=True, follows_picture=True),
                inputs.widget(
                    io.Combo,
                    "direction",
                    options=["forward", "backward"],
                    default="forward",
                    tooltip="forward: what happens next. backward: what happened before.",
                ),
                inputs.widget(
                    io.Int,
                    "length",
                    default=15,
                    min=6,
                    max=LONGEST_FILM,
                    tooltip="Seconds of the whole film. It grows by whole clips of the duration above.",
                ),
                inputs.widget(
                    io.Combo,
                    "output",
                    options=["whole film", "new part"],
                    default="whole film",
                    tooltip="The film with its new part joined to it, or the new part alone.",
                ),
                inputs.Generation.Input(
                    "generation", optional=True, tooltip="The film to extend, from a Ray node. Best: no loss."
                ),
                io.Video.Input("video", optional=True, tooltip="Or any video file."),
                io.Image.Input("frames", optional=True, tooltip="Or frames, 24 a second."),
                inputs.concepts(),
                inputs.enhance_prompt(),
                inputs.widget(
                    io.String,
                    "parts",
                    multiline=True,
                    default="",
                    optional=True,
                    dynamic_prompts=False,
                    tooltip=(
                        "One line for each clip that is added: its own prompt, camera moves or take, as in Ray "
                        "Scene. Empty: the prompt above for all of them."
                    ),
                ),
                inputs.colour_match("the film that is extended"),
            ],
        )

    @classmethod
    def validate_inputs(cls, prompt: Any = None, parts: Any = None) -> bool | str:
        """Whether the prompts may be queued."""
        return inputs.secret_in(prompt=prompt, parts=parts)

    @classmethod
    async def execute(
        cls,
        direction: Any,
        length: int,
        output: Any,
        generation: tuple[str, ...] = (),
        video: Any = None,
        frames: Any = None,
        concepts: tuple[str, ...] = (),
        parts: str = "",
        colour_match: Any = "off",
        **widgets: Any,
    ) -> Any:
        """Buy or recall the clips that are missing.

        A prompt that was saved before there was *colour_match* makes the film that it made then.
        """
        settings = inputs.settings(concepts=concepts, **widgets)
        return await host.film(
            cls,
            lambda studio, clock, report: studio.extend_video(
                settings,
                generations=tuple(generation or ()),
                video=footage.one_video(video, frames, clock),
                direction=direction,
                length=length,
                part=output,
                lines=sheet.read(parts) if parts.strip() else (),
                match=colour_match,
                clock=clock,
                report=report,
            ),
        )
