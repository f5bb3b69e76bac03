"""The fixtures of the tests in a browser. Everything heavy is imported where it is first used."""

from __future__ import annotations

import importlib.util
import os
from contextlib import contextmanager

import pytest

RENDERERS = ("canvas", "vue")
"""Litegraph's canvas, and Vue nodes ("Nodes 2.0")."""
QUIET = {
    "Comfy.TutorialCompleted": True,
    "Comfy.Notification.ShowVersionUpdates": False,
    "Comfy.Minimap.Visible": False,
}
"""Settings: no dialog at the first start, no question about releases on another machine, no map over the nodes."""
ONE_RENDERER = pytest.mark.parametrize("renderer", ["canvas"], indirect=True, scope="module")
"""For a test of what is not on a node: once is enough."""


def missing() -> str:
    """Why no page can be opened here; empty where it can."""
    from browser import CHROMIUM

    from frontend.served import PACKAGE

    if CHROMIUM is None:
        return "there is no Chromium here (Debian and Ubuntu: apt install chromium)"
    if importlib.util.find_spec(PACKAGE) is None and not os.environ.get("COMFYUI_DIR"):
        return "comfyui-frontend-package is not installed"
    return ""


@pytest.fixture(scope="module", params=RENDERERS)
def renderer(request):
    return request.param


@pytest.fixture(scope="module")
def page_environment():
    """Variables that the backend starts with, such as an emulator's; a module overrides this fixture."""
    return {}


@pytest.fixture(scope="module")
def page_settings():
    """Settings of ComfyUI that the page starts with; a module overrides this fixture."""
    return {}


@pytest.fixture(scope="session")
def profile(tmp_path_factory):
    """What Chromium keeps from one module to the next: the interface, as it was fetched and compiled."""
    return tmp_path_factory.mktemp("chromium")


@pytest.fixture(scope="module")
def chromium(profile):
    reason = missing()
    if reason:
        pytest.skip(reason)
    from browser import Browser

    with Browser(profile) as browser:
        yield browser


@contextmanager
def backend(folder, settings, environment):
    """A ComfyUI with the pack: the stand-in, or a real one where COMFYUI_DIR says where."""
    from conftest import private

    from frontend.real import CHECKOUT, Real
    from frontend.stand_in import StandIn

    with pytest.MonkeyPatch.context() as patch:
        private(patch, folder)
        for name, value in environment.items():
            patch.setenv(name, value)
        with (Real if CHECKOUT else StandIn)(folder / "comfyui", {**QUIET, **settings}) as running:
            yield running


@pytest.fixture(scope="module")
def opened_page(chromium, renderer, page_environment, page_settings, tmp_path_factory):
    """The page, booted once a module and renderer."""
    from frontend.page import Page

    settings = {"Comfy.VueNodes.Enabled": renderer == "vue", **page_settings}
    with (
        backend(tmp_path_factory.mktemp("page"), settings, page_environment) as running,
        chromium.tab(running.address) as tab,
    ):
        opened = Page(tab, running, renderer)
        opened.open()
        yield opened


@pytest.fixture
def page(opened_page, page_environment, monkeypatch):
    """The page, emptied; what no test may cause is looked at when it is over."""
    for name, value in page_environment.items():
        monkeypatch.setenv(name, value)
    opened_page.start_over()
    yield opened_page
    assert opened_page.problems() == []


@pytest.fixture
def stand_in(page):
    """The stand-in backend itself, for what a real ComfyUI cannot be told to do."""
    if page.backend.real:
        pytest.skip("a real ComfyUI is not played by a test")
    return page.backend
