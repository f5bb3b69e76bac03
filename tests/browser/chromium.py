"""The Chromium of this machine, started without a window and without a way off this machine."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .tab import Tab
from .wire import Refused, Wire

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SIZE = (1360, 850)
"""Of the window: pixels are painted without a graphics card, and each costs time."""
KEPT = "cookies,local_storage,indexeddb,cache_storage,service_workers,file_systems"
"""All that a page can keep in a browser."""
OPTIONS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    *("--remote-debugging-port=0", "--mute-audio", "--lang=en-US", "--force-color-profile=srgb"),
    *(
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-extensions",
    ),
    *("--disable-background-timer-throttling", "--disable-renderer-backgrounding"),
    "--autoplay-policy=no-user-gesture-required",
    # No name but this machine's own is ever looked up: what a page asks of others fails at once, and is recorded.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    f"--window-size={SIZE[0]},{SIZE[1]}",
)


class Browser:
    """One Chromium. Use as a context manager.

    *profile* is a folder for what it keeps from one start to the next, such as compiled scripts.
    """

    def __init__(self, profile: Path | None = None) -> None:
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self._profile = profile or Path(self._folder.name)
        (self._profile / "DevToolsActivePort").unlink(missing_ok=True)  # of the start before
        self._process = subprocess.Popen(
            [str(CHROMIUM), *OPTIONS, f"--user-data-dir={self._profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            self.wire = Wire(self._address())
        except BaseException:
            self._end()
            raise

    def __enter__(self) -> Browser:  # noqa: PYI034 - typing.Self is newer than Python 3.10
        return self

    def __exit__(self, *exception: object) -> None:
        self.wire.close()
        self._end()

    @contextmanager
    def tab(self, origin: str | None = None) -> Iterator[Tab]:
        """A tab of its own: it shares no cookie, storage or cache with any other.

        With *origin* it has the profile's cache, so that a page is there sooner, and nothing else of it.
        """
        context = {} if origin else self._call("Target.createBrowserContext")
        target = self._call("Target.createTarget", url="about:blank", **context)["targetId"]
        session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        tab = Tab(self.wire, session, SIZE)
        if origin:
            tab.call("Storage.clearDataForOrigin", origin=origin, storageTypes=KEPT)
        try:
            yield tab
        finally:
            if context:
                self._call("Target.disposeBrowserContext", **context)
            else:
                self._call("Target.closeTarget", targetId=target)
            self.wire.forget(session)

    @contextmanager
    def traced(self, categories: Iterable[str]) -> Iterator[list[dict[str, Any]]]:
        """What Chromium's own tracing tells meanwhile; the list is filled when this ends."""
        events: list[dict[str, Any]] = []
        complete = threading.Event()

        def heard(event: str, told: dict[str, Any]) -> None:
            if event == "Tracing.dataCollected":
                events.extend(told["value"])
            elif event == "Tracing.tracingComplete":
                complete.set()

        self.wire.listen(None, heard)
        included = {"includedCategories": list(categories), "recordMode": "recordUntilFull"}
        self._call("Tracing.start", transferMode="ReportEvents", traceConfig=included)
        yield events
        self._call("Tracing.end")
        complete.wait(60)

    def _call(self, method: str, **parameters: Any) -> Any:
        return self.wire.call(method, parameters)

    def _address(self) -> str:
        told = self._profile / "DevToolsActivePort"
        until = time.monotonic() + 60
        while time.monotonic() < until and self._process.poll() is None:
            if told.is_file() and len(told.read_text().split()) == 2:
                port, path = told.read_text().split()
                return f"ws://127.0.0.1:{port}{path}"
            time.sleep(0.05)
        raise Refused("Chromium did not start.")

    def _end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        self._folder.cleanup()
