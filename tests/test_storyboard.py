"""A scene as it stands: which shots are here, which are new and for how much, told to the page."""

from __future__ import annotations

from contextlib import contextmanager
from decimal import Decimal

import pytest
from comfy_page import opened
from emulators.luma import LumaEmulator
from emulators.server import Fault
from PIL import Image

SHEET = "# a walk\n5 s | crane_up | a fox wakes\n5 s | it runs\n9 s | it sleeps"


@pytest.fixture
def page(tmp_path):
    with opened(tmp_path / "comfyui") as page:
        yield page


@contextmanager
def selling(monkeypatch):
    with LumaEmulator(polls_until_done=1) as emulator:
        for name, value in emulator.environment().items():
            monkeypatch.setenv(name, value)
        yield emulator


@pytest.fixture
def seller(monkeypatch):
    """Luma: ray-flash-2 at 540p costs $0.14 for 5 s and $0.25 for 9 s."""
    with selling(monkeypatch) as emulator:
        yield emulator


def graph(sheet=SHEET, pictures=0, **inputs):
    """A scene that is saved, between *pictures* loaded ones."""
    given = {
        "sheet": sheet,
        "provider": "auto",
        "model": "ray-flash-2",
        "aspect_ratio": "16:9",
        "resolution": "540p",
        "duration": "5 s",
        "take": 1,
        "render": "final",
        **inputs,
    }
    saver = {"video": ["1", 1], "filename_prefix": "v", "format": "auto", "codec": "auto"}
    prompt = {
        "1": {"class_type": "RayScene", "inputs": given},
        "2": {"class_type": "SaveVideo", "inputs": saver},
    }
    for number in range(pictures):
        given[f"keyframes.K{number}"] = [f"1{number}", 0]
        prompt[f"1{number}"] = {"class_type": "LoadImage", "inputs": {"image": f"K{number}.png"}}
    return prompt


def told(page, prompt, node="1"):
    answer = page.post("scene", {"prompt": prompt, "node": node})
    assert answer.status_code == 200, answer.text
    return answer.json()


def states(page, prompt):
    return [(shot["state"], shot["price"]) for shot in told(page, prompt)["shots"]]


def run(page, prompt):
    result = page.host.queue(prompt)
    assert result.status == "success", result.message


def test_shots_are_told_with_their_times_prices_and_sellers(page, seller):
    scene = told(page, graph())
    first, second, third = scene["shots"]
    assert (first["number"], first["start"], first["seconds"], first["prompt"]) == (1, 0, 5, "a fox wakes")
    assert (second["start"], third["start"], third["seconds"], scene["seconds"]) == (5, 10, 9, 19)
    assert (first["camera"], first["keyframes"], first["take"], first["loop"]) == (
        ["crane_up"],
        [None, None],
        1,
        False,
    )
    assert (third["state"], third["price"], third["usd"], third["provider"]) == (
        "new",
        "$0.25",
        "0.25",
        "luma",
    )
    assert third["words"] == "new, $0.25 at luma"
    assert (first["seam"], second["seam"]) == ("", "a cut, joined plainly")
    assert scene["bill"] == "shots 1, 2, 3 new: $0.53 (luma)"
    assert scene["price"] == "$0.53"
    assert {5, 9} <= set(scene["choices"]["seconds"])
    assert "push_in" in scene["choices"]["camera"]


def test_to_be_told_sends_nothing_and_writes_nothing(page, seller):
    told(page, graph())
    assert seller.requests == []
    assert page.studio.lifecycle.journal.entries() == []


def test_what_was_bought_is_here_and_its_clip_is_shown(page, seller):
    run(page, graph())
    scene = told(page, graph())
    assert [shot["state"] for shot in scene["shots"]] == ["here"] * 3
    assert scene["bill"] == "shots 1, 2, 3 from the library"
    assert scene["price"] == ""
    ids = [shot["generation"] for shot in scene["shots"]]
    place = page.post("scene/clip", {"id": ids[0]}).json()
    assert place["type"] == "output"
    assert (page.host.root / "output" / place["subfolder"] / place["filename"]).is_file()


def test_the_joined_film_is_told_with_what_was_found_at_its_seams(page, seller):
    assert told(page, graph())["film"] is None
    run(page, graph())
    scene = told(page, graph())
    film = scene["film"]
    assert (page.host.root / "output" / film["subfolder"] / film["filename"]).is_file()
    assert scene["shots"][0]["seam"] == ""
    for shot in scene["shots"][1:]:
        assert "repeat" in shot["seam"]


def test_another_take_of_one_shot_is_new_and_the_others_stay(page, seller):
    run(page, graph())
    again = graph(SHEET.replace("it runs", "take 2 | it runs"))
    assert states(page, again) == [("here", ""), ("new", "$0.14"), ("here", "")]
    assert told(page, again)["bill"] == "shots 1, 3 from the library; shot 2 new: $0.14 (luma)"
    takes = told(page, again)["shots"][1]["takes"]
    assert [(take["take"], take["state"], take["price"]) for take in takes] == [
        (1, "here", ""),
        (2, "new", "$0.14"),
        (3, "new", "$0.14"),
    ]


def test_the_price_of_the_next_take_is_known_before_and_a_take_that_is_here_costs_nothing(page, seller):
    run(page, graph("a fox wakes"))
    (shot,) = told(page, graph("a fox wakes"))["shots"]
    assert [(take["take"], take["price"]) for take in shot["takes"]] == [(1, ""), (2, "$0.14")]
    run(page, graph("take 2 | a fox wakes"))
    (shot,) = told(page, graph("a fox wakes"))["shots"]
    assert [(take["take"], take["state"]) for take in shot["takes"]] == [(1, "here"), (2, "here")]


@pytest.fixture
def pictures(page):
    for number in range(4):
        picture = Image.new("RGB", (320, 180), (60 * number, 80, 200 - 50 * number))
        picture.save(page.host.root / "input" / f"K{number}.png")


def test_shots_between_pictures_are_known_by_their_graph(page, seller, pictures):
    prompt = graph(pictures=3, sheet="a fox wakes\nit runs")
    scene = told(page, prompt)
    assert [shot["keyframes"] for shot in scene["shots"]] == [[0, 1], [1, 2]]
    assert scene["pictures"][1] == {
        "number": 1,
        "place": {"filename": "K1.png", "subfolder": "", "type": "input"},
    }
    assert scene["shots"][1]["seam"] == "goes on from K1; the frame that both have is shown once"


def test_shots_that_change_places_keep_their_clips(page, pictures):
    prompt = graph(pictures=4, sheet="a fox wakes\nit runs\nit sleeps")
    run(page, prompt)
    assert [shot["state"] for shot in told(page, prompt)["shots"]] == ["preview"] * 3
    # As ComfyUI's page tells of a node that plays its clip.
    prompt["1"]["inputs"]["video-preview"] = prompt["10"]["inputs"]["$$canvas-image-preview"] = ""
    assert [shot["state"] for shot in told(page, prompt)["shots"]] == ["preview"] * 3
    edit = {"change": "move", "shot": 3, "to": 1}
    answer = page.post(
        "scene/edit", {"sheet": prompt["1"]["inputs"]["sheet"], "edit": edit, "pictures": [0, 1, 2, 3]}
    ).json()
    assert answer["shot"] == 1
    moved = told(page, graph(pictures=4, sheet=answer["sheet"]))
    assert [shot["prompt"] for shot in moved["shots"]] == ["it sleeps", "a fox wakes", "it runs"]
    assert [shot["state"] for shot in moved["shots"]] == ["preview"] * 3


def test_without_a_key_shots_are_previews_and_free(page):
    assert states(page, graph()) == [("free", "")] * 3
    run(page, graph())
    scene = told(page, graph())
    assert [(shot["state"], shot["preview"]) for shot in scene["shots"]] == [("preview", True)] * 3
    assert all(shot["generation"] for shot in scene["shots"])
    assert scene["price"] == ""


def test_previews_that_are_asked_for_are_called_so(page, seller):
    prompt = graph("a fox wakes", provider="animatic")
    assert states(page, prompt) == [("free", "")]
    run(page, prompt)
    scene = told(page, prompt)
    assert scene["bill"] == "shot 1 a preview, free"
    assert [take["state"] for take in scene["shots"][0]["takes"]] == ["preview", "free"]


def test_a_preview_is_shown_until_the_shot_is_bought(page, monkeypatch):
    run(page, graph("a fox wakes"))
    with selling(monkeypatch):
        (shot,) = told(page, graph("a fox wakes"))["shots"]
        assert (shot["state"], shot["price"], shot["preview"]) == ("new", "$0.14", True)
        assert shot["generation"]


def test_the_same_shot_twice_is_one_purchase(page, seller):
    scene = told(page, graph("5 s | a fox\n5 s | a fox"))
    assert [shot["state"] for shot in scene["shots"]] == ["new", "same"]
    assert scene["bill"] == "shot 2 the same as one before; shot 1 new: $0.14 (luma)"


def test_a_shot_that_nobody_sells_is_refused_alone_and_says_why(page, seller):
    scene = told(page, graph("5 s | a fox\n7 s | a bear"))
    assert [shot["state"] for shot in scene["shots"]] == ["new", "refused"]
    assert "7 s" in scene["shots"][1]["words"]
    assert "shot 2 cannot be made so" in scene["bill"]


def test_a_purchase_without_an_answer_is_called_one(page, seller):
    seller.fail_next("POST", "/generations/video", Fault.lost_request())
    assert page.host.queue(graph("a fox wakes")).status == "error"
    (shot,) = told(page, graph("a fox wakes"))["shots"]
    assert (shot["state"], shot["price"]) == ("asking", "")


def test_a_clip_whose_file_is_gone_is_bought_all_the_same(page, seller):
    run(page, graph("a fox wakes"))
    (row,) = page.studio.lifecycle.journal.entries()
    page.studio.library.find(row).unlink()
    (shot,) = told(page, graph("a fox wakes"))["shots"]
    assert (shot["state"], shot["generation"]) == ("away", None)


def test_a_limit_that_would_be_crossed_is_said_before(page, seller):
    assert told(page, graph())["limit"] == ""
    page.studio.limits.change({"per_run": Decimal("0.30")})
    assert "The limit is $0.30 for one run" in told(page, graph())["limit"]
