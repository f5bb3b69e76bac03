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


def test_what_is_approved_as_a_draft_keeps_words_takes_and_pictures_to_the_end(host, seller):
    from PIL import Image

    for number in range(2):
        picture = Image.linear_gradient("L").rotate(90 * number).convert("RGB").resize((1280, 720))
        picture.save(host.root / "input" / f"{number}.png")
    pictures = {
        str(5 + number): {"class_type": "LoadImage", "inputs": {"image": f"{number}.png"}}
        for number in range(2)
    }
    keyframes = {f"keyframes.K{number}": [str(5 + number), 0] for number in range(2)}
    prices = "draft (ray-flash-2 540p) $0.16 · final (ray-2 720p) $0.90"
    for render, expected in (
        ("animatic", f"as animatic free · {prices}"),
        ("draft", prices),
        ("final", "draft (ray-flash-2 540p) from the library · final (ray-2 720p) $0.90"),
    ):
        node = scene("take 3 | push_in | a fox", aspect_ratio="auto", model="ray-2", render=render)
        node["inputs"] |= keyframes
        result = host.queue({"1": node, "9": saved("1"), **pictures})
        assert result.status == "success", result.message
        said = [event.data for event in host.events if event.name == "progress_text" and event.node_id == "1"]
        assert expected in said[-1]
    bodies = [work.body["input"] for work in seller.creates]
    assert len(bodies) == 2
    for name in ("prompt", "start_image", "end_image", "duration", "aspect_ratio", "concepts"):
        assert bodies[0].get(name) == bodies[1].get(name)


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


def test_where_a_part_is_queued_only_that_part_is_counted(host, seller):
    limits(host, per_run="0.30")
    prompt = film(shot("one"), shot("two"), shot("three"))
    assert "This run would buy 3 clips for $0.90" in host.queue(prompt).message
    result = host.queue(prompt, partial_execution_targets=["102"])
    assert result.status == "success", result.message
    assert [create.prompt for create in seller.creates] == ["two"]


def test_a_part_that_costs_too_much_is_refused_as_a_whole_and_names_no_other_shot(host, seller):
    limits(host, per_run="0.50")
    prompt = film(shot("one"), shot("two"), shot("three"))
    told = host.queue(prompt, partial_execution_targets=["101", "103"]).message
    assert "This run would buy 2 clips for $0.60" in told
    assert "(node 2)" not in told
    assert seller.requests == []


def test_two_nodes_that_ask_for_the_same_clip_count_once(host, seller):
    limits(host, per_run="0.30")
    result = host.queue(film(shot("one"), shot("one")))
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


# -- films made from films ------------------------------------------------------------------------------------


def changed(class_type, source, **inputs):
    """A node that changes the clip of *source*."""
    defaults = {
        "RayModifyVideo": {
            "prompt": "as a painting",
            "model": "ray-flash-2",
            "resolution": "auto",
            "mode": "flex_1",
        },
        "RayReframeVideo": {
            "prompt": "",
            "model": "ray-flash-2",
            "aspect_ratio": "9:16",
            "resolution": "auto",
            "size": 100,
            "across": 50,
            "down": 50,
        },
        "RayUpscaleVideo": {"resolution": "1080p"},
        "RayAddAudio": {"prompt": "wind", "negative_prompt": ""},
    }[class_type]
    values = {"provider": "auto", "take": 1, **defaults, "generation": [source, 3], **inputs}
    return {"class_type": class_type, "inputs": values}


def test_films_made_from_a_clip_are_priced_by_the_clip_before_it_is_made(host, luma, bucket):
    limits(host, per_run="1.00")
    prompt = film(
        shot("one", resolution="540p"),
        changed("RayModifyVideo", "1"),
        changed("RayReframeVideo", "1"),
        changed("RayUpscaleVideo", "1"),
        changed("RayAddAudio", "4"),
    )
    result = host.queue(prompt)
    assert result.status == "error"
    told = result.message
    assert "This run would buy 5 clips for $1.65" in told
    assert "RayModifyVideo (node 2) $0.34, ray-flash-2 5 s at luma" in told
    assert "RayReframeVideo (node 3) $0.62, ray-flash-2 5 s at luma" in told
    assert "RayUpscaleVideo (node 4) $0.45, ray-flash-2 1080p 5 s at luma" in told
    assert "RayAddAudio (node 5) $0.10, ray-flash-2 5 s at luma" in told
    assert luma.requests == []


def test_they_are_made_where_all_of_them_are_affordable_and_recalled_after_that(host, luma, bucket):
    limits(host, per_run="1.00")
    prompt = film(
        shot("one", resolution="540p"), changed("RayUpscaleVideo", "1"), changed("RayAddAudio", "2")
    )
    assert host.queue(prompt).status == "success"
    assert len(luma.creates) == 3
    assert host.queue(prompt).status == "success"
    assert len(luma.creates) == 3


def test_a_film_of_unknown_length_counts_as_ten_seconds():
    request = next(
        iter(plan.shots({"1": changed("RayModifyVideo", "9", generation=None, video=["9", 0])})[0].requests)
    )
    assert request.duration == 10
    assert request.source.seconds == 10


@pytest.mark.parametrize(
    ("node", "seconds"),
    [
        (shot("one", duration="9 s"), 9),
        (changed("RayUpscaleVideo", "8"), 9),
        ({"class_type": "RayExtendVideo", "inputs": {"length": 22, "duration": "5 s"}}, 22),
        ({"class_type": "RayJoinClips", "inputs": {"generation_1": ["8", 3], "generation_2": ["8", 3]}}, 18),
        ({"class_type": "LoadVideo", "inputs": {"file": "a.mp4"}}, 10),
        ({"class_type": "RayTextToVideo", "inputs": {"duration": ["8", 0]}}, 10),
    ],
)
def test_how_long_a_film_will_be_is_read_from_the_node_that_makes_it(node, seconds):
    prompt = {"1": changed("RayModifyVideo", "7"), "7": node, "8": shot("before", duration="9 s")}
    (made,) = [each for each in plan.shots(prompt) if each.node == "1"]
    assert made.requests[0].source.seconds == seconds


def test_a_graph_that_leads_back_to_itself_is_not_followed_for_ever():
    prompt = {"1": changed("RayModifyVideo", "2"), "2": changed("RayModifyVideo", "1")}
    assert len(plan.shots(prompt)) == 2


def test_a_clip_between_two_is_priced_at_whoever_may_have_made_them(host, luma):
    between = {
        "class_type": "RayInterpolateVideo",
        "inputs": {
            **shot("on and on")["inputs"],
            "aspect_ratio": "auto",
            "resolution": "540p",
            "output": "new part",
            "before": ["1", 3],
            "after": ["2", 3],
        },
    }
    limits(host, per_run="0.30")
    result = host.queue(film(shot("one", resolution="540p"), shot("two", resolution="540p"), between))
    assert "RayInterpolateVideo (node 3) $0.14, ray-flash-2 540p 5 s at luma" in result.message
    assert luma.requests == []
