"""The backend of the tests: ComfyUI's addresses, with this pack in the stand-in host behind them.

What a page needs to boot, to queue and to show what came of it is served; every other address of the API is a 404, as
ComfyUI's own interface takes it.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import importlib
import json
import socket
import threading
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import comfy_host
import pytest
from aiohttp import WSMsgType, web

from .playing import Played
from .prompts import Job, Prompts
from .served import EXAMPLES, OURS, PACK, ROOT, WEB, extensions, interface, translations

VERSION = "0.33.0"
"""The ComfyUI that is played."""
FEATURES = {"supports_preview_metadata": True, "max_upload_size": 104857600, "extension": {"manager": {}}}


@dataclass(frozen=True)
class Served:
    """One request that the backend answered."""

    method: str
    path: str
    """With its query."""
    status: int


class StandIn:
    """Use as a context manager. One at a time in a process: the stand-in host takes ComfyUI's names of modules."""

    real = False

    def __init__(self, folder: Path, settings: dict[str, Any], extra: list[str] | None = None) -> None:
        self.folder = folder
        self.settings: dict[str, Any] = dict(settings)
        """What the page keeps in ComfyUI's settings."""
        self.requests: list[Served] = []
        """Every request but those for files of the interface, in order of their answers."""
        self.extensions = extensions() if extra is None else extra
        self._files: dict[str, bytes] = {}
        self._sockets: dict[str, asyncio.Queue[Any]] = {}

    def __enter__(self) -> StandIn:  # noqa: PYI034 - typing.Self is newer than Python 3.10
        with ExitStack() as stack:
            self.host = stack.enter_context(comfy_host.install(self.folder))
            nodes = comfy_host.load_pack(ROOT, PACK)
            pack = nodes["RayTextToVideo"].__module__.rpartition(".")[0]
            self._host_module = importlib.import_module(f"{pack}.host")
            # Nobody waits in a test: a second of the pack's own clock is a hundredth of one.
            clock = importlib.import_module(f"{pack}.generation.clock").Clock
            patch = stack.enter_context(pytest.MonkeyPatch.context())
            patch.setattr(clock, "sleep", lambda self, seconds: self.stop.wait(max(seconds, 0) / 100))
            self.prompts = Prompts(self.host, self.tell)
            # The pack keeps its news for the first page where none is open.
            self.host.server.sockets = self._sockets
            self._serve(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        for job in self.prompts.open:
            self.host.interrupt()
            if job.future is not None and not job.future.cancel():
                with contextlib.suppress(Exception):
                    job.future.result(30)
        self._stack.close()

    # -- for tests ----------------------------------------------------------------------------------------------

    @property
    def studio(self) -> Any:
        """The pack's own studio, as it serves this page."""
        return self._host_module.studio()

    def tell(self, event: str, data: Any) -> None:
        """Send an event to every page that is open; bytes as they are."""
        message = data if isinstance(data, bytes) else json.dumps({"type": event, "data": data})
        self._loop.call_soon_threadsafe(self._tell_all, message)

    def plays(self) -> None:
        """Until the end of the test prompts do not run: they wait to be played."""
        self.prompts.played = True

    def played(self, queued: str) -> Played:
        """What was queued (`page.queue`) since `plays`, to be played."""
        return Played(self.prompts, self.prompts.jobs[queued])

    def forget_played(self) -> None:
        """Prompts run again; those that nobody has played to their end are taken out of the queue."""
        self.prompts.played = False
        for job in self.prompts.open:
            if job.future is None:
                self.prompts.end(job, "cancelled")

    def jobs(self) -> list[dict[str, Any]]:
        """What was queued, the oldest first: id, prompt, status, outputs and error."""
        return [_told(job) for job in self.prompts.jobs.values()]

    # -- the server ---------------------------------------------------------------------------------------------

    def _tell_all(self, message: str | bytes) -> None:
        for queue in self._sockets.values():
            queue.put_nowait(message)

    def _serve(self, stack: ExitStack) -> None:
        self._loop = asyncio.new_event_loop()
        stack.callback(self._loop.close)
        thread = threading.Thread(target=self._loop.run_forever, name="stand-in", daemon=True)
        thread.start()
        stack.callback(thread.join, 20)
        stack.callback(self._loop.call_soon_threadsafe, self._loop.stop)
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(30)
        stack.callback(
            lambda: asyncio.run_coroutine_threadsafe(self._closing.aclose(), self._loop).result(30)
        )

    async def _start(self) -> None:
        app = web.Application(middlewares=[self._record], client_max_size=2**28)
        static = interface()
        assert static is not None
        for method, path, handler in self._routes():
            for prefix in ("", "/api"):
                app.router.add_route(method, prefix + path, handler)
        for (method, path), handler in self.host.server.routes.items():
            for prefix in ("", "/api"):
                app.router.add_route(method, prefix + path, handler)
        app.router.add_route("*", "/api/{rest:.*}", _missing)
        app.router.add_route("*", "/internal/{rest:.*}", _missing)

        async def index(request: web.Request) -> web.FileResponse:
            return web.FileResponse(static / "index.html")

        app.router.add_get("/", index)
        app.router.add_static(OURS, WEB)
        app.router.add_static("/", static)
        app.on_response_prepare.append(_cached)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        self._closing = AsyncExitStack()
        self._closing.push_async_callback(runner.cleanup)
        # The same address each time: what the browser has compiled of the interface is good for the next one.
        await web.SockSite(runner, _listening().dup()).start()
        self.address = f"http://127.0.0.1:{_listening().getsockname()[1]}"

    @web.middleware
    async def _record(self, request: web.Request, handler: Any) -> web.StreamResponse:
        status = 500
        try:
            answer = await handler(request)
            status = answer.status
        except web.HTTPException as error:
            status = error.status
            raise
        finally:
            if not request.path.startswith(("/assets/", "/fonts/", "/scripts/")):
                self.requests.append(Served(request.method, request.path_qs, status))
        return answer

    def _routes(self) -> list[tuple[str, str, Any]]:
        empty: list[Any] = []
        stats = {
            "system": {"os": "posix", "comfyui_version": VERSION, "python_version": "3", "argv": ["main.py"]},
            "devices": [],
        }
        return [
            ("GET", "/ws", self._socket),
            ("GET", "/users", _answer({"storage": "server", "migrated": True})),
            ("GET", "/settings", _answer(lambda: self.settings)),
            ("POST", "/settings", self._keep_settings),
            ("POST", "/settings/{id}", self._keep_setting),
            ("GET", "/extensions", _answer(lambda: self.extensions)),
            ("GET", "/object_info", _answer(self.host.object_info)),
            ("GET", "/i18n", _answer(translations)),
            ("GET", "/features", _answer(FEATURES)),
            ("GET", "/system_stats", _answer(stats)),
            ("GET", "/embeddings", _answer(empty)),
            ("GET", "/experiment/models", _answer(empty)),
            ("GET", "/global_subgraphs", _answer({})),
            ("GET", "/node_replacements", _answer({})),
            ("GET", "/userdata", _answer(empty)),
            ("GET", "/v2/userdata", _answer(empty)),
            ("GET", "/userdata/{file:.+}", self._file),
            ("POST", "/userdata/{file:.+}", self._keep_file),
            (
                "GET",
                "/workflow_templates",
                _answer({PACK: sorted(each.stem for each in EXAMPLES.glob("*.json"))}),
            ),
            ("GET", f"/workflow_templates/{PACK}/{{file}}", _example),
            ("GET", "/view", _view),
            ("GET", "/prompt", _answer(self.prompts.status)),
            ("POST", "/prompt", self._prompt),
            ("GET", "/queue", self._queue),
            ("POST", "/queue", self._change_queue),
            ("POST", "/interrupt", self._interrupt),
            ("GET", "/history", _answer(self._told_history)),
            ("POST", "/history", _answer({})),
            ("GET", "/jobs", self._jobs),
            ("GET", "/jobs/{id}", self._job),
            ("POST", "/jobs/{id}/cancel", self._cancel),
        ]

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(max_msg_size=0)
        await socket.prepare(request)
        sid = request.query.get("clientId") or f"page-{len(self._sockets)}"
        queue = self._sockets[sid] = asyncio.Queue()
        first = {"type": "status", "data": {"status": self.prompts.status(), "sid": sid}}
        queue.put_nowait(json.dumps(first))

        async def send() -> None:
            while not socket.closed:
                message = await queue.get()
                await (socket.send_bytes if isinstance(message, bytes) else socket.send_str)(message)

        sending = asyncio.create_task(send())
        try:
            async for message in socket:
                if message.type == WSMsgType.TEXT and json.loads(message.data)["type"] == "feature_flags":
                    queue.put_nowait(json.dumps({"type": "feature_flags", "data": FEATURES}))
        finally:
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await sending
            if self._sockets.get(sid) is queue:
                del self._sockets[sid]
        return socket

    async def _keep_settings(self, request: web.Request) -> web.Response:
        self.settings.update(await request.json())
        return web.Response()

    async def _keep_setting(self, request: web.Request) -> web.Response:
        self.settings[request.match_info["id"]] = await request.json()
        return web.Response()

    async def _file(self, request: web.Request) -> web.Response:
        kept = self._files.get(request.match_info["file"])
        return web.Response(status=404) if kept is None else web.Response(body=kept)

    async def _keep_file(self, request: web.Request) -> web.Response:
        name, content = request.match_info["file"], await request.read()
        self._files[name] = content
        return web.json_response({"path": name, "size": len(content), "modified": 0, "created": 0})

    async def _prompt(self, request: web.Request) -> web.Response:
        body = await request.json()
        status, answer = await asyncio.to_thread(self.prompts.post, body)
        return web.json_response(answer, status=status)

    async def _queue(self, request: web.Request) -> web.Response:
        entries = {status: [] for status in ("in_progress", "pending")}
        for job in self.prompts.open:
            entries[job.status].append([job.number, job.id, job.prompt, job.body.get("extra_data", {}), []])
        return web.json_response(
            {"queue_running": entries["in_progress"], "queue_pending": entries["pending"]}
        )

    async def _change_queue(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.prompts.drop(None if body.get("clear") else body.get("delete", []))
        return web.Response()

    async def _interrupt(self, request: web.Request) -> web.Response:
        body = await request.json() if request.can_read_body else {}
        self.prompts.interrupt(body.get("prompt_id"))
        return web.Response()

    def _told_history(self) -> dict[str, Any]:
        return {job["id"]: _history(job) for job in self.jobs()}

    async def _jobs(self, request: web.Request) -> web.Response:
        wanted = [each for each in request.query.get("status", "").split(",") if each]
        jobs = [_listed(job) for job in reversed(self.jobs()) if not wanted or job["status"] in wanted]
        pages = {"offset": 0, "limit": 200, "total": len(jobs), "has_more": False}
        return web.json_response({"jobs": jobs, "pagination": pages})

    async def _job(self, request: web.Request) -> web.Response:
        found = self.prompts.jobs.get(request.match_info["id"])
        if found is None:
            return web.json_response({"error": "Job not found"}, status=404)
        return web.json_response(_listed(_told(found)))

    async def _cancel(self, request: web.Request) -> web.Response:
        job = request.match_info["id"]
        self.prompts.drop([job])
        self.prompts.interrupt(job)
        return web.json_response({"cancelled": True})


@cache
def _listening() -> socket.socket:
    """The socket of all stand-ins of this process, one after the other; nobody else can take its port meanwhile."""
    made = socket.socket()
    made.bind(("127.0.0.1", 0))
    made.listen(128)
    atexit.register(made.close)
    return made


def _told(job: Job) -> dict[str, Any]:
    errors = [about for event, about in job.messages if event == "execution_error"]
    return {
        "id": job.id,
        "prompt": job.prompt,
        "status": job.status,
        "outputs": job.outputs,
        "messages": job.messages,
        "error": errors[0]["exception_message"] if errors else "",
        "created": job.created,
    }


def _listed(job: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": job["id"],
        "status": job["status"],
        "priority": 0,
        "create_time": int(job["created"] * 1000),
        "outputs_count": sum(len(each.get("images", [])) for each in job["outputs"].values()),
        "outputs": job["outputs"],
    }


def _history(job: dict[str, Any]) -> dict[str, Any]:
    words = {"completed": "success"}.get(job["status"], "error")
    status = {"status_str": words, "completed": words == "success", "messages": job["messages"]}
    return {
        "prompt": [0, job["id"], job["prompt"], {}, []],
        "outputs": job["outputs"],
        "status": status,
        "meta": {},
    }


def _answer(content: Any) -> Any:
    """A handler that gives *content*, or what it comes to at that moment."""

    async def handler(request: web.Request) -> web.Response:
        return web.json_response(content() if callable(content) else content)

    return handler


async def _missing(request: web.Request) -> web.Response:
    return web.json_response({"error": "not served"}, status=404)


async def _cached(request: web.Request, response: web.StreamResponse) -> None:
    if request.path == "/" or request.path.startswith(OURS):
        response.headers["Cache-Control"] = "no-store"
    elif request.path.startswith("/assets/"):  # their names change with what is in them
        response.headers["Cache-Control"] = "public, max-age=86400, immutable"


async def _example(request: web.Request) -> web.StreamResponse:
    path = EXAMPLES / Path(request.match_info["file"]).name
    return web.FileResponse(path) if path.is_file() else web.Response(status=404)


async def _view(request: web.Request) -> web.StreamResponse:
    import folder_paths

    folder = folder_paths.get_directory_by_type(request.query.get("type", "output"))
    name = request.query.get("filename", "")
    if folder is None or not name:
        return web.Response(status=400)
    path = Path(folder) / request.query.get("subfolder", "") / Path(name).name
    if not folder_paths.is_within_directory(folder, str(path)):
        return web.Response(status=403)
    return web.FileResponse(path) if path.is_file() else web.Response(status=404)
