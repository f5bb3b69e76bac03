"""The film on its canvas at Ray Reframe Video: dragged, resized, moved by keys; it writes the node's own widgets."""

from __future__ import annotations

import pytest
from browser.tab import Point

FILM = ".luma-ray-reframe-film"
CANVAS = ".luma-ray-reframe-canvas"
WORDS = ".luma-ray-reframe [role=status]"
MIDDLE = "1152 x 648 at 0, 700 of 1152 x 2048. As large as it fits, in the middle."


@pytest.fixture
def node(page):
    # ComfyUI gives a new node what the one of the same number had.
    place = {"size": 100, "across": 50, "down": 50}
    made = page.add("RayReframeVideo", aspect_ratio="9:16", provider="animatic", **place)
    page.link(made, "video", page.add("SaveVideo"), "video")
    page.fit()
    page.see(WORDS, MIDDLE)
    return made


def place(page, node):
    return page.ask("return ['size', 'across', 'down'].map((name) => widget(given[0], name).value)", node)


def becomes(page, node, *percents):
    page.until(
        "return ['size', 'across', 'down'].every((name, index) => widget(given[0], name).value === given[1][index])",
        node,
        percents,
    )


def box(page, css):
    """Left, top, width, height in the window."""
    return page.ask(
        "const at = document.querySelector(given[0]).getBoundingClientRect();"
        "return [at.left, at.top, at.width, at.height]",
        css,
    )


def at(page, across, down):
    """A point of the canvas, by parts of it."""
    left, top, width, height = box(page, CANVAS)
    return Point(left + across * width, top + down * height)


def drawn(page):
    """Where the film is drawn, as parts of the canvas."""
    left, top, width, height = box(page, CANVAS)
    x, y, wide, tall = box(page, FILM)
    return [round(each, 2) for each in ((x - left) / width, (y - top) / height, wide / width, tall / height)]


def test_the_film_stands_where_the_widgets_say(page, node):
    assert drawn(page) == [0, 0.34, 1, 0.32]
    page.shot("reframe")
    page.set(node, size=50, across=0, down=100)
    page.see(WORDS, "576 x 324 at 0, 1724 of 1152 x 2048. Size 50 %, across 0 %, down 100 %.")
    assert drawn(page) == [0, 0.84, 0.5, 0.16]
    page.shot("reframe-moved")
    page.theme("light")
    page.shot("reframe-moved")
    page.zoom(2)
    page.fit()
    page.shot("reframe-zoom")


def test_another_ratio_is_another_canvas(page, node):
    page.set(node, aspect_ratio="21:9")
    page.see(WORDS, "of 2432 x 1024")
    _, _, width, height = box(page, CANVAS)
    assert round(width / height, 1) == 2.4


def test_a_place_that_comes_home_late_leaves_the_next_graph_alone(page, node):
    with page.held("/reframe/place") as let_go:
        page.drag(at(page, 0.5, 0.5), at(page, 0.5, 0.2))
        page.until("return window.held.length")
        page.ask("graph.clear(); return null")
        new = page.add("RayReframeVideo", aspect_ratio="9:16", size=100, across=50, down=50)
        let_go()
    page.ask("await new Promise((done) => setTimeout(done, 200)); return null")
    assert place(page, new) == [100, 50, 50]


def test_nobody_is_kept_out(page, node):
    page.accessible(".luma-ray-reframe")


def test_a_film_is_dragged_to_its_place(page, node):
    page.drag(at(page, 0.5, 0.5), at(page, 0.5, 0.2))
    # 648 of 2048 rows: 700 - 0.3 * 2048 = 86 of 1400 rows left over.
    becomes(page, node, 100, 50, 6)
    page.see(WORDS, "1152 x 648 at 0, 84 of 1152 x 2048.")
    page.drag(at(page, 0.5, 0.2), at(page, 0.5, 0.99))
    becomes(page, node, 100, 50, 100)


def test_a_corner_is_dragged_and_the_one_across_from_it_stays(page, node):
    right, bottom = 1.0, (700 + 648) / 2048
    page.drag(at(page, right, bottom), at(page, 0.5, (700 + 324) / 2048))
    becomes(page, node, 50, 0, 41)
    page.see(WORDS, "576 x 324 at 0, 707 of 1152 x 2048.")
    assert drawn(page) == pytest.approx([0, 700 / 2048, 0.5, 324 / 2048], abs=0.01)


def test_a_drag_moves_no_node_and_is_one_step_back(page, node):
    before = page.ask("return [...node(given[0]).pos]", node)
    page.drag(at(page, 0.5, 0.5), at(page, 0.5, 0.2))
    becomes(page, node, 100, 50, 6)
    assert page.ask("return [...node(given[0]).pos]", node) == before
    page.ask("await app.extensionManager.command.execute('Comfy.Undo'); return null")
    becomes(page, node, 100, 50, 50)
    page.see(WORDS, MIDDLE)


def test_keys_move_and_resize_it(page, node):
    page.ask("document.querySelector(given[0]).focus(); return null", FILM)
    page.press("ArrowUp", "Shift+ArrowUp", "Shift+ArrowUp")
    becomes(page, node, 100, 50, 29)
    page.press("-", "Shift+_", "Shift+_")
    becomes(page, node, 79, 50, 29)
    page.press("+", "Shift+ArrowRight", "ArrowRight", "ArrowDown")
    becomes(page, node, 80, 61, 30)
    page.see(WORDS, "Size 80 %, across 61 %, down 30 %.")
    page.press("Home")
    becomes(page, node, 100, 50, 50)


def test_keys_end_where_the_pack_says(page, node):
    page.ask("document.querySelector(given[0]).focus(); return null", FILM)
    page.press(*["Shift+_"] * 12)
    becomes(page, node, 10, 50, 50)
    page.press(*["Shift+ArrowDown"] * 7)
    becomes(page, node, 10, 50, 100)
    assert page.ask("return graph.nodes.length") == 2


def test_the_button_puts_it_back(page, node):
    page.set(node, size=50, across=0, down=100)
    page.see(WORDS, "576 x 324")
    page.click(".luma-ray-reframe button", "Largest, in the middle")
    becomes(page, node, 100, 50, 50)
    page.see(WORDS, MIDDLE)


def test_what_is_refused_is_said(page, node):
    page.expects("status of 400")
    page.set(node, across=120)
    page.see(WORDS, "the place across is 120%, and 0% to 100% are possible")


def test_a_film_that_was_made_is_shown_in_its_place(page, node):
    source = page.add(
        "RayTextToVideo",
        prompt="a fox to reframe",
        provider="animatic",
        aspect_ratio="1:1",
        resolution="540p",
    )
    page.link(source, "generation", node, "generation")
    page.see(WORDS, "1152 x 1152 at 0, 448 of 1152 x 2048")
    page.see(".luma-ray-reframe", "Drawn for a film of 540 x 540, until it is known.")
    assert page.run()["status"] == "completed"
    page.see(".luma-ray-reframe", "The film is 540 x 540.", seconds=30)
    page.until("return document.querySelector(given[0])?.videoWidth === 540", f"{FILM} video", seconds=30)
    page.fit()
    page.shot("reframe-film")


def test_it_leaves_no_trace_in_what_is_queued_and_saved(page, node):
    assert "luma_ray_place" not in page.prompt()[node]["inputs"]
    page.set(node, size=30, across=10, down=20)
    saved = page.ask("return node(given[0]).serialize().widgets_values", node)
    assert saved[5:8] == [30, 10, 20]
    kept = page.ask(
        "return node(given[0]).widgets.filter((each) => each.serialize !== false).map((each) => each.name)",
        node,
    )
    assert "luma_ray_place" not in kept
    assert len(saved) == len(kept)
    workflow = page.ask("return graph.serialize()")
    page.load(workflow)
    page.see(WORDS, "Size 30 %, across 10 %, down 20 %.")
