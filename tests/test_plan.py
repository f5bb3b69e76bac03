"""A graph is affordable as a whole or refused as a whole, before anything of it is uploaded or bought."""

from __future__ import annotations

import json
import re
import sys
from decimal import Decimal
from pathlib import Path

import comfy_host
import pytest
from emulators.replicate import ReplicateEmulator
from luma_ray.nodes import marks, plan
from luma_ray.nodes.generation.spending import LimitsFile

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def host(tmp_path, monkeypatch):
    with comfy_host.install(tmp_path / "comfyui") as host:
        nodes = comfy_host.load_pack(ROOT)
        beside = nodes["RayTextToVideo"].__module__
        clock = sys.modules[beside.replace("text_to_video", "generation.clock")].Clock
        monkeypatch.setattr(clock, "sleep", lambda self, seconds: self.stop.wait(max(seconds, 0) / 100))
        yield host


@pytest.fixture
def seller(monkeypatch):
    """Replicate: ray-flash-2 at 720p costs $0.30 for 5 s, at 540p $0.165, ray-2 at 720p $0.90."""
    with ReplicateEmulator() as emulator:
        for name, value in emulator.environment().items():
            monkeypatch.setenv(name, value)
        yield emulator


def limits(host, **usd):
    LimitsFile(host.root / "user" / "__luma_ray").change(
        {name: Decimal(value) for name, value in usd.items()}
    )


def shot(words, **inputs):
    defaults = {
        "provider": "auto",
        "model": "ray-flash-2",
        "aspect_ratio": "16:9",
        "resolution": "720p",
        "duration": "5 s",
        "loop": False,
        "take": 1,
    }
    return {"class_type": "RayTextToVideo", "inputs": {"prompt": words, **defaults, **inputs}}


def saved(node, output=1):
    inputs = {"video": [node, output], "filename_prefix": f"v{node}", "format": "auto", "codec": "auto"}
    return {"class_type": "SaveVideo", "inputs": inputs}


def film(*shots):
    """A prompt that saves the clip of each shot."""
    prompt = {}
    for number, node in enumerate(shots, 1):
        prompt[str(number)] = node
        prompt[str(number + 100)] = saved(str(number))
    return prompt


def test_three_shots_that_cost_too_much_together_are_refused_before_the_first(host, seller):
    limits(host, per_run="0.80")
    result = host.queue(film(shot("one"), shot("two"), shot("three", model="ray-2")))
    assert result.status == "error"
    told = result.message
    assert "This run would buy 3 clips for $1.50:" in told
    assert "RayTextToVideo (node 1) $0.30, ray-flash-2 720p 5 s at replicate" in told
    assert "RayTextToVideo (node 3) $0.90, ray-2 720p 5 s at replicate" in told
    assert "The limit is $0.80 for one run of a graph. Nothing was sent or billed." in told
    assert "`luma-ray limits --per-run USD`" in told
    assert re.search(
        r"Cheaper: as ray-flash-2 \$0\.90, at 540p \$0\.\d\d, as ray-flash-2 at 540p \$0\.\d\d\.", told
    )
    assert seller.requests == []


def test_shots_that_are_affordable_together_are_made(host, seller):
    limits(host, per_run="0.60")
    result = host.queue(film(shot("one"), shot("two")))
    assert result.status == "success", result.message
    assert len(seller.creates) == 2


def test_what_was_bought_before_does_not_count_again(host, seller):
    limits(host, per_run="0.60")
    assert host.queue(film(shot("one"), shot("two"))).status == "success"
    result = host.queue(film(shot("one"), shot("two"), shot("three")))
    assert result.status == "success", result.message
    assert len(seller.creates) == 3


def test_a_shot_with_a_picture_is_recognised_as_bought_and_its_pictures_wait_for_the_verdict(
    host, seller, tmp_path
):
    from PIL import Image

    Image.linear_gradient("L").convert("RGB").resize((1280, 720)).save(host.root / "input" / "start.png")
    picture = {"class_type": "LoadImage", "inputs": {"image": "start.png"}}

    def graph(*shots):
        prompt = film(*shots)
        prompt["50"] = picture
        return prompt

    def animated(words):
        node = shot(words, aspect_ratio="auto", image=["50", 0])
        node["class_type"] = "RayImageToVideo"
        return node

    names = host.object_info()["RayImageToVideo"]["input"]["required"]
    link = next(name for name, spec in names.items() if spec[0] == "IMAGE")

    def renamed(words):
        node = animated(words)
        node["inputs"][link] = node["inputs"].pop("image")
        return node

    limits(host, per_run="0.20")
    assert host.queue(graph(renamed("one"))).status == "error"
    assert seller.requests == []
    limits(host, per_run="0.30")
    assert host.queue(graph(renamed("one"))).status == "success"
    result = host.queue(graph(renamed("one"), renamed("two")))
    assert result.status == "success", result.message
    assert len(seller.creates) == 2


def scene(sheet, **inputs):
    node = shot("", **{"render": "final", **inputs})
    del node["inputs"]["prompt"], node["inputs"]["loop"]
    return {"class_type": "RayScene", "inputs": {**node["inputs"], "sheet": sheet}}


def test_a_scene_counts_with_every_shot_of_its_sheet(host, seller):
    limits(host, per_run="0.80")
    result = host.queue({"1": scene("a fox\n540p fox | 5 s\na bear"), "9": saved("1")})
    assert result.status == "error"
    told = result.message
    assert "This run would buy 3 clips for $0.90" in told
    assert "RayScene, shot 2 (node 1) $0.30" in told
    assert seller.requests == []


def test_a_draft_of_a_scene_counts_as_one(host, seller):
    limits(host, per_run="0.50")
    result = host.queue({"1": scene("a fox\na bear\nan owl", render="draft"), "9": saved("1")})
    assert result.status == "success", result.message
    assert len(seller.creates) == 3


def test_a_scene_runs_with_what_is_linked_to_it(host, seller):
    from PIL import Image

    Image.linear_gradient("L").convert("RGB").resize((1280, 720)).save(host.root / "input" / "start.png")
    node = scene("a fox\na bear", aspect_ratio="auto")
    node["inputs"] |= {"keyframes.K0": ["5", 0], "keyframes.K1": ["5", 0]}
    graph = {"1": node, "5": {"class_type": "LoadImage", "inputs": {"image": "start.png"}}, "9": saved("1")}
    assert [len(shot.marks) for shot in plan.shots(graph)] == [1, 1]
    assert [shot.requests[0].operation.value for shot in plan.shots(graph)] == [
        "keyframes_to_video",
        "image_to_video",
    ]
    result = host.queue(graph)
    assert result.status == "success", result.message
    assert len(seller.creates) == 2


def test_another_take_of_one_shot_counts_alone_also_between_pictures(host, seller):
    from PIL import Image

    Image.linear_gradient("L").convert("RGB").resize((1280, 720)).save(host.root / "input" / "start.png")

    def graph(sheet):
        node = scene(sheet, aspect_ratio="auto")
        node["inputs"] |= {f"keyframes.K{number}": ["5", 0] for number in range(3)}
        picture = {"class_type": "LoadImage", "inputs": {"image": "start.png"}}
        return {"1": node, "5": picture, "9": saved("1")}

    assert host.queue(graph("a fox\na bear")).status == "success"
    limits(host, per_run="0.30")
    result = host.queue(graph("# remark\na fox\ntake 2 | a bear"))
    assert result.status == "success", result.message
    assert len(seller.creates) == 3


def takes(**inputs):
    node = shot("a fox", takes=3, choose=0, **inputs)
    return {**node, "class_type": "RayTakes"}


def test_takes_count_together_and_the_chosen_one_costs_nothing_more(host, seller):
    limits(host, per_run="0.80")
    result = host.queue({"1": takes(), "9": saved("1")})
    assert "This run would buy 3 clips for $0.90" in result.message
    assert seller.requests == []
    limits(host, per_run="0.90")
    assert host.queue({"1": takes(), "9": saved("1")}).status == "success"
    chosen = takes()
    chosen["inputs"]["choose"] = 2
    limits(host, per_run="0")
    result = host.queue({"1": chosen, "9": saved("1")})
    assert result.status == "success", result.message
    assert len(seller.creates) == 3


def test_a_scene_whose_sheet_comes_over_a_link_is_left_to_its_node(host, seller):
    assert plan.shots({"1": scene(["7", 0])}) == []


def test_a_node_that_leads_to_no_output_is_not_counted(host, seller):
    limits(host, per_run="0.30")
    prompt = film(shot("one"))
    prompt["2"] = shot("nobody looks at this")
    result = host.queue(prompt)
    assert result.status == "success", result.message
    assert len(seller.creates) == 1


def test_another_press_of_queue_is_another_run(host, seller):
    limits(host, per_run="0.30")
    for words in ("one", "two", "three"):
        assert host.queue(film(shot(words))).status == "success"
    assert len(seller.creates) == 3


def test_the_day_is_counted_over_runs_and_the_whole_second_run_is_refused(host, seller):
    limits(host, per_day="0.80")
    assert host.queue(film(shot("one"), shot("two"))).status == "success"
    result = host.queue(film(shot("three"), shot("four")))
    assert "$0.80 for a day, and $0.60 of it is spent" in result.message
    assert len(seller.creates) == 2


def test_without_a_key_nothing_is_limited(host):
    limits(host, per_run="0", per_generation="0", per_day="0")
    result = host.queue(film(shot("one")))
    assert result.status == "success", result.message


def test_the_ledger_knows_run_and_workflow(host, seller):
    prompt = film(shot("one"), shot("two"))
    result = host.queue(prompt, extra_data={"extra_pnginfo": {"workflow": {"id": "a-workflow"}}})
    assert result.status == "success", result.message
    beside = next(name for name in sys.modules if name.endswith(".nodes.host"))
    rows = sys.modules[beside].studio().lifecycle.journal.entries()
    assert {row.workflow for row in rows} == {"a-workflow"}
    assert len({row.run for row in rows}) == 1
    assert all(row.run for row in rows)


# -- reading a prompt -----------------------------------------------------------------------------------------


def extend(**inputs):
    node = shot("and then", direction="forward", length=15, output="whole film", **inputs)
    node["class_type"] = "RayExtendVideo"
    return node


def test_an_extend_counts_the_clips_that_are_missing():
    prompt = {"1": shot("one"), "2": extend(generation=["1", 3])}
    one, two = plan.shots(prompt)
    assert (len(one.marks), len(two.marks)) == (1, 2)
    prompt["2"]["inputs"]["length"] = 30
    assert len(plan.shots(prompt)[1].marks) == 5


def test_of_a_linked_widget_every_value_is_looked_at():
    (found,) = plan.shots({"1": shot("one", model=["9", 0], duration=["9", 1])})
    assert {(request.model, request.duration) for request in found.requests} >= {
        ("ray-2", 9),
        ("ray-flash-2", 5),
    }


def test_the_mark_of_a_shot_follows_what_leads_to_it_and_not_the_numbers_of_nodes():
    picture = {"class_type": "LoadImage", "inputs": {"image": "a.png"}}
    one = {"1": shot("one", first_frame=["7", 0]), "7": picture}
    same = {"30": shot("one", first_frame=["40", 0]), "40": picture, "5": shot("else")}
    other = {"1": shot("one", first_frame=["7", 0]), "7": {**picture, "inputs": {"image": "b.png"}}}
    assert marks.mark(one, "1") == marks.mark(same, "30")
    assert marks.mark(one, "1") != marks.mark(other, "1")
    assert marks.mark(one, "1") != marks.mark(
        {"1": shot("one", take=2, first_frame=["7", 0]), "7": picture}, "1"
    )
    linked = json.loads(json.dumps(one))
    linked["1"]["inputs"]["_linked"] = "0,1"
    assert marks.mark(one, "1") == marks.mark(linked, "1")


def test_a_prompt_that_runs_in_a_circle_is_read_all_the_same():
    circle = {"1": shot("one", first_frame=["2", 0]), "2": shot("two", first_frame=["1", 0])}
    assert len({marks.mark(circle, "1"), marks.mark(circle, "2")}) == 2
    assert len(plan.shots(circle)) == 2


def test_camera_moves_are_found_through_a_chain_of_nodes():
    prompt = {
        "1": shot("one", concepts=["2", 0]),
        "2": {"class_type": "RayCameraConcepts", "inputs": {"concept_1": "push_in", "concepts": ["3", 0]}},
        "3": {"class_type": "RayCameraConcepts", "inputs": {"concept_1": "orbit_left", "concept_2": "none"}},
    }
    (found,) = plan.shots(prompt)
    assert found.requests[0].concepts == ("orbit_left", "push_in")
