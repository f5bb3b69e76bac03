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
_GENERATION: Final = 3
"""The output of our nodes that gives clips by their ids, however they are shown."""
_SHOWING: Final = frozenset({"colour_match", "dissolve"})
"""Inputs of our nodes that say how clips are shown: what is bought is the same whatever they say."""


def linked(value: Any) -> bool:
    """Whether an input comes from another node."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[1], int)


def behind(prompt: Prompt, link: Any) -> Mapping[str, Any]:
    """The node at the other end of *link*; an empty one where there is none."""
    return (prompt.get(str(link[0])) if linked(link) else None) or {}


def mark(prompt: Prompt, node_id: str) -> str:
    """A mark for what a node buys, with everything that leads to it.

    The same graph gives the same one, whatever its ids are and however its films are shown.
    """
    known: dict[tuple[str, bool], str] = {}

    def of(node_id: str, above: frozenset[str], *, shown: bool) -> str:
        if (node_id, shown) in known:
            return known[node_id, shown]
        node = prompt.get(node_id)
        if node is None or node_id in above:
            return ""
        ours = str(node.get("class_type")).startswith("Ray")
        inputs: dict[str, Any] = {}
        for name, value in sorted(node.get("inputs", {}).items()):
            unasked = name.startswith(_UNASKED) or name.endswith(_SHOWN)
            if unasked or (ours and not shown and name in _SHOWING):
                continue
            inputs[name] = value
            if linked(value):
                pictures = value[1] != _GENERATION
                inputs[name] = [of(str(value[0]), above | {node_id}, shown=pictures), value[1]]
        told = json.dumps([node.get("class_type"), inputs], sort_keys=True, default=str)
        known[node_id, shown] = hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:24]
        return known[node_id, shown]

    return of(node_id, frozenset(), shown=False)


def mark_with(prompt: Prompt, node_id: str, inputs: Mapping[str, Any]) -> str:
    """The mark of a node as if these were its inputs: of one shot of several, what is that shot's own."""
    return mark({**prompt, node_id: {**prompt[node_id], "inputs": inputs}}, node_id)


def numbered(own: str, number: int) -> str:
    """The mark of one of several clips of a node, which is marked as *own* itself."""
    return own if number == 1 else f"{own}/{number}"


def first(own: str, count: int) -> tuple[str, ...]:
    """The marks of that many clips of a node."""
    return tuple(numbered(own, number) for number in range(1, count + 1))
