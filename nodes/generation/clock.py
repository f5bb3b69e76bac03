"""Time as a generation needs it: one place to wait, one place to be stopped."""

from __future__ import annotations

import threading
import time

from .errors import Interrupted


class Clock:
    """Real time and a stop sign. Tests hand in one whose seconds pass at once."""

    def __init__(self, stop: threading.Event | None = None) -> None:
        self.stop = stop or threading.Event()

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def elapsed(self) -> float:
        """Seconds since some moment, the same one for all of this process: they go on when the date is corrected."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait *seconds*, or less: returns as soon as the stop sign is set."""
        self.stop.wait(max(seconds, 0.0))

    @property
    def stopped(self) -> bool:
        """Whether the person asked to stop."""
        return self.stop.is_set()

    def check(self) -> None:
        """Raise `Interrupted` when the stop sign is set. Call it only where nothing can be lost."""
        if self.stopped:
            raise Interrupted("Stopped before anything was sent; nothing was billed.")
