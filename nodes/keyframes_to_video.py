"""Ray Keyframes to Video: from one picture to another."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from . import footage, host, inputs
from .generation.request import Operation


class RayKeyframesToVideo(inputs.Prompted):
    """One clip between two pictures, or towards one."""

    @classmethod
    def define_schema(cls) -> Any:
        """The node as ComfyUI shows it."""
        return inputs.generating(
            node_id="RayKeyframesToVideo",
            display_name="Ray Keyframes to Video",
            description=(
                "A clip that starts on one picture and ends on another; connect either, or both. With Ray 3.2 it "
                "passes more in between."
            ),
            search_aliases=[
                "first last frame",
                "flf2v",
                "start end frame",
                "keyframes",
                "image to video",
                "i2v",
                "img2vid",
                "morph",
                "tween",
            ],
            inputs=[
                *inputs.shared(Operation.KEYFRAMES_TO_VIDEO, prompt_required=False, follows_picture=True),
                io.Image.Input("first_frame", optional=True, tooltip="One picture: the clip starts on it."),
                io.Image.Input("last_frame", optional=True, tooltip="One picture: the clip ends on it."),
                inputs.concepts(),
                inputs.Keyframes.Input(
                    "keyframes",
                    optional=True,
                    tooltip=(
                        "Pictures in between, from Ray Keyframe. Sold by: "
                        f"{', '.join(inputs.sellers('middle_frames'))}."
                    ),
                ),
                inputs.enhance_prompt(),
            ],
        )

    @classmethod
    async def execute(
        cls,
        first_frame: Any = None,
        last_frame: Any = None,
        concepts: tuple[str, ...] = (),
        keyframes: tuple[tuple[int, Any], ...] = (),
        **widgets: Any,
    ) -> Any:
        """Buy or recall the clip."""
        settings = inputs.settings(concepts=concepts, **widgets)
        return await host.film(
            cls,
            lambda studio, clock, report: studio.keyframes_to_video(
                settings,
                footage.frames_of(first_frame, last_frame, tuple(keyframes or ())),
                clock=clock,
                report=report,
            ),
        )
