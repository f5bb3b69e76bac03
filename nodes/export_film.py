"""Ray Export Film: a film with its clips and cut lists, for an editor."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from . import host, inputs

_FOLDER = "luma-ray-films"


class RayExportFilm(io.ComfyNode):
    """A folder with the film, its clips, an EDL and a Final Cut Pro XML."""

    @classmethod
    def define_schema(cls) -> Any:
        """The node as ComfyUI shows it."""
        return inputs.schema(
            node_id="RayExportFilm",
            display_name="Ray Export Film",
            category=inputs.CATEGORY,
            description=(
                "Writes a film for editors into ComfyUI's output folder: the film, every clip whole, an EDL and a "
                "Final Cut Pro XML with the cuts, and a bundle to share without keys, ids or places of this machine."
            ),
            search_aliases=[
                "export",
                "edl",
                "fcpxml",
                "premiere",
                "resolve",
                "davinci",
                "final cut",
                "xml",
                "timeline",
                "share",
                "save",
                "nle",
            ],
            inputs=[
                inputs.Generation.Input("generation", tooltip="The film, from any Ray node."),
                inputs.widget(io.String, "name", default="film", tooltip="Of the folder and its files."),
                inputs.widget(
                    io.Boolean,
                    "bundle",
                    default=True,
                    tooltip="Also a zip to share: this workflow, stills and a small preview.",
                ),
            ],
            outputs=[io.String.Output("folder", tooltip="The folder's name, below ComfyUI's output folder.")],
            hidden=[io.Hidden.unique_id, io.Hidden.prompt, io.Hidden.extra_pnginfo],
            is_output_node=True,
            not_idempotent=True,
        )

    @classmethod
    def validate_inputs(cls, name: Any = None) -> bool | str:
        """Whether the name may be queued."""
        return inputs.secret_in(name=name)

    @classmethod
    async def execute(cls, generation: tuple[str, ...], name: str, *, bundle: bool) -> Any:
        """Write the folder."""

        def write(clock: Any, report: Any) -> Any:
            from .handoff.export import export

            studio = host.studio()
            return export(
                studio.cutting,
                generation,
                host.output_folder() / _FOLDER,
                name,
                workflow=(cls.hidden.extra_pnginfo or {}).get("workflow"),
                credentials=studio.credentials if bundle else None,
                clock=clock,
                report=report,
            )

        folder = await host.run(cls, write)
        where = f"{_FOLDER}/{folder.name}"
        host.say(cls.hidden.unique_id, f"Exported to {where} in ComfyUI's output folder")
        return io.NodeOutput(where)
