"""What a graph of four clips takes in memory, by what of them is linked."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

from . import footage
from .pack import ROOT
from .plan import Bench, Column, Part, Trial, times
from .rows import fill
from .serving import served

CLIPS = 4
NONE, ONE, TWO = (
    "bought, `video` linked",
    "`frames` of one clip linked afterwards",
    "`frames` of two clips linked afterwards",
)


def graph(
    size: list[Any], clip: str, frames: int, *, bought: bool = False
) -> tuple[Callable[[], Any], Callable[[Any], dict[str, float]]]:
    """A run of four shots, of which so many give *frames*; with *bought* the clips are there already."""
    import comfy_host
    from comfy_host import node_api

    kind = footage.Size(*size)
    around = ExitStack()
    folder = Path(around.enter_context(tempfile.TemporaryDirectory(prefix="luma-ray-bench-")))
    around.enter_context(served(clip, 0.1))
    host = around.enter_context(comfy_host.install(folder))
    comfy_host.load_pack(ROOT)

    class Look(node_api.ComfyNode):
        """Takes pictures, and keeps nothing."""

        @classmethod
        def define_schema(cls) -> Any:
            return node_api.Schema(
                node_id="Look",
                category="image",
                inputs=[node_api.Image.Input("images")],
                outputs=[],
                is_output_node=True,
            )

        @classmethod
        def execute(cls, images: Any) -> Any:
            return node_api.NodeOutput(ui={"text": [str(tuple(images.shape))]})

    host.add_nodes([Look])
    info = host.object_info()["RayTextToVideo"]["input"]
    widgets = {
        name: options[0]["default"]
        for group in ("required", "optional")
        for name, (_, *options) in info.get(group, {}).items()
        if options and "default" in options[0]
    }
    widgets |= {"provider": "fal", "resolution": f"{kind.height}p", "duration": f"{kind.seconds} s"}

    def queue(linked: int) -> Any:
        prompt: dict[str, Any] = {}
        for number in range(CLIPS):
            shot = {**widgets, "prompt": f"shot {number}"}
            save = {"video": [f"{number}", 1], "filename_prefix": "film", "format": "auto"}
            prompt[f"{number}"] = {"class_type": "RayTextToVideo", "inputs": shot}
            prompt[f"{number} saved"] = {"class_type": "SaveVideo", "inputs": save}
            if number < linked:
                prompt[f"{number} seen"] = {"class_type": "Look", "inputs": {"images": [f"{number}", 0]}}
        result = host.queue(prompt)
        assert result.status == "success", result.message
        return result

    _allow(folder)
    if bought:
        queue(0)

    def after(result: Any) -> dict[str, float]:
        decoded = [values[0] for values in result.outputs.values() if values and hasattr(values[0], "nbytes")]
        assert len(decoded) == frames
        around.close()
        return {"output": float(sum(each.nbytes for each in decoded))} if frames else {}

    return lambda: queue(frames), after


def _allow(folder: Path) -> None:
    """No limit on spending is in the way, and it is known how long such jobs take."""
    from luma_ray.nodes.generation.journal import Journal
    from luma_ray.nodes.generation.spending import SCOPES, LimitsFile

    private = folder / "user" / "__luma_ray"
    private.mkdir(parents=True, exist_ok=True)
    LimitsFile(private).change({scope: Decimal(10**6) for scope in SCOPES})
    fill(Journal.at(private), 20, provider="fal", ran_seconds=0.2)


def plan(bench: Bench) -> Iterator[Trial]:
    """Bought with nothing but `video` linked; then with two clips as frames."""
    size = footage.TINY if bench.tiny else footage.HD if bench.quick else footage.FULL_HD
    asked = footage.HD if bench.tiny else size
    given = {"size": asked, "clip": str(footage.clip(bench.folder, size))}
    yield Trial(way="bench.graphs:graph", name=NONE, group=group(asked), options={**given, "frames": 0})
    for frames, name in ((1, ONE), (2, TWO)):
        yield Trial(
            way="bench.graphs:graph",
            name=name,
            group=group(asked),
            options={**given, "frames": frames, "bought": True},
            needs=1.1 * frames * size.output,
        )


def group(size: footage.Size) -> str:
    """What the table is called."""
    return f"four clips, {size.name}"


PART = Part(
    name="memory",
    title="Memory of a graph",
    about=(
        "Four shots in the tests' ComfyUI, which keeps what nodes give as the real one does. *frames, GB*: the bytes "
        "of the frames that came out; *memory*: the peak, in times of these. A clip whose `frames` are not linked is "
        "not decoded; one that is linked later is not bought again."
    ),
    columns=(
        *times("memory", "GB", divided=1e9),
        Column("frames, GB", "output", divided=1e9),
        Column("memory", "memory", over="output"),
        Column("seconds", "wall", digits=1),
    ),
    plan=plan,
    rounds=2,
)
