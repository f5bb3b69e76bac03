"""Keys in ComfyUI's own page: a card for each provider, the test of a key, the hint at the first node."""

from __future__ import annotations

import json

import pytest
from emulators.luma import LumaEmulator
from frontend.fixtures import ONE_RENDERER
from frontend.served import EXAMPLES

KEYS = ".luma-ray-keys"
CARD = "[data-luma-ray-card=luma]"
HINT = ".luma-ray-first"


@pytest.fixture(scope="module")
def shop():
    with LumaEmulator(credit_usd=12.5) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def page_environment(shop):
    told = shop.environment()
    return {name: told[name] for name in told if name != "LUMAAI_API_KEY"}


@pytest.fixture(autouse=True)
def _no_key_is_left(opened_page):
    yield
    opened_page.studio.credentials.save("LUMAAI_API_KEY", "")
    opened_page.ask(
        "await app.extensionManager.setting.set('LumaRay.FirstHint', true);"
        "(await import('/extensions/luma-ray/first.js')).keysChanged([]); return null"
    )


def opened(page):
    """ComfyUI's settings at the keys."""
    page.command("Comfy.ShowSettingsDialog")
    page.click("[data-nav-id]", "Luma Ray")
    page.see(f"{KEYS} {CARD}")


@pytest.fixture
def cards(page):
    opened(page)
    yield page
    page.press("Escape")
    page.gone(KEYS)


def kept_by_the_browser(page):
    return page.ask("return JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie])")


# -- the cards ------------------------------------------------------------------------------------------------


@ONE_RENDERER
def test_a_key_that_is_saved_is_tried_at_once_and_its_balance_told(cards, shop):
    page = cards
    page.see(f"{CARD} .luma-ray-state", "not set up")
    page.click(f"{CARD} input")
    page.type(f"  {shop.key}\n")
    page.click(f"{CARD} button", "Save the key for Luma")
    page.see(f"{CARD} .luma-ray-told", "The key works. Balance: $12.50.")
    page.see(f"{CARD} .luma-ray-state", "ready")
    page.see(f"{CARD} .luma-ray-key", f"saved ...{shop.key[-4:]}")
    page.shot("keys-saved")
    assert page.studio.credentials.get("LUMAAI_API_KEY").reveal() == shop.key
    assert shop.creates == []
    for kept in (
        kept_by_the_browser(page),
        json.dumps(page.backend.settings),
        page.ask("return document.documentElement.outerHTML"),
        page.ask("return [...document.querySelectorAll('input')].map((each) => each.value).join()"),
    ):
        assert shop.key not in kept


@ONE_RENDERER
def test_the_button_tests_a_key_and_says_in_words_what_is_wrong_with_it(cards):
    page = cards
    assert page.count(f"{CARD} button", "Test") == 0  # there is nothing to test
    page.click(f"{CARD} input")
    page.type("luma-wrong-key-0123456789")
    page.press("Enter")
    page.see(f"{CARD} .luma-ray-told", "does not accept the key")
    page.ask(f"document.querySelector('{CARD} .luma-ray-told').textContent = ''; return null")
    page.click(f"{CARD} button", "Test Luma")
    page.see(f"{CARD} .luma-ray-told", "does not accept the key")
    page.expects("does not accept")


@ONE_RENDERER
def test_a_key_is_forgotten_after_a_question(cards, shop):
    page = cards
    page.studio.credentials.save("LUMAAI_API_KEY", shop.key)
    page.press("Escape")
    page.gone(KEYS)
    opened(page)
    page.see(f"{CARD} .luma-ray-key", "saved")
    page.click(f"{CARD} button", "Save the key for Luma")
    page.click("dialog button", "Cancel")
    assert page.studio.credentials.source("LUMAAI_API_KEY") == "saved"
    page.click(f"{CARD} button", "Save the key for Luma")
    page.click("dialog button", "Confirm")
    page.see(f"{CARD} .luma-ray-state", "not set up")
    assert page.studio.credentials.source("LUMAAI_API_KEY") == "missing"


@ONE_RENDERER
def test_a_card_can_be_used_with_the_keyboard_alone(cards, shop):
    page = cards
    page.ask(f"document.querySelector('{CARD} input').focus(); return null")
    page.type(shop.key)
    page.press("Tab", "Enter")
    page.see(f"{CARD} .luma-ray-told", "The key works.")
    page.press("Tab", "Enter")
    page.see(f"{CARD} .luma-ray-told", "The key works.")


@ONE_RENDERER
def test_the_cards_can_be_used_by_everybody(cards):
    for theme in ("dark", "light"):
        cards.theme(theme)
        cards.shot("keys")
        cards.zoom(2)
        cards.shot("keys-200")
        cards.zoom(1)
    cards.accessible(KEYS)


@ONE_RENDERER
def test_the_command_opens_the_keys_in_a_window_of_their_own(page):
    page.command("LumaRay.Keys")
    page.see(f"dialog {KEYS} {CARD}")
    page.shot("keys-window")
    page.press("Escape")
    page.gone(KEYS)


# -- the hint -------------------------------------------------------------------------------------------------


def hints(page):
    """How many nodes have the hint."""
    return page.ask(
        "return graph.nodes.filter((n) => n.widgets?.some((w) => w.name === 'luma_ray_first')).length"
    )


def test_the_first_node_without_a_key_says_that_it_is_a_free_preview_and_where_keys_go(page, shop):
    first = page.add("RayTextToVideo", prompt="a fox")
    page.see(HINT, "the free animatic")
    page.add("RayImageToVideo")
    page.add("RayFrames")
    assert hints(page) == 1
    page.shot("hint")
    page.click(f"{HINT} button", "Keys...")
    page.click(f"dialog {CARD} input")
    page.type(shop.key)
    page.press("Enter")
    page.see(f"dialog {CARD} .luma-ray-told", "The key works.")
    page.press("Escape")
    page.gone("dialog")
    page.gone(HINT)
    assert hints(page) == 0
    page.shot("hint-gone")
    assert page.box(first)[3] > 100


def test_a_hint_that_is_dismissed_stays_away(page):
    node = page.add("RayTextToVideo", prompt="a fox")
    page.see(HINT)
    other = page.add("RayTextToVideo")
    page.until("return node(given[0]).size[1] > node(given[1]).size[1] + 60", node, other)
    page.click(f"{HINT} button", "Dismiss")
    page.gone(HINT)
    page.until("return node(given[0]).size[1] < node(given[1]).size[1] + 5", node, other)
    page.reload()
    page.add("RayTextToVideo", prompt="a fox")
    page.ask("await new Promise((done) => setTimeout(done, 300)); return null")
    assert hints(page) == 0


def test_the_hint_can_be_used_by_everybody(page):
    page.add("RayTextToVideo", prompt="a fox", at=(320, 120))
    page.see(HINT)
    page.accessible(HINT)
    page.theme("light")
    page.zoom(2)
    page.fit()
    page.shot("hint-200")
    page.zoom(1)
    page.fit()
    page.ask("document.querySelector('.luma-ray-first button').focus(); return null")
    page.press("Enter")
    page.see(f"dialog {KEYS}")
    page.press("Escape")
    page.gone("dialog")


def test_the_hint_is_in_no_workflow_and_no_prompt(page):
    node = page.add("RayTextToVideo", prompt="a fox")
    page.link(node, "video", page.add("SaveVideo"), "video")
    page.see(HINT)
    saved = page.ask("return JSON.stringify(graph.serialize())")
    assert "luma_ray_first" not in saved
    assert "animatic:" not in saved
    assert set(page.prompt()[node]["inputs"]) == set(
        page.ask(
            "return Object.keys(node(given[0]).widgets.filter((w) => w.name[0] !== 'l' || w.name === 'loop')"
            ".reduce((all, w) => ({ ...all, [w.name]: 1 }), {}))",
            node,
        )
    )


def test_with_a_key_there_is_no_hint(page, shop):
    page.studio.credentials.save("LUMAAI_API_KEY", shop.key)
    page.reload()
    page.add("RayTextToVideo", prompt="a fox")
    page.ask("await new Promise((done) => setTimeout(done, 300)); return null")
    assert hints(page) == 0


def test_from_no_key_to_a_paid_clip_in_four_clicks(page, shop):
    """With a graph on the canvas: Keys, the field, Close, Run. The key is pasted."""
    example = json.loads((EXAMPLES / "text-to-video.json").read_text("utf-8"))
    page.load(example)
    clicks = [
        (f"{HINT} button", "Keys..."),
        (f"dialog {CARD} input", None),
        ("dialog button", "Close"),
        ("button", "Run"),
    ]
    before = len(shop.creates)
    for number, (css, text) in enumerate(clicks):
        page.click(css, text)
        if number == 1:
            page.type(shop.key)
            page.press("Enter")
            page.see(f"dialog {CARD} .luma-ray-told", "The key works. Balance:")
    page.until("return [...document.querySelectorAll('video')].some((v) => v.readyState > 0)", seconds=60)
    page.fit()
    page.shot("first-clip")
    assert len(shop.creates) == before + 1
    assert page.count(HINT) == 0
