"""The connection to a browser's DevTools: commands go out and events come in, on a thread of its own."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable
from typing import Any

import aiohttp

Listener = Callable[[str, dict[str, Any]], None]
"""Called on the connection's own thread with the name of an event and what it tells; must not wait."""


class Refused(AssertionError):
    """The browser did not do what it was told."""


class Wire:
    """One WebSocket for the browser and all its tabs, told apart by their sessions."""

    def __init__(self, address: str) -> None:
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._listeners: dict[str | None, Listener] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="devtools", daemon=True)
        self._thread.start()
        self._run(self._open(address), 30)

    def close(self) -> None:
        self._run(self._end(), 20)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)
        self._loop.close()

    def listen(self, session: str | None, listener: Listener) -> None:
        """Tell *listener* all events of *session*."""
        self._listeners[session] = listener

    def forget(self, session: str) -> None:
        self._listeners.pop(session, None)

    def call(
        self, method: str, parameters: dict[str, Any], session: str | None = None, seconds: float = 60
    ) -> Any:
        """What the browser answers to a command."""
        return self._run(self._call(method, parameters, session), seconds)

    def later(self, method: str, parameters: dict[str, Any], session: str | None) -> None:
        """Send a command from within a listener; nobody waits for its answer."""
        self._loop.create_task(self._send(next(self._numbers), method, parameters, session))

    def _run(self, coroutine: Any, seconds: float) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(seconds)

    async def _open(self, address: str) -> None:
        self._client = aiohttp.ClientSession()
        self._socket = await self._client.ws_connect(address, max_msg_size=0)
        self._reading = self._loop.create_task(self._read())

    async def _end(self) -> None:
        await self._socket.close()
        await self._reading
        await self._client.close()

    async def _read(self) -> None:
        async for message in self._socket:
            told = message.json()
            if "id" not in told:
                listener = self._listeners.get(told.get("sessionId"))
                if listener is not None:
                    listener(told["method"], told["params"])
                continue
            answer = self._answers.pop(told["id"], None)
            if answer is not None and not answer.done():
                answer.set_result(told)
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(Refused("The browser has ended."))

    async def _call(self, method: str, parameters: dict[str, Any], session: str | None) -> Any:
        number = next(self._numbers)
        answer = self._answers[number] = self._loop.create_future()
        await self._send(number, method, parameters, session)
        told = await answer
        if "error" in told:
            raise Refused(f"{method}: {told['error']}")
        return told["result"]

    async def _send(self, number: int, method: str, parameters: dict[str, Any], session: str | None) -> None:
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        await self._socket.send_json({**message, "sessionId": session} if session else message)
