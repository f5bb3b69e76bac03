"""One prompt run as ComfyUI runs it: one event loop, async nodes side by side, a cache across prompts.

Not played: lazy inputs, graph expansion, blocked outputs, nodes of the first generation (V1).
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from .node_api import ComfyNode, Hidden, HiddenHolder, NodeOutput
from .validation import Prompt, declared, is_link, nested

if TYPE_CHECKING:
    from .host import Host


class ExecutionContext(NamedTuple):
    """Which node is running: `comfy_execution.utils.get_executing_context()`."""

    prompt_id: str
    node_id: str
    list_index: int | None


_context: contextvars.ContextVar[ExecutionContext | None] = contextvars.ContextVar("executing", default=None)


def get_executing_context() -> ExecutionContext | None:
    return _context.get()


class InterruptProcessingException(BaseException):
    """Somebody pressed cancel; no `except Exception` catches it, as in ComfyUI 0.33."""


class Entry(NamedTuple):
    """What a node gave: for each output the list of its values, and what the interface shows."""

    outputs: list[list[Any]]
    ui: dict[str, list[Any]]


@dataclass
class Result:
    """What became of a prompt."""

    status: str = "success"
    """success, error or interrupted."""
    node_id: str | None = None
    """The node that failed or was interrupted."""
    message: str = ""
    """What the exception said, or what was wrong with the prompt."""
    exception: BaseException | None = None
    node_errors: dict[str, list[str]] = field(default_factory=dict)
    """What was wrong with which node before anything ran."""
    prompt: Prompt = field(default_factory=dict)
    """The prompt as it was executed: after the on-prompt handlers."""
    ui: dict[str, dict[str, list[Any]]] = field(default_factory=dict)
    """What the interface was given to show, by node; from the cache too."""
    outputs: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    """Values by node: the value itself, or a list where a node ran several times or gives lists."""
    executed: list[str] = field(default_factory=list)
    """Nodes in the order in which they finished; those from the cache are not among them."""
    cached: list[str] = field(default_factory=list)
    """Nodes that were in the cache at the start."""
    worker_dead: bool = False
    """A CancelledError leaked: ComfyUI would execute nothing any more until it is restarted."""


class Execution:
    """A valid prompt on its way through the worker thread; fills its result."""

    def __init__(
        self, host: Host, prompt_id: str, outputs: list[str], extra_data: dict[str, Any], result: Result
    ):
        self._host = host
        self._id = prompt_id
        self._outputs = outputs
        self._extra = extra_data
        self.result = result
        self._prompt = result.prompt
        self._keys: dict[str, Any] = {}
        self._done: dict[str, Entry] = {}
        self._parked: dict[str, list[Any]] = {}

    @property
    def item(self) -> tuple[Any, ...]:
        """As it stands in ComfyUI's queue: number, id, prompt, extra data, outputs to execute, what is secret."""
        return 0, self._id, self._prompt, self._extra, list(self._outputs), {}

    async def run(self) -> None:
        with torch.inference_mode():
            keys = {node_id: self._key(node_id) for node_id in self._prompt}
            cache = self._host.cache
            # What the present prompt does not use is dropped: A, B, A executes A twice.
            for key in set(cache) - (set(keys.values()) if self._host.cache_mode == "classic" else set()):
                del cache[key]
            self.result.cached = [node_id for node_id, key in keys.items() if key in cache]
            self._send("execution_start")
            self._send("execution_cached", nodes=self.result.cached)
            if await self._run_all(self._needed(), keys):
                for node_id in self.result.cached:
                    if self._node(node_id).SCHEMA.has_intermediate_output and node_id not in self._done:
                        self._show(node_id, cache[keys[node_id]].ui)
                self._send("execution_success")

    async def _run_all(self, pending: list[str], keys: dict[str, Any]) -> bool:
        while pending:
            ready = [node_id for node_id in pending if self._ready(node_id, pending)]
            if not ready:
                waiting = [t for tasks in self._parked.values() for t in tasks if not t.done()]
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                continue
            first = [i for i in ready if self._is_async(i) or self._node(i).SCHEMA.is_output_node]
            node_id = (first or ready)[0]
            try:
                entry = self._host.cache.get(keys[node_id])
                fresh = entry is None
                if entry is None:
                    entry = await self._step(node_id)
                    if entry is None:
                        continue
            except InterruptProcessingException as error:
                self._failed("interrupted", node_id, error)
                return False
            except Exception as error:  # noqa: BLE001 - a node may raise anything
                logging.getLogger().error("!!! Exception during processing !!! %s", error)  # noqa: TRY400
                logging.getLogger().error(traceback.format_exc())  # noqa: TRY400
                self._failed("error", node_id, error)
                return False
            pending.remove(node_id)
            self._done[node_id] = entry
            self._show(node_id, entry.ui)
            if fresh:
                self.result.executed.append(node_id)
                if self._host.cache_mode == "classic":
                    self._host.cache[keys[node_id]] = entry
            self.result.outputs[node_id] = tuple(
                values[0] if len(values) == 1 and not output.is_output_list else values
                for values, output in zip(entry.outputs, self._node(node_id).SCHEMA.outputs, strict=False)
            )
        return True

    def _node(self, node_id: str) -> type[ComfyNode]:
        return self._host.nodes[self._prompt[node_id]["class_type"]]

    def _is_async(self, node_id: str) -> bool:
        return inspect.iscoroutinefunction(self._node(node_id).execute)

    def _links(self, node_id: str) -> list[str]:
        return [value[0] for value in self._prompt[node_id]["inputs"].values() if is_link(value)]

    def _needed(self) -> list[str]:
        """The outputs and what they need, down to what the cache holds."""
        needed: list[str] = []
        rest = list(self._outputs)
        while rest:
            node_id = rest.pop()
            if node_id not in needed:
                needed.append(node_id)
                rest += [below for below in self._links(node_id) if below not in self.result.cached]
        return needed

    def _ready(self, node_id: str, pending: list[str]) -> bool:
        if node_id in self._parked:
            return all(not isinstance(one, asyncio.Task) or one.done() for one in self._parked[node_id])
        return not any(below in pending for below in self._links(node_id))

    async def _step(self, node_id: str) -> Entry | None:
        """Start a node, or take up one whose tasks are done; None while it is parked."""
        if node_id in self._parked:
            answers = self._parked.pop(node_id)
        else:
            self._send("executing", node=node_id)
            answers = await self._start(node_id)
            if any(isinstance(one, asyncio.Task) and not one.done() for one in answers):
                self._parked[node_id] = answers
                return None
        answers = [one.result() if isinstance(one, asyncio.Task) else one for one in answers]
        return _merged([_normal(one) for one in answers], self._node(node_id))

    async def _start(self, node_id: str) -> list[Any]:
        node = self._node(node_id)
        given = self._prompt[node_id]["inputs"]
        lists = self._arguments(node_id, self._linked_values)
        count = 1 if node.SCHEMA.is_input_list or not lists else max(map(len, lists.values()))
        answers: list[Any] = []
        for index in range(count):
            values = (
                lists
                if node.SCHEMA.is_input_list
                else {name: each[min(index, len(each) - 1)] for name, each in lists.items()}
            )
            self._host.throw_if_interrupted()
            clone = node.locked(self._hidden(node_id, running=True))
            values = nested(node, given, values)
            token = _context.set(ExecutionContext(self._id, node_id, index))
            try:
                if not self._is_async(node_id):
                    answers.append(clone.execute(**values))
                    continue
                task = asyncio.create_task(clone.execute(**values))
            finally:
                _context.reset(token)
            await asyncio.sleep(0)
            answers.append(task.result() if task.done() else task)
        return answers

    def _linked_values(self, link: list[Any]) -> list[Any]:
        entry = self._done.get(link[0]) or self._host.cache.get(self._key(link[0]))
        return entry.outputs[link[1]] if entry and link[1] < len(entry.outputs) else [None]

    def _arguments(self, node_id: str, linked: Callable[[list[Any]], list[Any]]) -> dict[str, list[Any]]:
        """What a node is called with, each a list; constants that it does not declare are left out."""
        node, given = self._node(node_id), self._prompt[node_id]["inputs"]
        known = declared(node, given)
        return {
            name: linked(value) if is_link(value) else [value]
            for name, value in given.items()
            if is_link(value) or name in known or node.SCHEMA.accept_all_inputs
        }

    def _hidden(self, node_id: str, *, running: bool) -> HiddenHolder:
        asked = self._node(node_id).SCHEMA.hidden
        told = {
            Hidden.unique_id: node_id,
            Hidden.prompt: self._prompt if running else {},
            Hidden.extra_pnginfo: self._extra.get("extra_pnginfo") if running else None,
        }
        return HiddenHolder(**{one.name: told.get(one) for one in asked})

    def _key(self, node_id: str) -> Any:
        """What a cached value is found by: the node, its constants (undeclared ones too) and its ancestors."""
        if node_id not in self._keys:
            node = self._prompt[node_id]
            inputs = [
                (name, (self._key(value[0]), value[1]) if is_link(value) else _frozen(value))
                for name, value in sorted(node["inputs"].items())
            ]
            own = node_id if self._node(node_id).SCHEMA.not_idempotent else None
            self._keys[node_id] = (node["class_type"], self._fingerprint(node_id), own, tuple(inputs))
        return self._keys[node_id]

    def _fingerprint(self, node_id: str) -> Any:
        """What the node says its constants stand for. An exception means: never the same again."""
        node = self._node(node_id)
        if not node.overrides("fingerprint_inputs"):
            return None
        values = {name: one[0] for name, one in self._arguments(node_id, lambda link: [None]).items()}
        clone = node.locked(self._hidden(node_id, running=False))
        try:
            return _frozen(clone.fingerprint_inputs(**nested(node, self._prompt[node_id]["inputs"], values)))
        except Exception as error:  # noqa: BLE001 - a node may raise anything
            logging.getLogger().warning("WARNING: %s", error)
            return object()

    def _show(self, node_id: str, ui: dict[str, list[Any]]) -> None:
        if ui:
            self.result.ui[node_id] = ui
            self._send("executed", node=node_id, output=ui)

    def _failed(self, status: str, node_id: str, error: BaseException) -> None:
        self.result.status, self.result.node_id = status, node_id
        self.result.exception, self.result.message = error, str(error)
        self._send(f"execution_{status}", node=node_id, exception_message=str(error))

    def _send(self, event: str, **data: Any) -> None:
        self._host.server.send_sync(event, {"prompt_id": self._id, **data}, self._host.server.client_id)


def _normal(answer: Any) -> NodeOutput:
    if answer is None:
        return NodeOutput()
    if isinstance(answer, tuple):
        return NodeOutput(*answer)
    if isinstance(answer, dict):
        return NodeOutput(*answer.get("result", ()), ui=answer.get("ui"))
    if not isinstance(answer, NodeOutput):
        raise TypeError(f"Invalid return type from node: {type(answer)}")
    if answer.expand is not None or answer.block_execution is not None:
        raise NotImplementedError("The stand-in host expands no graphs and blocks no outputs.")
    return answer


def _merged(answers: list[NodeOutput], node: type[ComfyNode]) -> Entry:
    shown = [
        one.ui if isinstance(one.ui, dict) else one.ui.as_dict() for one in answers if one.ui is not None
    ]
    ui = {name: [value for one in shown for value in one[name]] for name in shown[0]} if shown else {}
    results = [one.result for one in answers if one.result is not None]
    outputs = []
    for index, output in enumerate(node.SCHEMA.outputs):
        values = [result[index] for result in results if index < len(result)]
        if values:
            outputs.append([one for value in values for one in value] if output.is_output_list else values)
    return Entry(outputs, ui)


def _frozen(value: Any) -> Any:
    """A constant as part of a key. NaN and what cannot be compared are never equal to anything."""
    if isinstance(value, dict):
        return tuple(sorted((name, _frozen(one)) for name, one in value.items()))
    if isinstance(value, (list, tuple)):
        return tuple(_frozen(one) for one in value)
    return value if isinstance(value, (int, float, str, bytes, type(None))) and value == value else object()
