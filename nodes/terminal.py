"""A generation on a terminal: its folders, its progress bar, its thread, and Ctrl-C."""

from __future__ import annotations

import os
import sys
import threading
import time
from concurrent import futures
from pathlib import Path
from typing import Final, Protocol, TypeVar

from .generation.clock import Clock
from .generation.credentials import redact
from .generation.waiting import Report, later

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

HOME: Final = "LUMA_RAY_HOME"
"""Environment variable: the folder of journal, keys and clips, where no ComfyUI is around."""
_FAREWELL: Final = 15.0
"""Seconds that a stopped generation gets to say what becomes of its job."""


def folders() -> tuple[Path, Path]:
    """(private folder, library): those of the ComfyUI that this pack is installed in, else in the home folder."""
    clips = os.environ.get("LUMA_RAY_LIBRARY")
    home = os.environ.get(HOME)
    here = Path(__file__)
    # As it is imported first: custom_nodes often holds a link to a checkout elsewhere.
    for above in (here.absolute().parents[2], here.resolve().parents[2]):
        if not home and above.name == "custom_nodes":
            comfyui = above.parent
            return comfyui / "user" / "__luma_ray", Path(clips or comfyui / "output" / "luma-ray")
    private = Path(home) if home else Path.home() / ".luma-ray"
    return private, Path(clips or private / "clips")


class Bar:
    """Progress on standard error: one line that changes on a terminal, a line a step elsewhere."""

    def __init__(self, label: str = "") -> None:
        self._label = f"{label}: " if label else ""
        self._last = ""
        self._lock = threading.Lock()
        self._said: tuple[str, float | None, float] = ("", None, 0.0)

    def tick(self) -> None:
        """On a terminal, the last words again, with the time that went on meanwhile."""
        words, fraction, since = self._said
        if words and sys.stderr.isatty():
            self._show(later(words, time.monotonic() - since), fraction)

    def __call__(self, words: str, fraction: float | None = None) -> None:
        """Show *words* and, where it is known, how far it is."""
        self._said = (words, fraction, time.monotonic())
        self._show(words, fraction)

    def _show(self, words: str, fraction: float | None) -> None:
        words = redact(self._label + " ".join(words.split()))
        with self._lock:
            if not sys.stderr.isatty():
                step = words.split(",")[0]  # without the seconds, which would be a line each
                if step != self._last:
                    self._last = step
                    print(step, file=sys.stderr, flush=True)
                return
            bar = "" if fraction is None else f"[{'#' * round(fraction * 20):20}] {fraction:4.0%} "
            line = (bar + words)[:110]
            print(f"\r{line:{len(self._last)}}", end="", file=sys.stderr, flush=True)
            self._last = line

    def end(self) -> None:
        """Leave the line as it is and go on below."""
        if sys.stderr.isatty() and self._last:
            print(file=sys.stderr)
        self._last, self._said = "", ("", None, 0.0)


class Work(Protocol[T_co]):
    """What runs on the thread."""

    def __call__(self, *, clock: Clock, report: Report) -> T_co: ...  # noqa: D102


def run(work: Work[T], label: str = "") -> T:
    """Do *work* on a thread, so that Ctrl-C ends the wait and never tears a purchase apart.

    Raises what *work* raises; KeyboardInterrupt when the thread does not answer to Ctrl-C.
    """
    clock, bar = Clock(), Bar(label)
    future: futures.Future[T] = futures.Future()

    def body() -> None:
        try:
            future.set_result(work(clock=clock, report=bar))
        except BaseException as error:  # noqa: BLE001 - handed to the caller, whatever it is
            future.set_exception(error)

    threading.Thread(target=body, name="ray", daemon=True).start()
    try:
        while True:
            try:
                return future.result(timeout=0.2)
            except futures.TimeoutError:
                if future.done():
                    return future.result()  # it ended a moment after the look, or with a timeout of its own
                bar.tick()
            except KeyboardInterrupt:
                clock.stop.set()
                bar("stopping")
                if not futures.wait({future}, timeout=_FAREWELL).done:
                    raise
                return future.result()
    finally:
        bar.end()
