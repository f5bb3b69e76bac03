"""Where the requests of the pack leave this process: each has a step, and a plan says what happens to it."""

from __future__ import annotations

import re
import socket
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from requests.adapters import HTTPAdapter

from .proxy import HEADER

PATIENCE = 0.08
"""Real seconds in place of the pack's own timeout, for a request that is left without an answer."""

STEPS = {
    "luma": [
        ("create", r"POST .*/generations/video"),
        ("list", r"GET .*/generations"),
        ("poll", r"GET .*/generations/[^/]+"),
    ],
    "comfy_router": [
        ("price", r"POST .*/estimate"),
        ("upload", r"POST /customers/storage|PUT /storage/.*"),
        ("create", r"POST .*/requests"),
        ("poll", r"GET .*/requests/[^/]+/status"),
        ("result", r"GET .*/requests/[^/]+"),
        ("cancel", r"PUT .*/cancel"),
    ],
    "replicate": [
        ("upload", r"POST .*/files"),
        ("create", r"POST .*/models/.*/predictions"),
        ("list", r"GET .*/predictions|GET .*/files/[^/]+"),
        ("poll", r"GET .*/predictions/[^/]+"),
        ("cancel", r"POST .*/cancel"),
    ],
    "wavespeed": [
        ("price", r"POST .*/model/price"),
        ("upload", r"POST .*/media/upload.*|PUT /storage/.*"),
        ("create", r"POST .*/luma/[^/]+"),
        ("list", r"POST .*/predictions"),
        ("poll", r"GET .*/predictions/[^/]+/result"),
        ("bill", r"POST .*/billings/search"),
        ("cancel", r"DELETE .*"),
    ],
    "fal": [
        ("create", r"POST /queue/fal-ai/.*"),
        ("poll", r"GET .*/requests/[^/]+/status"),
        ("result", r"GET .*/requests/[^/]+"),
        ("cancel", r"PUT .*/cancel"),
    ],
    "luma_agents": [("create", r"POST .*/generations"), ("poll", r"GET .*/generations/[^/]+")],
    "llm_stats": [("create", r"POST .*/generations"), ("poll", r"GET .*/generations/[^/]+")],
    "railwail": [("create", r"POST .*/videos"), ("poll", r"GET .*/(jobs|videos)/[^/]+")],
}
"""By provider: what a request is for, and what its method and path look like."""
DOWNLOAD = ("download", r"GET /assets/.*|GET .*/videos/[^/]+/content")


@dataclass(frozen=True)
class Ask:
    """One request of the pack, before it goes out."""

    step: str
    number: int
    """How many of this step went out before, from 1."""
    method: str
    path: str


Plan = Callable[[Ask], str]
"""What happens to a request, by the name of a fault; an empty string for nothing. May raise in its place."""


def nothing(ask: Ask) -> str:
    """All goes well."""
    return ""


class Wire:
    """In place of `HTTPAdapter.send`: the way to one proxy, with the faults that a client has before its server."""

    def __init__(self, provider: str, netloc: str) -> None:
        self.netloc = netloc
        self.plan: Plan = nothing
        self.after: Callable[[Ask], None] = lambda ask: None
        """Called when a request has its answer, or has failed."""
        self.counts: Counter[str] = Counter()
        """Requests so far, by step."""
        self.spoiled: list[tuple[Ask, str]] = []
        """Those to which something happened."""
        self._steps = [(step, re.compile(pattern)) for step, pattern in [*STEPS.get(provider, ()), DOWNLOAD]]
        self._lock = threading.Lock()
        self._send = HTTPAdapter.send

    def step(self, method: str, path: str) -> str:
        """What a request is for; empty for one that is not the pack's."""
        return next((name for name, form in self._steps if form.fullmatch(f"{method} {path}")), "")

    def send(self, adapter: HTTPAdapter, request: Any, **options: Any) -> Any:
        """As `HTTPAdapter.send`."""
        parts = urlsplit(request.url)
        step = self.step(request.method, parts.path) if parts.netloc == self.netloc else ""
        if not step:
            return self._send(adapter, request, **options)
        with self._lock:
            self.counts[step] += 1
            ask = Ask(step, self.counts[step], request.method, parts.path)
        fault = self.plan(ask)
        if fault:
            self.spoiled.append((ask, fault))
        try:
            return self._sent(adapter, request, fault, options)
        finally:
            self.after(ask)

    def _sent(self, adapter: HTTPAdapter, request: Any, fault: str, options: dict[str, Any]) -> Any:
        if not fault:
            return self._send(adapter, request, **options)
        if fault == "refused":
            with closing(socket.socket()) as nobody:
                nobody.bind(("127.0.0.1", 0))  # bound, and nobody listens
                request.url = f"http://127.0.0.1:{nobody.getsockname()[1]}/"
                return self._send(adapter, request, **options)
        request.headers[HEADER.decode()] = fault
        if fault.startswith("silent"):
            options["timeout"] = (5.0, PATIENCE)
        return self._send(adapter, request, **options)
