"""Luma Ray for ComfyUI. Nothing is imported until ComfyUI asks for the nodes."""

from __future__ import annotations

from typing import Any

WEB_DIRECTORY = "./web"

__all__ = ["WEB_DIRECTORY", "comfy_entrypoint"]


async def comfy_entrypoint() -> Any:
    """The nodes, for ComfyUI."""
    from .nodes.extension import entrypoint

    return entrypoint()
