"""What the pack tells the pages that are open, as messages in the corner; and the window of unfinished purchases."""

from __future__ import annotations

import pytest
from frontend.fixtures import ONE_RENDERER

pytestmark = ONE_RENDERER

ABOUT = {
    "id": "ray-261121-0123456789",
    "prompt": "a fox in the snow",
    "summary": "5 s of ray-2",
    "message": "Still.",
}
DIALOG = "dialog.luma-ray-dialog"


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ("collected", "A clip that was paid is here"),
        ("undecided", "Was this bought?"),
        ("not_collected", "a fox in the snow"),
    ],
)
def test_what_happened_in_the_background_is_told(page, event, words):
    page.tell(f"luma_ray.{event}", ABOUT)
    told = page.toast(words)
    page.shot(f"news-{event}")
    assert "a fox in the snow" in told


def test_words_of_a_clip_are_words_and_no_page(page):
    page.tell("luma_ray.collected", {**ABOUT, "prompt": "<img src=x onerror=alert(1)><b>bold</b>"})
    assert "<b>bold</b>" in page.toast("A clip that was paid is here")
    assert page.ask("return document.querySelectorAll('img[src=x]').length") == 0


def test_the_menu_opens_the_window_and_escape_closes_it(page):
    page.command("LumaRay.Unfinished")
    page.see(DIALOG, "None.")
    page.shot("unfinished-none")
    assert page.ask("return document.activeElement.textContent") == "Close"
    page.accessible(DIALOG)
    page.press("Escape")
    page.gone(DIALOG)


def test_no_key_that_is_pressed_in_the_window_is_one_of_the_canvas(page):
    node = page.add("RayTextToVideo")
    page.ask("app.canvas.selectNode(node(given[0])); return null", node)
    page.command("LumaRay.Unfinished")
    page.see(DIALOG, "None.")
    page.press("Delete", "Control+m", "Control+Enter")
    assert page.ask("return graph.nodes.map((each) => each.mode)") == [0]
    assert page.backend.jobs() == []
