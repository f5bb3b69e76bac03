"""Where a film will stand in a reframed picture, told to the page before it is made."""

from __future__ import annotations

import pytest
from comfy_page import opened
from hypothesis import given
from hypothesis import strategies as st
from luma_ray.nodes.generation.canvas import CANVAS, percents, placed


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LUMA_RAY_COLLECT", "off")
        with opened(tmp_path_factory.mktemp("reframe")) as page:
            yield page


def standing(page, **told):
    body = {"aspect_ratio": "9:16", "width": 1280, "height": 720, "size": 100, "across": 50, "down": 50}
    return page.post("reframe/place", {**body, **told})


def test_a_film_stands_as_large_as_it_fits_in_the_middle(page):
    assert standing(page).json() == {
        "canvas": [1152, 2048],
        "left": 0,
        "top": 700,
        "width": 1152,
        "height": 648,
        "size": 100,
        "across": 50,
        "down": 50,
        "smallest": 10,
        "words": "1152 x 648 at 0, 700 of 1152 x 2048. As large as it fits, in the middle.",
    }


def test_a_rectangle_that_is_drawn_becomes_the_nearest_whole_percents(page):
    told = standing(page, drawn={"left": 570, "top": 1700, "width": 580, "height": 1}).json()
    assert (told["size"], told["across"], told["down"]) == (50, 99, 99)
    assert (told["width"], told["height"]) == (576, 324)
    assert told["words"] == "576 x 324 at 570, 1707 of 1152 x 2048."


@pytest.mark.parametrize(
    ("drawn", "percent"),
    [
        ({"left": -500, "top": -500, "width": 576}, (50, 0, 0)),
        ({"left": 5000, "top": 5000, "width": 576}, (50, 100, 100)),
        ({"left": 300, "top": 900, "width": 9000}, (100, 50, 64)),
        ({"left": 0, "top": 0, "width": 1}, (10, 0, 0)),
    ],
)
def test_a_rectangle_beyond_the_canvas_comes_back_onto_it(page, drawn, percent):
    told = standing(page, drawn=drawn).json()
    assert (told["size"], told["across"], told["down"]) == percent
    assert told["left"] >= 0
    assert told["left"] + told["width"] <= told["canvas"][0]


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"aspect_ratio": "2:1"}, "there is no canvas of 2:1"),
        ({"size": 5}, "the size is 5%, and 10% to 100% are possible"),
        ({"across": 120}, "the place across is 120%"),
        ({"width": 0}, "1 to 16384 pixels"),
        ({"width": 99999}, "1 to 16384 pixels"),
        ({"size": "all"}, "size is no number"),
        ({"size": True}, "size is no number"),
        ({"drawn": {"left": 0, "top": 0}}, "width is no number"),
        ({"drawn": {"left": 0, "top": 0, "width": float("nan")}}, "width is no number"),
        ({"drawn": {"left": 1e300, "top": 0, "width": 5}}, "left is no number"),
    ],
)
def test_what_is_no_place_is_refused_in_words(page, told, words):
    answer = standing(page, **told)
    assert answer.status_code == 400
    assert words in answer.json()["error"]


@given(
    st.sampled_from(sorted(CANVAS)),
    st.tuples(st.integers(64, 4096), st.integers(64, 4096)),
    st.tuples(st.integers(10, 100), st.integers(0, 100), st.integers(0, 100)),
)
def test_a_place_that_is_drawn_as_it_stands_stays_there(ratio, source, percent):
    size, across, down = (each / 100 for each in percent)
    there = placed(source, ratio, scale=size, across=across, down=down)
    found = percents(source, ratio, left=there.left, top=there.top, width=there.width)
    again = placed(source, ratio, scale=found.size / 100, across=found.across / 100, down=found.down / 100)
    # A percent of the largest size, and two pixels of rounding.
    assert abs(again.width - there.width) <= there.canvas[0] / 100 + 2
    assert abs(again.left - there.left) <= there.canvas[0] / 100 + 2
    assert abs(again.top - there.top) <= there.canvas[1] / 100 + 2


# -- the film that comes to the node --------------------------------------------------------------------------


def reframe(**inputs):
    given = {
        "prompt": "",
        "provider": "auto",
        "model": "ray-flash-2",
        "aspect_ratio": "9:16",
        "resolution": "auto",
    }
    return {"class_type": "RayReframeVideo", "inputs": {**given, **inputs}}


def clip(**inputs):
    given = {"prompt": "a fox", "provider": "auto", "model": "ray-flash-2", "aspect_ratio": "1:1"}
    given |= {"resolution": "540p", "duration": "5 s", "loop": False, "take": 1}
    return {"class_type": "RayTextToVideo", "inputs": {**given, **inputs}}


def source(page, prompt, node="1"):
    answer = page.post("reframe/source", {"prompt": prompt, "node": node})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_without_a_film_one_of_16_to_9_is_drawn(page):
    assert source(page, {"1": reframe()}) == {"width": 1280, "height": 720, "known": False, "place": None}


def test_a_film_that_is_not_made_yet_is_as_its_widgets_say(page):
    told = source(page, {"1": reframe(video=["2", 1]), "2": clip(prompt="a fox to come")})
    assert told == {"width": 540, "height": 540, "known": False, "place": None}


def test_a_film_that_is_here_is_known_and_shown(page):
    saver = {"video": ["2", 1], "filename_prefix": "v", "format": "auto", "codec": "auto"}
    result = page.host.queue({"2": clip(), "3": {"class_type": "SaveVideo", "inputs": saver}})
    assert result.status == "success", result.message
    told = source(page, {"1": reframe(generation=["2", 3]), "2": clip()})
    assert (told["width"], told["height"], told["known"]) == (540, 540, True)
    place = told["place"]
    assert (page.host.root / place["type"] / place["subfolder"] / place["filename"]).is_file()
    (row,) = page.studio.lifecycle.journal.entries()
    collect = {"class_type": "RayCollectGeneration", "inputs": {"id": row.id, "provider": "auto"}}
    told = source(page, {"1": reframe(generation=["2", 3]), "2": collect})
    assert (told["width"], told["known"]) == (540, True)


def test_a_film_from_a_file_is_shown_and_measured_by_the_page(page):
    load = {"class_type": "LoadVideo", "inputs": {"file": "walks/fox.mp4 [output]"}}
    told = source(page, {"1": reframe(video=["2", 0]), "2": load})
    assert told["known"] is False
    assert told["place"] == {"filename": "fox.mp4", "subfolder": "walks", "type": "output"}


def test_another_node_has_no_place(page):
    answer = page.post("reframe/source", {"prompt": {"1": clip()}, "node": "1"})
    assert answer.status_code == 400
    assert "no Ray Reframe Video" in answer.json()["error"]
