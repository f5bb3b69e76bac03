"""The scene of a node as a strip: read, changed, played, by mouse and by keyboard, in ComfyUI's own interface."""

from __future__ import annotations

import pytest
from emulators.luma import LumaEmulator

DOCK = "section.luma-ray-scene"
SHOT = f"{DOCK} button.luma-ray-shot"
STATUS = f"{DOCK} [role=status]"
SHEET = "# a walk\n5 s | crane_up | a fox wakes\n9 s | it runs to the water\n5 s | it sleeps\n"


@pytest.fixture(scope="module")
def seller():
    with LumaEmulator(polls_until_done=1) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def page_environment(seller):
    return seller.environment()


def drawn(page, sheet=SHEET, **widgets):
    """A scene with a saver, 540p."""
    node = page.add("RayScene", sheet=sheet, resolution="540p", **widgets)
    page.link(node, "video", page.add("SaveVideo"), "video")
    page.fit()
    return node


def opened(page, node):
    page.select(node)
    page.command("LumaRay.Scene")
    page.see(SHOT)


def text(page, node):
    return page.ask("return widget(given[0], 'sheet').value", node)


def focused(page):
    return page.ask("return document.activeElement?.dataset.shot ?? document.activeElement?.tagName")


def test_a_scene_is_shown(page):
    node = drawn(page)
    opened(page, node)
    page.see(f"{DOCK} header p", "3 shots · 19 s")
    print(
        page.ask(
            "return [...document.querySelectorAll('.graph-canvas-panel, .side-tool-bar-container, .graph-canvas-container, .lg-node, .splitter-overlay, .p-splitterpanel')].map(e => [e.className.slice(0,60), JSON.stringify(e.getBoundingClientRect())])"
        )
    )
    page.shot("scene")
    page.theme("light")
    page.shot("scene")
    page.theme("dark")
    page.zoom(2)
    page.shot("scene-zoom")
