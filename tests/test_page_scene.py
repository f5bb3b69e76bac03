"""The scene of a node as a strip: read, changed and played, by mouse and by keyboard, in ComfyUI's own interface."""

from __future__ import annotations

import pytest
from emulators.luma import LumaEmulator

DOCK = "section.luma-ray-scene"
SHOT = f"{DOCK} button.luma-ray-shot"
STATUS = f"{DOCK} [role=status]"
ALERT = f"{DOCK} [role=alert]"
FIELDS = f"{DOCK} .luma-ray-scene-editor"
BUTTON = f"{DOCK} button"
SHEET = "# a walk\n5 s | crane_up | a fox wakes\n# at noon\n9 s | it runs to the water\n5 s | it sleeps\n"


@pytest.fixture(scope="module")
def seller():
    with LumaEmulator(polls_until_done=1) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def page_environment(seller):
    return seller.environment()


@pytest.fixture(autouse=True)
def _closed(page):
    """No strip of the test before: its node has the same number as the next one."""
    page.ask("document.querySelector(`${given[0]} header div button:last-child`)?.click(); return null", DOCK)
    page.gone(DOCK)


def drawn(page, sheet=SHEET, **widgets):
    """A scene with a saver."""
    node = page.add("RayScene", sheet=sheet, resolution="540p", **widgets)
    page.link(node, "video", page.add("SaveVideo"), "video")
    page.fit()
    return node


def opened(page, sheet=SHEET, **widgets):
    """A scene whose strip is open, with the focus on its first shot."""
    node = drawn(page, sheet, **widgets)
    page.command("LumaRay.Scene")
    page.see(SHOT)
    page.until("return document.activeElement?.dataset.shot === '1'")
    return node


def text(page, node):
    return page.ask("return widget(given[0], 'sheet').value", node)


def becomes(page, node, sheet):
    """Wait until the sheet says this."""
    page.until("return widget(given[0], 'sheet').value === given[1] || null", node, sheet)


def focused(page):
    """The shot that has the focus."""
    return page.ask("return Number(document.activeElement?.dataset.shot ?? 0)")


def choose(page, css, value):
    """Choose in a list, as its own keys and menu do."""
    page.ask(
        """
        const list = document.querySelector(given[0]);
        list.value = given[1];
        if (list.value !== given[1]) throw new Error(`There is no ${given[1]} in ${list.innerText}`);
        list.dispatchEvent(new Event("change", { bubbles: true }));
        return null;
        """,
        css,
        value,
    )


def labelled(page, words):
    """A selector for the field with this label."""
    return page.ask(
        """
        const label = [...document.querySelectorAll(`${given[0]} label`)].find((each) =>
          each.querySelector("span").textContent === given[1]);
        const field = label.querySelector("select, textarea, input");
        field.id = "luma-ray-looked-for-" + given[1].replaceAll(" ", "-");
        return `#${field.id}`;
        """,
        FIELDS,
        words,
    )


def shown(page):
    """The shots as they are read out."""
    return page.ask("return [...document.querySelectorAll(given[0])].map((each) => each.textContent)", SHOT)


def test_the_strip_tells_of_every_shot(page):
    opened(page)
    assert page.see(f"{DOCK} header p", "3 shots").startswith(
        "3 shots · 19 s · shots 1, 2, 3 new: $0.53 (luma)"
    )
    first, second, third = shown(page)
    assert first == "Shot 1 of 3. 1 · 0:00 · 5 s · take 1a fox wakesnew, $0.14 at luma."
    assert second.startswith("Shot 2 of 3. 2 · 0:05 · 9 s")
    assert second.endswith("new, $0.25 at luma. How it begins: a cut, joined plainly.")
    assert "3 · 0:14 · 5 s" in third
    page.shot("scene")
    page.theme("light")
    page.shot("scene")
    page.zoom(2)
    page.shot("scene-zoom")


def test_nobody_is_kept_out(page):
    opened(page)
    page.accessible(DOCK)


def test_arrow_keys_go_from_shot_to_shot_and_one_stop_of_tab_is_theirs(page):
    opened(page)
    page.press("ArrowRight")
    assert focused(page) == 2
    page.press("End")
    assert focused(page) == 3
    page.press("ArrowRight")
    assert focused(page) == 3
    page.press("Home")
    assert focused(page) == 1
    page.press("Tab")
    assert page.ask("return document.activeElement.tagName") == "TEXTAREA"


def test_alt_and_an_arrow_move_a_shot_and_the_remarks_stay_with_theirs(page):
    node = opened(page)
    page.press("ArrowRight", "Alt+ArrowLeft")
    becomes(
        page,
        node,
        "# a walk\n\n# at noon\n9 s | it runs to the water\n5 s | crane_up | a fox wakes\n5 s | it sleeps\n",
    )
    page.see(STATUS, "Shot 2 is shot 1 now.")
    page.until("return document.activeElement?.dataset.shot === '1'")
    page.until("return document.activeElement.textContent.includes('it runs to the water')")
    page.press("Alt+ArrowRight")
    becomes(page, node, SHEET.replace("a walk\n", "a walk\n\n"))
    page.until("return document.activeElement?.dataset.shot === '2'")


def test_moves_that_follow_each_other_quickly_are_all_made(page):
    node = opened(page)
    page.press("Alt+ArrowRight", "Alt+ArrowRight")
    becomes(
        page,
        node,
        "# a walk\n\n# at noon\n9 s | it runs to the water\n5 s | it sleeps\n5 s | crane_up | a fox wakes\n",
    )


def test_comfyui_takes_a_change_back(page):
    node = opened(page)
    page.press("Alt+ArrowRight")
    page.see(STATUS, "Shot 1 is shot 2 now.")
    page.press("Control+z")
    becomes(page, node, SHEET)
    page.until("return document.querySelector(given[0]).textContent.includes('a fox wakes')", SHOT)


def test_enter_edits_the_words_and_enter_writes_them(page):
    node = opened(page)
    page.press("Enter", "Control+a")
    page.type("a fox dreams")
    page.press("Enter")
    becomes(page, node, SHEET.replace("a fox wakes", "a fox dreams"))
    page.see(STATUS, "Shot 1: new words.")
    page.press("Escape")
    assert focused(page) == 1


def test_words_that_are_no_words_of_a_sheet_are_refused_and_taken_back(page):
    node = opened(page)
    page.expects("status of 400")
    page.press("Enter", "Control+a")
    page.type("a fox | a bear")
    page.press("Enter")
    page.see(STATUS, "A prompt holds no |")
    assert text(page, node) == SHEET
    page.until("return document.activeElement.value === 'a fox wakes'")


def test_keys_in_the_strip_are_none_of_comfyuis(page):
    node = opened(page)
    page.select(node)
    page.click(SHOT, "a fox wakes")
    page.press("Enter", "Control+a", "Delete")
    page.press("r", "q", "w")
    assert page.ask("return graph.nodes.length") == 2


def test_another_look_at_the_same_scene_leaves_the_focus_where_it_is(page):
    opened(page)
    page.ask(
        "document.querySelector(`${given[0]} .luma-ray-scene-moves button`).focus(); return null", FIELDS
    )
    with page.held("/luma_ray/scene") as let_go:
        page.ask("api.dispatchCustomEvent('graphChanged', null); return null")
        let_go()
    page.ask("await new Promise((done) => setTimeout(done, 100)); return null")
    assert page.ask("return document.activeElement.ariaLabel") == "Remove the camera move crane up"


def test_a_change_that_comes_home_late_leaves_the_next_graph_alone(page):
    opened(page)
    page.press("Enter", "Control+a")
    page.type("a fox dreams")
    with page.held("/scene/edit") as let_go:
        page.press("Enter")
        page.until("return window.held.length")
        page.ask("graph.clear(); return null")
        node = drawn(page, "a bear wakes")
        let_go()
    page.see(".p-toast-message", "this change is not in it")
    assert text(page, node) == "a bear wakes"
    page.see(SHOT, "a bear wakes")


def test_length_camera_take_and_loop_are_written_into_the_line(page):
    node = opened(page, "a fox wakes")
    choose(page, labelled(page, "Length"), "9")
    becomes(page, node, "9 s | a fox wakes")
    choose(page, labelled(page, "Add a camera move"), "push_in")
    becomes(page, node, "9 s | push_in | a fox wakes")
    page.click(f"{FIELDS} label", "Loop")
    becomes(page, node, "9 s | push_in | loop | a fox wakes")
    page.click(BUTTON, "Remove the camera move push in")
    becomes(page, node, "9 s | loop | a fox wakes")
    choose(page, labelled(page, "Take"), "2")
    becomes(page, node, "9 s | take 2 | loop | a fox wakes")


def test_a_shot_is_added_and_removed(page):
    node = opened(page, "9 s | a fox wakes\nit runs")
    page.click(BUTTON, "Add a shot")
    becomes(page, node, "9 s | a fox wakes\n9 s\nit runs")
    page.see(STATUS, "Shot 2 is new. It needs words.")
    page.see(SHOT, "cannot be made so")
    page.click(BUTTON, "Remove this shot")
    becomes(page, node, "9 s | a fox wakes\nit runs")
    page.see(STATUS, "Shot 2 is removed.")
    page.click(SHOT, "it runs")
    page.press("Delete")
    becomes(page, node, "9 s | a fox wakes")
    page.until("return [...document.querySelectorAll(given[0])].at(-1).disabled", f"{FIELDS} button")


def test_a_shot_is_dragged_to_another_place(page):
    node = opened(page)
    page.drag(page.where(SHOT, "a fox wakes"), page.where(SHOT, "it sleeps"))
    becomes(
        page,
        node,
        "# a walk\n\n# at noon\n9 s | it runs to the water\n5 s | it sleeps\n5 s | crane_up | a fox wakes\n",
    )


def test_a_sheet_that_is_written_on_the_node_is_shown(page):
    node = opened(page)
    page.ask(
        "const own = widget(given[0], 'sheet'); own.value = 'a bear'; app.canvas.emitBeforeChange();"
        "app.canvas.emitAfterChange(); return null",
        node,
    )
    page.see(SHOT, "a bear")
    assert len(shown(page)) == 1


def test_what_is_wrong_with_a_sheet_is_said_and_the_strip_stays(page):
    node = opened(page)
    page.expects("status of 400")
    page.ask(
        "const own = widget(given[0], 'sheet'); own.value = 'a bear | 5 s | 9 s'; app.canvas.emitBeforeChange();"
        "app.canvas.emitAfterChange(); return null",
        node,
    )
    page.see(ALERT, "Line 1 of the scene sheet has two lengths")
    assert len(shown(page)) == 3


def test_a_re_roll_buys_that_shot_alone_and_only_when_it_is_queued(page, seller):
    sheet = "5 s | a fox re-rolled\n5 s | a bear re-rolled\n"
    node = drawn(page, sheet)
    assert page.run()["status"] == "completed"
    bought, queued = len(seller.creates), len(page.backend.jobs())
    page.command("LumaRay.Scene")
    page.see(f"{DOCK} header p", "shots 1, 2 from the library")
    page.click(SHOT, "a bear")
    page.shot("scene-here")
    page.click(BUTTON, "Re-roll: take 2, $0.14")
    becomes(page, node, "5 s | a fox re-rolled\n5 s | take 2 | a bear re-rolled\n")
    page.see(f"{DOCK} header p", "shot 1 from the library; shot 2 new: $0.14 (luma)")
    assert (len(seller.creates), len(page.backend.jobs())) == (bought, queued)
    page.click(BUTTON, "Queue (this scene: $0.14)")
    page.see(f"{DOCK} header p", "shots 1, 2 from the library", seconds=60)
    assert len(seller.creates) == bought + 1
    choose(page, labelled(page, "Take"), "1")
    becomes(page, node, "5 s | a fox re-rolled\n5 s | take 1 | a bear re-rolled\n")
    page.see(f"{DOCK} header p", "shots 1, 2 from the library")


def test_clips_have_their_pictures(page):
    drawn(page, "5 s | a fox with a picture", provider="animatic")
    assert page.run()["status"] == "completed"
    page.command("LumaRay.Scene")
    page.until("return document.querySelector(given[0])?.naturalWidth > 0", f"{SHOT} img", seconds=30)


def test_shots_between_pictures_show_them_and_keep_them_where_they_go(page):
    node = drawn(page, "a fox between pictures\na bear between pictures", provider="animatic")
    for number, name in enumerate(("luma-ray-rocket.jpg", "luma-ray-coffee.jpg", "luma-ray-deep-field.jpg")):
        picture = page.add("LoadImage")
        page.set(picture, image=name)
        page.link(picture, 0, node, f"keyframes.K{number}")
    page.command("LumaRay.Scene")
    page.see(SHOT, "K0 > K1")
    page.see(SHOT, "K1 > K2")
    page.until("return document.querySelectorAll(given[0])[1]?.naturalWidth > 0", f"{SHOT} img")
    page.see(f"{FIELDS} label", "Begins on")
    page.shot("scene-pictures")
    page.click(SHOT, "a bear")
    page.see(FIELDS, "From shot 1: goes on from K1; the frame that both have is shown once.")
    page.press("Alt+ArrowLeft")
    becomes(page, node, "K1 > K2 | a bear between pictures\nK0 > K1 | a fox between pictures")
    page.see(STATUS, "Shot 2 is shot 1 now. Its pictures go with it.")
    choose(page, labelled(page, "Ends on"), "0")
    becomes(page, node, "K1 > K0 | a bear between pictures\nK0 > K1 | a fox between pictures")
    page.see(STATUS, "Shot 1: K1 > K0.")
    choose(page, labelled(page, "Begins on"), "place")
    becomes(page, node, "a bear between pictures\nK0 > K1 | a fox between pictures")


def test_the_film_so_far_is_played_and_what_is_missing_is_said(page):
    drawn(page, "5 s | a fox to play\n5 s | a bear to play", provider="animatic")
    assert page.run()["status"] == "completed"
    node = page.ask("return String(graph.nodes.find((each) => each.comfyClass === 'RayScene').id)")
    page.set(node, sheet="5 s | a fox to play\n7 s | nobody made it\n5 s | a bear to play")
    page.command("LumaRay.Scene")
    page.see(SHOT, "a bear")
    page.click(BUTTON, "Play the film so far")
    page.see(f"{DOCK} .luma-ray-film-caption", "Shot 1 of 3 · 5 s · a preview")
    page.until("return document.querySelector(given[0])?.currentTime > 0", f"{DOCK} video", seconds=20)
    assert "a fox to play" in page.ask("return document.querySelector('.luma-ray-playing').textContent")
    page.shot("scene-plays")
    page.click(BUTTON, "Next shot")
    page.see(f"{DOCK} .luma-ray-film-caption", "Shot 2 of 3 · 7 s · Animatic cannot do this")
    page.see(f"{DOCK} .luma-ray-film-word", "nobody made it")
    page.shot("scene-plays-missing")
    page.click(BUTTON, "Next shot")
    page.see(f"{DOCK} .luma-ray-film-caption", "Shot 3 of 3")
    # At the end of its clip the film is over.
    page.until(
        "const v = document.querySelector(given[0]); v.currentTime = v.duration - 0.1; return true",
        f"{DOCK} video",
    )
    page.gone(f"{DOCK} .luma-ray-film")
    page.click(BUTTON, "Play the film so far")
    page.see(f"{DOCK} .luma-ray-film")
    page.press("Escape")
    page.gone(f"{DOCK} .luma-ray-film")
    assert page.count(DOCK) == 1


def test_a_clip_that_is_over_is_followed_by_the_next(page):
    drawn(page, "5 s | a fox to follow\n5 s | a bear to follow", provider="animatic")
    assert page.run()["status"] == "completed"
    page.command("LumaRay.Scene")
    page.see(SHOT, "a bear")
    page.click(BUTTON, "Play the film so far")
    page.until(
        "const v = document.querySelector(given[0]); if (!(v?.duration > 1)) return false;"
        "v.currentTime = v.duration - 0.2; return true",
        f"{DOCK} video",
    )
    page.see(f"{DOCK} .luma-ray-film-caption", "Shot 2 of 2")


def test_the_button_on_the_node_opens_it_and_it_leaves_no_trace_in_what_is_saved(page):
    node = drawn(page)
    if page.renderer == "vue":
        page.click("button", "Open scene")
    else:
        page.ask("widget(given[0], 'Open scene').callback(); return null", node)
    page.see(SHOT)
    assert "Open scene" not in page.prompt()[node]["inputs"]
    saved = page.ask("return node(given[0]).serialize().widgets_values", node)
    names = page.ask(
        "return node(given[0]).widgets.filter((w) => w.serialize !== false).map((w) => w.name)", node
    )
    assert len(saved) == len(names)
    assert "Open scene" not in names


def test_the_menu_of_the_node_opens_it(page):
    node = drawn(page)
    items = page.ask(
        "return app.extensions.flatMap((each) => each.getNodeMenuItems?.(node(given[0])) ?? [])"
        ".map((item) => item?.content)",
        node,
    )
    assert items.count("Open scene") == 1


def test_escape_closes_it(page):
    opened(page)
    page.press("Escape")
    page.gone(DOCK)


def test_it_closes_with_its_node(page):
    node = opened(page)
    page.ask(
        "graph.remove(node(given[0])); app.canvas.emitBeforeChange(); app.canvas.emitAfterChange(); return null",
        node,
    )
    page.gone(DOCK)


def test_a_scene_in_which_nothing_is_to_be_opened_says_so(page):
    page.command("LumaRay.Scene")
    page.toast("There is no Ray Scene node here.")
