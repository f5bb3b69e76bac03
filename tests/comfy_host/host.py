"""The stand-in ComfyUI process: its modules in `sys.modules`, its server, its queue and its pack loader."""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import json
import logging
import sys
import threading
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

from . import node_api, ui, video
from .core_nodes import CORE_NODES
from .execution import Entry, Execution, InterruptProcessingException, Result, get_executing_context
from .folders import Folders
from .node_api import ComfyNode
from .validation import validate

Handler = Callable[[dict[str, Any]], dict[str, Any]]


class Event(NamedTuple):
    """Something that ComfyUI would have told its interface."""

    name: str
    node_id: str | None
    data: Any


class ComfyExtension(ABC):
    """The parent of what `comfy_entrypoint` returns."""

    async def on_load(self) -> None:  # noqa: B027 - optional
        """Called once, before any node is listed."""

    @abstractmethod
    async def get_node_list(self) -> list[type[ComfyNode]]: ...


class Routes(dict):
    """What a pack registers: handlers by method and path, such as ("POST", "/luma-ray/key")."""

    def _method(self, method: str, path: str) -> Callable[[Any], Any]:
        def remember(handler: Any) -> Any:
            self[method, path] = handler
            return handler

        return remember

    def get(self, path: str) -> Callable[[Any], Any]:
        return self._method("GET", path)

    def post(self, path: str) -> Callable[[Any], Any]:
        return self._method("POST", path)

    def delete(self, path: str) -> Callable[[Any], Any]:
        return self._method("DELETE", path)


class PromptQueue:
    """`PromptServer.instance.prompt_queue`: what is running, for those who look."""

    def __init__(self) -> None:
        self.running: list[tuple[Any, ...]] = []

    def get_current_queue_volatile(self) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
        return list(self.running), []

    def get_current_queue(self) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
        return self.get_current_queue_volatile()


class Server:
    """`PromptServer.instance`."""

    def __init__(self) -> None:
        self.client_id: str | None = None
        self.prompt_queue = PromptQueue()
        self.routes = Routes()
        self.loop = asyncio.new_event_loop()
        self.on_prompt_handlers: list[Handler] = []
        self.events: list[Event] = []
        self.listeners: list[Callable[[Event], None]] = []
        """Told every event, on whatever thread it comes from."""
        self._thread = threading.Thread(target=self.loop.run_forever, name="server", daemon=True)
        self._thread.start()

    def add_on_prompt_handler(self, handler: Handler) -> None:
        self.on_prompt_handlers.append(handler)

    def trigger_on_prompt(self, body: dict[str, Any]) -> dict[str, Any]:
        for handler in self.on_prompt_handlers:
            try:
                body = handler(body)
            except Exception:
                logging.getLogger().warning("An error occurred during the on_prompt_handler", exc_info=True)
        return body

    def send_sync(self, event: str, data: Any, sid: str | None = None) -> None:
        node_id = data.get("node", data.get("node_id")) if isinstance(data, dict) else None
        self._tell(Event(event, node_id, data))

    def send_progress_text(self, text: str | bytes, node_id: str, sid: str | None = None) -> None:
        words = text.decode() if isinstance(text, bytes) else text
        self._tell(Event("progress_text", str(node_id), words))

    def _tell(self, event: Event) -> None:
        self.events.append(event)
        for listener in self.listeners:
            listener(event)

    def run(self, coroutine: Any) -> Any:
        """What a coroutine returns, run in the server's event loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(60)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


class Host:
    """A ComfyUI without its interface. Use as a context manager: it occupies `sys.modules` until closed.

    *cache* is "classic", which keeps what the present prompt uses, or "none".
    """

    def __init__(self, root: Path, cache: str = "classic"):
        if cache not in ("classic", "none"):
            raise ValueError(f"cache is 'classic' or 'none', not {cache!r}")
        self._interrupted = threading.Event()
        self._modules = {"folder_paths": Folders(root).module(), **self._comfy_modules()}
        taken = sorted(set(self._modules) & set(sys.modules))
        if taken:
            raise RuntimeError(f"A ComfyUI, or another stand-in, is loaded here already: {', '.join(taken)}")
        self.root = root
        self.cache_mode = cache
        self.cache: dict[Any, Entry] = {}
        self.nodes: dict[str, type[ComfyNode]] = {}
        self.worker_dead = False
        self.running: Result | None = None
        """What the prompt that runs has come to so far."""
        self._packs: list[str] = []
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="prompt-worker")
        self.server = Server()
        self._modules["server"].PromptServer.instance = self.server
        self._modules["nodes"].NODE_CLASS_MAPPINGS = self.nodes
        sys.modules.update(self._modules)
        self.add_nodes(CORE_NODES)

    def __enter__(self) -> Host:  # noqa: PYI034 - typing.Self is newer than Python 3.10
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Take the modules out again, those of loaded packs too."""
        self._worker.shutdown(wait=False, cancel_futures=True)
        self.server.close()
        # A pack imports more of itself as it runs, so its modules are looked up now.
        loaded = [name for name in sys.modules for pack in self._packs if f"{name}.".startswith(f"{pack}.")]
        for name in (*self._modules, *loaded):
            sys.modules.pop(name, None)

    @property
    def events(self) -> list[Event]:
        """Everything that the interface was told, in order."""
        return self.server.events

    def add_nodes(self, nodes: Iterable[type[ComfyNode]], module: str = "nodes") -> None:
        for node in nodes:
            self.nodes[node.GET_SCHEMA().node_id] = node
            node.RELATIVE_PYTHON_MODULE = module

    def object_info(self) -> dict[str, Any]:
        """GET /object_info."""
        return json.loads(json.dumps({name: node.GET_NODE_INFO_V1() for name, node in self.nodes.items()}))

    def load_pack(self, root: Path, name: str = "luma-ray-under-test") -> dict[str, type[ComfyNode]]:
        """Load the pack at *root* as ComfyUI would from custom_nodes/*name*; its nodes by id.

        What ComfyUI would log as one line, with the pack missing, is raised here.
        """
        path = str(root.resolve())
        module_name = path.replace(".", "_x_")
        spec = importlib.util.spec_from_file_location(module_name, f"{path}/__init__.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module
        self._packs.append(module_name)
        spec.loader.exec_module(module)
        if getattr(module, "NODE_CLASS_MAPPINGS", None) is not None:
            raise TypeError("NODE_CLASS_MAPPINGS makes ComfyUI ignore comfy_entrypoint.")
        listed = self.server.run(_listed(module.comfy_entrypoint))
        self.add_nodes(listed, f"custom_nodes.{name}")
        return {node.SCHEMA.node_id: node for node in listed}

    def start(
        self,
        prompt: dict[str, Any],
        client_id: str | None = "tests",
        extra_data: dict[str, Any] | None = None,
        **others: Any,
    ) -> Future[Result]:
        """POST /prompt: the result once it ran. What does not pass the checks never runs.

        *others* go into the body: `partial_execution_targets` and `prompt_id` are played.
        """
        if self.worker_dead:
            raise RuntimeError(
                "A CancelledError killed the prompt worker; ComfyUI would have to be restarted."
            )
        body = json.loads(
            json.dumps({"prompt": prompt, "client_id": client_id, "extra_data": extra_data or {}, **others})
        )
        body = self.server.trigger_on_prompt(body)
        outputs, errors = validate(body["prompt"], self.nodes, body.get("partial_execution_targets"))
        result = Result(prompt=body["prompt"], node_errors=errors)
        if outputs:
            prompt_id = body.get("prompt_id") or str(uuid.uuid4())
            execution = Execution(self, prompt_id, outputs, body["extra_data"], result)
            return self._worker.submit(self._work, execution, body["client_id"])
        result.status, result.node_id = "error", next(iter(errors))
        result.message = "\n".join(line for lines in errors.values() for line in lines)
        refused: Future[Result] = Future()
        refused.set_result(result)
        return refused

    def queue(self, prompt: dict[str, Any], timeout: float = 120, **others: Any) -> Result:
        """`start`, and wait for it. Raises TimeoutError after *timeout* seconds."""
        return self.start(prompt, **others).result(timeout)

    def _work(self, execution: Execution, client_id: str | None) -> Result:
        self._interrupted.clear()
        self.server.client_id = client_id
        self.running = execution.result
        self.server.prompt_queue.running = [execution.item]
        try:
            asyncio.run(execution.run())
        except asyncio.CancelledError as error:
            self.worker_dead = execution.result.worker_dead = True
            execution.result.status, execution.result.exception = "error", error
            execution.result.message = "A node leaked a CancelledError: the prompt worker is dead."
        finally:
            self.server.prompt_queue.running = []
        return execution.result

    def interrupt(self) -> None:
        """POST /interrupt."""
        self._interrupted.set()

    def throw_if_interrupted(self) -> None:
        """Take the stop sign away and raise, if it is there."""
        if self._interrupted.is_set():
            self._interrupted.clear()
            raise InterruptProcessingException

    def _interrupt_current_processing(self, value: bool = True) -> None:
        (self._interrupted.set if value else self._interrupted.clear)()

    def _progress(self, node_id: str | None, value: float, maximum: float) -> None:
        context = get_executing_context()
        if node_id is None and context is not None:
            node_id = context.node_id
        self.server.send_sync("progress", {"node": node_id, "value": value, "max": maximum})

    def _comfy_modules(self) -> dict[str, ModuleType]:
        host = self

        class ProgressBar:
            """Raises on interrupt and consumes it; unthrottled."""

            def __init__(self, total: float, node_id: str | None = None):
                self.total, self.node_id, self.current = total, node_id, 0.0

            def update_absolute(self, value: float, total: float | None = None, preview: Any = None) -> None:
                self.total = self.total if total is None else total
                self.current = min(value, self.total)
                host.throw_if_interrupted()
                host._progress(self.node_id, self.current, self.total)

            def update(self, value: float) -> None:
                self.update_absolute(self.current + value)

        class SetProgress:
            async def set_progress(
                self, value, max_value, node_id=None, preview_image=None, ignore_size_limit=False
            ) -> None:
                if node_id is None and get_executing_context() is None:
                    raise ValueError("node_id must be provided if not in executing context")
                host._progress(node_id, value, max_value)

        class ComfyAPI:
            Execution = SetProgress

            def __init__(self) -> None:
                self.execution = SetProgress()

        latest = _module(
            "comfy_api.latest",
            ComfyAPI=ComfyAPI,
            ComfyExtension=ComfyExtension,
            io=node_api,
            IO=node_api,
            ui=ui,
            UI=ui,
            Input=SimpleNamespace(Video=video.VideoInput),
            InputImpl=SimpleNamespace(
                VideoFromFile=video.VideoFromFile, VideoFromComponents=video.VideoFromComponents
            ),
            Types=SimpleNamespace(
                VideoCodec=video.VideoCodec,
                VideoContainer=video.VideoContainer,
                VideoComponents=video.VideoComponents,
            ),
        )
        management = _module(
            "comfy.model_management",
            InterruptProcessingException=InterruptProcessingException,
            processing_interrupted=self._interrupted.is_set,
            throw_exception_if_processing_interrupted=self.throw_if_interrupted,
            interrupt_current_processing=self._interrupt_current_processing,
        )
        utils = _module("comfy.utils", ProgressBar=ProgressBar)
        execution_utils = _module("comfy_execution.utils", get_executing_context=get_executing_context)
        modules = [
            _module("comfy_api", __path__=[], latest=latest),
            latest,
            _module("comfy", __path__=[], model_management=management, utils=utils),
            management,
            utils,
            _module("comfy_execution", __path__=[], utils=execution_utils),
            execution_utils,
            _module("server", PromptServer=type("PromptServer", (), {})),
            # ComfyUI's own module: `import nodes` in a pack would get this, not the pack's folder.
            _module("nodes"),
        ]
        return {module.__name__: module for module in modules}


def _module(name: str, **members: Any) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(members)
    return module


async def _listed(entrypoint: Callable[[], Any]) -> list[type[ComfyNode]]:
    extension = entrypoint()
    if inspect.isawaitable(extension):
        extension = await extension
    if not isinstance(extension, ComfyExtension):
        raise TypeError("comfy_entrypoint did not return a ComfyExtension.")
    await extension.on_load()
    listed = await extension.get_node_list()
    if not isinstance(listed, list):
        raise TypeError("get_node_list did not return a list.")
    return listed
