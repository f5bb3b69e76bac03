"""Ray Join Clips: shots into one film."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from . import host, inputs

_MOST = 8


class RayJoinClips(io.ComfyNode):
    """Up to eight films one after the other, frames that repeat at a seam dropped."""

    @classmethod
    def define_schema(cls) -> Any:
        """The node as ComfyUI shows it."""
        return inputs.generating(
            node_id="RayJoinClips",
            display_name="Ray Join Clips",
            description=(
                "Joins the films of Ray nodes in order, a few frames in memory at a time; a frame that the next "
                "film repeats is dropped. The films are made at the same time."
            ),
            search_aliases=["luma", "concatenate", "merge videos", "film", "stitch"],
            inputs=[
                inputs.Generation.Input(
                    f"generation_{number}", optional=number > 1, tooltip="A film from a Ray node."
                )
                for number in range(1, _MOST + 1)
            ],
        )

    @classmethod
    async def execute(cls, **generations: tuple[str, ...]) -> Any:
        """Join what is connected."""
        in_order = [generations.get(f"generation_{number}") for number in range(1, _MOST + 1)]
        ids = tuple(clip for film in in_order for clip in film or ())

        def make(studio: Any, clock: Any, report: Any) -> Any:
            from .film import Film
            from .media import clips

            path = studio.cutting.film_path(ids, clock=clock, report=report)
            facts = clips.inspect(path)
            line = f"film of {facts.seconds:.0f} s · {facts.width}x{facts.height} · {len(ids)} clips"
            return Film(path=path, generations=ids, summary=line)

        return await host.film(cls, make)
