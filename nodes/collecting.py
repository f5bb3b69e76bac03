"""Unfinished generations come home by themselves: in the background, after a start and on demand. Buys nothing."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final

from .film import film_of
from .generation.clock import Clock
from .generation.credentials import redact
from .generation.errors import GenerationError, InvalidInput, SubmissionUncertain
from .generation.lifecycle import Lifecycle
from .generation.owner import OWN, gone
from .generation.records import OPEN, Entry

AT_ONCE: Final = 4
ABANDONED: Final = 3600.0
"""Seconds after which a row of a process on another machine is taken for one that nobody watches."""

Tell = Callable[[str, dict[str, Any]], None]
"""Tells the canvas: the name of an event and what it is about."""
_log = logging.getLogger(__name__)


class Collector:
    """Brings paid clips here, a few at a time. Safe on any number of threads."""

    def __init__(self, lifecycle: Callable[[], Lifecycle], tell: Tell) -> None:
        self._lifecycle = lifecycle
        self._tell = tell
        self._busy: set[str] = set()
        self._lock = threading.Lock()

    def start(self, delay: float, clock: Clock) -> threading.Thread:
        """Collect what nobody watches any more, *delay* seconds from now, on a thread that nobody waits for."""

        def later() -> None:
            clock.sleep(delay)
            if not clock.stopped:
                self.collect(clock)

        thread = threading.Thread(target=later, name="ray-collecting", daemon=True)
        thread.start()
        return thread

    def collect(self, clock: Clock, ids: Iterable[str] | None = None) -> None:
        """Collect the generations called *ids*, those whose file is gone too; without, all that nobody watches."""
        try:
            lifecycle = self._lifecycle()
            mine = [row for row in wanted(lifecycle, ids) if ids is not None or _unwatched(row, clock)]
        except GenerationError as error:
            _log.warning("Luma Ray could not look for unfinished generations: %s", redact(str(error)))
            return
        if not mine:
            return
        waiting = queue.SimpleQueue[Entry]()
        for row in mine:
            waiting.put(row)

        def work() -> None:
            with suppress(queue.Empty):
                while not clock.stopped:
                    self._one(lifecycle, waiting.get_nowait(), clock)

        # No executor: Python would not end before its threads do, and a job may take an hour.
        threads = [
            threading.Thread(target=work, name=f"ray-collect-{number}", daemon=True)
            for number in range(min(AT_ONCE, len(mine)))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _one(self, lifecycle: Lifecycle, row: Entry, clock: Clock) -> None:
        with self._lock:
            if row.id in self._busy:
                return
            self._busy.add(row.id)
        try:
            began = clock.now()
            clip = lifecycle.collect(row.id, clock=clock, report=lambda words, fraction=None: None)  # noqa: ARG005
            film = film_of(clip, seconds_waited=clock.now() - began)
            self._tell("collected", {**shown(clip.entry), "summary": film.summary})
        except SubmissionUncertain as error:
            self._tell("undecided", {**shown(row), "message": redact(str(error))})
        except GenerationError as error:
            self._tell("not_collected", {**shown(row), "message": redact(str(error))})
        except Exception:  # noqa: BLE001 - of one generation; the others are collected all the same
            _log.exception("Luma Ray could not collect generation %s", row.id)
        finally:
            with self._lock:
                self._busy.discard(row.id)


def unfinished(lifecycle: Lifecycle) -> list[Entry]:
    """The paid generations that have neither a clip nor an end, the newest first."""
    return [row for row in lifecycle.journal.entries((*OPEN, "submitted")) if not row.local]


def wanted(lifecycle: Lifecycle, ids: Iterable[str] | None) -> list[Entry]:
    """What is to be collected of *ids*: the unfinished, and the finished whose file is gone; without, the former."""
    rows = unfinished(lifecycle)
    if ids is None:
        return rows
    chosen = set(ids)
    found = [row for row in rows if row.id in chosen]
    others = [lifecycle.journal.get(each) for each in sorted(chosen - {row.id for row in found})]
    return found + [row for row in others if row is not None and _gone_here(lifecycle, row)]


def _gone_here(lifecycle: Lifecycle, row: Entry) -> bool:
    """Whether the clip of *row* is paid and was here, and its file is not any more."""
    try:
        return row.state == "completed" and not row.local and lifecycle.library.find(row) is None
    except InvalidInput:
        return False


def shown(entry: Entry) -> dict[str, Any]:
    """A generation as the canvas shows it: no key, no URL, no path."""
    told = entry.request
    return {
        "id": entry.id,
        "state": entry.state,
        "provider": entry.provider,
        "model": entry.model,
        "prompt": str(told.get("prompt") or "")[:200],
        "seconds": told.get("duration"),
        "resolution": told.get("resolution"),
        "job": entry.job.id if entry.job is not None else None,
        "usd": None if entry.usd is None else f"{entry.usd:f}",
        "created_at": entry.created_at,
        "note": redact(entry.note),
    }


def _unwatched(row: Entry, clock: Clock) -> bool:
    """Whether the process that last wrote *row* is gone, or so far away and silent that it may be."""
    return row.owner != OWN and (gone(row.owner) or clock.now() - row.updated_at > ABANDONED)
