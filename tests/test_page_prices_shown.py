"""Prices in the page: on the nodes, in the action bar, in the window behind it, among the choices of widgets."""

from __future__ import annotations

import pytest
from browser.keys import pressed

DIALOG = "dialog.luma-ray-dialog"
BUTTON = ".luma-ray-price"
WATCH = """
window.drawn ??= (() => {
  const drawn = [], proto = CanvasRenderingContext2D.prototype, before = proto.fillText;
  proto.fillText = function (text, ...rest) { drawn.push(text); return before.call(this, text, ...rest); };
  return drawn;
})();
window.drawn.length = 0;
return null;
"""
DRAWN = "await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))); return null"
SAYS = """
const [id, text] = given, there = document.querySelector(`[data-node-id="${id}"]`);
if (there) return [...there.querySelectorAll("div")].some((each) => each.textContent.trim() === text);
return (window.drawn ?? []).includes(text);
"""


@pytest.fixture(scope="module")
def seller():
    """Replicate: ray-flash-2 at 720p costs $0.30 for 5 s, ray-2 at 720p $0.90."""
    from emulators.replicate import ReplicateEmulator

    with ReplicateEmulator(polls_until_done=1) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def page_environment(seller):
    return seller.environment()


@pytest.fixture(autouse=True)
def _watched(page):
    page.ask(WATCH)


SAVED = "return graph.serialize().nodes.find((each) => String(each.id) === given[0]).widgets_values"
USUAL = {
    "provider": "auto",
    "model": "ray-flash-2",
    "aspect_ratio": "16:9",
    "resolution": "720p",
    "duration": "5 s",
}
"""Written out: a node of a number that was there before has the widgets of that one in ComfyUI's page."""


def shot(page, words="a fox", **widgets):
    """A node that is saved, so that it runs."""
    node = page.add(
        "RayTextToVideo",
        at=(120 + 460 * page.ask("return graph.nodes.length") // 2, 240),
        prompt=words,
        **{**USUAL, **widgets},
    )
    page.link(node, "video", page.add("SaveVideo", at=(120, 800)), "video")
    return node


def says(page, node, text):
    """Wait until the node says just this, drawn without anybody else's doing."""
    page.until(SAYS, node, text)


def line(page, text):
    """Wait until the action bar says just this."""
    page.until(
        "return [...document.querySelectorAll(given[0])].some((each) => each.checkVisibility()"
        " && each.textContent.trim() === given[1])",
        BUTTON,
        text,
    )


def asked(page):
    return [each for each in page.tab.requests if each.url.endswith("/luma_ray/quote")]


def settled(page):
    """All that was to be asked has been asked, and a second more."""
    page.ask("await new Promise((done) => setTimeout(done, 1200)); return null")


def ask(page, path, body):
    """What another part of ours asks the pack."""
    return page.ask(
        "return (await import('/extensions/luma-ray/talk.js')).ask(given[0], given[1])", path, body
    )


# -- on the nodes ---------------------------------------------------------------------------------------------


def test_a_node_says_what_it_would_cost_and_follows_its_widgets(page):
    node = shot(page)
    says(page, node, "$0.30 · replicate")
    page.shot("price-badge")
    page.set(node, model="ray-2")
    says(page, node, "$0.90 · replicate")
    page.set(node, model="ray-flash-2", duration="10 s")
    says(page, node, "no key for this · wavespeed would")
    page.theme("light")
    page.shot("price-refused")


def test_the_graph_is_followed_as_its_links_are(page):
    node = shot(page)
    line(page, "$0.30 · 1 new · $50.00 left today")
    other = shot(page, "a bear")
    line(page, "$0.60 · 2 new · $50.00 left today")
    page.ask("node(given[0]).disconnectOutput(1); return null", other)
    line(page, "$0.30 · 1 new · $50.00 left today")
    says(page, other, "$0.30 · replicate")
    page.ask("graph.remove(node(given[0])); return null", node)
    page.until("return !document.querySelector('.luma-ray-price')?.checkVisibility()")


def test_what_does_not_run_says_nothing(page):
    node = shot(page)
    says(page, node, "$0.30 · replicate")
    page.select(node)
    page.press("Control+b")
    page.until("return node(given[0]).mode === 4", node)
    page.ask("window.drawn.length = 0; app.canvas.setDirty(true, true); return null")
    page.until(f"return !(await (async () => {{ {SAYS} }})())", node, "$0.30 · replicate")
    page.until("return !document.querySelector('.luma-ray-price')?.checkVisibility()")


def test_a_short_cut_pressed_as_people_press_it_is_followed(page):
    """ComfyUI waits for the end of what has the focus, here the node, before it says that the graph has changed."""
    node = shot(page)
    says(page, node, "$0.30 · replicate")
    page.select(node)
    page.ask("document.querySelector('[data-node-id]')?.focus(); return null")  # as a click does in Vue nodes
    page.ask("await new Promise((done) => setTimeout(done, 600)); return null")  # nothing else is on its way
    for event in pressed("Control+b"):
        page.call("Input.dispatchKeyEvent", **event)
        page.ask(DRAWN)
    assert page.ask("return node(given[0]).mode", node) == 4
    page.ask("window.drawn.length = 0; app.canvas.setDirty(true, true); return null")
    page.until(f"return !(await (async () => {{ {SAYS} }})())", node, "$0.30 · replicate", seconds=5)


def test_a_subgraph_says_what_is_in_it_and_so_does_the_node_inside(page):
    first, second = shot(page), shot(page, "a bear")
    outer = page.ask(
        "const { node: made } = graph.convertToSubgraph(new Set(given[0].map(node))); return String(made.id)",
        [first, second],
    )
    says(page, outer, "2 \N{MULTIPLICATION SIGN} $0.30 · replicate")
    page.shot("price-subgraph")
    page.ask("app.canvas.setGraph(node(given[0]).subgraph); window.drawn.length = 0; return null", outer)
    inner = page.ask("return app.canvas.graph.nodes.map((each) => String(each.id))")
    says(page, inner[0], "$0.30 · replicate")
    page.ask("app.canvas.setGraph(graph); return null")


def test_one_question_for_a_change_and_none_without(page):
    node = shot(page)
    says(page, node, "$0.30 · replicate")
    settled(page)
    page.tab.forget()
    page.set(node, model="ray-2", resolution="540p", prompt="a bear")
    settled(page)
    assert len(asked(page)) == 1
    page.ask("node(given[0]).pos = [300, 300]; app.canvas.setDirty(true, true); return null", node)
    page.ask("api.dispatchCustomEvent('graphChanged', {}); return null")
    settled(page)
    assert len(asked(page)) == 1


def test_a_page_that_nobody_sees_asks_nothing_until_it_is_seen(page):
    node = shot(page)
    says(page, node, "$0.30 · replicate")
    settled(page)
    hide = """
    Object.defineProperty(document, "hidden", { configurable: true, get: () => given[0] });
    document.dispatchEvent(new Event("visibilitychange"));
    return null;
    """
    page.ask(hide, True)
    page.tab.forget()
    page.set(node, model="ray-2")
    settled(page)
    assert asked(page) == []
    page.ask(hide, False)
    says(page, node, "$0.90 · replicate")
    page.ask("delete document.hidden; return null")
    assert len(asked(page)) == 1


def test_a_clip_that_was_made_is_in_the_library_and_another_word_is_another_clip(page, seller):
    bought = len(seller.creates)
    node = shot(page, "a fox that is bought", resolution="540p")
    says(page, node, "$0.16 · replicate")
    assert page.run()["status"] == "completed"
    says(page, node, "in library")
    line(page, "1 in library")
    page.click(
        f'[data-node-id="{node}"] textarea' if page.renderer == "vue" else "textarea.comfy-multiline-input"
    )
    page.type("x")
    says(page, node, "$0.16 · replicate")
    assert len(seller.creates) == bought + 1


# -- all of it ------------------------------------------------------------------------------------------------


def test_over_a_limit_the_action_bar_says_so_in_colour_and_words(page):
    node = shot(page, model="ray-2")
    says(page, node, "$0.90 · replicate")
    ask(page, "limits", {"per_run": "0.50"})
    try:
        line(page, "$0.90 · 1 new · over the limit")
        page.until(  # it comes softly
            "return getComputedStyle(document.querySelector(given[0])).backgroundColor === 'rgb(166, 27, 27)'",
            BUTTON,
        )
        page.accessible(BUTTON)
        page.shot("price-over")
        page.click(BUTTON)
        told = page.see(DIALOG, "Over a limit.")
        assert "This run would buy 1 clip for $0.90" in told
        assert "The limit is $0.50 for one run of a graph" in told
        page.shot("price-bill-over")
        page.press("Escape")
    finally:
        ask(page, "limits", {"per_run": "20"})


def test_the_window_lists_every_node_and_shows_each(page):
    first = shot(page)
    outer = page.ask(
        "const { node: made } = graph.convertToSubgraph(new Set([node(given[0])])); return String(made.id)",
        shot(page, "a bear", duration="10 s"),
    )
    inner = page.ask("return String(node(given[0]).subgraph.nodes[0].id)", outer)
    page.until("return document.querySelector('.luma-ray-price')?.textContent.includes('1 refused')")
    page.command("LumaRay.Bill")
    told = page.see(DIALOG, "What this graph would cost")
    for words in ("$0.30 · replicate", "no key for this · wavespeed would", "a month", "$200.00"):
        assert words in told
    page.accessible(DIALOG)
    page.theme("light")
    page.shot("price-bill")
    page.click(f"{DIALOG} button[data-node='{outer}:{inner}']")
    page.gone(DIALOG)
    page.until("return app.canvas.graph !== graph")
    assert page.ask("return [...app.canvas.selectedItems].map((each) => String(each.id))") == [inner]
    page.ask("app.canvas.setGraph(graph); return null")
    page.command("LumaRay.Bill")
    page.see(DIALOG, "Ray Text to Video")
    page.ask("document.querySelector('dialog [data-node]:not([data-node*=\":\"])').focus(); return null")
    page.press("Enter")
    page.gone(DIALOG)
    assert page.ask("return [...app.canvas.selectedItems].map((each) => String(each.id))") == [first]


def test_the_window_follows_the_graph_and_keeps_the_focus(page):
    node = shot(page)
    page.command("LumaRay.Bill")
    page.see(DIALOG, "$0.30 · replicate")
    page.ask("document.querySelector('dialog [data-node]').focus(); return null")
    page.set(node, model="ray-2")
    page.see(DIALOG, "$0.90 · replicate")
    assert page.ask("return document.activeElement.dataset.node") == node
    page.press("Escape")
    page.gone(DIALOG)


def test_a_pack_that_does_not_answer_leaves_no_price_behind(page):
    node = shot(page)
    says(page, node, "$0.30 · replicate")
    page.ask(
        "window.answering = api.fetchApi;"
        "api.fetchApi = () => Promise.resolve(new Response(JSON.stringify({ error: 'Out.' }), { status: 500 }));"
        "return null"
    )
    try:
        page.set(node, model="ray-2")
        line(page, "price unknown")
        page.command("LumaRay.Bill")
        page.see(DIALOG, "Out.")
        page.press("Escape")
    finally:
        page.ask("api.fetchApi = window.answering; return null")
    page.set(node, model="ray-flash-2")
    line(
        page,
        page.until(
            "return document.querySelector('.luma-ray-price').textContent.trim().replace('price unknown', '')"
        ),
    )


def test_a_graph_that_records_when_it_is_read_is_read_when_somebody_asks(page):
    node = shot(page)
    page.ask(
        """
        window.recorded = 0;
        const other = graph.nodes.find((each) => each.type === "SaveVideo");
        other.widgets[0].serializeValue = async () => { window.recorded += 1; return "a name"; };
        return null;
        """
    )
    page.set(node, model="ray-2")
    line(page, "price on click")
    settled(page)
    assert page.ask("return window.recorded") == 0
    page.click(BUTTON)
    page.see(DIALOG, "$0.90 · replicate")
    assert page.ask("return window.recorded") == 1
    page.press("Escape")


# -- choices --------------------------------------------------------------------------------------------------


def test_a_choice_that_nobody_sells_is_marked_and_can_be_chosen(page):
    node = shot(page)
    says(page, node, "$0.30 · replicate")
    before = page.prompt()
    workflow = page.ask(SAVED, node)
    if page.renderer == "vue":
        page.click(f'[data-node-id="{node}"] button[role=combobox][aria-label=duration]')
        page.see("[role=option]", "10 s · with a key: wavespeed")
        page.shot("price-choices")
        page.click("[role=option]", "10 s · with a key: wavespeed")
    else:
        where = page.ask(
            """
            const found = node(given[0]), wide = widget(given[0], "duration"), ds = app.canvas.ds;
            const canvas = app.canvas.canvas.getBoundingClientRect();
            const at = (value, axis) => (value + ds.offset[axis]) * ds.scale;
            const y = found.pos[1] + wide.last_y + 10;
            return [at(found.pos[0] + found.size[0] / 2, 0) + canvas.x, at(y, 1) + canvas.y];
            """,
            node,
        )
        from browser.tab import Point

        page.click_at(Point(*where))
        page.see(".litemenu-entry", "10 s · with a key: wavespeed")
        page.shot("price-choices")
        page.click(".litemenu-entry", "10 s · with a key: wavespeed")
    assert page.ask("return widget(given[0], 'duration').value", node) == "10 s"
    says(page, node, "no key for this · wavespeed would")
    before[node]["inputs"]["duration"] = "10 s"
    assert page.prompt() == before
    workflow[workflow.index("5 s")] = "10 s"
    assert page.ask(SAVED, node) == workflow


def test_a_shared_workflow_keeps_a_value_that_nobody_here_sells(page):
    shot(page, duration="10 s", provider="luma")
    workflow = page.ask("return graph.serialize()")
    page.ask("graph.clear(); return null")
    page.load(workflow)
    node = page.ask("return String(graph.nodes.find((each) => each.comfyClass === 'RayTextToVideo').id)")
    says(page, node, "not at luma · wavespeed would, with a key")
    assert page.prompt()[node]["inputs"]["duration"] == "10 s"
    assert page.prompt()[node]["inputs"]["provider"] == "luma"
