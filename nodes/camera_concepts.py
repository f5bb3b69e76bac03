"""Ray Camera Concepts: the camera moves that Ray 2 has learned."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from . import inputs


class RayCameraConcepts(io.ComfyNode):
    """Up to three camera concepts, and more by chaining."""

    @classmethod
    def define_schema(cls) -> Any:
        """The node as ComfyUI shows it."""
        choices = inputs.concept_choices()
        return inputs.schema(
            node_id="RayCameraConcepts",
            display_name="Ray Camera Concepts",
            category=inputs.CATEGORY,
            description="Camera moves for a shot, such as push_in or orbit_left. Two that fit can be combined.",
            search_aliases=[
                "camera",
                "concepts",
                "camera motion",
                "camera move",
                "dolly",
                "zoom",
                "orbit",
                "pan",
                "tilt",
                "crane",
            ],
            inputs=[
                inputs.widget(
                    io.Combo,
                    f"concept_{number}",
                    options=choices,
                    default="push_in" if number == 1 else "none",
                    tooltip="A camera move, or none.",
                )
                for number in (1, 2, 3)
            ]
            + [inputs.Concepts.Input("concepts", optional=True, tooltip="More of them, from another node.")],
            outputs=[inputs.Concepts.Output("concepts", tooltip="For the concepts input of a Ray node.")],
        )

    @classmethod
    def execute(cls, concept_1: str, concept_2: str, concept_3: str, concepts: tuple[str, ...] = ()) -> Any:
        """The chosen concepts in order, each once."""
        chosen = (*(concepts or ()), concept_1, concept_2, concept_3)
        return io.NodeOutput(tuple(dict.fromkeys(key for key in chosen if key != "none")))
