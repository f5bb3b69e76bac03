"""What an artist draws in ComfyUI's own interface, queued from it: frames are decoded where they are linked."""

from __future__ import annotations

import contextlib
import subprocess
import time

import pytest
from browser import CHROMIUM, Browser
from test_real_comfyui import CHECKOUT, FRAMES_OF_THE_FOX, ComfyUI

pytestmark = pytest.mark.skipif(
    not (CHECKOUT and CHROMIUM), reason="COMFYUI_DIR is not set, or there is no Chromium"
)
READY = """
const app = window.comfyAPI?.app?.app;
const types = window.LiteGraph?.registered_node_types ?? {};
const wanted = ["RayTextToVideo", "ProbeLook", "SaveVideo", "Reroute", "ImageInvert"];
return !!app?.rootGraph && wanted.every((type) => types[type]);
"""
DRAW = """
const app = window.comfyAPI.app.app;
const graph = app.rootGraph;
graph.clear();
const add = (type, into = graph) => {
  const node = window.LiteGraph.createNode(type);
  into.add(node);
  return node;
};
const ray = add("RayTextToVideo"), save = add("SaveVideo"), look = add("ProbeLook");
const set = (name, value) => { ray.widgets.find((widget) => widget.name === name).value = value; };
set("prompt", "a fox in the snow");
set("provider", "animatic");
set("resolution", "540p");
ray.connect(1, save, 0);
const through = (mode) => {
  const between = add("ImageInvert");
  between.mode = mode;
  ray.connect(0, between, 0);
  between.connect(0, look, 0);
};
"""
QUEUE = """
await app.queuePrompt(0, 1, { queueNodeIds: wanted?.map((node) => String(node.id)) });
return true;
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    comfyui = ComfyUI(tmp_path_factory.mktemp("comfyui"))
    try:
        with Browser() as browser, browser.tab() as tab:
            tab.open(comfyui.address)
            tab.until(READY, seconds=90)
            tab.comfyui = comfyui
            yield tab
    finally:
        comfyui.end()


def queued(page, drawn):
    """The history of a graph that is drawn by *drawn* and queued by its button."""
    before = set(page.comfyui.get("/history"))
    assert page.ask(f"{DRAW} let wanted; {drawn}; {QUEUE}")
    until = time.monotonic() + 120
    while time.monotonic() < until:
        now = page.comfyui.get("/history")
        for prompt_id in set(now) - before:
            assert now[prompt_id]["status"]["status_str"] == "success", now[prompt_id]["status"]
            return now[prompt_id]
        with contextlib.suppress(subprocess.TimeoutExpired):
            page.comfyui.process.wait(0.1)
    raise AssertionError(page.comfyui.log.read_text()[-2000:])


def marks(history):
    """What the handler wrote into each Ray node, by node."""
    nodes = history["prompt"][2]
    return {
        name: node["inputs"]["_linked"]
        for name, node in nodes.items()
        if node["class_type"] == "RayTextToVideo"
    }


def looked(history):
    """How many pictures came to whoever looked at some."""
    return [number for shown in history["outputs"].values() for number in shown.get("pictures", [])]


@pytest.mark.parametrize(
    ("drawn", "mark", "pictures"),
    [
        ("", "", []),
        ("ray.connect(0, look, 0)", "0", [121]),
        ("ray.connect(2, look, 0)", "2", [1]),
        ("const on = add('Reroute'); ray.connect(0, on, 0); on.connect(0, look, 0)", "0", [121]),
        ("ray.connect(0, look, 0); look.mode = 2", "", []),
        ("ray.connect(0, look, 0); look.mode = 4", "", []),
        ("through(4)", "0", [121]),
        ("through(2)", "", []),
        ("const idle = add('ImageInvert'); ray.connect(0, idle, 0)", "", []),
        ("ray.connect(0, look, 0); wanted = [save]", "", []),
        ("ray.connect(0, look, 0); wanted = [look]", "0", [121]),
    ],
    ids=[
        "nothing linked",
        "frames",
        "the last frame",
        "through a reroute",
        "to a muted node",
        "to a bypassed node",
        "through a bypassed node",
        "through a muted node",
        "to a node that leads nowhere",
        "a part queued that needs none",
        "a part queued that needs them",
    ],
)
def test_what_is_drawn_is_what_is_decoded(page, drawn, mark, pictures):
    history = queued(page, drawn)
    assert list(marks(history).values()) == [mark]
    assert looked(history) == pictures


@pytest.mark.parametrize(
    ("inside", "mark", "pictures"),
    [
        ("[ray]", "0", [121]),
        ("[look]", "0", [121]),
        ("[ray, look]", "0", [121]),
        ("[ray, save]", "0", [121]),
    ],
)
def test_links_in_and_out_of_a_subgraph_are_seen(page, inside, mark, pictures):
    history = queued(page, f"ray.connect(0, look, 0); graph.convertToSubgraph(new Set({inside}))")
    ((name, told),) = marks(history).items()
    assert (":" in name) == ("ray" in inside)
    assert told == mark
    assert looked(history) == pictures


def test_a_subgraph_in_a_subgraph_is_seen_through(page):
    history = queued(
        page,
        """
        ray.connect(0, look, 0);
        const { node } = graph.convertToSubgraph(new Set([ray]));
        graph.convertToSubgraph(new Set([node]));
        """,
    )
    ((name, told),) = marks(history).items()
    assert name.count(":") == 2
    assert told == "0"
    assert looked(history) == [121]


def test_unlinking_frames_in_the_interface_gives_their_memory_back(page):
    queued(page, "ray.connect(0, look, 0)")
    with page.comfyui.memory() as grown:
        history = queued(page, "set('take', 1)")
    assert list(marks(history).values()) == [""]
    assert grown[0] < FRAMES_OF_THE_FOX / 10
