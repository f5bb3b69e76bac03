"""What axe-core finds in the pack's own parts of the page."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from . import contrast

if TYPE_CHECKING:
    from .page import Page

AXE = Path(__file__).resolve().parent.parent / "page" / "node_modules" / "axe-core" / "axe.min.js"
SERIOUS = ("serious", "critical")
OURS = "[class^=luma-ray], [class*=' luma-ray']"
TOPMOST = """
const [selectors] = given;
const all = selectors.length ? selectors.flatMap((css) => [...document.querySelectorAll(css)])
  : [...document.querySelectorAll(OURS)].filter((one) => !one.parentElement.closest(OURS));
const shown = all.filter((one) => one.checkVisibility({ visibilityProperty: true }));
""".replace("OURS", repr(OURS))
RUN = """
if (!shown.length) return null;
const told = await window.axe.run({ include: shown }, {
  resultTypes: ["violations", "incomplete"],
  runOnly: { type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] },
  // About whole pages, not parts of one.
  rules: { region: { enabled: false } },
});
const open = told.incomplete.filter((each) => each.id !== "color-contrast"); // of that, see contrast.py
const found = [...told.violations, ...open.map((each) => ({ ...each, impact: "undecided" }))];
return found.map((each) => ({
  rule: each.id,
  impact: each.impact,
  help: each.help,
  nodes: each.nodes.map((one) => `${one.html.slice(0, 160)}: ${one.failureSummary}`),
}));
"""


ON_NODE = (
    TOPMOST
    + """
// How small and where a node is drawn is the person's own doing: what is on it is looked at in its own size, in view.
const frames = async () => {
  for (let left = 3; left > 0; left--) await new Promise((done) => requestAnimationFrame(done));
};
const place = () => shown.find((one) => one.closest(".dom-widget, .lg-node"))?.getBoundingClientRect();
if (!place()) return null;
app.canvas.ds.scale = 1;
app.canvas.draw(true, true);
await frames();
const { x, y, width, height } = place();
app.canvas.ds.offset[0] += innerWidth / 2 - x - width / 2;
app.canvas.ds.offset[1] += innerHeight / 2 - y - height / 2;
app.canvas.draw(true, true);
await frames();
return null;
"""
)


@cache
def _script() -> str:
    return AXE.read_text("utf-8")


def findings(page: Page, *selectors: str) -> list[dict[str, Any]]:
    """What axe-core says of what of ours is visible, or of *selectors*, as it looks now.

    Its impact is "undecided" where axe-core leaves it to a person.
    """
    if not AXE.is_file():
        pytest.skip("axe-core is not installed: `make types` gets it from npm")
    if not page.tab.ask("return !!window.axe"):
        page.call("Runtime.evaluate", expression=_script() + ";0")
    found = page.tab.ask(TOPMOST + RUN, selectors)
    assert found is not None, f"nothing to look at: {selectors or 'no element of ours is visible'}"
    return found


def check(page: Page, *selectors: str) -> None:
    """Raise where axe-core finds something serious, or words are faint: dark, light, and at 200 % of both.

    All that it finds is written beside the screenshots.
    """
    found: list[str] = []
    lesser: list[str] = []
    try:
        for theme in ("dark", "light"):
            page.theme(theme)
            for zoom in (1, 2):
                page.zoom(zoom)
                page.ask(ON_NODE, selectors)
                page.shot(f"{page.test.partition('[')[0].rpartition(':')[2]}-{zoom * 100}")
                if zoom == 1:
                    found += [f"{theme}: {each}" for each in contrast.faint(page, TOPMOST, *selectors)]
                for each in findings(page, *selectors):
                    line = f"{theme} {zoom * 100} % {each['impact']} {each['rule']}: {each['nodes'][:3]}"
                    (found if each["impact"] in SERIOUS else lesser).append(line)
    finally:
        page.zoom(1)
        page.theme("dark")
    page.note(
        "accessibility.txt",
        f"{selectors or OURS}: {len(found)} serious, {len(lesser)} lesser",
        *found,
        *lesser,
    )
    assert found == [], "\n".join(found)
