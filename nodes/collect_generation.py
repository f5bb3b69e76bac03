"""Ray Collect Generation: a paid clip comes back."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from . import host, inputs


class RayCollectGeneration(io.ComfyNode):
    """Brings back a generation by its id; buys nothing."""

    @classmethod
    def define_schema(cls) -> Any:
        """The node as ComfyUI shows it."""
        return inputs.generating(
            node_id="RayCollectGeneration",
            display_name="Ray Collect Generation",
            description=(
                "Brings back a clip that was paid: one whose wait was stopped, or one made elsewhere with the same "
                "account. Never buys anything."
            ),
            search_aliases=[
                "resume",
                "recover",
                "lost clip",
                "generation id",
                "download",
                "retrieve",
                "history",
                "task id",
            ],
            inputs=[
                inputs.widget(
                    io.String,
                    "id",
                    default="",
                    tooltip="The generation's id as messages show it (ray-...), or the provider's own id.",
                ),
                inputs.provider(),
            ],
        )

    @classmethod
    def validate_inputs(cls, id: Any = None) -> bool | str:
        """Whether the id may be queued."""
        return inputs.secret_in(id=id)

    @classmethod
    async def execute(cls, id: str, provider: str) -> Any:
        """Wait for the job if it still runs, and bring its clip."""
        return await host.film(
            cls, lambda studio, clock, report: studio.collect(id, provider, clock=clock, report=report)
        )
