"""Cancel tells the truth: on the node and to the page, also where it is known only after the node has ended."""

from __future__ import annotations

import importlib
import json
import threading
import time

import comfy_host
import pytest
from contracts import PAID, emulator_of
from emulators.server import Fault
from test_nodes import Graph, sink, sys_io


@pytest.fixture
def graph(tmp_path):
    with comfy_host.install(tmp_path / "comfyui") as host:
        yield Graph(host)


class Shop:
    """A provider whose jobs never end, and when one of them was asked about first."""

    def __init__(self, emulator):
        self.emulator = emulator
        emulator.pace = type(emulator.pace)(10**9)
        self.asked = threading.Event()
        emulator.watch = lambda request: self.asked.set() if request.method == "GET" else None


@pytest.fixture
def shop(request, monkeypatch):
    provider = next(each for each in PAID if each.name == getattr(request, "param", "replicate"))
    with emulator_of(provider) as emulator:
        for name, value in emulator.environment().items():
            monkeypatch.setenv(name, value)
        yield Shop(emulator)


def stops(graph):
    """What the page was told of stops."""
    return [event.data for event in graph.host.events if event.name == "luma_ray.stopped"]


def until(look, seconds=20):
    end = time.monotonic() + seconds
    while not (found := look()) and time.monotonic() < end:
        time.sleep(0.01)
    return found


def started(graph, shop, *prompts, **others):
    """Clips that are being made at the provider."""
    nodes = {}
    for number, prompt in enumerate(prompts, 1):
        nodes[f"{number}"] = graph.node("RayTextToVideo", prompt=prompt, resolution="540p")
        nodes[f"{number}0"] = sink(graph, f"{number}")
    running = graph.host.start({**nodes, **others})
    assert shop.asked.wait(20)
    assert until(lambda: len(shop.emulator.creates) == len(prompts))
    return running


def test_a_job_that_was_cancelled_is_told_as_cancelled(graph, shop):
    running = started(graph, shop, "a fox")
    graph.host.interrupt()
    assert running.result(20).status == "interrupted"
    assert "confirmed the cancellation" in graph.said("1")[-1]
    (told,) = stops(graph)
    assert (told["node"], told["job"]) == ("1", "cancelled")
    assert told["message"] == graph.said("1")[-1]


@pytest.mark.parametrize("shop", ["luma"], indirect=True)
def test_a_job_that_cannot_be_cancelled_is_told_as_made_and_paid(graph, shop):
    running = started(graph, shop, "a fox")
    graph.host.interrupt()
    assert running.result(20).status == "interrupted"
    (told,) = stops(graph)
    assert told["job"] == "kept"
    for part in ("it finishes there and is billed", "Queue again to collect it, free of further charge"):
        assert part in told["message"]


def test_every_node_of_a_stopped_graph_is_told(graph, shop):
    running = started(graph, shop, "a fox", "a hare")
    graph.host.interrupt()
    assert running.result(20).status == "interrupted"
    assert until(lambda: len(stops(graph)) == 2)
    assert {told["node"] for told in stops(graph)} == {"1", "2"}
    assert {told["job"] for told in stops(graph)} == {"cancelled"}
    for node in ("1", "2"):
        assert until(lambda node=node: "confirmed the cancellation" in graph.said(node)[-1])


def test_an_answer_that_comes_after_the_node_has_ended_is_told_all_the_same(graph, shop):
    answer = threading.Event()
    shop.emulator.fail_next("POST", "/predictions/{id}/cancel", Fault.hold(answer))
    running = started(graph, shop, "a fox")
    graph.host.interrupt()
    assert running.result(20).status == "interrupted"
    assert graph.said("1")[-1].startswith("Stopping. What was submitted is kept")
    assert stops(graph) == []
    answer.set()
    assert until(lambda: stops(graph))
    assert stops(graph)[0]["job"] == "cancelled"
    assert "confirmed the cancellation" in graph.said("1")[-1]


def test_a_node_whose_sibling_failed_tells_what_became_of_its_job(graph, shop):
    class Failing(sys_io().ComfyNode):
        @classmethod
        def define_schema(cls):
            io = sys_io()
            return io.Schema(node_id="Failing", inputs=[], outputs=[io.Image.Output("images")])

        @classmethod
        async def execute(cls):
            import asyncio

            while not shop.emulator.creates or not shop.asked.is_set():
                await asyncio.sleep(0.01)
            raise ValueError("somebody else's trouble")

    graph.host.add_nodes([Failing])
    failing = {"class_type": "Failing", "inputs": {}}
    preview = {"class_type": "PreviewImage", "inputs": {"images": ["8", 0]}}
    running = started(graph, shop, "a fox", **{"8": failing, "9": preview})
    assert running.result(20).status == "error"
    assert until(lambda: stops(graph))
    assert stops(graph)[0]["job"] == "cancelled"


def test_takes_that_are_made_together_are_told_as_one(graph, shop):
    takes = {"7": graph.node("RayTakes", prompt="an owl", resolution="540p", takes=2), "70": sink(graph, "7")}
    running = graph.host.start(takes)
    assert until(lambda: len(shop.emulator.creates) == 2)
    assert shop.asked.wait(20)
    graph.host.interrupt()
    assert running.result(20).status == "interrupted"
    assert until(lambda: stops(graph))
    (told,) = stops(graph)
    assert (told["node"], told["job"]) == ("7", "cancelled")
    assert told["message"].count("confirmed the cancellation") == 2


def test_a_stopped_preview_is_free_and_tells_the_page_nothing(graph):
    running = graph.host.start(
        {
            "1": graph.node("RayTextToVideo", prompt="a fox", provider="animatic", resolution="1080p"),
            "2": sink(graph, "1"),
        }
    )
    assert until(lambda: "rendering the preview" in graph.said("1"))
    graph.host.interrupt()
    assert running.result(60).status == "interrupted"
    assert until(lambda: graph.said("1")[-1] == "The preview was stopped; it is free.")
    assert stops(graph) == []


# -- what a node showed ---------------------------------------------------------------------------------------


@pytest.fixture
def made(graph, shop):
    """A clip on a node, and the prompt that made it."""
    shop.emulator.pace = type(shop.emulator.pace)(1)
    prompt = {"1": graph.node("RayTextToVideo", prompt="a fox", resolution="540p"), "2": sink(graph, "1")}
    result = graph.host.queue(prompt)
    assert result.status == "success", result.message
    (shown,) = result.ui["1"]["images"]
    return prompt, dict(shown)


def previews(graph, prompt):
    module = graph.nodes["RayTextToVideo"].__module__.rpartition(".")[0]
    return importlib.import_module(f"{module}.host").previews(prompt)


def test_a_graph_that_is_loaded_again_knows_what_its_nodes_showed(graph, made):
    prompt, shown = made
    assert previews(graph, prompt) == {"1": {"images": [shown], "animated": [True]}}
    renamed = {"7": prompt["1"], "8": sink(graph, "7")}  # ids are other ones after a copy
    assert list(previews(graph, renamed)) == ["7"]


def test_a_graph_that_was_changed_shows_no_clip_of_another(graph, made):
    prompt, _ = made
    for change in ({"prompt": "a hare"}, {"take": 2}, {"resolution": "720p"}):
        other = {**prompt, "1": {**prompt["1"], "inputs": {**prompt["1"]["inputs"], **change}}}
        assert previews(graph, other) == {}


def test_a_clip_that_is_gone_is_not_shown(graph, made):
    prompt, shown = made
    (graph.host.root / "output" / shown["subfolder"] / shown["filename"]).unlink()
    assert previews(graph, prompt) == {}


def test_what_was_forgotten_is_found_in_the_journal(graph, made):
    prompt, shown = made
    (graph.host.root / "user" / "__luma_ray" / "shown.json").write_text("[nonsense")
    assert previews(graph, prompt) == {"1": {"images": [shown], "animated": [True]}}


@pytest.mark.parametrize(
    "place", [{"type": "output", "subfolder": "../user"}, {"type": "etc"}, {"filename": "../../x"}], ids=str
)
def test_a_remembered_place_outside_the_folders_is_not_shown(graph, made, place):
    prompt, shown = made
    path = graph.host.root / "user" / "__luma_ray" / "shown.json"
    (graph.host.root / "user" / shown["filename"]).write_bytes(b"somebody's")
    (graph.host.root / "x").write_bytes(b"somebody's")
    kept = {mark: {**shown, **place} for mark in json.loads(path.read_text())}
    path.write_text(json.dumps(kept))
    assert previews(graph, prompt) == {"1": {"images": [shown], "animated": [True]}}  # from the journal
