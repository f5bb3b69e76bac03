"""Long work on threads of its own, so that whoever waits for it can be stopped at once."""

from __future__ import annotations

import threading
from concurrent.futures import wait
from typing import TYPE_CHECKING, Final, TypeVar

from ..generation.errors import Interrupted

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

Result = TypeVar("Result")

_LOOKS_UP: Final = 0.02
"""Seconds between two questions whether to stop."""


class Attendance:
    """What the work and the one who waits for it tell each other."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self.done = 0.0
        """Fraction of the work, 0..1."""

    def stopped(self) -> bool:
        """Whether nobody waits any more."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Let the work end as soon as it notices."""
        self._stop.set()


def attended(
    pool: Executor,
    work: Callable[[Attendance], Result],
    *,
    stopped: Callable[[], bool],
    progress: Callable[[float], None] | None = None,
    words: str,
) -> Result:
    """Do *work* on a thread of *pool*, and meanwhile ask *stopped* and tell *progress* on this one.

    A decoder that is busy with a large frame, or a disk that does not answer, keeps nobody waiting: the work goes
    on until it notices that it is to stop, and its result is thrown away.

    Raises:
        Interrupted: with *words*, when *stopped* says so.
    """
    if stopped():
        raise Interrupted(words)
    attendance = Attendance()
    future = pool.submit(work, attendance)
    told = 0.0
    try:
        while True:
            finished = bool(wait([future], _LOOKS_UP).done)
            done = attendance.done
            if progress is not None and done > told and not (finished and future.exception()):
                progress(done)
                told = done
            if finished:
                return future.result()
            if stopped():
                raise Interrupted(words)
    finally:
        attendance.stop()
        future.cancel()
