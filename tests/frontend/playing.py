"""A run that a test plays: the page is told what it would be told, when the test wants it."""

from __future__ import annotations

from typing import Any

from .prompts import Job, Prompts


class Played:
    """One queued prompt that does not run."""

    def __init__(self, prompts: Prompts, job: Job) -> None:
        self._prompts, self.job = prompts, job

    def starts(self, *cached: str) -> None:
        self.job.status = "in_progress"
        self._prompts.tell(self.job, "execution_start")
        self._prompts.tell(self.job, "execution_cached", nodes=[str(each) for each in cached])

    def runs(self, node: int | str) -> None:
        """A node begins."""
        self._prompts.progress(self.job, str(node))
        self._prompts.tell(self.job, "executing", node=str(node), display_node=str(node))

    def progresses(self, node: int | str, value: float, most: float = 100) -> None:
        self._prompts.progress(self.job, str(node), value, most)
        self._prompts.tell(self.job, "progress", node=str(node), value=value, max=most)

    def says(self, node: int | str, words: str) -> None:
        """Words on a node."""
        self._prompts.say(str(node), words)

    def tells(self, event: str, **about: Any) -> None:
        """An event of the pack's own, such as "luma_ray.progress"; as it is."""
        self._prompts._tell(event, about)

    def gives(self, node: int | str, output: dict[str, Any] | None = None) -> None:
        """A node is done; *output* is what it shows."""
        self._prompts.progress(self.job, str(node), 1, 1, "finished")
        if output is not None:
            self.job.outputs[str(node)] = output
            self._prompts.tell(self.job, "executed", node=str(node), display_node=str(node), output=output)

    def succeeds(self) -> None:
        self._prompts.tell(self.job, "execution_success")
        self._prompts.end(self.job, "completed")

    def fails(
        self, node: int | str, message: str, kind: str = "luma_ray.nodes.generation.errors.GenerationError"
    ) -> None:
        about = {"exception_message": message, "exception_type": kind, "traceback": []}
        self._prompts.tell(self.job, "execution_error", **self._of(node), **about)
        self._prompts.end(self.job, "failed")

    def is_interrupted(self, node: int | str) -> None:
        self._prompts.tell(self.job, "execution_interrupted", **self._of(node))
        self._prompts.end(self.job, "cancelled")

    def _of(self, node: int | str) -> dict[str, Any]:
        kind = self.job.prompt.get(str(node), {}).get("class_type", "")
        return {
            "node_id": str(node),
            "node_type": kind,
            "executed": [],
            "current_inputs": {},
            "current_outputs": [],
        }
