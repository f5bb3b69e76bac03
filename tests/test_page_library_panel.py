"""The library's panel in ComfyUI's sidebar, as a person uses it."""

from __future__ import annotations

import films
import pytest
import shelf
from bench.rows import fill
from browser.tab import Point

PANEL = ".luma-ray-library"
LIST = f"{PANEL} [role=listbox]"
ROW = f"{PANEL} [role=option]"
DETAILS = ".luma-ray-details"
DIALOG = "dialog.luma-ray-dialog"
MANY = 2_000
MOST_ROWS = 30
"""In the page at a time, in a window of 1000 pixels: those in sight, and four above and below."""
WATCHED = """
if (!window.lumaRayUrls) {
  const urls = (window.lumaRayUrls = new Set());
  const { createObjectURL, revokeObjectURL } = URL;
  URL.createObjectURL = (blob) => { const made = createObjectURL.call(URL, blob); urls.add(made); return made; };
  URL.revokeObjectURL = (url) => { urls.delete(url); revokeObjectURL.call(URL, url); };
}
window.lumaRayUrls.clear();
return null;
"""


@pytest.fixture(scope="module")
def cuts(tmp_path_factory):
    """Three short films."""
    folder = tmp_path_factory.mktemp("films")
    return [films.encode(films.scene(24, seed=seed), folder / f"{seed}.mp4") for seed in range(3)]


@pytest.fixture(scope="module")
def stocked(opened_page, cuts):
    """Two thousand old generations without files, and a few new ones with clips."""
    studio = opened_page.studio
    fill(studio.lifecycle.journal, MANY)
    return {
        "page": shelf.made(
            studio, cuts[2], "<img src=x onerror=alert(1)> & <b>bold</b>", local=True, provider="animatic"
        ),
        "running": shelf.submitted(studio, "a storm over the sea", provider="wavespeed"),
        "second": shelf.made(
            studio, cuts[1], take=2, concepts=("push_in", "static", "aerial", "pov"), duration=9
        ),
        "first": shelf.made(studio, cuts[0], concepts=("push_in", "static", "aerial", "pov"), duration=9),
    }


@pytest.fixture
def panel(stocked, page):
    page.entries = stocked
    page.added = []
    page.ask(WATCHED)
    page.sidebar("Ray")
    page.see(ROW, "a fox in the snow")
    yield page
    page.ask("for (const dialog of document.querySelectorAll('dialog[open]')) dialog.close(); return null")
    page.sidebar("Ray")
    page.gone(PANEL)
    with page.studio.lifecycle.journal.database.transaction(writes=True) as connection:
        for entry in page.added:
            connection.exec_driver_sql("DELETE FROM generations WHERE id = ?", (entry.id,))


def scrolled(page, top):
    """The list scrolled to *top* pixels, and the rows in sight, once all of them are there."""
    page.ask("document.querySelector(given[0]).scrollTop = given[1]; return null", LIST, top)
    return page.until(
        """
        const list = document.querySelector(given[0]), box = list.getBoundingClientRect();
        const rows = [...list.querySelectorAll("[role=option]")];
        const seen = rows.filter((row) => {
          const { top, bottom } = row.getBoundingClientRect();
          return bottom > box.top && top < box.bottom;
        });
        const tall = seen.reduce((sum, row) => sum + row.getBoundingClientRect().height, 0);
        const whole = seen.every((row) => row.querySelector(".luma-ray-prompt"));
        return tall >= box.height && whole && { all: rows.length, seen: seen.map((row) => row.textContent) };
        """,
        LIST,
    )


def meant(page):
    """The row that the list says is meant."""
    return page.ask(
        """
        const id = document.querySelector(given[0]).getAttribute("aria-activedescendant");
        return document.getElementById(id)?.getAttribute("aria-posinset") ?? null;
        """,
        LIST,
    )


def nodes(page):
    return page.ask("return graph.nodes.map((each) => [each.type, String(each.id)])")


def looked_at(page, words="a fox in the snow"):
    page.click(f"{ROW} .luma-ray-prompt", words)
    page.see(f"{DETAILS} dl")


# -- the list -------------------------------------------------------------------------------------------------------


def test_the_newest_are_first_with_picture_prompt_model_provider_price_and_state(panel):
    panel.until("return document.querySelectorAll('.luma-ray-row img[src^=\"blob:\"]').length === 3")
    first = panel.see(ROW, "a fox in the snow")
    for words in ("ray-flash-2", "luma", "~$0.20", "finished", "take 1", "9 s"):
        assert words in first
    assert "running" in panel.see(ROW, "a storm over the sea")
    assert "free" in panel.see(ROW, "bold")
    panel.see(f"{PANEL} [role=status]", "2,004 generations")
    panel.shot("library-list")
    panel.theme("light")
    panel.shot("library-list")
    panel.accessible(PANEL)


def test_a_prompt_is_words_and_no_page(panel):
    assert "<b>bold</b>" in panel.see(ROW, "<img src=x")
    assert panel.ask("return document.querySelectorAll('img[src=x]').length") == 0


def test_of_two_thousand_only_the_rows_in_sight_are_in_the_page(panel):
    height = panel.ask("return document.querySelector(given[0]).scrollHeight", LIST)
    seen = set()
    for part in (0, 0.02, 0.5, 0.25, 0.97, 1, 0):
        told = scrolled(panel, height * part)
        assert told["all"] <= MOST_ROWS
        seen.update(told["seen"])
    assert len(seen) > 30
    assert "a fox in the snow" in " ".join(told["seen"])


def test_rows_stay_few_while_it_is_scrolled_without_a_pause(panel):
    most = panel.ask(
        """
        const list = document.querySelector(given[0]);
        let most = 0;
        for (let frame = 0; frame < 90; frame += 1) {
          list.scrollTop += 333;
          await new Promise(requestAnimationFrame);
          most = Math.max(most, list.querySelectorAll("[role=option]").length);
        }
        return most;
        """,
        LIST,
    )
    assert 5 < most <= MOST_ROWS


def test_pictures_are_let_go_when_their_rows_leave(panel):
    panel.until("return window.lumaRayUrls.size === 3")
    scrolled(panel, 50_000)
    panel.until("return window.lumaRayUrls.size === 0")
    scrolled(panel, 0)
    panel.until("return window.lumaRayUrls.size === 3")
    panel.sidebar("Ray")
    panel.gone(PANEL)
    assert panel.ask("return window.lumaRayUrls.size") == 0
    panel.sidebar("Ray")
    panel.see(ROW)


def test_what_is_typed_is_searched(panel):
    panel.click(f"{PANEL} input[type=search]")
    panel.type("SNOW fox")
    panel.see(f"{PANEL} [role=status]", "2 of 2,004 generations")
    assert panel.count(ROW) == 2
    panel.ask("document.querySelector(given[0]).value = ''; return null", f"{PANEL} input[type=search]")
    panel.type("no such words at all")
    panel.see(f"{PANEL} [role=status]", "0 of 2,004")
    assert panel.count(ROW) == 0


def chosen(page, name, value):
    page.ask(
        """
        const select = document.querySelector(`${given[0]} select[name=${given[1]}]`);
        select.value = given[2];
        if (select.value !== given[2]) throw new Error("There is no such choice.");
        select.dispatchEvent(new Event("input", { bubbles: true }));
        return null;
        """,
        PANEL,
        name,
        value,
    )


def test_filters_narrow_the_list_together(panel):
    chosen(panel, "state", "unfinished")
    panel.see(f"{PANEL} [role=status]", "1 of 2,004")
    assert "a storm" in panel.see(ROW)
    chosen(panel, "provider", "luma")
    panel.see(f"{PANEL} [role=status]", "0 of 2,004")
    chosen(panel, "state", "")
    chosen(panel, "clip", "here")
    panel.click(f"{PANEL} summary", "More filters (2)")
    panel.shot("library-filters")
    panel.accessible(PANEL)


def test_the_list_is_used_by_the_keyboard_alone(panel):
    panel.click(f"{PANEL} input[type=search]")
    for _ in range(8):
        panel.press("Tab")
        if panel.ask("return document.activeElement.role === 'listbox'"):
            break
    assert meant(panel) == "1"
    panel.press("ArrowDown", "ArrowDown")
    assert meant(panel) == "3"
    panel.press("End")
    panel.until("return document.activeElement.getAttribute('aria-activedescendant')?.endsWith('-2003')")
    panel.press("Home", "ArrowDown")
    assert meant(panel) == "2"
    panel.press("Enter")
    panel.see(f"{DETAILS} video")
    assert panel.until(
        "const video = document.querySelector('.luma-ray-details video'); return video?.currentTime > 0"
    )
    assert panel.ask("return document.querySelector('.luma-ray-details video').muted")
    panel.press("Escape")
    panel.gone(DETAILS)
    assert panel.ask("return document.activeElement.role") == "listbox"
    assert meant(panel) == "2"


def test_a_clip_that_comes_when_its_page_was_left_does_not_play(panel):
    panel.ask("document.querySelector(given[0]).focus(); return null", LIST)
    panel.press("ArrowDown")
    with panel.held("/library/generation") as let_go:
        panel.press("Enter")
        panel.until("return window.held.length")
        panel.press("Escape")
        panel.gone(DETAILS)
        panel.ask("""
            window.begun = 0;
            const { play } = HTMLMediaElement.prototype;
            window.unwatched = () => (HTMLMediaElement.prototype.play = play);
            HTMLMediaElement.prototype.play = function () { window.begun += 1; return play.call(this); };
            return null;
        """)
        let_go()
    panel.ask("await new Promise((done) => setTimeout(done, 300)); window.unwatched(); return null")
    assert panel.ask("return window.begun") == 0


def test_space_plays_the_clip_in_its_row_and_stops_it(panel):
    panel.ask("document.querySelector(given[0]).focus(); return null", LIST)
    panel.press("Space")
    panel.until("return document.querySelector('.luma-ray-row video')?.currentTime > 0")
    panel.shot("library-plays")
    panel.press("Space")
    panel.gone(f"{ROW} video")
    assert panel.ask("return app.canvas.state?.readOnly ?? app.canvas.read_only ?? false") is False


def test_no_key_in_the_list_is_one_of_the_canvas(panel):
    node = panel.add("RayTextToVideo")
    place = "return [...node(given[0]).pos, ...app.canvas.ds.offset]"
    before = panel.ask(place, node)
    panel.ask("app.canvas.select?.(node(given[0])); return null", node)
    panel.ask("document.querySelector(given[0]).focus(); return null", LIST)
    panel.press("ArrowDown", "ArrowDown", "Home", "End", "PageUp")
    assert panel.ask(place, node) == before


# -- one of them ----------------------------------------------------------------------------------------------------


def test_details_show_takes_side_by_side_and_the_receipt(panel):
    looked_at(panel)
    panel.see(f"{DETAILS} .luma-ray-take", "Take 2")
    panel.click(f"{DETAILS} button", "Play all")
    panel.until(
        "const all = [...document.querySelectorAll('.luma-ray-take video')];"
        "return all.length === 2 && all.every((video) => video.currentTime > 0)"
    )
    panel.shot("library-takes")
    panel.click(f"{DETAILS} button", "Stop")
    panel.gone(".luma-ray-take video")
    panel.click(f"{DETAILS} summary", "Receipt")
    assert panel.entries["first"].id in panel.see(f"{DETAILS} pre")
    panel.theme("light")
    panel.shot("library-details")
    panel.accessible(".luma-ray-inner")
    panel.click(".luma-ray-take", "Take 2")
    panel.see(".luma-ray-take[aria-current=true]", "Take 2")


def test_the_receipt_is_copied(panel):
    # What is read from the clipboard would need a permission that a person gives.
    panel.ask("navigator.clipboard.writeText = async (text) => { window.copied = text; }; return null")
    looked_at(panel)
    panel.click(f"{DETAILS} summary", "Receipt")
    panel.click(f"{DETAILS} button", "Copy receipt")
    panel.toast("The receipt is copied")
    assert panel.entries["first"].id in panel.ask("return window.copied")


def test_without_a_clipboard_the_receipt_is_selected(panel):
    panel.ask(
        "Object.defineProperty(navigator, 'clipboard', { value: undefined, configurable: true }); return null"
    )
    try:
        looked_at(panel)
        panel.click(f"{DETAILS} summary", "Receipt")
        panel.click(f"{DETAILS} button", "Copy receipt")
        panel.toast("The receipt is selected")
        assert panel.entries["first"].id in panel.ask("return String(getSelection())")
    finally:
        panel.ask("delete navigator.clipboard; return null")


def test_what_is_unfinished_is_collected_from_here(panel):
    looked_at(panel, "a storm over the sea")
    panel.click(f"{DETAILS} button", "Collect")
    panel.toast("Collecting its clip")
    # Nobody has a key here, so it says why it could not.
    panel.toast("a storm over the sea")


# -- on the canvas --------------------------------------------------------------------------------------------------


def test_a_clip_is_put_on_the_canvas_by_a_click(panel):
    looked_at(panel)
    panel.click(f"{DETAILS} button", "Put on canvas")
    ((kind, node),) = nodes(panel)
    assert kind == "RayCollectGeneration"
    assert panel.ask("return widget(given[0], 'id').value", node) == panel.entries["first"].id
    left, top, width, height = panel.box(node)
    wide, tall = panel.ask("return [innerWidth, innerHeight]")
    assert 0 < left < wide - width
    assert 0 < top < tall - height
    panel.shot("library-put")
    panel.click(f"{DETAILS} button", "Put on canvas")
    (_, first), (_, second) = nodes(panel)
    assert panel.box(first)[:2] != panel.box(second)[:2]


def test_a_clip_is_dragged_to_where_it_is_dropped(panel):
    start, end = panel.where(f"{ROW} .luma-ray-prompt", "a fox in the snow"), Point(900, 500)
    panel.drag(start, end)
    panel.until("return graph.nodes.length === 1")
    ((kind, node),) = nodes(panel)
    assert kind == "RayCollectGeneration"
    assert panel.ask("return widget(given[0], 'id').value", node) == panel.entries["first"].id
    at = panel.ask("return [...node(given[0]).pos]", node)
    there = panel.ask(
        "return app.canvas.convertEventToCanvasOffset({ clientX: given[0], clientY: given[1] })", *end
    )
    assert at == pytest.approx(there, abs=2)


def test_a_clip_that_is_dropped_on_the_panel_stays_there(panel):
    start = panel.where(f"{ROW} .luma-ray-prompt", "a fox in the snow")
    panel.drag(start, Point(start.x, start.y + 200))
    assert nodes(panel) == []


def test_one_step_of_undo_takes_it_back(panel):
    tracker = "app.extensionManager.workflow.activeWorkflow.changeTracker"
    looked_at(panel)
    panel.ask(f"{tracker}.captureCanvasState(); return null")
    steps = panel.ask(f"return {tracker}.undoQueue.length")
    panel.click(f"{DETAILS} button", "Extend it")
    panel.until("return graph.nodes.length === 2")
    assert panel.ask(f"return {tracker}.undoQueue.length") == steps + 1
    panel.command("Comfy.Undo")
    panel.until("return app.rootGraph.nodes.length === 0")


def test_it_is_extended_by_one_clip(panel):
    looked_at(panel)
    panel.click(f"{DETAILS} button", "Extend it")
    prompt = panel.prompt()
    (extend,) = (each for each in prompt.values() if each["class_type"] == "RayExtendVideo")
    (clip,) = (name for name, each in prompt.items() if each["class_type"] == "RayCollectGeneration")
    assert extend["inputs"]["generation"] == [clip, 3]
    assert (extend["inputs"]["model"], extend["inputs"]["provider"]) == ("ray-flash-2", "luma")
    assert (extend["inputs"]["length"], extend["inputs"]["duration"]) == (14, "5 s")
    assert extend["inputs"]["resolution"] == "720p"
    panel.fit()
    panel.shot("library-extend")


def test_its_settings_are_those_of_a_new_node(panel):
    looked_at(panel)
    panel.click(f"{DETAILS} button", "Reuse its settings")
    prompt = panel.prompt()
    (ray,) = (each["inputs"] for each in prompt.values() if each["class_type"] == "RayTextToVideo")
    assert {
        name: ray[name] for name in ("prompt", "model", "provider", "duration", "resolution", "take")
    } == {
        "prompt": "a fox in the snow",
        "model": "ray-flash-2",
        "provider": "luma",
        "duration": "9 s",
        "resolution": "720p",
        "take": 1,
    }
    last = prompt[ray["concepts"][0]]["inputs"]
    assert (last["concept_1"], last["concept_2"]) == ("pov", "none")
    before = prompt[last["concepts"][0]]["inputs"]
    assert [before[f"concept_{number}"] for number in (1, 2, 3)] == ["push_in", "static", "aerial"]
    panel.fit()
    panel.shot("library-reuse")


# -- deleting -------------------------------------------------------------------------------------------------------


def test_a_file_is_deleted_after_a_question_and_the_rest_stays(panel, cuts):
    entry = shelf.made(panel.studio, cuts[1], "a clip too many", provider="wavespeed")
    panel.added.append(entry)
    path = panel.studio.library.find(entry)
    panel.tell("luma_ray.collected", {"id": entry.id, "prompt": entry.id, "summary": ""})
    panel.see(ROW, "a clip too many")
    looked_at(panel, "a clip too many")
    panel.click(f"{DETAILS} button", "Delete file...")
    told = panel.see(DIALOG, "Delete the file of this clip?")
    for words in (
        "kB are freed",
        "receipt",
        "never bought again by itself",
        "until then it can be brought back",
    ):
        assert words in told
    panel.shot("library-delete")
    panel.accessible(DIALOG)
    panel.click(f"{DIALOG} button", "Cancel")
    panel.gone(DIALOG)
    assert path.is_file()
    panel.click(f"{DETAILS} button", "Delete file...")
    panel.click(f"{DIALOG} button", "Confirm")
    panel.toast("freed")
    panel.see(f"{DETAILS} button", "Bring it back")
    assert not path.exists()
    panel.press("Escape")
    row = panel.see(ROW, "a clip too many")
    assert "file deleted" in row
    panel.until("return document.querySelectorAll('.luma-ray-row img[src]').length === 4")


# -- money ----------------------------------------------------------------------------------------------------------


def test_spending_and_what_is_left_are_tables_with_words(panel):
    panel.click(f"{PANEL} button", "Spending")
    left = panel.see(".luma-ray-spending table", "Left to spend")
    assert "a month" in left
    assert "of $200.00" in left
    assert "By provider" in panel.see(".luma-ray-spending", "By day")
    panel.shot("library-spending")
    panel.accessible(".luma-ray-inner")
    panel.press("Escape")
    panel.gone(".luma-ray-spending")
    assert panel.ask("return document.activeElement.textContent") == "Spending"


# -- what is new ----------------------------------------------------------------------------------------------------


def test_what_comes_in_is_shown_at_the_top_and_nothing_in_sight_moves(panel, cuts):
    before = scrolled(panel, 20_000)["seen"]
    entry = shelf.made(panel.studio, cuts[0], "just arrived")
    panel.added.append(entry)
    panel.tell("luma_ray.collected", {"id": entry.id, "prompt": "just arrived", "summary": ""})
    panel.see(f"{PANEL} [role=status]", "2,005 generations")
    now = panel.ask("return document.querySelector(given[0]).scrollTop", LIST)
    assert scrolled(panel, now)["seen"] == before
    scrolled(panel, 0)
    panel.see(ROW, "just arrived")


def test_a_graph_that_ran_is_in_the_library_at_once(panel):
    ray = panel.add("RayTextToVideo", prompt="a lighthouse at night", provider="animatic", resolution="540p")
    panel.link(ray, "video", panel.add("SaveVideo"), "video")
    assert panel.run()["status"] == "completed"
    assert "free" in panel.see(ROW, "a lighthouse at night")
    panel.added += [each for each in panel.studio.lifecycle.journal.entries(limit=1) if each.local]


def test_at_twice_the_size_everything_can_be_reached(panel):
    panel.zoom(2)
    panel.until("return document.querySelectorAll('.luma-ray-row img[src]').length >= 2")
    panel.shot("library-list-200")
    looked_at(panel)
    panel.shot("library-details-200")
    panel.click(f"{DETAILS} button", "Put on canvas")
    assert len(nodes(panel)) == 1
    wide = panel.ask(
        "const panel = document.querySelector(given[0]); return panel.scrollWidth - panel.clientWidth", PANEL
    )
    assert wide <= 0
