"""What is held against a real ComfyUI: its classes and their parameters, a node's info, and how graphs run.

`python agreement.py COMFYUI_DIR` prints the real one's side of it as JSON. The functions are used for both sides;
nothing of the stand-in is imported here.
"""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import json
import sys
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

_TYPES = (
    "Boolean",
    "Int",
    "Float",
    "String",
    "Combo",
    "DynamicCombo",
    "Autogrow",
    "Image",
    "Mask",
    "Video",
    "Audio",
    "AnyType",
)
_ENUMS = ("FolderType", "UploadType", "NumberDisplay", "ControlAfterGenerate", "Hidden")
_VIDEO = (
    "get_components",
    "get_dimensions",
    "get_duration",
    "get_frame_count",
    "get_frame_rate",
    "get_stream_source",
)
CORE = ("LoadImage", "SaveImage", "PreviewImage", "ImageBatch", "CreateVideo", "SaveVideo")


def surface(latest: Any) -> dict[str, list[str]]:
    """The parameters of everything that a pack calls, and the members of every enumeration, by name."""
    io, ui = latest.io, latest.ui
    told = {f"io.{name}": [f"{one.name}={one.value}" for one in getattr(io, name)] for name in _ENUMS}
    for name in _TYPES:
        kind = getattr(io, name)
        told[f"io.{name}"] = [kind.io_type]
        told[f"io.{name}.Input"] = _parameters(kind.Input.__init__)
        if name not in ("DynamicCombo", "Autogrow"):
            told[f"io.{name}.Output"] = _parameters(kind.Output.__init__)
    told["io.Custom.Input"] = _parameters(io.Custom("RAY_GENERATION").Input.__init__)
    told["io.Autogrow.TemplatePrefix"] = _parameters(io.Autogrow.TemplatePrefix.__init__)
    told["io.Schema"] = [field.name for field in dataclasses.fields(io.Schema)]
    told["io.NodeOutput"] = _parameters(io.NodeOutput.__init__)
    for name in ("SavedResult", "PreviewVideo", "PreviewText"):
        told[f"ui.{name}"] = _parameters(getattr(ui, name).__init__)
    for kind in (latest.Input.Video, latest.InputImpl.VideoFromFile, latest.InputImpl.VideoFromComponents):
        told |= {f"{kind.__name__}.{name}": _parameters(getattr(kind, name)) for name in _VIDEO}
    told["VideoFromFile"] = _parameters(latest.InputImpl.VideoFromFile.__init__)
    told["VideoComponents"] = [field.name for field in dataclasses.fields(latest.Types.VideoComponents)]
    told["set_progress"] = _parameters(latest.ComfyAPI.Execution().set_progress)
    return told


def _parameters(function: Callable[..., Any]) -> list[str]:
    given = inspect.signature(function).parameters.values()
    return [
        one.name if one.default is one.empty else f"{one.name}={one.default!r}"
        for one in given
        if one.name != "self"
    ]


def sample(io: Any) -> Any:
    """A node with every kind of input and option."""

    class Sample(io.ComfyNode):
        @classmethod
        def define_schema(cls) -> Any:
            nested = io.DynamicCombo.Option(
                "a", [io.Int.Input("depth", default=1), io.Image.Input("picture")]
            )
            return io.Schema(
                node_id="Sample",
                display_name="A Sample",
                category="video/samples",
                description="All of it.",
                search_aliases=["example"],
                has_intermediate_output=True,
                hidden=[io.Hidden.unique_id, io.Hidden.prompt],
                is_output_node=True,
                inputs=[
                    io.String.Input(
                        "text", multiline=True, default="", dynamic_prompts=False, tooltip="Words."
                    ),
                    io.Int.Input("count", default=1, min=1, max=9, display_mode=io.NumberDisplay.slider),
                    io.Int.Input("seed", control_after_generate=io.ControlAfterGenerate.fixed, advanced=True),
                    io.Float.Input("share", default=0.5, min=0.0, max=1.0, step=0.01, round=0.01),
                    io.Boolean.Input("loop", default=False, label_on="closed", label_off="open"),
                    io.Combo.Input("choice", options=["a", "b"], default="b", display_name="Choice"),
                    io.Combo.Input("kind", options=io.FolderType, default=io.FolderType.temp),
                    io.Combo.Input("file", options=[], upload=io.UploadType.image),
                    io.DynamicCombo.Input("mode", options=[nested, io.DynamicCombo.Option("b", [])]),
                    io.Custom("RAY_GENERATION").Input("generation", optional=True, raw_link=True, lazy=True),
                    io.Video.Input("video", optional=True, extra_dict={"note": 1}),
                    io.String.Input("linked", force_input=True, optional=True),
                ],
                outputs=[
                    io.Image.Output("frames", tooltip="Frames."),
                    io.Video.Output(display_name="Clip"),
                    io.Audio.Output(),
                    io.Custom("RAY_GENERATION").Output("generations", is_output_list=True),
                ],
            )

        @classmethod
        def execute(cls, **inputs: Any) -> Any:
            return io.NodeOutput()

    return Sample


def sockets(info: dict[str, Any]) -> dict[str, Any]:
    """What a workflow depends on in a node: names, order and types of its inputs and outputs."""

    def kind(spec: Any) -> Any:
        if spec[0] == "COMFY_DYNAMICCOMBO_V3":
            return [option["key"] for option in spec[1]["options"]]
        return "COMBO" if isinstance(spec[0], list) else spec[0]

    inputs = {
        category: [[name, kind(spec)] for name, spec in info["input"].get(category, {}).items()]
        for category in ("required", "optional")
    }
    return {
        "inputs": inputs,
        "outputs": info["output"],
        "names": info["output_name"],
        "shown": info["output_node"],
    }


def tiny_nodes(io: Any, log: list[str]) -> list[Any]:
    """Nodes of a few lines; what they do is written to *log*."""
    import torch

    met = {"left": threading.Event(), "right": threading.Event()}

    def node(node_id: str, execute: Any, inputs: list[Any] = (), outputs: list[Any] = (), **more: Any) -> Any:
        methods = {name: more.pop(name) for name in ("validate_inputs", "fingerprint_inputs") if name in more}
        hidden = [io.Hidden.unique_id, io.Hidden.prompt]
        body = {
            "define_schema": lambda cls: io.Schema(
                node_id=node_id, inputs=list(inputs), outputs=list(outputs), hidden=hidden, **more
            ),
            "execute": execute,
            **methods,
        }
        return type(node_id, (io.ComfyNode,), {name: classmethod(method) for name, method in body.items()})

    def image(**options: Any) -> Any:
        return io.Image.Input("image", **options)

    def source(cls: Any, value: int = 0, choice: str = "a") -> Any:
        log.append(f"source {value} {choice}")
        return io.NodeOutput(torch.full((1, 2, 2, 3), float(value)))

    async def meet(cls: Any, image: Any, side: str) -> Any:
        other = met["right" if side == "left" else "left"]
        met[side].set()
        log.append("met" if await asyncio.to_thread(other.wait, 20) else "alone")
        return io.NodeOutput(image)

    async def patient(cls: Any, image: Any) -> Any:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            log.append("cancelled")
            raise

    async def fail(cls: Any, image: Any) -> Any:
        await asyncio.sleep(0)
        raise ValueError("this went wrong")

    async def leak(cls: Any, image: Any) -> Any:
        await asyncio.sleep(0)
        raise asyncio.CancelledError

    async def stop(cls: Any, image: Any) -> Any:
        import comfy.model_management as management

        await asyncio.sleep(0)
        management.interrupt_current_processing()
        assert management.processing_interrupted()
        assert management.processing_interrupted()
        raise management.InterruptProcessingException

    def press_stop(cls: Any, image: Any) -> Any:
        import comfy.model_management as management

        management.interrupt_current_processing()
        return io.NodeOutput(image)

    def write(cls: Any, image: Any) -> Any:
        cls.remembered = image

    def schema(cls: Any, image: Any) -> Any:
        log.append(cls.SCHEMA.node_id)
        cls.GET_SCHEMA()

    async def in_place(cls: Any, image: Any) -> Any:
        await asyncio.to_thread(image.mul_, 2)

    async def context(cls: Any, image: Any) -> Any:
        from comfy_execution.utils import get_executing_context

        found = await asyncio.to_thread(get_executing_context)
        asked = sorted(cls.hidden.prompt[found.node_id]["inputs"])
        log.append(
            f"{found.node_id} {found.list_index} {cls.hidden.unique_id} {asked} {cls.hidden.extra_pnginfo}"
        )
        return io.NodeOutput(image, ui={"text": [found.node_id]})

    async def words(cls: Any, image: Any) -> Any:
        for _ in range(3):
            await asyncio.sleep(0)
        log.append(f"words {cls.hidden.unique_id}")
        return io.NodeOutput(image, ui={"text": ["words"]})

    def several(cls: Any) -> Any:
        return io.NodeOutput([torch.zeros(1), torch.ones(1)])

    def mode(cls: Any, mode: dict[str, Any]) -> Any:
        log.append(json.dumps(mode, sort_keys=True))

    def grown(cls: Any, label: str, pictures: Any = None) -> Any:
        told = {name: each.mean().item() for name, each in pictures.items()}
        log.append(f"{label} {json.dumps(told, sort_keys=True)}")

    def growing(cls: Any, label: str, pictures: Any) -> Any:
        return label != "no" or "not this"

    def wrong(cls: Any, image: Any) -> Any:
        return 7

    def show(cls: Any, image: Any = None, other: Any = None) -> Any:
        log.append(f"show {None if image is None else image.mean().item()}")
        return io.NodeOutput(ui={"text": ["shown"]})

    out = [io.Image.Output()]
    one = io.DynamicCombo.Option("one", [io.Int.Input("depth", default=1, max=5)])
    side = io.Combo.Input("side", options=["left", "right"])
    return [
        node(
            "Source",
            source,
            [
                io.Int.Input("value", default=0, min=0, max=9, optional=True),
                io.Combo.Input("choice", options=["a", "b"], optional=True),
            ],
            out,
        ),
        node("Meet", meet, [image(), side], out),
        node("Context", context, [image()], out, has_intermediate_output=True),
        node("Several", several, [], [io.Image.Output(is_output_list=True)]),
        node(
            "Show",
            show,
            [image(optional=True), io.AnyType.Input("other", optional=True)],
            is_output_node=True,
        ),
        node(
            "Grown",
            grown,
            [
                io.String.Input("label", default=""),
                io.Autogrow.Input(
                    "pictures",
                    optional=True,
                    template=io.Autogrow.TemplatePrefix(image(optional=True), prefix="K", min=2, max=4),
                ),
            ],
            is_output_node=True,
            validate_inputs=growing,
        ),
        node("Mode", mode, [io.DynamicCombo.Input("mode", options=[one])], is_output_node=True),
        node(
            "Never",
            source,
            [io.Int.Input("value")],
            out,
            fingerprint_inputs=lambda cls, value: log.append(f"fingerprint {value}") or float("nan"),
        ),
        node("Twice", source, [io.Int.Input("value")], out, not_idempotent=True),
        node(
            "Picky",
            source,
            [io.Int.Input("value", max=9), image(optional=True)],
            out,
            validate_inputs=lambda cls, value: value < 99 or "that is too much",
        ),
        *(
            node(name, method, [image()], out)
            for name, method in {
                "Words": words,
                "Patient": patient,
                "Fail": fail,
                "Leak": leak,
                "Stop": stop,
                "PressStop": press_stop,
                "Write": write,
                "SchemaInside": schema,
                "InPlace": in_place,
                "Wrong": wrong,
            }.items()
        ),
    ]


def chain(*steps: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """A graph of one node after the other: "1", "2" and so on, each with the one before as its image."""
    graph: dict[str, Any] = {}
    for number, (kind, constants) in enumerate(steps, 1):
        before = {"image": [str(number - 1), 0]} if number > 1 else {}
        graph[str(number)] = {"class_type": kind, "inputs": {**before, **constants}}
    return graph


def through(kind: str, **constants: Any) -> dict[str, Any]:
    return chain(("Source", {"value": 1}), (kind, constants), ("Show", {}))


def side_by_side(*kinds: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """Nodes that all have the same image, and one that waits for the first two of them."""
    graph = {"1": {"class_type": "Source", "inputs": {"value": 1}}}
    for number, (kind, constants) in enumerate(kinds, 2):
        graph[str(number)] = {"class_type": kind, "inputs": {"image": ["1", 0], **constants}}
    graph["9"] = {"class_type": "Show", "inputs": {"image": ["2", 0], "other": ["3", 0]}}
    return graph


A, B = (chain(("Source", {"value": value}), ("Show", {})) for value in (1, 2))
MARKED = chain(("Source", {"value": 1, "_linked": "0"}), ("Show", {}))
SCENARIOS: dict[str, list[dict[str, Any]]] = {
    "async nodes run side by side": [side_by_side(("Meet", {"side": "left"}), ("Meet", {"side": "right"}))],
    "a failed node cancels its siblings": [side_by_side(("Patient", {}), ("Fail", {})), A],
    "an interrupted node cancels its siblings": [side_by_side(("Patient", {}), ("Stop", {})), A],
    "an interrupt stops before the next node": [through("PressStop"), A],
    "a leaked CancelledError kills the worker": [through("Leak")],
    "a class cannot be written to inside execute": [through("Write")],
    "GET_SCHEMA cannot be called inside execute": [through("SchemaInside")],
    "a worker thread is outside inference mode": [through("InPlace")],
    "a thread knows its node": [through("Context", undeclared="x")],
    "lists run a node once for each element": [chain(("Several", {}), ("Context", {}), ("Show", {}))],
    "the same prompt again is cached": [A, A],
    "another prompt in between drops what it does not use": [A, B, A],
    "an undeclared input is part of the key": [A, MARKED, MARKED],
    "a cached intermediate output is shown again": [through("Context"), through("Context")],
    "another cached node is not shown again": [through("Words"), through("Words")],
    "NaN never repeats": [chain(("Never", {"value": 1}), ("Show", {}))] * 2,
    "twins share a value, except where they are not idempotent": [
        {**side_by_side(), "2": A["1"], "3": A["1"]},
        {**side_by_side(), **{i: {"class_type": "Twice", "inputs": {"value": 1}} for i in ("2", "3")}},
    ],
    "async twins both run": [side_by_side(("Words", {}), ("Words", {}))],
    "constants are checked": [
        chain(("Source", {"value": 99}), ("Show", {})),
        chain(("Source", {"value": "many"}), ("Show", {})),
        chain(("Source", {"choice": "c"}), ("Show", {})),
        chain(("Source", {"value": "3"}), ("Show", {})),
        through("Meet"),
        {
            "1": {"class_type": "Several", "inputs": {}},
            "2": {"class_type": "Picky", "inputs": {"value": ["1", 0]}},
        }
        | {"3": {"class_type": "Show", "inputs": {"image": ["2", 0]}}},
    ],
    "a link to nothing is found": [chain(("Show", {"image": ["7", 0]}))],
    "a good output runs beside a bad one": [
        {
            **A,
            "3": {"class_type": "Source", "inputs": {"value": 99}},
            "4": {"class_type": "Show", "inputs": {"image": ["3", 0]}},
        }
    ],
    "validate_inputs replaces the checks of what it names": [
        chain(("Picky", {"value": 50}), ("Show", {})),
        chain(("Picky", {"value": 99}), ("Show", {})),
    ],
    "what grows arrives as a dict of what is linked": [
        {"1": {"class_type": "Grown", "inputs": {"label": "none"}}},
        {"1": {"class_type": "Grown", "inputs": {"label": "no"}}},
        {
            "1": {"class_type": "Source", "inputs": {"value": 1}},
            "2": {
                "class_type": "Grown",
                "inputs": {"label": "two", "pictures.K0": ["1", 0], "pictures.K3": ["1", 0]},
            },
        },
        {
            "1": {"class_type": "Source", "inputs": {"value": 1}},
            "2": {"class_type": "Grown", "inputs": {"label": "beyond", "pictures.K4": ["1", 0]}},
        },
    ],
    "a dynamic combo arrives as a dict": [
        {"1": {"class_type": "Mode", "inputs": {"mode": "one", "mode.depth": 3}}},
        {"1": {"class_type": "Mode", "inputs": {"mode": "one", "mode.depth": 9}}},
        {"1": {"class_type": "Mode", "inputs": {"mode": "one"}}},
    ],
    "a node that returns something else fails": [through("Wrong")],
}
"""Prompts that are queued one after the other, by what they show."""


def _real(directory: str) -> dict[str, Any]:
    # Our own folder has modules with names of ComfyUI's.
    sys.path[0], sys.argv[1:] = directory, ["--cpu"]
    import comfy.options

    comfy.options.enable_args_parsing()
    import torch  # noqa: F401 - before ComfyUI looks for devices

    server = type("Server", (), {"client_id": None, "last_node_id": None, "send_sync": lambda *_: None})()
    sys.modules["server"] = ModuleType("server")
    sys.modules["server"].PromptServer = type("PromptServer", (), {"instance": server})
    import execution
    from comfy_api import latest

    import nodes

    core = {name: nodes.NODE_CLASS_MAPPINGS.get(name) for name in CORE}
    from comfy_extras import nodes_video

    for name in ("CreateVideo", "SaveVideo"):
        core[name] = getattr(nodes_video, name)
    log: list[str] = []
    for node in tiny_nodes(latest.io, log):
        nodes.NODE_CLASS_MAPPINGS[node.GET_SCHEMA().node_id] = node
    told: dict[str, Any] = {}
    for name, prompts in SCENARIOS.items():
        queue = execution.PromptExecutor(
            server, execution.CacheType.CLASSIC, {"lru": 0, "ram": 0.0, "ram_inactive": 0.0}
        )
        told[name] = [_real_run(execution, queue, json.loads(json.dumps(prompt)), log) for prompt in prompts]
    return {
        "surface": surface(latest),
        "sample": sample(latest.io).GET_NODE_INFO_V1(),
        "core": {name: sockets(_real_info(node)) for name, node in core.items()},
        "scenarios": told,
    }


def _real_info(node: Any) -> dict[str, Any]:
    if hasattr(node, "GET_NODE_INFO_V1"):
        return node.GET_NODE_INFO_V1()
    return {
        "input": node.INPUT_TYPES(),
        "output": list(node.RETURN_TYPES),
        "output_name": list(getattr(node, "RETURN_NAMES", node.RETURN_TYPES)),
        "output_node": getattr(node, "OUTPUT_NODE", False),
    }


def _real_run(execution: Any, queue: Any, prompt: dict[str, Any], log: list[str]) -> dict[str, Any]:
    valid, _, outputs, node_errors = asyncio.run(execution.validate_prompt("id", prompt, None))
    told: dict[str, Any] = {
        "node_errors": {
            node_id: [f"{one['message']}: {one['details']}" for one in found["errors"]]
            for node_id, found in node_errors.items()
        }
    }
    if not valid:
        return {**told, "status": "error"}
    log.clear()
    thread_end: list[BaseException] = []

    def work() -> None:
        try:
            queue.execute(prompt, "id", {}, outputs)
        except asyncio.CancelledError as leaked:
            thread_end.append(leaked)

    worker = threading.Thread(target=work)
    worker.start()
    worker.join()
    last, data = queue.status_messages[-1]
    return {
        **told,
        "status": "error" if thread_end else last.removeprefix("execution_"),
        "node_id": data.get("node_id"),
        "message": data.get("exception_message", "").strip(),
        "log": list(log),
        "ui": {} if thread_end or last != "execution_success" else queue.history_result["outputs"],
        "worker_dead": bool(thread_end),
    }


if __name__ == "__main__":
    print(json.dumps(_real(sys.argv[1]), indent=1))
