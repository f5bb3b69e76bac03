"""A headless Chromium with one page, for the tests with ComfyUI's own interface."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import aiohttp

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Browser:
    """One page. Use as a context manager."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"]
        options += ["--no-first-run", "--disable-background-networking", "--window-size=1600,1000"]
        self._process = subprocess.Popen(
            [str(CHROMIUM), *options, f"--user-data-dir={self._folder.name}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._number = 0
        self._run(self._connect())

    def __enter__(self) -> Browser:  # noqa: PYI034 - typing.Self is newer than Python 3.10
        return self

    def __exit__(self, *exception: object) -> None:
        self._run(self._session.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)
        self._loop.close()
        self._process.terminate()
        self._process.wait(20)
        self._folder.cleanup()

    def open(self, address: str) -> None:
        self.call("Page.navigate", url=address)

    def ask(self, script: str) -> Any:
        """What an expression of JavaScript comes to in the page; promises are waited for."""
        told = self.call(
            "Runtime.evaluate",
            expression=f"(async () => JSON.stringify(await (async () => {{ {script} }})()))()",
            awaitPromise=True,
            returnByValue=True,
        )
        if "exceptionDetails" in told:
            raise AssertionError(json.dumps(told["exceptionDetails"])[:2000])
        value = told["result"].get("value")
        return None if value is None else json.loads(value)

    def until(self, script: str, seconds: float = 90) -> Any:
        """*script* asked again until it comes to something true."""
        end, last = time.monotonic() + seconds, None
        while time.monotonic() < end:
            try:
                last = self.ask(script)
            except AssertionError as error:
                last = None
                problem = str(error)
            else:
                problem = repr(last)
            if last:
                return last
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(0.2)
        raise AssertionError(f"never true: {script}: {problem}")

    def call(self, method: str, **parameters: Any) -> Any:
        return self._run(self._call(method, parameters))

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(120)

    async def _connect(self) -> None:
        told = Path(self._folder.name) / "DevToolsActivePort"
        for _ in range(300):
            if told.is_file() and len(told.read_text().split()) == 2:
                break
            await asyncio.sleep(0.1)
        port = told.read_text().split()[0]
        self._session = aiohttp.ClientSession()
        async with self._session.get(f"http://127.0.0.1:{port}/json") as reply:
            (page,) = (each for each in await reply.json() if each["type"] == "page")
        self._socket = await self._session.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0)

    async def _call(self, method: str, parameters: dict[str, Any]) -> Any:
        self._number += 1
        own = self._number
        await self._socket.send_json({"id": own, "method": method, "params": parameters})
        while True:
            reply = await self._socket.receive_json()
            if reply.get("id") == own:
                if "error" in reply:
                    raise AssertionError(f"{method}: {reply['error']}")
                return reply["result"]
