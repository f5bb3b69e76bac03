"""Every example workflow, end to end: offline as a newcomer runs it, and at Luma's emulator."""

from __future__ import annotations

import json
import re
import sys
from itertools import combinations
from pathlib import Path

import comfy_host
import pytest
from luma_ray.nodes.media import clips

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = sorted((ROOT / "example_workflows").glob("*.json"))
FRAMES = {
    "text-to-video": 121,
    "image-to-video": 121,
    "keyframes-to-video": 121,
    "extend-to-15-seconds": 361,
    "four-shot-film": 484,
    "scene": 481,
    "reframe-to-vertical": 121,
    "modify-video": 121,
    "upscale-to-1080p": 121,
    "add-audio": 121,
    "interpolate-two-clips": 361,
    "choose-a-take": 121,
    "preflight-keyframes": 121,
    "export-a-film": 363,
    "draft-to-final": 363,
    "extend-to-30-seconds": 721,
    "half-a-minute-from-four-photographs": 769,
}
CREATES = {
    "extend-to-15-seconds": 3,
    "four-shot-film": 4,
    "scene": 4,
    "reframe-to-vertical": 2,
    "modify-video": 2,
    "upscale-to-1080p": 2,
    "add-audio": 2,
    "interpolate-two-clips": 3,
    "choose-a-take": 4,
    "export-a-film": 3,
    "draft-to-final": 3,
    "extend-to-30-seconds": 6,
    "half-a-minute-from-four-photographs": 4,
}
TITLE = 30
"""Height of a node's title, in the units of its place."""
SEAMS = {"scene": 4, "half-a-minute-from-four-photographs": 3}
"""Where shots come to rest on a picture: in a small one nobody can tell exactly how many frames of it repeat."""
LARGER = {"RayUpscaleVideo": "720p"}
"""The smallest size of a node that does not sell the one that all others are run at."""


@pytest.fixture
def host(tmp_path):
    with comfy_host.install(tmp_path / "comfyui") as host:
        comfy_host.load_pack(ROOT)
        yield host


@pytest.fixture
def small(host, monkeypatch):
    """Previews of a quarter of each side, as the emulators' clips are: so the suite is quick."""
    beside = host.nodes["RayTextToVideo"].__module__
    ray = sys.modules[beside.replace("text_to_video", "generation.ray")]
    monkeypatch.setitem(ray.SHORT_SIDE, "360p", 90)
    monkeypatch.setitem(ray.SHORT_SIDE, "720p", 180)


def smaller(prompt, resolution, **widgets):
    """The same graph at *resolution*, and with *widgets* where a node has them, so that the suite is quick."""
    for node in prompt.values():
        if "resolution" in node["inputs"] and node["inputs"]["resolution"] != "auto":
            node["inputs"]["resolution"] = LARGER.get(node["class_type"], resolution)
        node["inputs"] |= {name: value for name, value in widgets.items() if name in node["inputs"]}
    return prompt


def overlapping(nodes):
    """Pairs of nodes that lie over each other; the title stands above a node's place."""
    found = []
    for one, other in combinations(nodes, 2):
        (left, top), (wide, tall) = one["pos"], one["size"]
        (across, down), (width, height) = other["pos"], other["size"]
        beside = left + wide <= across or across + width <= left
        below = top + tall + TITLE <= down or down + height + TITLE <= top
        found += [] if beside or below else [(one["type"], other["type"])]
    return found


def film(result, prompt):
    """The file that the graph saves."""
    (saved,) = [node_id for node_id, node in prompt.items() if node["class_type"] == "SaveVideo"]
    source = prompt[saved]["inputs"]["video"]
    return Path(result.outputs[source[0]][source[1]].get_stream_source())


def test_there_is_an_example_for_every_job_and_a_count_for_every_example():
    assert {example.stem for example in EXAMPLES} == set(FRAMES)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_offline_without_any_key(host, small, example):
    prompt = comfy_host.to_prompt(json.loads(example.read_text("utf-8")), host.object_info())
    prompt = smaller(prompt, "360p", render="final")
    result = host.queue(prompt)
    assert result.status == "success", result.message
    frames = clips.inspect(film(result, prompt)).frames
    assert frames == pytest.approx(FRAMES[example.stem], abs=SEAMS.get(example.stem, 0))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_the_same_file_runs_at_luma_when_a_key_is_set(host, example, luma, bucket):
    luma.pace = type(luma.pace)(1)
    prompt = comfy_host.to_prompt(json.loads(example.read_text("utf-8")), host.object_info())
    prompt = smaller(prompt, "540p")
    result = host.queue(prompt)
    assert result.status == "success", result.message
    assert len(luma.creates) == CREATES.get(example.stem, 1)
    frames = clips.inspect(film(result, prompt)).frames
    assert frames == pytest.approx(FRAMES[example.stem], abs=SEAMS.get(example.stem, 0))
    assert luma.leaks == []


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_opens_anywhere_and_shares_nothing_private(host, example):
    text = example.read_text("utf-8")
    workflow = json.loads(text)
    info = host.object_info()
    assert overlapping(workflow["nodes"]) == []
    assert re.fullmatch(r"[A-Za-z0-9_.-]+", example.stem)
    assert example.with_suffix(".jpg").stat().st_size < 65_000
    assert "/home/" not in text
    assert "http" not in text
    for node in workflow["nodes"]:
        if node["type"] == "MarkdownNote":
            continue
        assert node["properties"]["cnr_id"] in ("luma-ray", "comfy-core")
        if node["type"].startswith("Ray"):
            declared = info[node["type"]]["input"]
            sockets = {socket["name"].partition(".")[0] for socket in node["inputs"]}
            assert sockets <= {name for group in declared.values() for name in group}
            assert [output["name"] for output in node["outputs"]] == info[node["type"]]["output_name"]
        if node["type"] == "LoadImage":
            assert (ROOT / "example_workflows" / "inputs" / node["widgets_values"][0]).is_file()


def test_auto_and_no_key_is_what_every_example_is_shared_with(host):
    for example in EXAMPLES:
        prompt = comfy_host.to_prompt(json.loads(example.read_text("utf-8")), host.object_info())
        providers = {node["inputs"]["provider"] for node in prompt.values() if "provider" in node["inputs"]}
        assert providers == {"auto"}
