"""One press of Queue as ComfyUI runs it: which it is, which nodes it runs, and whether all of it is affordable."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Final

from .generation.errors import LimitReached
from .generation.records import Occasion
from .marks import linked, mark

if TYPE_CHECKING:
    from .studio import Studio

_MOST: Final = 64
_planning = threading.Lock()
_planned: dict[str, str | None] = {}
"""By run: why the whole graph was refused, or None. The last few."""


def occasion(node: Any) -> Occasion:
    """Which press of Queue, of which workflow, made *node* run."""
    workflow = (node.hidden.extra_pnginfo or {}).get("workflow")
    return Occasion(
        run=_run(),
        workflow=str(workflow.get("id") or "")[:64] if isinstance(workflow, dict) else "",
        shot=mark(node.hidden.prompt or {}, node.hidden.unique_id),
    )


def check(studio: Studio, run: str, prompt: dict[str, Any]) -> None:
    """Refuse the whole graph where it would cost more than its owner allows, while nothing of it is bought.

    Asked by the first node of a run; those that start beside it wait for the answer. Raises LimitReached.
    """
    from . import plan

    with _planning:
        if run in _planned:
            refusal = _planned[run]
        else:
            refusal = None
            try:
                plan.check(studio.lifecycle, run, plan.shots(prompt, executed(prompt, _wanted(run))))
            except LimitReached as error:
                refusal = str(error)
            if run:
                _planned[run] = refusal
            while len(_planned) > _MOST:
                del _planned[next(iter(_planned))]
    if refusal is not None:
        raise LimitReached(refusal)


def executed(prompt: Mapping[str, Any], targets: Collection[Any] | None = None) -> set[str] | None:
    """The nodes that ComfyUI will run: those that lead to an output. None where that cannot be told.

    With *targets* (a part of the graph is queued) those that lead to an output among these.
    """
    try:
        known = importlib.import_module("nodes").NODE_CLASS_MAPPINGS
    except (ImportError, AttributeError):
        return None
    ends = [
        node_id
        for node_id, node in prompt.items()
        if (targets is None or node_id in targets) and _may_end(known, node.get("class_type"))
    ]
    if not ends:
        return None
    found: set[str] = set()
    while ends:
        node_id = ends.pop()
        if node_id not in found and node_id in prompt:
            found.add(node_id)
            inputs = prompt[node_id].get("inputs", {}).values()
            ends += [str(value[0]) for value in inputs if linked(value)]
    return found


def _wanted(run: str) -> list[str] | None:
    """The outputs that this run is for: a part of the graph may have been queued. None where nobody tells."""
    try:
        queue = importlib.import_module("server").PromptServer.instance.prompt_queue
        running, _ = getattr(queue, "get_current_queue_volatile", queue.get_current_queue)()
        found = next((item[4] for item in running if item[1] == run), None)
    except (ImportError, AttributeError, IndexError, TypeError, ValueError):
        return None  # all outputs, as where nobody queues a part
    return [str(node_id) for node_id in found] if isinstance(found, (list, tuple, set)) else None


def _may_end(known: Mapping[str, Any], kind: Any) -> bool:
    """Whether a node of this type is an output, or may become one: ComfyUI replaces types that it does not know."""
    found = known.get(str(kind))
    return found is None or getattr(found, "OUTPUT_NODE", False) is True


def _run() -> str:
    try:
        context = importlib.import_module("comfy_execution.utils").get_executing_context()
    except (ImportError, AttributeError):  # an older ComfyUI: every clip is a run of its own
        return ""
    return str(context.prompt_id) if context is not None else ""
