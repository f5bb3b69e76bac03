"""A stand-in for the parts of ComfyUI 0.33 that a V3 node pack touches.

    with comfy_host.install(tmp_path) as host:
        nodes = comfy_host.load_pack(REPOSITORY)
        result = host.queue({"1": {"class_type": "RayTextToVideo", "inputs": {...}}, ...})

Small, and honest about what it plays: `test_comfy_host.py` holds it against a real ComfyUI.
"""

from __future__ import annotations

from pathlib import Path

from .execution import Result
from .host import Event, Host
from .node_api import ComfyNode
from .workflow import to_prompt

__all__ = ["Event", "Host", "Result", "install", "load_pack", "to_prompt"]


_installed: list[Host] = []


def install(base_dir: Path, cache: str = "classic") -> Host:
    """Put the modules of ComfyUI into `sys.modules` until the host is closed; its folders below *base_dir*."""
    _installed[:] = [Host(Path(base_dir), cache)]
    return _installed[0]


def load_pack(root: Path, name: str = "luma-ray-under-test") -> dict[str, type[ComfyNode]]:
    """Load a pack into the host that was installed last; its nodes by id."""
    return _installed[0].load_pack(Path(root), name)
