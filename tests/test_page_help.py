"""Help in ComfyUI's own page: a node's page in its panel, and our strings in another language."""

from __future__ import annotations

from typing import Any

import pages
import pytest
from frontend import stand_in as backend
from frontend.fixtures import ONE_RENDERER

pytestmark = ONE_RENDERER

HELP = ".node-help-content"
LANGUAGE = "fr"
OPEN = "const info = document.querySelector('[data-testid=info-button]'); info?.click(); return !!info"
WINDOW = (1500, 1000)
"""Of a laptop. In a narrower one the panel is so narrow that the widest tables are scrolled."""
MARK = "§ "
"""What stands before each of our strings in the other language."""
NARROW = """
const panel = document.querySelector(".node-help-content");
const picture = panel?.querySelector("img");
if (!picture?.complete || panel.querySelector("h1")?.textContent !== given[0]) return null;
const wide = [...panel.querySelectorAll("table")].filter((each) => each.scrollWidth > each.clientWidth + 1);
return { width: picture.naturalWidth, shown: picture.clientWidth, panel: panel.clientWidth,
  wide: wide.map((each) => `${each.querySelector("th").textContent}: ${each.scrollWidth}`) };
"""


@pytest.fixture(scope="module")
def page_settings():
    return {"Comfy.Locale": LANGUAGE}


@pytest.fixture(scope="module", autouse=True)
def another_language():
    """A translation of everything of ours, as somebody would put it into locales/."""
    served = backend.translations

    def both() -> dict[str, Any]:
        told = served()
        return {**told, LANGUAGE: _marked(told["en"])}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backend, "translations", both)
        yield


def _marked(strings: Any) -> Any:
    if isinstance(strings, str):
        return MARK + strings
    return {key: _marked(each) for key, each in strings.items()}


def test_help_has_its_picture_and_no_table_that_is_too_wide_also_where_nobody_translated_it(page):
    page.viewport(*WINDOW)
    page.expects("404")  # there is no French page; the one for all languages follows
    page.expects(
        "reframe/place"
    )  # asked for a node that stands on the graph for a moment; not looked at here
    told = {}
    for help_page in pages.PAGES[1:]:
        node_id, title = help_page.parent.name, help_page.read_text("utf-8").partition("\n")[0][2:]
        page.ask("graph.clear(); return null")
        page.ask("app.canvas.selectNode(node(given[0])); return null", page.add(node_id))
        if not page.count(HELP):
            page.until(OPEN)
        told[node_id] = page.until(NARROW, title)
        page.shot(f"help-{node_id}")
    assert {name: panel["wide"] for name, panel in told.items() if panel["wide"]} == {}
    assert min(panel["width"] for panel in told.values()) > 500
    assert min(panel["shown"] for panel in told.values()) > 200


@pytest.mark.usefixtures("stand_in")
def test_strings_of_nodes_are_read_from_the_other_language(page):
    node = page.add("RayExportFilm")
    told = page.ask(
        """
        const made = app.rootGraph.getNodeById(Number(given[0]));
        return {
          title: made.title, category: made.constructor.category, labels: made.widgets.map((each) => each.label),
          sockets: [...made.inputs, ...made.outputs].map((each) => each.localized_name),
        };
        """,
        node,
    )
    assert told["title"] == f"{MARK}Ray Export Film"
    assert told["labels"][:2] == [f"{MARK}name", f"{MARK}bundle"]
    assert {f"{MARK}generation", f"{MARK}folder"} <= set(told["sockets"])
    assert told["category"].endswith(f"{MARK}Luma Ray")


@pytest.mark.usefixtures("stand_in")
def test_settings_are_read_from_the_other_language(page):
    page.command("Comfy.ShowSettingsDialog")
    page.click("[role=dialog] nav *, [role=dialog] li", f"{MARK}Luma Ray")
    page.see("[role=dialog]", f"{MARK}Spending limits (USD)")
    page.press("Escape")
