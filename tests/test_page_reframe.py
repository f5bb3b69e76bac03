"""The film on its canvas at Ray Reframe Video: dragged, resized, moved by keys; it writes the node's own widgets."""

from __future__ import annotations

import pytest

FILM = ".luma-ray-reframe-film"
CANVAS = ".luma-ray-reframe-canvas"
WORDS = ".luma-ray-reframe [role=status]"


@pytest.fixture
def node(page):
    made = page.add("RayReframeVideo", aspect_ratio="9:16", provider="animatic")
    page.link(made, "video", page.add("SaveVideo"), "video")
    page.fit()
    page.see(WORDS, "of 1152 x 2048")
    return made


def place(page, node):
    return page.ask("return ['size', 'across', 'down'].map((name) => widget(given[0], name).value)", node)


def test_the_film_stands_where_the_widgets_say(page, node):
    page.see(WORDS, "1152 x 648 at 0, 700 of 1152 x 2048. As large as it fits, in the middle.")
    page.shot("reframe")
    page.set(node, size=50, across=0, down=100)
    page.see(WORDS, "576 x 324 at 0, 1724 of 1152 x 2048. Size 50 %, across 0 %, down 100 %.")
    page.shot("reframe-moved")
    page.theme("light")
    page.shot("reframe-moved")
    page.zoom(2)
    page.fit()
    page.shot("reframe-zoom")
