"""Settings, Luma Ray: limits and keys, which nothing but the pack itself keeps."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from frontend.fixtures import ONE_RENDERER

pytestmark = ONE_RENDERER

KEY = "luma-canary-key-0123456789abcdef"
SETTINGS = ".luma-ray-settings"


@pytest.fixture(scope="module")
def page_environment():
    """A key that is saved is tried at once: here nobody answers."""
    return {"LUMAAI_BASE_URL": "http://127.0.0.1:9"}


@pytest.fixture
def settings(page):
    page.settings()
    page.see(SETTINGS)
    # Both panels are loaded when they are opened, and fade in.
    page.see(f"{SETTINGS} .luma-ray-card")
    page.see(f"{SETTINGS} input[type=number]")
    page.until("return !document.querySelector(given[0])?.textContent.includes('Loading')", SETTINGS)
    yield page
    page.press("Escape")
    page.gone(SETTINGS)


def test_a_key_is_typed_saved_and_never_shown_again(settings):
    page = settings
    page.click(f"{SETTINGS} input", "LUMAAI_API_KEY")
    page.type(KEY)
    page.press("Enter")
    page.see(SETTINGS, "...cdef")
    page.shot("settings-key")
    assert page.studio.credentials.get("LUMAAI_API_KEY").reveal() == KEY
    kept = page.ask("return JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie])")
    assert KEY not in kept
    assert KEY not in json.dumps(page.backend.settings)
    assert KEY not in page.ask("return document.documentElement.outerHTML")
    assert page.ask(
        "return [...document.querySelectorAll('input')].every((each) => !each.value.includes('luma-c'))"
    )
    page.studio.credentials.save("LUMAAI_API_KEY", "")


def test_a_limit_is_typed_and_holds(settings):
    page = settings
    page.click(f"{SETTINGS} input", "a day")
    page.press("Control+a")
    page.type("12.5")
    page.press("Enter")
    page.toast("$12.5 for a day")
    assert page.studio.limits.load().per_day == Decimal("12.5")
    page.studio.limits.change({"per_day": None})


def test_the_settings_can_be_used_by_everybody(settings):
    settings.shot("settings")
    settings.accessible(SETTINGS)
