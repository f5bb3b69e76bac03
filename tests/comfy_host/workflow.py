"""A workflow as the interface saves it, turned into a prompt as the interface would queue it.

Works from the definitions of any ComfyUI's /object_info. As in the interface (1.49): widget values are read by
position, muted and bypassed nodes and reroutes are resolved, links to nothing are dropped.
Not played: subgraphs, {a|b} prompts, %date% in file names, widgets drawn by other packs' JavaScript.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

_NOTES = ("Note", "MarkdownNote")
_VIRTUAL = ("PrimitiveNode", "Reroute", *_NOTES)
_MUTED, _BYPASSED = 2, 4
_DYNAMIC = "COMFY_DYNAMICCOMBO_V3"
_EMPTY = {"INT": 0, "FLOAT": 0.0, "STRING": "", "BOOLEAN": False}
_WIDGETS = (*_EMPTY, "COMBO", _DYNAMIC)
_UPLOADS = ("image_upload", "video_upload", "animated_image_upload")


class _Constant(NamedTuple):
    """What a PrimitiveNode puts into the widgets that are linked to it."""

    value: Any


def to_prompt(workflow: dict[str, Any], object_info: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The prompt of a workflow. Raises ValueError for a node that *object_info* does not know."""
    nodes = {node["id"]: node for node in workflow["nodes"]}
    links = {link["id"]: link for link in map(_link, workflow["links"])}
    prompt: dict[str, dict[str, Any]] = {}
    for node in nodes.values():
        if node.get("mode") in (_MUTED, _BYPASSED) or node["type"] in _VIRTUAL:
            continue
        info = object_info.get(node["type"])
        if info is None:
            raise ValueError(f"Node {node['id']} is a {node['type']}, which this ComfyUI does not have.")
        inputs = _widget_values(info["input"], node.get("widgets_values") or [])
        for socket in node.get("inputs") or []:
            source = _source(socket.get("link"), socket["type"], nodes, links)
            if source is not None:
                inputs[socket["name"]] = source.value if isinstance(source, _Constant) else source
        title = node.get("title") or info.get("display_name") or node["type"]
        prompt[str(node["id"])] = {"inputs": inputs, "class_type": node["type"], "_meta": {"title": title}}
    return prompt


def _link(link: Any) -> dict[str, Any]:
    if isinstance(link, dict):
        return link
    return dict(
        zip(("id", "origin_id", "origin_slot", "target_id", "target_slot", "type"), link, strict=False)
    )


def _source(
    link_id: int | None, wanted: str, nodes: dict[Any, Any], links: dict[int, Any]
) -> list[Any] | _Constant | None:
    """Where a link really comes from: past reroutes and bypassed nodes."""
    link = links.get(link_id)
    node = nodes.get(link["origin_id"]) if link else None
    if node is None or node.get("mode") == _MUTED or node["type"] in _NOTES:
        return None
    inputs = node.get("inputs") or []
    if node.get("mode") == _BYPASSED:
        through = _bypass(inputs, node["outputs"][link["origin_slot"]]["type"], link["origin_slot"], wanted)
        return through and _source(through.get("link"), wanted, nodes, links)
    if node["type"] == "Reroute":
        return _source(inputs[0].get("link"), wanted, nodes, links)
    if node["type"] == "PrimitiveNode":
        return _Constant(node["widgets_values"][0])
    return [str(node["id"]), link["origin_slot"]]


def _bypass(inputs: list[Any], given: str, slot: int, wanted: str) -> dict[str, Any] | None:
    """The input that stands in for an output of a bypassed node: the same slot first, else the same type."""
    if wanted in ("*", ""):
        return (inputs[slot : slot + 1] or inputs[:1] or [None])[0]
    fitting = [one for one in inputs if _connects(one["type"], given) and _connects(one["type"], wanted)]
    if inputs[slot : slot + 1] and inputs[slot] in fitting:
        return inputs[slot]
    exact = [one for one in inputs if one["type"] == wanted]
    return (exact or fitting or [None])[0]


def _connects(one: str, other: str) -> bool:
    names = [set(str(types).lower().split(",")) for types in (one, other)]
    return bool(names[0] & names[1]) or any({"*", ""} & each for each in names)


def _widget_values(declared: dict[str, Any], values: list[Any]) -> dict[str, Any]:
    """The value of each widget by name: by position in *values*, beyond their end by default."""
    rest = iter(values)
    found: dict[str, Any] = {}
    _read(declared, "", rest, found)
    # A list that stood for itself would be taken for a link.
    return {name: {"__value__": value} if isinstance(value, list) else value for name, value in found.items()}


def _read(declared: dict[str, Any], prefix: str, rest: Iterator[Any], found: dict[str, Any]) -> None:
    for category in ("required", "optional"):
        inputs = declared.get(category, {})
        for name, spec in inputs.items():
            _read_one(prefix + name, spec[0], spec[1] if len(spec) > 1 else {}, rest, found)
        if category == "required" and any(_uploads(spec) for spec in inputs.values()):
            next(rest, None)  # the interface puts its upload button after the required widgets


def _uploads(spec: list[Any]) -> bool:
    return len(spec) > 1 and any(spec[1].get(kind) for kind in _UPLOADS)


def _read_one(
    name: str, kind: str | list[Any], options: dict[str, Any], rest: Iterator[Any], found: dict[str, Any]
) -> None:
    choices = kind if isinstance(kind, list) else options.get("options")
    if options.get("forceInput") or not (isinstance(kind, list) or kind in _WIDGETS):
        return
    if kind == _DYNAMIC:
        value = found[name] = next(rest, choices[0]["key"])
        chosen = next((choice["inputs"] for choice in choices if choice["key"] == value), {})
        _read(chosen, f"{name}.", rest, found)
        return
    default = options.get("default", choices[0] if choices else _EMPTY.get(kind))
    found[name] = next(rest, default)
    seed = kind == "INT" and name in ("seed", "noise_seed")
    if options.get("control_after_generate", seed):
        next(rest, None)  # fixed, increment, decrement or randomize
        if choices:
            next(rest, None)  # the filter of a list that changes by itself
