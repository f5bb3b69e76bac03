"""Two callers of the same work in one process share it, and one that is stopped leaves it to the other."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

from .clock import Clock
from .errors import Interrupted

T = TypeVar("T")


class Sharing(Generic[T]):
    """What is being worked on in this process, by a key that says what it is."""

    def __init__(self) -> None:
        self._running: dict[Hashable, Future[T]] = {}
        self._waiting: Counter[Hashable] = Counter()
        self._lock = threading.Lock()

    def run(self, key: Hashable, work: Callable[[], T], clock: Clock, waiting: Callable[[], None]) -> T:
        """The result of *work*, done here or by the thread that already does it. Raises what it raises.

        *waiting* is called now and then while another thread is at it.
        """
        while True:
            with self._lock:
                running = self._running.get(key)
                if running is None:
                    mine = self._running[key] = Future()
            if running is None:
                return self._lead(key, mine, work)
            self._wait(key, running, clock, waiting)
            error = running.exception()
            if error is None:
                return running.result()
            if not isinstance(error, Interrupted):
                raise error
            # The other one was stopped, this one was not: it takes over from what is recorded.

    def awaited(self, key: Hashable) -> bool:
        """Whether another thread waits for what is worked on under *key*."""
        with self._lock:
            return self._waiting[key] > 0

    def _wait(self, key: Hashable, running: Future[T], clock: Clock, waiting: Callable[[], None]) -> None:
        with self._lock:
            self._waiting[key] += 1
        try:
            while not running.done():
                if clock.stopped:
                    raise Interrupted("Stopped waiting; another node still waits for the same clip.")
                waiting()
                clock.sleep(0.1)
        finally:
            with self._lock:
                self._waiting[key] -= 1
                self._waiting += Counter()  # without what nobody waits for

    def _lead(self, key: Hashable, mine: Future[T], work: Callable[[], T]) -> T:
        try:
            result = work()
        except BaseException as error:
            mine.set_exception(error)
            raise
        else:
            mine.set_result(result)
            return result
        finally:
            with self._lock:
                self._running.pop(key, None)
