"""What the pack adds to the start of ComfyUI, and what its command line takes to be there."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .pack import ROOT
from .plan import Bench, Part, Skip, Trial, in_comfyui, times
from .trial import Unavailable

STAND_IN, COMFYUI = "the pack, in the tests' ComfyUI", "the pack, in ComfyUI itself"
COMFYUI_HAS = ("torch", "numpy", "PIL.Image", "av", "requests", "aiohttp.web", "sqlalchemy", "yaml", "psutil")
"""What is imported in its process before any pack is."""


def stand_in() -> Callable[[], object]:
    """In the tests' ComfyUI, with all imported that the real one imports."""
    import comfy_host

    for name in COMFYUI_HAS:
        if importlib.util.find_spec(name.partition(".")[0]):
            importlib.import_module(name)
    comfy_host.install(Path(tempfile.mkdtemp(prefix="luma-ray-bench-")))
    return lambda: comfy_host.load_pack(ROOT)


def comfyui() -> Callable[[], object]:
    """In a real one."""
    folder = os.environ["COMFYUI_DIR"]
    if not Path(folder, "comfy_api").is_dir():
        raise Unavailable(f"there is no ComfyUI in {folder}")
    os.chdir(folder)
    sys.path.insert(0, folder)
    sys.argv[1:] = ["--cpu", "--base-directory", tempfile.mkdtemp(prefix="luma-ray-bench-")]
    for name in ("comfy.options", "nodes", "server", "execution", "comfy_api.latest"):
        module = importlib.import_module(name)
        if name == "comfy.options":
            module.enable_args_parsing()
    loop = asyncio.new_event_loop()
    sys.modules["server"].PromptServer(loop)

    async def loaded() -> Any:
        # As ComfyUI's own loader does it.
        path = str(ROOT)
        name = path.replace(".", "_x_")
        spec = importlib.util.spec_from_file_location(name, f"{path}/__init__.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        extension = await module.comfy_entrypoint()
        await extension.on_load()
        return await extension.get_node_list()

    return lambda: loop.run_until_complete(loaded())


def command_line() -> Callable[[], object]:
    """In a Python that has nothing imported."""
    return lambda: importlib.import_module("luma_ray.nodes.cli")


def plan(bench: Bench) -> Iterator[Trial | Skip]:
    """In the three."""
    yield Trial(way="bench.starting:stand_in", name=STAND_IN)
    yield in_comfyui(way="bench.starting:comfyui", name=COMFYUI)
    yield Trial(way="bench.starting:command_line", name="the command line, nothing imported before")


PART = Part(
    name="start",
    title="Import",
    about=(
        "From the first line of the pack to the list of its nodes, in a process that has imported what ComfyUI "
        "imports for itself. Everything heavy is imported when it is first used."
    ),
    columns=times(unit="ms", divided=1e-3, digits=0),
    plan=plan,
    rounds=7,
)
