"""Ray Add Audio: a clip gets sound."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from . import host, inputs


class RayAddAudio(io.ComfyNode):
    """A clip that Luma made, with sound."""

    @classmethod
    def define_schema(cls) -> Any:
        """The node as ComfyUI shows it."""
        return inputs.generating(
            node_id="RayAddAudio",
            display_name="Ray Add Audio",
            description="Sound for a clip, by the provider that made it, which must sell that.",
            search_aliases=["audio", "sound", "sound effects", "sfx", "foley", "music", "soundtrack"],
            inputs=[
                inputs.prompt(required=False, tooltip="What is heard, at least 3 characters. Optional."),
                inputs.provider(),
                inputs.take(),
                inputs.words("negative_prompt", "What is not heard. Optional."),
                inputs.Generation.Input("generation", tooltip="A clip from a Ray node; not a joined film."),
            ],
        )

    @classmethod
    def validate_inputs(cls, prompt: Any = None, negative_prompt: Any = None) -> bool | str:
        """Whether the words may be queued: no key may stand in them."""
        return inputs.secret_in(prompt=prompt, negative_prompt=negative_prompt)

    @classmethod
    async def execute(cls, generation: tuple[str, ...], negative_prompt: str, **widgets: Any) -> Any:
        """Buy or recall the clip."""
        settings = inputs.settings(**widgets)
        return await host.film(
            cls,
            lambda studio, clock, report: studio.add_audio(
                settings,
                tuple(generation or ()),
                negative_prompt=negative_prompt,
                clock=clock,
                report=report,
            ),
        )
