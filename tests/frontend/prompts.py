"""Prompts on their way: run in the stand-in host, or played by a test, and told to the page as ComfyUI tells them."""

from __future__ import annotations

import struct
import threading
import time
import traceback
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from comfy_host import Event, Host, Result

Tell = Callable[[str, Any], None]
TEXT = 3
"""The kind of binary message that words on a node are."""


@dataclass
class Job:
    """One prompt that was queued."""

    id: str
    prompt: dict[str, Any]
    body: dict[str, Any]
    """All that the page sent."""
    number: int
    future: Future[Result] | None = None
    """None where a test plays it."""
    outputs: dict[str, Any] = field(default_factory=dict)
    messages: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    states: dict[str, dict[str, Any]] = field(default_factory=dict)
    status: str = "pending"
    """pending, in_progress, completed, failed, cancelled."""
    created: float = field(default_factory=time.time)

    @property
    def open(self) -> bool:
        return self.status in ("pending", "in_progress")


class Prompts:
    """The queue; *tell* sends an event to every page that is open."""

    def __init__(self, host: Host, tell: Tell) -> None:
        self.jobs: dict[str, Job] = {}
        self.played = False
        """Whether prompts wait for a test to play them, instead of running."""
        self._host, self._tell = host, tell
        self._current = ""
        self._lock = threading.Lock()
        host.server.listeners.append(self._heard)

    @property
    def open(self) -> list[Job]:
        return [job for job in list(self.jobs.values()) if job.open]

    def post(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """POST /prompt: the status and the answer."""
        job = Job(body.get("prompt_id") or str(uuid.uuid4()), body["prompt"], body, len(self.jobs) + 1)
        others = {"partial_execution_targets": body.get("partial_execution_targets"), "prompt_id": job.id}
        with self._lock:  # no event of it comes before it is in the list
            if not self.played:
                job.future = self._host.start(
                    body["prompt"], body.get("client_id"), body.get("extra_data"), **others
                )
                if job.future.done() and job.future.result().node_errors:
                    return 400, _refusal(job.prompt, job.future.result().node_errors)
            self.jobs[job.id] = job
        if job.future is not None:
            job.future.add_done_callback(lambda done: self._ended(job, done))
        self.tell_status()
        return 200, {"prompt_id": job.id, "number": job.number, "node_errors": {}}

    def interrupt(self, prompt_id: str | None = None) -> None:
        """POST /interrupt."""
        if prompt_id in (None, self._current):
            self._host.interrupt()

    def drop(self, ids: list[str] | None) -> None:
        """Take prompts that have not begun out of the queue; None for all."""
        for job in self.open:
            if (ids is None or job.id in ids) and job.future is not None and job.future.cancel():
                job.status = "cancelled"
        self.tell_status()

    def tell_status(self) -> None:
        self._tell("status", {"status": self.status()})

    def status(self) -> dict[str, Any]:
        return {"exec_info": {"queue_remaining": len(self.open)}}

    def say(self, node: str, words: str) -> None:
        """Words on a node."""
        name = str(node).encode()
        self._tell("", struct.pack(">II", TEXT, len(name)) + name + words.encode())

    def tell(self, job: Job, event: str, **about: Any) -> None:
        """Tell the page an event of *job*."""
        told = {**about, "prompt_id": job.id}
        if event.startswith("execution_"):
            told["timestamp"] = int(time.time() * 1000)
        job.messages.append((event, told))
        self._tell(event, told)

    def progress(
        self, job: Job, node: str, value: float = 0, most: float = 1, state: str = "running"
    ) -> None:
        """How far a node of *job* is: running or finished."""
        names = dict.fromkeys(("node_id", "display_node_id", "real_node_id"), node)
        told = {"value": value, "max": most, "state": state, "prompt_id": job.id, "parent_node_id": None}
        job.states[node] = {**told, **names}
        self._tell("progress_state", {"prompt_id": job.id, "nodes": dict(job.states)})

    def end(self, job: Job, status: str) -> None:
        """*job* is over; *status* is completed, failed or cancelled."""
        job.status = status
        self._tell("executing", {"node": None, "prompt_id": job.id})
        self.tell_status()

    # -- what the stand-in host tells ---------------------------------------------------------------------------

    def _heard(self, event: Event) -> None:
        if event.name == "progress_text":
            self.say(event.node_id or "", event.data)
            return
        known = isinstance(event.data, dict) and event.data.get("prompt_id", self._current)
        if event.name not in ("progress", "executing", "executed") and not event.name.startswith(
            "execution_"
        ):
            self._tell(event.name, event.data)
            return
        with self._lock:
            job = self.jobs[str(known)]
        self._finish_done(job)
        about = {name: value for name, value in event.data.items() if name != "prompt_id"}
        match event.name:
            case "execution_start":
                self._current, job.status = job.id, "in_progress"
                self.tell(job, event.name)
            case "executing":
                self.progress(job, about["node"])
                self.tell(job, event.name, node=about["node"], display_node=about["node"])
            case "progress":
                self.progress(job, about["node"], about["value"], about["max"])
                self.tell(job, event.name, **about)
            case "executed":
                job.outputs[about["node"]] = about["output"]
                self.tell(job, event.name, **about, display_node=about["node"])
            case "execution_error" | "execution_interrupted":
                pass  # told when it is over: only then its exception is known
            case _:
                self.tell(job, event.name, **about)

    def _finish_done(self, job: Job) -> None:
        result = self._host.running
        for node in list(result.executed) if result is not None else []:
            if job.states.get(node, {}).get("state") == "running":
                self.progress(job, node, 1, 1, "finished")

    def _ended(self, job: Job, done: Future[Result]) -> None:
        if done.cancelled():
            return
        result = done.result()
        self._finish_done(job)
        if result.status != "success":
            node = result.node_id or ""
            about = {
                "node_id": node,
                "node_type": result.prompt.get(node, {}).get("class_type", ""),
                "executed": list(result.executed),
            }
            if result.status == "error":
                error = result.exception
                kind = type(error)
                about["exception_message"] = f"{result.message}\n"  # ComfyUI ends it with one, too
                about["exception_type"] = (
                    kind.__qualname__
                    if kind.__module__ == "builtins"
                    else f"{kind.__module__}.{kind.__qualname__}"
                )
                about["traceback"] = traceback.format_exception(error) if error else []
                about["current_inputs"], about["current_outputs"] = {}, []
            self.tell(job, f"execution_{result.status}", **about)
        ends = {"success": "completed", "error": "failed", "interrupted": "cancelled"}
        self.end(job, ends[result.status])


def _refusal(prompt: dict[str, Any], errors: dict[str, list[str]]) -> dict[str, Any]:
    """What ComfyUI answers to a prompt that does not pass its checks."""
    told = {}
    for node, lines in errors.items():
        if node in prompt:
            listed = [
                {"type": "value_not_valid", "message": line, "details": line, "extra_info": {}}
                for line in lines
            ]
            told[node] = {"errors": listed, "dependent_outputs": [], "class_type": prompt[node]["class_type"]}
    words = "Prompt outputs failed validation" if told else "Prompt has no outputs"
    error = {"type": "prompt_outputs_failed_validation" if told else "prompt_no_outputs", "message": words}
    return {"error": {**error, "details": "", "extra_info": {}}, "node_errors": told}
