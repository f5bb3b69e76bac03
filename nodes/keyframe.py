"""Ray Keyframe: a picture at a moment of a clip."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from . import inputs
from .generation.errors import InvalidInput
from .generation.ray import FRAMES_PER_SECOND


class RayKeyframe(io.ComfyNode):
    """One picture that a clip passes at a time, and more by chaining."""

    @classmethod
    def define_schema(cls) -> Any:
        """The node as ComfyUI shows it."""
        return inputs.schema(
            node_id="RayKeyframe",
            display_name="Ray Keyframe",
            category=inputs.CATEGORY,
            description=(
                "A picture that the clip passes at this second, for Ray Keyframes to Video. Chain several; their "
                "order does not matter."
            ),
            search_aliases=[
                "keyframe",
                "in between",
                "inbetween",
                "middle frame",
                "guide frame",
                "keyframes",
            ],
            inputs=[
                io.Image.Input("image", tooltip="One picture."),
                inputs.widget(
                    io.Float,
                    "seconds",
                    default=2.5,
                    min=0.0,
                    max=10.0,
                    step=0.01,
                    tooltip="When the clip shows it. It stands on the nearest of 24 frames a second.",
                ),
                inputs.Keyframes.Input(
                    "keyframes", optional=True, tooltip="More of them, from another node."
                ),
            ],
            outputs=[
                inputs.Keyframes.Output(
                    "keyframes", tooltip="For the keyframes input of Ray Keyframes to Video."
                )
            ],
        )

    @classmethod
    def execute(cls, image: Any, seconds: float, keyframes: tuple[tuple[int, Any], ...] = ()) -> Any:
        """All keyframes so far, in order of time."""
        index = round(seconds * FRAMES_PER_SECOND)
        earlier = tuple(keyframes or ())
        if any(index == other for other, _ in earlier):
            raise InvalidInput(
                f"Two keyframes stand at {index / FRAMES_PER_SECOND:.2f} s (frame {index}): move one of them. "
                "Nothing was billed."
            )
        return io.NodeOutput(tuple(sorted((*earlier, (index, image)), key=lambda keyframe: keyframe[0])))
