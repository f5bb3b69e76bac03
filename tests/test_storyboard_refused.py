"""What is no scene, no change of one and no clip is refused by the page's routes, in words."""

from __future__ import annotations

import pytest
from comfy_page import opened
from test_storyboard import graph, told


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LUMA_RAY_COLLECT", "off")
        with opened(tmp_path_factory.mktemp("refused") / "comfyui") as page:
            yield page


@pytest.mark.parametrize(
    ("sheet", "words"),
    [
        ("", "The scene sheet is empty"),
        ("a fox | 5 s | 9 s", "Line 1 of the scene sheet has two lengths"),
        ("a fox | K7", "Shot 1 asks for K7"),
        (["5", 0], "comes from another node"),
    ],
)
def test_a_sheet_that_cannot_be_read_is_answered_in_words(page, sheet, words):
    answer = page.post("scene", {"prompt": graph(sheet), "node": "1"})
    assert answer.status_code == 400
    assert words in answer.json()["error"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"prompt": {}, "node": "1"}, "no such node"),
        ({"prompt": [], "node": "1"}, "A graph is expected"),
        ({"prompt": {"1": 5}, "node": "1"}, "A graph is expected"),
        ({"prompt": {"1": {"inputs": []}}, "node": "1"}, "A graph is expected"),
        ({"prompt": graph()}, "node is missing"),
        ({"prompt": graph(), "node": "2"}, "no Ray Scene"),
    ],
)
def test_what_is_no_scene_is_refused(page, body, words):
    answer = page.post("scene", body)
    assert answer.status_code == 400
    assert words in answer.json()["error"]


def test_a_graph_in_a_circle_or_too_deep_ends(page):
    prompt = graph(concepts=["20", 0])
    for number in range(20, 3000):
        prompt[str(number)] = {"class_type": "X", "inputs": {"concepts": [str(number + 1), 0]}}
    answer = page.post("scene", {"prompt": prompt, "node": "1"})
    assert (answer.status_code, answer.json()["error"][:9]) == (400, "The graph")
    prompt["20"]["inputs"]["concepts"] = ["20", 0]
    told(page, prompt)


@pytest.mark.parametrize(
    "body",
    [
        {"sheet": 5, "edit": {}},
        {"sheet": "a fox"},
        {"sheet": "a fox", "edit": {}, "pictures": ["K0"]},
        {"sheet": "a fox", "edit": {"change": "burn"}},
    ],
)
def test_what_is_no_edit_is_refused(page, body):
    assert page.post("scene/edit", body).status_code == 400


def test_a_clip_that_is_not_here_is_said(page):
    answer = page.post("scene/clip", {"id": "ray-000000-0000000000"})
    assert answer.status_code == 400
    assert "not on this machine" in answer.json()["error"]


def test_other_pages_are_told_nothing(page):
    for path in ("scene", "scene/edit", "scene/clip", "reframe/source", "reframe/place"):
        assert page.post(path, {}, Origin="https://evil.test").status_code == 403
