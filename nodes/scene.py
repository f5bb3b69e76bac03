"""Ray Scene: several shots that follow from each other, made at the same time and joined."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from . import footage, host, inputs, plan
from .generation.request import Operation
from .screenplay import RENDERS
from .sheet import MOST_KEYFRAMES

PREFIX = "K"
"""K0 is the first keyframe of a scene."""
_EXAMPLE = """5 s | crane_up | a fox looks over the dunes at dawn
5 s | push_in | it runs down to the water
"""


class RayScene(io.ComfyNode):
    """A film of shots between pictures, each shot a purchase of its own."""

    @classmethod
    def define_schema(cls) -> Any:
        """The node as ComfyUI shows it."""
        return inputs.generating(
            node_id="RayScene",
            display_name="Ray Scene",
            description=(
                "A film of several shots from one sheet, one line a shot. Shot 1 goes from picture K0 to K1, shot 2 "
                "from K1 to K2; all are made at the same time. Another take of one shot buys that shot alone."
            ),
            search_aliases=[
                "scene",
                "storyboard",
                "shots",
                "film",
                "movie",
                "sequence",
                "multi shot",
                "multishot",
                "keyframes",
                "shot list",
                "screenplay",
                "long video",
            ],
            inputs=[
                inputs.widget(
                    io.String,
                    "sheet",
                    multiline=True,
                    default=_EXAMPLE,
                    dynamic_prompts=False,
                    tooltip=(
                        "One line a shot, its fields divided by vertical bars, in any order: the prompt, `5 s`, "
                        "camera moves as `push_in`, `K1 > K2` for other pictures (`-` for none), `take 2` to make it "
                        "anew, `loop`."
                    ),
                ),
                *(
                    each
                    for each in inputs.shared(
                        Operation.KEYFRAMES_TO_VIDEO, prompt_required=False, follows_picture=True
                    )
                    if each.id not in ("prompt", "loop")
                ),
                inputs.widget(
                    io.Combo,
                    "render",
                    options=list(RENDERS),
                    default="final",
                    tooltip=(
                        "final: as chosen above. draft: the same with ray-flash-2 at 540p. animatic: the free local "
                        "preview. Pictures, takes and words stay the same."
                    ),
                ),
                inputs.widget(
                    io.String,
                    "style",
                    default="",
                    optional=True,
                    dynamic_prompts=False,
                    tooltip="Words that every shot's prompt begins with.",
                ),
                inputs.concepts(),
                inputs.enhance_prompt(),
                io.Autogrow.Input(
                    "keyframes",
                    optional=True,
                    tooltip="Pictures: shot 1 goes from K0 to K1, shot 2 from K1 to K2.",
                    template=io.Autogrow.TemplatePrefix(
                        io.Image.Input("keyframe", optional=True, tooltip="One picture."),
                        prefix=PREFIX,
                        min=2,
                        max=MOST_KEYFRAMES,
                    ),
                ),
                inputs.colour_match("the first"),
            ],
        )

    @classmethod
    def validate_inputs(cls, sheet: Any = None, style: Any = None, keyframes: Any = None) -> bool | str:  # noqa: ARG003
        """Whether the sheet may be queued. ComfyUI hands *keyframes* to whoever is asked anything."""
        return inputs.secret_in(sheet=sheet, style=style)

    @classmethod
    async def execute(
        cls,
        sheet: str,
        render: str,
        style: str = "",
        concepts: tuple[str, ...] = (),
        keyframes: dict[str, Any] | None = None,
        colour_match: Any = "off",
        **widgets: Any,
    ) -> Any:
        """Buy or recall the shots.

        A prompt that was saved before there was *colour_match* makes the film that it made then.
        """
        settings = inputs.settings(concepts=concepts, prompt=style, **widgets)

        def make(studio: Any, clock: Any, report: Any) -> Any:
            from .screenplay import Scene
            from .sheet import read

            connected = {
                int(name.removeprefix(PREFIX)): image
                for name, image in (keyframes or {}).items()
                if image is not None
            }
            scene = Scene(
                lines=read(sheet),
                keyframes={
                    number: footage.still(image, f"K{number}") for number, image in sorted(connected.items())
                },
                settings=settings,
                render=render,
                marks=plan.marks_of(cls.hidden.prompt or {}, cls.hidden.unique_id),
            )
            return studio.scene(scene, match=colour_match, clock=clock, report=report)

        return await host.film(cls, make)
