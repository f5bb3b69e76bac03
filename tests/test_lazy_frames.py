"""Frames are decoded where something that runs is linked to them, and nowhere else; linking them buys nothing."""

from __future__ import annotations

import importlib
import json
import tracemalloc
from types import SimpleNamespace

import comfy_host
import pytest
from test_nodes import Graph, at_luma, graph, sink

__all__ = ["at_luma", "graph"]

MUTED, BYPASSED = 2, 4
FRAMES, VIDEO, LAST, GENERATION = range(4)
ALL_OF_THEM = 121 * 960 * 540 * 3 * 4
"""Bytes of the frames of the fox."""


def seen(monkeypatch, graph):
    """What the pack under test decodes, in order; everything is done as ever."""
    pack = graph.nodes["RayTextToVideo"].__module__.rpartition(".")[0]
    frames = importlib.import_module(f"{pack}.media.frames")
    clock = importlib.import_module(f"{pack}.generation.clock").Clock
    monkeypatch.setattr(clock, "sleep", lambda self, seconds: self.stop.wait(max(seconds, 0) / 100))
    calls = []

    def spied(name, call):
        def decoding(path, *given, **others):
            calls.append(name)
            return call(path, *given, **others)

        return decoding

    for name in ("decode", "first_frame", "last_frame"):
        monkeypatch.setattr(frames, name, spied(name, getattr(frames, name)))
    return calls


@pytest.fixture
def decoded(at_luma, monkeypatch):
    return seen(monkeypatch, at_luma)


@pytest.fixture
def fox(at_luma):
    return at_luma.node("RayTextToVideo", prompt="a fox", resolution="540p")


def marked(graph, prompt, node_id="1", **body):
    """What the handler writes into a node of a prompt that is queued."""
    (handler,) = graph.host.server.on_prompt_handlers
    sent = json.loads(json.dumps({"prompt": prompt, **body}))
    return handler(sent)["prompt"][node_id]["inputs"]["_linked"]


def ran(result):
    assert result.status == "success", result.message
    return result


def test_a_graph_that_links_only_the_video_holds_no_frames_in_memory(graph, monkeypatch):
    from comfy_api.latest import io

    class Look(io.ComfyNode):
        @classmethod
        def define_schema(cls):
            return io.Schema(node_id="Look", inputs=[io.Image.Input("images")], is_output_node=True)

        @classmethod
        def execute(cls, images):
            return io.NodeOutput()

    graph.host.add_nodes([Look])
    decoded = seen(monkeypatch, graph)
    fox = graph.node("RayTextToVideo", prompt="a fox", resolution="540p")
    ran(graph.queue(**{"1": fox, "2": sink(graph, "1")}))
    graph.host.cache.clear()
    tracemalloc.start()
    try:
        ran(graph.queue(**{"1": fox, "2": sink(graph, "1")}))
        only_video = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        look = {"class_type": "Look", "inputs": {"images": ["1", FRAMES]}}
        result = ran(graph.queue(**{"1": fox, "2": sink(graph, "1"), "3": look}))
        with_frames = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert decoded == ["decode"]
    assert result.outputs["1"][FRAMES].nbytes == ALL_OF_THEM
    assert with_frames > ALL_OF_THEM
    assert only_video < ALL_OF_THEM / 100


def test_linking_frames_and_unlinking_them_asks_nobody_and_decodes_once(at_luma, luma, fox, decoded):
    ran(at_luma.queue(**{"1": fox, "2": sink(at_luma, "1")}))
    asked = len(luma.requests)
    result = ran(at_luma.queue(**{"1": fox, "2": sink(at_luma, "1"), "3": sink(at_luma, "1", FRAMES)}))
    assert result.outputs["1"][FRAMES].shape[0] == 121
    assert decoded == ["decode"]
    result = ran(at_luma.queue(**{"1": fox, "2": sink(at_luma, "1")}))
    assert result.outputs["1"][FRAMES] is None
    assert decoded == ["decode"]
    assert len(luma.requests) == asked
    assert len(at_luma.rows()) == 1


def test_linking_what_is_there_anyway_does_not_run_the_node_again(at_luma, fox, decoded):
    graph = {"1": fox, "2": sink(at_luma, "1", FRAMES)}
    ran(at_luma.queue(**graph))
    result = ran(at_luma.queue(**graph, **{"3": sink(at_luma, "1", VIDEO)}))
    assert "1" in result.cached
    again = at_luma.node("RayFrames", generation=["1", GENERATION], count=1)
    result = ran(at_luma.queue(**graph, **{"3": again, "4": at_luma.node("PreviewImage", images=["3", 1])}))
    assert "1" in result.cached
    assert decoded == ["decode", "first_frame"]


def test_for_the_last_frame_alone_only_the_last_frame_is_decoded(at_luma, fox, decoded):
    result = ran(at_luma.queue(**{"1": fox, "2": sink(at_luma, "1", LAST)}))
    assert decoded == ["last_frame"]
    assert result.outputs["1"][FRAMES] is None
    assert result.outputs["1"][LAST].shape[0] == 1


@pytest.mark.parametrize(
    ("output", "calls"), [(0, ["decode"]), (1, ["first_frame"]), (2, ["last_frame"]), (None, [])]
)
def test_ray_frames_decodes_only_what_is_linked(at_luma, fox, decoded, output, calls):
    chosen = at_luma.node("RayFrames", generation=["1", GENERATION], count=3)
    graph = {"1": fox, "2": sink(at_luma, "1"), "3": chosen}
    if output is not None:
        graph["4"] = at_luma.node("PreviewImage", images=["3", output])
    ran(at_luma.queue(**graph))
    assert decoded == calls


def test_a_part_of_a_graph_that_needs_no_frames_decodes_none(at_luma, fox, decoded):
    """The interface queues the whole graph and says which outputs are wanted."""
    graph = {"1": fox, "2": sink(at_luma, "1"), "3": sink(at_luma, "1", FRAMES)}
    result = ran(at_luma.host.queue(graph, partial_execution_targets=["2"]))
    assert result.executed == ["1", "2"]
    assert decoded == []
    ran(at_luma.host.queue(graph, partial_execution_targets=["3"]))
    assert decoded == ["decode"]
    ran(at_luma.host.queue(graph, partial_execution_targets=["2", "3"]))
    assert decoded == ["decode"]


def test_a_node_that_leads_to_no_output_is_no_reason_to_decode(at_luma, fox, decoded):
    idle = at_luma.node("RayKeyframe", image=["1", FRAMES], seconds=1.0)
    ran(at_luma.queue(**{"1": fox, "2": sink(at_luma, "1"), "3": idle}))
    assert decoded == []


def test_a_node_far_below_an_output_is(at_luma, fox, decoded):
    batch = at_luma.node("ImageBatch", image1=["1", LAST], image2=["1", LAST])
    ran(at_luma.queue(**{"1": fox, "2": batch, "3": sink(at_luma, "2", 0)}))
    assert decoded == ["last_frame"]


def test_frames_inside_a_subgraph_have_ids_with_colons_and_are_decoded_all_the_same(at_luma, fox, decoded):
    result = ran(at_luma.queue(**{"12:5": fox, "12:7:1": sink(at_luma, "12:5", FRAMES)}))
    assert result.outputs["12:5"][FRAMES].shape[0] == 121
    assert decoded == ["decode"]


@pytest.mark.parametrize("mark", ["0,2", "2", "many", "", 5, None, ["1", 0], {"a": 1}])
def test_what_a_prompt_says_of_itself_is_not_believed(graph, mark):
    """Prompts come back out of saved films, with the marks of another day in them."""
    fox = graph.node("RayTextToVideo", _linked=mark)
    assert marked(graph, {"1": fox, "2": sink(graph, "1")}) == ""
    assert marked(graph, {"1": fox, "2": sink(graph, "1", LAST)}) == "2"


def test_a_stale_mark_does_not_keep_frames_from_being_decoded(at_luma, fox, decoded):
    fox["inputs"]["_linked"] = ""
    result = ran(at_luma.queue(**{"1": fox, "2": sink(at_luma, "1", FRAMES)}))
    assert result.outputs["1"][FRAMES].shape[0] == 121


def test_where_no_handler_ran_and_a_mark_cannot_be_read_everything_is_decoded(at_luma, fox, decoded):
    at_luma.host.server.on_prompt_handlers.clear()
    fox["inputs"]["_linked"] = "many"
    ran(at_luma.queue(**{"1": fox, "2": sink(at_luma, "1")}))
    assert decoded == ["decode"]


@pytest.mark.parametrize("mark", [5, "0;2", "-1", "1.5", None, ["0"]])
def test_a_mark_that_cannot_be_read_stands_for_everything(graph, mark):
    node = graph.nodes["RayTextToVideo"]
    hidden = SimpleNamespace(unique_id="1", prompt={"1": {"inputs": {"_linked": mark}}})
    host = importlib.import_module(f"{node.__module__.rpartition('.')[0]}.host")
    told = host.linked(SimpleNamespace(hidden=hidden, define_schema=node.define_schema))
    assert told >= {FRAMES, VIDEO, LAST, GENERATION}


def test_a_type_that_comfyui_may_still_replace_counts_as_an_output(graph):
    """Handlers see a prompt before ComfyUI puts new names for old ones into it."""
    old = {"class_type": "PreviewImageOfOldTimes", "inputs": {"images": ["1", FRAMES]}}
    fox = graph.node("RayTextToVideo")
    assert marked(graph, {"1": fox, "2": sink(graph, "1"), "3": old}) == "0"


@pytest.mark.parametrize("targets", [[], ["9"], "2", None, [["2"]], {"2": True}])
def test_targets_that_are_none_decode_what_the_whole_graph_needs(graph, targets):
    prompt = {"1": graph.node("RayTextToVideo"), "2": sink(graph, "1"), "3": sink(graph, "1", FRAMES)}
    assert marked(graph, prompt, partial_execution_targets=targets) == "0"


@pytest.mark.parametrize(("output", "calls"), [(VIDEO, []), (LAST, ["last_frame"] * 2)])
def test_a_list_of_prompts_decodes_for_each_what_is_linked(at_luma, fox, decoded, output, calls):
    from comfy_api.latest import io

    class Foxes(io.ComfyNode):
        @classmethod
        def define_schema(cls):
            return io.Schema(
                node_id="Foxes", inputs=[], outputs=[io.String.Output("prompts", is_output_list=True)]
            )

        @classmethod
        def execute(cls):
            return io.NodeOutput(["a red fox", "a white fox"])

    at_luma.host.add_nodes([Foxes])
    fox["inputs"]["prompt"] = ["0", 0]
    foxes = {"class_type": "Foxes", "inputs": {}}
    ran(at_luma.queue(**{"0": foxes, "1": fox, "2": sink(at_luma, "1", output)}))
    assert decoded == calls


def test_another_process_decodes_what_the_first_one_bought(tmp_path, luma, monkeypatch):
    luma.pace = type(luma.pace)(1)

    def queued(*outputs):
        with comfy_host.install(tmp_path / "comfyui") as host, monkeypatch.context() as patch:
            graph = Graph(host)
            calls = seen(patch, graph)
            fox = graph.node("RayTextToVideo", prompt="a fox", resolution="540p")
            ran(graph.queue(**{"1": fox, **{str(9 + each): sink(graph, "1", each) for each in outputs}}))
            return calls, len(luma.requests)

    calls, asked = queued(VIDEO)
    assert calls == []
    assert queued(VIDEO, FRAMES) == (["decode"], asked)
    assert queued(VIDEO) == ([], asked)


# -- as an artist draws it ----------------------------------------------------------------------------------


def workflow(*, reroute=False, preview_mode=0, batch_mode=None):
    """A Ray node with Save Video and Preview Image; the pictures may pass a reroute and Batch Images."""
    nodes = [
        {
            "id": 1,
            "type": "RayTextToVideo",
            "widgets_values": None,
            "inputs": [],
            "outputs": [{"type": "IMAGE"}, {"type": "VIDEO"}, {"type": "IMAGE"}, {"type": "RAY_GENERATION"}],
        },
        {
            "id": 2,
            "type": "SaveVideo",
            "widgets_values": ["x", "auto", "auto"],
            "inputs": [{"name": "video", "type": "VIDEO", "link": 1}],
        },
        {"id": 3, "type": "PreviewImage", "mode": preview_mode},
    ]
    links, source = [[1, 1, VIDEO, 2, 0, "VIDEO"]], [1, FRAMES]
    if reroute:
        nodes.append({"id": 4, "type": "Reroute", "inputs": [{"name": "", "type": "*", "link": 2}]})
        nodes[-1]["outputs"] = [{"type": "IMAGE"}]
        links.append([2, *source, 4, 0, "*"])
        source = [4, 0]
    if batch_mode is not None:
        nodes.append(
            {
                "id": 5,
                "type": "ImageBatch",
                "mode": batch_mode,
                "inputs": [
                    {"name": "image1", "type": "IMAGE", "link": 3},
                    {"name": "image2", "type": "IMAGE", "link": 4},
                ],
                "outputs": [{"type": "IMAGE"}],
            }
        )
        links += [[3, *source, 5, 0, "IMAGE"], [4, 1, LAST, 5, 1, "IMAGE"]]
        source = [5, 0]
    links.append([5, *source, 3, 0, "IMAGE"])
    nodes[2]["inputs"] = [{"name": "images", "type": "IMAGE", "link": 5}]
    return {"nodes": nodes, "links": links}


@pytest.mark.parametrize(
    ("drawn", "told"),
    [
        (workflow(), "0"),
        (workflow(reroute=True), "0"),
        (workflow(preview_mode=MUTED), ""),
        (workflow(preview_mode=BYPASSED), ""),
        (workflow(reroute=True, preview_mode=MUTED), ""),
        (workflow(batch_mode=BYPASSED), "0"),
        (workflow(reroute=True, batch_mode=BYPASSED), "0"),
    ],
    ids=[
        "linked",
        "through a reroute",
        "the preview muted",
        "the preview bypassed",
        "muted behind a reroute",
        "a node between bypassed",
        "both",
    ],
)
def test_what_is_drawn_is_what_is_decoded(graph, drawn, told):
    drawn = json.loads(json.dumps(drawn))
    drawn["nodes"][0]["widgets_values"] = list(graph.node("RayTextToVideo")["inputs"].values())
    assert marked(graph, comfy_host.to_prompt(drawn, graph.info)) == told
