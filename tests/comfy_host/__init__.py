"""A stand-in for the parts of ComfyUI 0.33 that a V3 node pack touches.

    with comfy_host.install(tmp_path) as host:
        nodes = comfy_host.load_pack(REPOSITORY)
        result = host.queue({"1": {"class_type": "RayTextToVideo", "inputs": {...}}, ...})

Small, and honest about what it plays: `test_comfy_host.py` holds it against a real ComfyUI.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .execution import Result
from .host import Event, Host
from .node_api import ComfyNode
from .workflow import to_prompt

__all__ = ["Event", "Host", "Result", "default_node", "install", "load_pack", "to_prompt"]


_installed: list[Host] = []


def install(base_dir: Path, cache: str = "classic") -> Host:
    """Put the modules of ComfyUI into `sys.modules` until the host is closed; its folders below *base_dir*."""
    _installed[:] = [Host(Path(base_dir), cache)]
    return _installed[0]


def load_pack(root: Path, name: str = "luma-ray-under-test") -> dict[str, type[ComfyNode]]:
    """Load a pack into the host that was installed last; its nodes by id."""
    return _installed[0].load_pack(Path(root), name)


def default_node(info: Mapping[str, Any], class_type: str, **inputs: Any) -> dict[str, Any]:
    """A node with every widget at its default but those given; *info* is what the host says of its nodes."""
    values = {}
    for group in ("required", "optional"):
        for name, (kind, *options) in info[class_type]["input"].get(group, {}).items():
            if options and "default" in options[0]:
                values[name] = options[0]["default"]
            elif isinstance(kind, list):
                values[name] = kind[0]
    return {"class_type": class_type, "inputs": {**values, **inputs}}
