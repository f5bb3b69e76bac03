"""Purchases without an end: shown, collected, and decided by the person who looked at the provider's page."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from .. import collecting
from ..generation.clock import Clock
from .door import Route, text

if TYPE_CHECKING:
    from ..studio import Studio


def routes(collector: collecting.Collector) -> tuple[Route, ...]:
    """Those of questions; *collector* brings home what is asked for."""

    def collect(studio: Studio, body: dict[str, Any]) -> Any:
        ids = None if body.get("id") is None else [text(body, "id")]
        found = [row.id for row in collecting.wanted(studio.lifecycle, ids)]
        work = lambda: collector.collect(Clock(), found)  # noqa: E731
        threading.Thread(target=work, name="ray-collecting", daemon=True).start()
        return {"collecting": found}

    return (
        Route("GET", "unfinished", _unfinished, anywhere=True),
        Route("POST", "collect", collect, anywhere=True),  # buys nothing
        Route("POST", "not_created", _not_created),
        Route("POST", "found", _found),
    )


def _unfinished(studio: Studio, _: dict[str, Any]) -> Any:
    return [collecting.shown(row) for row in collecting.unfinished(studio.lifecycle)]


def _not_created(studio: Studio, body: dict[str, Any]) -> Any:
    return collecting.shown(studio.lifecycle.not_created(text(body, "id")))


def _found(studio: Studio, body: dict[str, Any]) -> Any:
    return collecting.shown(studio.lifecycle.found(text(body, "id"), text(body, "job"), clock=Clock()))
