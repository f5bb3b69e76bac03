"""Luma Ray for ComfyUI. Nothing is imported until ComfyUI asks for the nodes."""

from __future__ import annotations

import logging
from typing import Any

WEB_DIRECTORY = "./web"

__all__ = ["WEB_DIRECTORY", "comfy_entrypoint"]


async def comfy_entrypoint() -> Any:
    """The nodes, for ComfyUI."""
    try:
        from .nodes.extension import LumaRay
    except BaseException:
        # ComfyUI logs one line of whatever goes wrong here; the person who reports it needs all of it.
        logging.getLogger(__name__).exception("Luma Ray could not be loaded")
        raise
    return LumaRay()
