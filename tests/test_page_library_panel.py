"""The library's panel in ComfyUI's sidebar, as a person uses it."""

from __future__ import annotations

import films
import pytest
import shelf
from bench.rows import fill
from browser.tab import Point
from frontend.fixtures import ONE_RENDERER

PANEL = ".luma-ray-library"
LIST = f"{PANEL} [role=listbox]"
ROW = f"{PANEL} [role=option]"
MANY = 2_000


@pytest.fixture(scope="module")
def stocked(opened_page, tmp_path_factory):
    """Two thousand old generations without files, and a few new ones with clips."""
    folder, studio = tmp_path_factory.mktemp("films"), opened_page.studio
    fill(studio.lifecycle.journal, MANY)
    films_ = [films.encode(films.scene(24, seed=seed), folder / f"{seed}.mp4") for seed in range(3)]
    entries = {
        "preview": shelf.made(studio, films_[2], "a cat on a roof", provider="animatic", local=True),
        "running": shelf.submitted(studio, "a storm over the sea", provider="wavespeed"),
        "second": shelf.made(studio, films_[1], take=2, concepts=("push_in",)),
        "first": shelf.made(studio, films_[0], concepts=("push_in",)),
    }
    return opened_page, entries


@pytest.fixture
def panel(stocked, page):
    page.entries = stocked[1]
    page.sidebar("Ray")
    page.see(ROW, "a fox in the snow")
    yield page
    page.sidebar("Ray")
    page.gone(PANEL)


def test_look(panel):
    panel.until("return document.querySelectorAll('.luma-ray-row img[src]').length >= 3")
    panel.shot("library-list")
    panel.theme("light")
    panel.shot("library-list")
    panel.theme("dark")
    panel.click(ROW, "a fox in the snow")
    panel.see(".luma-ray-takes")
    panel.shot("library-details")
    panel.theme("light")
    panel.shot("library-details")
    panel.press("Escape")
    panel.click(f"{PANEL} button", "Spending")
    panel.see(".luma-ray-spending table")
    panel.shot("library-spending")
    panel.theme("dark")
    panel.zoom(2)
    panel.shot("library-spending-200")
    panel.press("Escape")
    panel.shot("library-list-200")
    panel.zoom(1)
