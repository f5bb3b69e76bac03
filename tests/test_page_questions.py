"""A purchase that got no answer asks on its node and in the window of all, in ComfyUI's own interface."""

from __future__ import annotations

import pytest
import requests
from emulators.luma import Fault, LumaEmulator

PANEL = ".luma-ray-question"
DIALOG = "dialog.luma-ray-dialog"
BUTTON = "button.luma-ray-button"


@pytest.fixture(scope="module")
def seller():
    with LumaEmulator(polls_until_done=1) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def page_environment(seller):
    return seller.environment()


@pytest.fixture
def shot(page, request):
    """A Ray node with a saver, of a prompt that no other test has bought."""
    node = page.add("RayTextToVideo", prompt=f"a fox, {request.node.name}", provider="luma")
    page.link(node, "video", page.add("SaveVideo"), "video")
    page.fit()
    return node


@pytest.fixture
def asked(page, seller, shot):
    """The node, whose purchase was just lost."""
    seller.fail_next("POST", "/generations/video", Fault.lost_request())
    ended = page.run()
    assert ended["status"] == "failed", ended
    page.see(PANEL, "Perhaps bought, and no answer came")
    page.fit()
    yield shot
    for row in page.studio.lifecycle.journal.entries(("uncertain",)):
        page.studio.lifecycle.not_created(row.id)


def unfinished(page):
    return page.ask(
        "return (await api.fetchApi('/luma_ray/unfinished', { headers: { 'X-Luma-Ray': '1' } })).json()"
    )


def close_error(page):
    """ComfyUI shows what went wrong in an overlay of its own, which may lie over the node."""
    page.press("Escape")


def test_the_question_stands_on_its_node_and_says_three_ways_on(page, asked):
    page.shot("question")
    assert [page.count(BUTTON, words) for words in ("Look again", "It is there", "It was not created")] == [
        1,
        1,
        1,
    ]
    (row,) = unfinished(page)
    assert row["id"] in page.see(PANEL)


def test_a_node_that_is_told_it_was_not_created_buys_anew(page, seller, asked):
    bought = len(seller.creates)
    close_error(page)
    page.click(BUTTON, "It was not created: send again")
    page.see(DIALOG, "otherwise it is paid twice")
    page.shot("question-sure")
    before = page.queued()
    page.click(f"{DIALOG} button", "Confirm")
    page.gone(PANEL, seconds=60)
    last = page.over(page.queued_after(before))
    assert last["status"] == "completed"
    assert len(seller.creates) == bought + 1
    assert unfinished(page) == []


def test_nothing_is_bought_where_the_person_leaves_the_question(page, seller, asked):
    bought = len(seller.creates)
    close_error(page)
    page.click(BUTTON, "It was not created: send again")
    page.see(DIALOG)
    page.press("Escape")
    page.gone(DIALOG)
    page.see(PANEL)
    assert len(seller.creates) == bought
    assert len(unfinished(page)) == 1


def test_the_question_is_answered_by_keyboard_alone(page, asked):
    close_error(page)
    page.ask("document.querySelectorAll('.luma-ray-question button')[2].focus(); return null")
    page.press("Enter")
    page.see(DIALOG)
    for _ in range(4):  # around the window, by way of the browser itself, and never into the page below
        page.press("Tab")
        assert page.ask("return document.activeElement.matches('body, dialog, dialog *')")
    page.press("Escape")
    page.gone(DIALOG)
    assert page.ask("return document.activeElement.textContent").startswith("It was not created")


def test_a_question_is_not_part_of_the_prompt_or_the_workflow(page, asked):
    inputs = page.prompt()[str(asked)]["inputs"]
    assert not [name for name in inputs if "luma_ray" in name]
    fresh = page.add("RayTextToVideo")
    saved, plain = (page.ask("return node(given[0]).serialize()", each) for each in (asked, fresh))
    assert len(saved["widgets_values"]) == len(plain["widgets_values"])


def test_a_question_that_is_answered_elsewhere_leaves_the_node(page, asked):
    (row,) = unfinished(page)
    page.studio.lifecycle.not_created(row["id"])
    page.tell("luma_ray.collected", {"id": row["id"], "prompt": "a fox", "summary": "5 s"})
    page.gone(PANEL)


def test_the_question_can_be_used_by_everybody(page, asked):
    close_error(page)
    page.accessible(PANEL)


def test_the_window_lists_what_is_not_finished_and_answers_there(page, asked):
    close_error(page)
    page.command("LumaRay.Unfinished")
    page.see(DIALOG, "No answer came")
    page.shot("unfinished")
    page.accessible(DIALOG)
    page.click(f"{DIALOG} {BUTTON}", "It was not created")
    page.see(DIALOG, "otherwise it is paid twice")
    page.click(f"{DIALOG} button", "Confirm")
    page.see(f"{DIALOG} .luma-ray-list", "None.")
    page.gone(PANEL)
    page.press("Escape")
    page.gone(DIALOG)


def test_what_happened_while_no_page_was_open_is_told_to_the_next(page, asked):
    page.tab.open("about:blank")
    page.tab.until("return location.href === 'about:blank'")
    headers = {"X-Luma-Ray": "1", "Origin": page.backend.address}
    requests.post(f"{page.backend.address}/luma_ray/collect", json={}, headers=headers, timeout=20)
    page.open()
    assert "test_what_happened" in page.toast("Was this bought?")


def test_a_clip_that_was_bought_and_fetched_asks_nothing(page, shot):
    assert page.run()["status"] == "completed"
    assert page.count(PANEL) == 0
