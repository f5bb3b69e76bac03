"""The pack's routes in a web server on loopback, and its own page that speaks to them."""

from __future__ import annotations

import asyncio
import importlib
import json
import threading
import time
from contextlib import contextmanager
from types import SimpleNamespace

import comfy_host
import pytest
import requests
from aiohttp import web
from conftest import ROOT


class Page:
    """A ComfyUI with the pack's routes on loopback, as its own page speaks to it."""

    def __init__(self, pack: str) -> None:
        self.events: list[tuple[str, dict]] = []
        self.door = importlib.import_module(f"{pack}.page.door")
        self.host_module = importlib.import_module(f"{pack}.host")
        table = web.RouteTableDef()
        app = web.Application()
        server = self.server = SimpleNamespace(
            app=app, routes=table, send_sync=lambda event, data: self.events.append((event, data))
        )
        self.collector = importlib.import_module(f"{pack}.routes").register(server)
        app.add_routes(table)
        for folder in (ROOT.name, "another-pack"):
            app.router.add_static(f"/extensions/{folder}", ROOT / "web")
        self.loop = asyncio.new_event_loop()
        started = threading.Event()

        async def serve() -> None:
            self.runner = web.AppRunner(app)
            await self.runner.setup()
            site = web.TCPSite(self.runner, "127.0.0.1", 0)
            await site.start()
            self.port = self.runner.addresses[0][1]
            started.set()

        def run() -> None:
            self.loop.run_until_complete(serve())
            self.loop.run_forever()

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()
        assert started.wait(10)
        self.origin = f"http://127.0.0.1:{self.port}"

    @property
    def studio(self):
        return self.host_module.studio()

    def get(self, path: str, **headers: str) -> requests.Response:
        return requests.get(
            f"{self.origin}/luma_ray/{path}", headers={"X-Luma-Ray": "1", **headers}, timeout=20
        )

    def post(self, path: str, body: object, **headers: str) -> requests.Response:
        own = {"X-Luma-Ray": "1", "Content-Type": "application/json", "Origin": self.origin}
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {name: value for name, value in {**own, **headers}.items() if value}
        return requests.post(f"{self.origin}/luma_ray/{path}", data=content, headers=sent, timeout=20)

    def told(self, event: str, seconds: float = 20) -> dict:
        """What the canvas was told, once it was."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for name, data in list(self.events):
                if name == f"luma_ray.{event}":
                    return data
            time.sleep(0.01)
        raise AssertionError(f"{event} was not told, only {self.events}")

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self.runner.cleanup(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()


@contextmanager
def opened(folder):
    with comfy_host.install(folder) as host, pytest.MonkeyPatch.context() as patch:
        nodes = comfy_host.load_pack(ROOT)
        pack = nodes["RayTextToVideo"].__module__.rpartition(".")[0]
        clock = importlib.import_module(f"{pack}.generation.clock").Clock
        patch.setattr(clock, "sleep", lambda self, seconds: self.stop.wait(max(seconds, 0) / 100))
        page = Page(pack)
        page.host = host
        try:
            yield page
        finally:
            page.close()
