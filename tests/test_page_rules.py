"""What holds for everything that the pack puts into ComfyUI's page."""

from __future__ import annotations

import re

import pytest
from frontend.served import OURS, WEB, extensions

MOST_BYTES = 60_000
SCRIPTS = sorted(path for path in WEB.rglob("*") if path.suffix in (".js", ".mjs"))
FORBIDDEN = {
    # what: why
    r"\.innerHTML|\.outerHTML|insertAdjacentHTML|document\.write": "text goes into textContent",
    r"\beval\(|new Function\(": "nothing that is given is run",
    r"app\.ui\b|menuContainer|getCanvasMenuOptions|getExtraMenuOptions|/scripts/ui": "ComfyUI has deprecated it",
    r"https?://|//[a-z0-9-]+\.[a-z]{2,}/": "nothing is asked of another machine",
    r"localStorage|sessionStorage|document\.cookie|indexedDB": "nothing is kept in the browser",
    r"\balert\(|\bconfirm\(|[^.\w]prompt\(": "these stop the whole page",
}


def test_all_that_is_loaded_with_the_page_is_small():
    sizes = {path.name: path.stat().st_size for path in SCRIPTS if path.suffix == ".js"}
    assert sum(sizes.values()) < MOST_BYTES, sizes


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_has_nothing_that_it_may_not(path):
    source = path.read_text("utf-8")
    code = re.sub(r"(?m)^\s*(//|\*|/\*).*$", "", source)
    found = {what: why for what, why in FORBIDDEN.items() if re.search(what, code)}
    assert found == {}


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_imports_only_what_is_served(path):
    for name in re.findall(r"""(?:from|import)\s*\(?\s*["']([^"']+)["']""", path.read_text("utf-8")):
        target = (path.parent / name).resolve()
        if target.is_relative_to(WEB):
            assert target.is_file(), name
        else:
            # From web/ as from /extensions/luma-ray/: two levels up is the root of the server.
            assert re.fullmatch(r"(\.\./)+scripts/(app|api)\.js", name), name


def test_a_page_boots_with_every_script_and_no_word_of_complaint(page):
    page.open()
    loaded = page.ask(
        "return performance.getEntriesByType('resource').map((each) => new URL(each.name).pathname)"
    )
    assert set(extensions()) <= set(loaded)
    later = [path for path in loaded if path.startswith(OURS) and path.endswith(".mjs")]
    assert later == [], "an .mjs is for what is opened on demand"
    page.shot("boot")


def test_no_node_asks_anybody_but_this_machine(page):
    for number, kind in enumerate(sorted(page.ask("return Object.keys(LiteGraph.registered_node_types)"))):
        if kind.startswith("Ray"):
            page.add(kind, at=(40 + number % 6 * 420, 60 + number // 6 * 40))
    page.fit()
    page.shot("all-nodes")
    assert not [request for request in page.tab.requests if not request.stays_here]


def test_a_request_to_elsewhere_would_be_seen(page):
    page.ask("await fetch('https://clips.example.test/x').catch(() => null); return null")
    assert any("asks https://clips.example.test/x" in problem for problem in page.problems())
    page.expects("clips.example.test")


def test_an_error_of_ours_would_be_seen(page):
    source = f"""
    const script = document.createElement("script");
    script.textContent = 'setTimeout(() => {{ throw new Error("of ours") }})\\n//# sourceURL={OURS}broken.js';
    document.head.append(script);
    await new Promise((done) => setTimeout(done, 50));
    return null;
    """
    page.ask(source)
    assert any("of ours" in problem for problem in page.problems())
    page.expects("of ours")


@pytest.fixture
def barrier(page):
    """A window of ours over the page, with a button that says nothing and words that are hard to read."""
    page.ask(
        """
        const made = document.createElement("dialog");
        made.className = "luma-ray-barrier";
        made.setAttribute("aria-label", "Barrier");
        made.style.cssText = "background: #777; color: #888; font-size: 14px";
        made.append("hard to read", document.createElement("button"));
        document.body.append(made);
        made.showModal();
        return null;
        """
    )
    yield ".luma-ray-barrier"
    page.ask("document.querySelector('.luma-ray-barrier').remove(); return null")


def test_a_barrier_would_be_seen(page, barrier):
    with pytest.raises(AssertionError) as told:
        page.accessible(barrier)
    assert "button-name" in str(told.value)
    assert "'hard to read' has a contrast of 1." in str(told.value)
