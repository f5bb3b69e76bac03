"""A graph as the page sends it: the one that ComfyUI would run, and the node that is asked about."""

from __future__ import annotations

from typing import Any, Final

from ..generation.errors import InvalidInput
from ..marks import Prompt
from .door import text

MOST_BYTES: Final = 4_000_000
"""Of a graph: the page sends what leads to one node."""


def asked(body: dict[str, Any]) -> tuple[Prompt, str]:
    """The graph under "prompt", and the id under "node". Raises InvalidInput for what is none."""
    prompt, node_id = body.get("prompt"), text(body, "node")
    if not isinstance(prompt, dict) or not all(
        isinstance(node, dict) and isinstance(node.get("inputs", {}), dict) for node in prompt.values()
    ):
        raise InvalidInput("A graph is expected as ComfyUI runs it.")
    if node_id not in prompt:
        raise InvalidInput("The graph has no such node.")
    return prompt, node_id
