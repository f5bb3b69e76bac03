"""The library as the page asks for it: lists, details, small pictures, clips, deleting a file, sums."""

from __future__ import annotations

import importlib
import io
import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import films
import pytest
import requests
import shelf
from bench.rows import fill
from comfy_page import opened
from emulators.luma import LumaEmulator
from fakes import picture
from luma_ray.nodes.generation.clock import Clock
from luma_ray.nodes.generation.offer import Job
from luma_ray.nodes.generation.request import GenerationReference, Operation
from luma_ray.nodes.page.reuse import reuse
from luma_ray.nodes.page.thumbnails import AT_ONCE, IN_LINE
from PIL import Image


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LUMA_RAY_COLLECT", "off")
        with opened(tmp_path_factory.mktemp("page") / "comfyui") as page:
            yield page


@pytest.fixture
def page(house):
    """A page whose library is empty."""
    studio = house.studio
    with studio.lifecycle.journal.database.transaction(writes=True) as connection:
        connection.exec_driver_sql("DELETE FROM generations")
    for folder in (studio.library.folder, studio.private / "thumbnails"):
        shutil.rmtree(folder, ignore_errors=True)
    house.events.clear()
    return house


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """A second of moving landscape."""
    return films.encode(films.scene(24), tmp_path_factory.mktemp("film") / "film.mp4")


def asked(page, *given, **others):
    return shelf.asked(page.studio, *given, **others)


def made(page, *given, **others):
    return shelf.made(page.studio, *given, **others)


def listed(page, **query):
    answer = page.get("library?" + "&".join(f"{name}={quote(str(value))}" for name, value in query.items()))
    assert answer.status_code == 200, answer.text
    return answer.json()


def details(page, entry):
    return page.get(f"library/generation?id={entry.id}").json()


# -- the list -------------------------------------------------------------------------------------------------------


def test_every_generation_is_listed_by_pages(page):
    fill(page.studio.lifecycle.journal, 230)
    told = listed(page)
    assert (told["all"], told["total"], len(told["rows"])) == (230, 230, 100)
    ids = [row["id"] for row in told["rows"]]
    while told["next"]:
        told = listed(page, after=told["next"], limit=200)
        assert "total" not in told  # it is counted once
        ids += [row["id"] for row in told["rows"]]
    assert (len(ids), len(set(ids))) == (230, 230)


def test_a_row_tells_what_the_list_shows_and_no_place_on_the_machine(page, film, tmp_path):
    entry = made(page, film)
    (row,) = listed(page)["rows"]
    assert {name: row[name] for name in ("id", "state", "provider", "prompt", "take", "usd", "file")} == {
        "id": entry.id,
        "state": "completed",
        "provider": "luma",
        "prompt": "a fox in the snow",
        "take": 1,
        "usd": "0.20",
        "file": "here",
    }
    assert str(tmp_path) not in page.get("library").text


def test_prices_are_text_and_never_rounded(page):
    fill(page.studio.lifecycle.journal, 5)
    assert {row["usd"] for row in listed(page)["rows"]} == {"0.24"}
    assert {type(each["usd"]) for each in page.get("library/spent").json()["providers"]} == {str}


def test_words_and_filters_narrow_the_list_and_the_count(page, film):
    fill(page.studio.lifecycle.journal, 40)
    fox = made(page, film, "Zwei FÜCHSE im Schnee")
    preview = made(page, film, "a cat", provider="animatic", local=True)
    assert [row["id"] for row in listed(page, words="füchse schnee")["rows"]] == [fox.id]
    told = listed(page, paid="free")
    assert ([row["id"] for row in told["rows"]], told["total"], told["all"]) == ([preview.id], 1, 42)
    assert listed(page, provider="animatic", state="failed")["rows"] == []
    assert listed(page, clip="missing", words="füchse")["rows"] == []


def test_what_can_be_chosen_is_told_with_the_list_in_words(page, film):
    made(page, film)
    made(page, film, "a cat", provider="animatic", local=True)
    kinds = listed(page)["kinds"]
    assert {"name": "text_to_video", "words": "text to video", "count": 2} in kinds["operation"]
    assert {each["name"] for each in kinds["provider"]} == {"luma", "animatic"}
    assert all(each["words"] for each in kinds["provider"])


@pytest.mark.parametrize(
    "query",
    [
        "words=" + quote("' OR 1=1 --"),
        "words=" + quote("%_\\\0\ud800", errors="surrogatepass"),
        "provider=" + quote("'; DROP TABLE generations; --"),
        "model=../../etc/passwd",
        "operation=" + quote("<script>"),
    ],
)
def test_hostile_words_find_nothing_and_break_nothing(page, query):
    asked(page)
    told = page.get(f"library?{query}").json()
    assert told.get("rows", []) == []
    assert len(listed(page)["rows"]) == 1


@pytest.mark.parametrize(
    "query",
    [
        "state=lost",
        "paid=perhaps",
        "clip=1",
        "after=nonsense",
        "after=nan~x",
        "limit=-1",
        "limit=ten",
        "limit=99999",
        "limit=%C2%B2",
        "words=" + "x" * 2001,
        "words=" + "+".join(f"w{number}" for number in range(201)),
        "provider=" + "x" * 201,
        "provider=%00",
        "after=1~%0A",
    ],
)
def test_what_is_no_question_is_refused_in_words(page, query):
    answer = page.get(f"library?{query}")
    assert answer.status_code == 400
    assert answer.json()["error"].endswith(".")


# -- one of them ----------------------------------------------------------------------------------------------------

HOSTILE = [
    *("ray-none", "../../../etc/passwd", "..%2F..%2Fjournal.db", "C:%5CWindows", "%00", "ray-1%0Aray-2"),
    *("' OR 1=1", "%F0%9F%A6%8A", "x" * 5000, "__proto__"),
]


@pytest.mark.parametrize("id", HOSTILE)
@pytest.mark.parametrize("path", ["generation", "thumbnail", "clip"])
def test_an_id_that_is_none_names_no_file(page, film, path, id):
    made(page, film)
    answer = page.get(f"library/{path}?id={id}")
    assert answer.status_code == 400
    assert "no such generation" in answer.json()["error"]


@pytest.mark.parametrize("path", ["generation", "thumbnail", "clip"])
def test_without_an_id_nothing_is_told(page, path):
    assert page.get(f"library/{path}").status_code == 400


def test_the_details_hold_the_receipt_the_prices_and_the_settings(page, film):
    entry = made(page, film, concepts=("push_in",), resolution="540p")
    told = details(page, entry)
    facts = dict(map(tuple, told["facts"]))
    assert told["prompt"] == "a fox in the snow"
    assert (facts["Quoted"], facts["Billed"], facts["Counts"]) == ("$0.20", "not told", "$0.20")
    assert (facts["Take"], facts["Camera"], facts["Size"]) == ("1", "push_in", "540p · 192x108")
    assert entry.id in told["receipt"]
    assert "provider's job" in told["receipt"]


def test_takes_of_the_same_request_are_told_together(page, film):
    first = made(page, film)
    second = made(page, film, take=2)
    made(page, film, "another shot")
    told = details(page, second)
    assert [(row["id"], row["take"]) for row in told["takes"]] == [(first.id, 1), (second.id, 2)]


def test_a_long_prompt_is_whole_in_the_details_and_short_in_the_list(page):
    entry = asked(page, "a fox " * 400)
    assert len(listed(page)["rows"][0]["prompt"]) < 300
    assert details(page, entry)["prompt"] == "a fox " * 400


# -- its settings again ---------------------------------------------------------------------------------------------


def test_the_settings_are_those_of_a_node_and_its_widgets(page):
    entry = asked(page, duration=9, resolution="540p", loop=True, take=3, concepts=("push_in", "static"))
    told = details(page, entry)["reuse"]
    assert (told["node"], told["concepts"], told["missing"]) == ("RayTextToVideo", ["push_in", "static"], [])
    assert told["widgets"] == {
        "prompt": "a fox in the snow",
        "model": "ray-flash-2",
        "aspect_ratio": "16:9",
        "resolution": "540p",
        "loop": True,
        "provider": "luma",
        "take": 3,
        "enhance_prompt": False,
        "duration": "9 s",
    }


def test_every_widget_that_is_told_is_one_of_its_node_with_a_value_that_it_takes(page):
    pack = page.host_module.__name__.rpartition(".")[0]
    extension = importlib.import_module(f"{pack}.extension")
    schemas = {node.GET_SCHEMA().node_id: node.GET_SCHEMA() for node in extension.NODES}
    entry = asked(page)
    for operation in Operation:
        request = {**entry.request, "operation": operation.value, "mode": "flex_1", "negative_prompt": "hum"}
        row = SimpleNamespace(
            **{name: getattr(entry, name) for name in ("provider", "take")},
            operation=operation.value,
            request=request,
        )
        told = reuse(row, lambda job: None)
        inputs = {each.id: each for each in schemas[told["node"]].inputs}
        shared = told["widgets"].keys() & inputs.keys()
        assert {"provider", "take"} <= shared, operation
        for name in shared:
            options = getattr(inputs[name], "options", None)
            assert not options or told["widgets"][name] in options, (operation, name)


def test_pictures_are_said_to_be_missing_and_clips_are_found_again(page, film):
    with_picture = asked(
        page,
        "a picture",
        operation=Operation.KEYFRAMES_TO_VIDEO,
        first_frame=picture(),
        last_frame=picture("cd" * 32),
    )
    told = details(page, with_picture)["reuse"]
    assert (told["node"], told["missing"]) == ("RayKeyframesToVideo", ["the first frame", "the last frame"])
    clip = made(page, film)
    edge = GenerationReference(clip.id, "luma", clip.job.id)
    longer = asked(page, "and on", operation=Operation.EXTEND_VIDEO, first_frame=edge)
    told = details(page, longer)["reuse"]
    assert told["generations"] == [{"input": "generation", "id": clip.id}]
    assert (told["widgets"]["direction"], told["widgets"]["length"], told["missing"]) == ("forward", 6, [])
    lost = GenerationReference("ray-gone", "luma", "a job that nobody knows")
    backward = asked(page, "and before", operation=Operation.EXTEND_VIDEO, last_frame=lost)
    told = details(page, backward)["reuse"]
    assert (told["widgets"]["direction"], told["missing"]) == ("backward", ["the film"])


def test_nobody_knows_the_settings_of_what_was_collected_by_its_id_alone(page):
    entry = page.studio.lifecycle.journal.adopt("luma", Job(id="elsewhere"))
    assert details(page, entry)["reuse"] is None


# -- small pictures -------------------------------------------------------------------------------------------------


def thumbnail(page, entry):
    return page.get(f"library/thumbnail?id={entry.id}")


def pictures(page):
    return sorted(path for path in (page.studio.private / "thumbnails").rglob("*") if path.is_file())


def test_a_small_picture_is_made_once_and_kept_on_disk(page, film):
    entry = made(page, film)
    assert pictures(page) == []
    answer = thumbnail(page, entry)
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert Image.open(io.BytesIO(answer.content)).size == (192, 108)
    (kept,) = pictures(page)
    before = kept.stat()
    assert thumbnail(page, entry).content == answer.content
    assert (kept.stat().st_ino, kept.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_small_picture_shows_the_middle_of_the_clip(page, tmp_path):
    import numpy as np

    colours = [np.full((108, 192, 3), level, np.uint8) for level in [20] * 10 + [200] * 10 + [90] * 10]
    entry = made(page, films.encode(colours, tmp_path / "three.mp4"))
    shown = Image.open(io.BytesIO(thumbnail(page, entry).content)).convert("L")
    assert shown.getpixel((96, 54)) == pytest.approx(200, abs=6)


def test_large_clips_have_small_pictures_of_the_same_shape(page, tmp_path):
    entry = made(page, films.encode(films.scene(3, 720, 1280), tmp_path / "tall.mp4"))
    assert Image.open(io.BytesIO(thumbnail(page, entry).content)).size == (216, 384)


def test_a_clip_that_changed_gets_a_new_picture(page, film, tmp_path):
    entry = made(page, film)
    old = thumbnail(page, entry).content
    path = page.studio.library.find(entry)
    films.encode(films.scene(24, seed=7), path)
    os.utime(path, (path.stat().st_mtime + 60,) * 2)
    assert thumbnail(page, entry).content != old
    assert len(pictures(page)) == 1


@pytest.mark.parametrize("content", [b"", b"<html>no clip</html>", b"\0\0\0\x18ftypmp42" + b"\0" * 4000])
def test_a_broken_clip_is_told_in_words_and_looked_at_once(page, film, content, tmp_path):
    entry = made(page, film)
    path = page.studio.library.find(entry)
    path.write_bytes(content)
    answer = thumbnail(page, entry)
    assert answer.status_code == 200
    assert answer.json()["words"]
    assert str(tmp_path) not in answer.text
    age = path.stat().st_mtime_ns
    # A whole clip of the same size and age would be looked at only if it were looked at again.
    path.write_bytes(content[::-1])
    os.utime(path, ns=(age, age))
    assert thumbnail(page, entry).json() == answer.json()
    assert pictures(page) == []
    shutil.copyfile(film, path)
    assert thumbnail(page, entry).headers["Content-Type"] == "image/jpeg"


def test_many_pictures_at_once_are_made_a_few_at_a_time(page, film):
    entries = [made(page, film, take=take) for take in range(1, 25)]
    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(lambda entry: thumbnail(page, entry), entries))
    kinds = [answer.headers["Content-Type"].partition(";")[0] for answer in answers]
    assert set(kinds) <= {"image/jpeg", "application/json"}
    assert all(answer.json()["busy"] for answer in answers if "json" in answer.headers["Content-Type"])
    while True:  # those that were told to ask again ask again
        again = [entry for entry in entries if "json" in thumbnail(page, entry).headers["Content-Type"]]
        if not again:
            break
    assert len(pictures(page)) == len(entries)
    assert AT_ONCE + IN_LINE <= 4  # threads that ComfyUI's server shares with its own work


def test_several_who_ask_for_the_same_picture_get_the_one_that_is_made(page, film):
    entry = made(page, film)
    ready = threading.Barrier(4, timeout=20)

    def ask(_):
        ready.wait()
        return thumbnail(page, entry)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(ask, range(4)))
    assert len({answer.content for answer in answers}) == 1
    assert len(pictures(page)) == 1


# -- the clip -------------------------------------------------------------------------------------------------------


def test_a_clip_is_served_whole_and_by_ranges(page, film):
    entry = made(page, film)
    whole = page.get(f"library/clip?id={entry.id}")
    assert (whole.status_code, whole.headers["Content-Type"]) == (200, "video/mp4")
    assert whole.content == film.read_bytes()
    part = page.get(f"library/clip?id={entry.id}", Range="bytes=100-199")
    assert (part.status_code, part.content) == (206, film.read_bytes()[100:200])


def test_comfyuis_own_page_is_told_where_it_finds_a_clip_below_its_output(page, film):
    entry = made(page, film)
    view = listed(page)["rows"][0]["view"]
    assert (view["type"], view["filename"]) == ("output", page.studio.library.find(entry).name)
    assert view["subfolder"] == f"luma-ray/{page.studio.library.find(entry).parent.name}"


def test_a_library_elsewhere_is_served_by_us_alone(page, film, tmp_path, monkeypatch):
    monkeypatch.setenv("LUMA_RAY_LIBRARY", str(tmp_path / "big disk"))
    entry = made(page, film)
    assert listed(page)["rows"][0]["view"] is None
    assert page.get(f"library/clip?id={entry.id}").content == film.read_bytes()


@pytest.mark.parametrize(
    "clip", ["../../../secret.mp4", "/etc/passwd", "a\0b.mp4", "../user/__luma_ray/journal.db"]
)
def test_a_row_whose_clip_leads_out_of_the_library_serves_nothing(page, film, clip):
    entry = made(page, film)
    with page.studio.lifecycle.journal.database.transaction(writes=True) as connection:
        connection.exec_driver_sql("UPDATE generations SET clip = ? WHERE id = ?", (clip, entry.id))
    assert page.get(f"library/clip?id={entry.id}").status_code == 400
    assert "json" in thumbnail(page, entry).headers["Content-Type"]
    assert page.post("library/remove", {"id": entry.id}).status_code == 400
    assert listed(page)["rows"][0]["file"] == "gone"


# -- deleting a file ------------------------------------------------------------------------------------------------


def test_deleting_a_file_keeps_the_row_the_receipt_and_the_picture(page, film):
    entry = made(page, film)
    receipt, spent = details(page, entry)["receipt"], page.get("library/spent").json()
    picture = thumbnail(page, entry).content
    path = page.studio.library.find(entry)
    told = page.post("library/remove", {"id": entry.id}).json()
    assert told["freed"] == film.stat().st_size
    assert not path.exists()
    assert (told["row"]["file"], told["row"]["state"]) == ("removed", "completed")
    assert details(page, entry)["receipt"] == receipt
    assert page.get("library/spent").json() == spent
    assert thumbnail(page, entry).content == picture
    assert listed(page, clip="here")["rows"] == []
    again = page.post("library/remove", {"id": entry.id})
    assert (again.status_code, "Nothing was deleted" in again.json()["error"]) == (400, True)


def test_a_picture_is_made_before_the_clip_goes(page, film):
    entry = made(page, film)
    page.post("library/remove", {"id": entry.id})
    assert thumbnail(page, entry).headers["Content-Type"] == "image/jpeg"
    assert listed(page)["rows"][0]["picture"] is True


def test_the_question_tells_how_much_is_freed_and_whether_it_can_be_had_again(page, film):
    known = details(page, made(page, film, provider="wavespeed"))["removal"]
    assert known["bytes"] == film.stat().st_size
    assert "until then it can be brought back at no charge" in known["words"]
    assert "does not say" in details(page, made(page, film, "another", provider="luma"))["removal"]["words"]
    free = details(page, made(page, film, provider="animatic", local=True))["removal"]
    assert "free preview" in free["words"]


def test_what_has_no_clip_cannot_be_deleted(page):
    entry = asked(page)
    assert details(page, entry)["removal"] is None
    assert page.post("library/remove", {"id": entry.id}).status_code == 400
    assert page.studio.lifecycle.journal.get(entry.id).state == "submitting"


def test_a_file_that_cannot_be_deleted_is_still_there_and_not_marked(page, film, monkeypatch):
    entry = made(page, film)
    path = page.studio.library.find(entry)
    unlink = Path.unlink

    def in_use(self, **others):  # as Windows says of a file that plays
        if self == path:
            raise PermissionError(13, "The file is in use")
        unlink(self, **others)

    monkeypatch.setattr(Path, "unlink", in_use)
    answer = page.post("library/remove", {"id": entry.id})
    assert (answer.status_code, "in use). It is still there" in answer.json()["error"]) == (400, True)
    assert page.studio.lifecycle.journal.get(entry.id).removed_at is None
    assert listed(page)["rows"][0]["file"] == "here"


def test_a_folder_in_place_of_a_file_is_left_alone(page, film):
    entry = made(page, film)
    path = page.studio.library.find(entry)
    path.unlink()
    path.mkdir()
    assert page.post("library/remove", {"id": entry.id}).status_code == 400
    assert path.is_dir()


@contextmanager
def bought(page, monkeypatch):
    """A clip of Luma's emulator."""
    with LumaEmulator(polls_until_done=1) as seller:
        for name, value in seller.environment().items():
            monkeypatch.setenv(name, value)
        yield seller, lambda: recalled(page)


def recalled(page):
    package = page.host_module.__name__.rpartition(".")[0]
    settings = importlib.import_module(f"{package}.film").Settings(
        prompt="a fox in the snow", provider="luma"
    )
    report = lambda words, fraction=None: None  # noqa: E731
    return page.studio.text_to_video(settings, clock=Clock(), report=report)


def test_a_deleted_clip_comes_back_from_its_provider_and_is_not_bought_again(page, monkeypatch):
    with bought(page, monkeypatch) as (seller, make):
        first = make()
        (own,) = first.generations
        page.post("library/remove", {"id": own})
        assert page.post("collect", {"id": own}).json() == {"collecting": [own]}
        assert page.told("collected")["id"] == own
        assert first.path.is_file()
        entry = page.studio.lifecycle.journal.get(own)
        assert (entry.state, entry.removed_at) == ("completed", None)
        page.post("library/remove", {"id": own})
        assert make().path.is_file()  # queueing its graph brings it back too
        assert len(seller.creates) == 1


def test_a_deleted_clip_that_its_provider_threw_away_is_said_to_be_gone_and_not_bought_again(
    page, monkeypatch
):
    with bought(page, monkeypatch) as (seller, make):
        (own,) = make().generations
        page.post("library/remove", {"id": own})
        job = page.studio.lifecycle.journal.get(own).job.id
        answer = requests.delete(
            f"{seller.base_url}/generations/{job}",
            headers={"Authorization": f"Bearer {seller.key}"},
            timeout=10,
        )
        assert answer.ok
        page.post("collect", {"id": own})
        assert "its file is gone" in page.told("not_collected")["message"]
        with pytest.raises(Exception, match="another take: a new purchase"):
            make()
        assert len(seller.creates) == 1
        assert page.studio.lifecycle.journal.get(own).state == "completed"


def test_nothing_is_collected_that_is_here(page, film):
    entry = made(page, film)
    assert page.post("collect", {"id": entry.id}).json() == {"collecting": []}


# -- money ----------------------------------------------------------------------------------------------------------


def test_spending_is_told_by_day_month_and_provider(page):
    fill(page.studio.lifecycle.journal, 200)
    asked(page, provider="animatic", local=True)
    told = page.get("library/spent").json()
    line = sum(Decimal(each["usd"]) for each in told["providers"])
    assert sum(Decimal(each["usd"]) for each in told["months"]) == line
    assert sum(each["generations"] for each in told["providers"]) == 200
    assert len(told["days"]) <= 31
    assert [each["name"] for each in told["days"]] == sorted(
        (each["name"] for each in told["days"]), reverse=True
    )


def test_an_empty_library_says_so_everywhere(page):
    assert listed(page)["all"] == 0
    assert page.get("library/spent").json() == {"days": [], "months": [], "providers": []}
