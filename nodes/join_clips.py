"""Ray Join Clips: shots into one film."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from . import host, inputs

_MOST = 8
_LONGEST_DISSOLVE = 48
"""As `media.seams` has it, which is too heavy to import for a widget."""


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
            search_aliases=[
                "join",
                "concat",
                "concatenate",
                "merge videos",
                "combine",
                "stitch",
                "append",
                "edit",
                "crossfade",
                "dissolve",
                "seams",
                "colour match",
                "color match",
                "film",
                "merge",
            ],
            inputs=[
                inputs.Generation.Input(
                    f"generation_{number}", optional=number > 1, tooltip="A film from a Ray node."
                )
                for number in range(1, _MOST + 1)
            ]
            + [
                inputs.colour_match("the first"),
                inputs.widget(
                    io.Int,
                    "dissolve",
                    default=0,
                    min=0,
                    max=_LONGEST_DISSOLVE,
                    optional=True,
                    tooltip=(
                        "Frames in which each clip fades into the next; 0 is a straight cut. The film becomes "
                        "shorter by them, less the frames that repeat anyway."
                    ),
                ),
            ],
        )

    @classmethod
    async def execute(
        cls, colour_match: Any = "off", dissolve: int = 0, **generations: tuple[str, ...]
    ) -> Any:
        """Join what is connected.

        A prompt that was saved before there were the last two inputs makes the film that it made then.
        """
        in_order = [generations.get(f"generation_{number}") for number in range(1, _MOST + 1)]
        ids = tuple(clip for film in in_order for clip in film or ())

        def make(studio: Any, clock: Any, report: Any) -> Any:
            from .cutting import Cut, Joined
            from .film import Film
            from .media import clips

            cut = Cut(match=colour_match, dissolve=dissolve)
            path = studio.cutting.film_path(ids, clock=clock, report=report, cut=cut)
            facts = clips.inspect(path)
            line = f"film of {facts.seconds:.0f} s · {facts.width}x{facts.height} · {len(ids)} clips"
            seams = studio.cutting.seam_notes(path, ids)
            return Film(path=path, generations=Joined(ids, cut), summary=line, notes=seams)

        return await host.film(cls, make)
