"""Marks for the nodes of a queued graph, by which a shot is known again in another run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

Prompt = Mapping[str, Mapping[str, Any]]
"""A queued graph as ComfyUI executes it: {node id: {class_type, inputs}}; a list of two as input is a link."""

_UNASKED: Final = ("_", "$$")
_SHOWN: Final = "-preview"
"""ComfyUI's page puts its own players, such as "video-preview", among the inputs of a node that has shown a clip."""


def linked(value: Any) -> bool:
    """Whether an input comes from another node."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[1], int)


def mark(prompt: Prompt, node_id: str) -> str:
    """A mark for a node with everything that leads to it: the same graph gives the same one, whatever its ids are."""
    known: dict[str, str] = {}

    def of(node_id: str, above: frozenset[str]) -> str:
        if node_id in known:
            return known[node_id]
        node = prompt.get(node_id)
        if node is None or node_id in above:
            return ""
        inputs = {
            name: [of(str(value[0]), above | {node_id}), value[1]] if linked(value) else value
            for name, value in sorted(node.get("inputs", {}).items())
            if not (name.startswith(_UNASKED) or name.endswith(_SHOWN))
        }
        told = json.dumps([node.get("class_type"), inputs], sort_keys=True, default=str)
        known[node_id] = hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:24]
        return known[node_id]

    return of(node_id, frozenset())


def numbered(own: str, number: int) -> str:
    """The mark of one of several clips of a node."""
    return own if number == 1 else f"{own}/{number}"
