"""A node while it runs and afterwards: words, time, the clip, and what a press of Cancel came to."""

from __future__ import annotations

import pytest
from emulators.replicate import ReplicateEmulator

WORDS = "$$node-text-preview"


@pytest.fixture(scope="module")
def shop():
    with ReplicateEmulator(polls_until_done=1) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def page_environment(shop):
    return shop.environment()


@pytest.fixture(autouse=True)
def _nothing_is_shown(page):
    """What nodes of other tests had shown is forgotten, as when a person clears the graph."""
    page.ask("app.clean(); return null")


@pytest.fixture
def endless(shop):
    """Jobs that are never done, as long as the test runs."""
    pace, shop.pace = shop.pace, type(shop.pace)(10**9)
    yield shop
    shop.pace = pace


def shot(page, prompt, **widgets):
    """A node whose clip is looked at."""
    node = page.add("RayTextToVideo", prompt=prompt, resolution="540p", **widgets)
    page.link(node, "video", page.add("SaveVideo"), "video")
    return node


def said(page, node, part):
    """Wait until a node says *part*, and give all that it says."""
    return page.until(
        "const words = String(widget(given[0], given[1])?.value ?? '');"
        "return words.includes(given[2]) ? words : null",
        node,
        WORDS,
        part,
    )


def playing(page):
    """How many clips can be played on the page: they are loaded, and have pictures."""
    return page.ask(
        "return [...document.querySelectorAll('video')].filter((v) => v.readyState > 0 && v.videoWidth > 0"
        " && new URL(v.currentSrc || v.src || v.querySelector('source')?.src).pathname.endsWith('/view')).length"
    )


def pause(page, milliseconds):
    page.ask("await new Promise((done) => setTimeout(done, given[0])); return null", milliseconds)


def until_playing(page, count):
    for _ in range(200):
        if playing(page) == count:
            return
        pause(page, 50)
    raise AssertionError(f"{playing(page)} clips play, not {count}")


def test_the_clip_plays_on_the_node_and_again_after_a_reload(page, shop):
    node = page.add("RayTextToVideo", prompt="a fox in the snow", resolution="540p")
    end = page.add("RayJoinClips")
    page.link(node, "generation", end, "generation_1")
    page.link(end, "video", page.add("SaveVideo"), "video")
    assert page.run()["status"] == "completed"
    until_playing(page, 3)
    before = len(shop.creates)
    workflow = page.ask("return graph.serialize()")
    page.reload()
    page.load(workflow)
    until_playing(page, 2)  # Save Video is none of ours
    page.fit()
    page.shot("running-again")
    assert len(shop.creates) == before
    assert "shown" not in str(workflow)


def test_a_node_that_was_changed_shows_no_clip_of_what_it_was(page):
    node = shot(page, "a fox in the rain")
    assert page.run()["status"] == "completed"
    until_playing(page, 2)
    page.set(node, prompt="a hare in the rain")
    workflow = page.ask("return graph.serialize()")
    page.reload()
    pause(
        page, 1500
    )  # ComfyUI opens what it kept of the last graph, which may be as it was before the change
    page.load(workflow)
    pause(page, 600)
    assert page.ask("return widget(given[0], 'prompt').value", node) == "a hare in the rain"
    assert playing(page) == 0


def test_several_nodes_tell_how_far_they_are_each_with_its_time(page, endless):
    nodes = [shot(page, "a fox"), shot(page, "a hare"), shot(page, "an owl", provider="animatic")]
    queued = page.queue()
    for node in nodes[:2]:
        words = said(page, node, " at Replicate, ")
        assert words.split(", ")[-1].endswith(" s")
    page.fit()
    page.shot("running")
    page.interrupt()
    page.over(queued)
    for node in nodes[:2]:
        said(page, node, "confirmed the cancellation")
    page.toast("2 cancelled")


def test_a_page_that_is_loaded_while_a_clip_is_made_goes_on_telling(page, endless):
    node = shot(page, "a fox", take=3)
    queued = page.queue()
    said(page, node, " at Replicate, ")
    workflow = page.ask("return graph.serialize()")
    page.reload()
    page.load(workflow)
    said(page, node, " at Replicate, ")
    page.interrupt()
    assert page.over(queued)["status"] == "cancelled"
    said(page, node, "confirmed the cancellation")
    page.toast("cancelled")


def test_cancel_says_once_for_all_nodes_what_became_of_their_jobs(page, endless):
    nodes = [shot(page, "a fox", take=2), shot(page, "a hare", take=2)]
    queued = page.queue()
    for node in nodes:
        said(page, node, " at Replicate, ")
    page.interrupt()
    assert page.over(queued)["status"] == "cancelled"
    told = page.toast("2 cancelled")
    assert told.count("Replicate confirmed the cancellation") == 2
    page.shot("cancelled")
    assert page.count(".p-toast-message", "cancelled") == 1


def test_cancel_says_of_a_job_that_goes_on_that_it_is_paid_and_can_be_collected(page):
    node = shot(page, "a fox")
    message = "Stopped waiting for generation ray-1. Luma cannot cancel a job. Queue again to collect it."
    page.tell("luma_ray.stopped", {"node": node, "job": "kept", "message": message})
    told = page.toast("stopped, and paid all the same")
    assert "Ray Text to Video" in told
    assert "Queue again to collect it" in told


def test_a_message_about_many_stops_stays_short(page):
    for number in range(5):
        about = {"node": "1", "job": "cancelled", "message": f"Clip {number} was cancelled."}
        page.tell("luma_ray.stopped", about)
    told = page.toast("5 cancelled")
    assert told.count("was cancelled.") == 3
    assert "And 2 more" in told


def test_a_graph_without_our_nodes_asks_nothing(page):
    page.add("SaveVideo")
    workflow = page.ask("return graph.serialize()")
    page.tab.forget()
    page.load(workflow)
    pause(page, 400)
    assert not [request for request in page.tab.requests if "/luma_ray/previews" in request.url]
