"""A real ComfyUI in the place of the stand-in, where COMFYUI_DIR names a checkout."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import requests

CHECKOUT = os.environ.get("COMFYUI_DIR", "")


class Real:
    """What tests ask of the backend, of a ComfyUI that they start. Use as a context manager."""

    real = True

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.folder = folder
        self._settings = settings

    def __enter__(self) -> Real:  # noqa: PYI034 - typing.Self is newer than Python 3.10
        from luma_ray.nodes.studio import Studio
        from test_real_comfyui import ComfyUI

        self._comfyui = ComfyUI(self.folder)
        self.address = self._comfyui.address
        requests.post(f"{self.address}/settings", json=self._settings, timeout=30).raise_for_status()
        # A second door to the same folders, as the command line has one.
        self.studio = Studio(self.folder / "user" / "__luma_ray", self.folder / "output" / "luma-ray")
        return self

    def __exit__(self, *exception: object) -> None:
        self._comfyui.end()

    @property
    def settings(self) -> dict[str, Any]:
        return self._comfyui.get("/settings")

    def tell(self, event: str, data: Any) -> None:
        """Send an event to every page that is open."""
        body = {"event": event, "data": data}
        requests.post(f"{self.address}/probe/tell", json=body, timeout=30).raise_for_status()

    def jobs(self) -> list[dict[str, Any]]:
        """What was queued and is over, the oldest first; what is not over has no outputs."""
        queue = self._comfyui.get("/queue")
        told = [
            {
                "id": each[1],
                "prompt": each[2],
                "status": "in_progress",
                "outputs": {},
                "messages": [],
                "error": "",
            }
            for each in (*queue["queue_running"], *queue["queue_pending"])
        ]
        over = [_told(name, each) for name, each in self._comfyui.get("/history").items()]
        return [*over, *told]

    def wait(self) -> None:
        time.sleep(0.1)


def _told(name: str, history: dict[str, Any]) -> dict[str, Any]:
    messages = [tuple(each) for each in history["status"]["messages"]]
    events = [event for event, _ in messages]
    failed = next((about for event, about in messages if event == "execution_error"), None)
    cancelled = "execution_interrupted" in events
    return {
        "id": name,
        "prompt": history["prompt"][2],
        "status": "failed" if failed else "cancelled" if cancelled else "completed",
        "outputs": history["outputs"],
        "messages": messages,
        "error": failed["exception_message"] if failed else "",
    }
