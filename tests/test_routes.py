"""What the pack's own page asks and changes: open questions, collecting, limits, keys."""

from __future__ import annotations

import importlib
import socket

import pytest
import requests
from comfy_page import opened
from conftest import ROOT
from emulators.luma import Fault, LumaEmulator
from luma_ray.nodes.generation.clock import Clock
from luma_ray.nodes.generation.spending import PROVIDER_SCOPES, LimitsFile
from luma_ray.nodes.providers import PROVIDERS

KEY = "luma-canary-key-0123456789abcdef"


def nothing_changed(page):
    return page.studio.credentials.get("LUMAAI_API_KEY") is None and not page.studio.limits.path.exists()


@pytest.fixture
def page(tmp_path):
    with opened(tmp_path / "comfyui") as page:
        yield page


# -- limits ---------------------------------------------------------------------------------------------------


def test_limits_are_shown_and_changed(page):
    answer = page.post("limits", {"per_day": "12.5", "per_run": None})
    assert answer.status_code == 200
    shown = {row["scope"]: row for row in page.get("limits").json() if not row["provider"]}
    assert (shown["per_day"]["limit"], shown["per_day"]["spent"], shown["per_run"]["limit"]) == (
        "12.5",
        "0",
        None,
    )
    page.post("limits", {"provider": "fal", "per_month": 3})
    assert LimitsFile(page.studio.private).load().providers["fal"].per_month == 3


def test_every_paid_provider_can_be_limited_from_the_page(page):
    rows = [row for row in page.get("limits").json() if row["provider"]]
    assert {row["provider"] for row in rows} == {each.name for each in PROVIDERS if not each.local}
    assert {row["scope"] for row in rows} == set(PROVIDER_SCOPES)
    assert {row["limit"] for row in rows} == {None}


@pytest.mark.parametrize(
    "body",
    [
        {"per_week": 1},
        {"per_day": "lots"},
        {"per_day": -1},
        {"per_day": "NaN"},
        {"per_day": [1]},
        {"provider": "nobody", "per_day": 1},
        {"provider": "fal", "per_run": 1},
    ],
)
def test_a_limit_that_is_none_is_refused_in_words(page, body):
    answer = page.post("limits", body)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert nothing_changed(page)


# -- keys -----------------------------------------------------------------------------------------------------


def test_a_key_goes_in_and_does_not_come_out(page):
    saved = page.post("keys", {"name": "LUMAAI_API_KEY", "value": KEY})
    assert saved.json() == {"name": "LUMAAI_API_KEY", "source": "saved"}
    shown = page.get("keys")
    assert shown.headers["Cache-Control"] == "no-store"
    (card,) = [card for card in shown.json() if card["name"] == "luma"]
    (row,) = card["keys"]
    assert row["editable"] is True
    assert (row["source"], row["hint"]) == ("saved", "...cdef")
    assert KEY not in saved.text + shown.text
    assert page.studio.credentials.get("LUMAAI_API_KEY").reveal() == KEY


def test_an_empty_key_is_forgotten(page):
    page.post("keys", {"name": "LUMAAI_API_KEY", "value": KEY})
    assert page.post("keys", {"name": "LUMAAI_API_KEY", "value": ""}).json()["source"] == "missing"


@pytest.mark.parametrize(
    "body",
    [
        {"name": "PATH", "value": "x"},
        {"name": "LUMA_RAY_S3_BUCKET", "value": "somebody-elses"},
        {"name": "", "value": "x"},
        {"value": "x"},
        {"name": "LUMAAI_API_KEY", "value": "two\nlines"},
        {"name": "LUMAAI_API_KEY", "value": 5},
        {"name": "LUMAAI_API_KEY", "value": "x" * 5000},
    ],
)
def test_what_is_no_key_is_not_saved(page, body):
    answer = page.post("keys", body)
    assert answer.status_code == 400
    assert "two\\nlines" not in answer.text
    assert not page.studio.credentials.path.exists()


# -- open questions and collecting ----------------------------------------------------------------------------


@pytest.fixture
def seller(monkeypatch):
    with LumaEmulator(polls_until_done=1) as emulator:
        for name, value in emulator.environment().items():
            monkeypatch.setenv(name, value)
        yield emulator


def open_question(page, seller):
    seller.fail_next("POST", "/generations/video", Fault.lost_request())
    studio = page.studio
    settings = importlib.import_module(f"{page.host_module.__name__.rpartition('.')[0]}.film").Settings
    report = lambda words, fraction=None: None  # noqa: E731
    with pytest.raises(Exception, match="may have been created"):
        studio.text_to_video(settings(prompt="a fox in the snow"), clock=Clock(), report=report)
    (row,) = page.get("unfinished").json()
    return row


def test_an_open_question_is_shown_and_the_person_answers_it(page, seller):
    row = open_question(page, seller)
    assert (row["state"], row["provider"], row["prompt"]) == ("uncertain", "luma", "a fox in the snow")
    answer = page.post("not_created", {"id": row["id"]})
    assert (answer.status_code, answer.json()["state"]) == (200, "failed")
    assert page.get("unfinished").json() == []
    again = page.post("not_created", {"id": row["id"]})
    assert (again.status_code, "not waiting for a decision" in again.json()["error"]) == (400, True)
    assert len(seller.creates) == 0


def test_the_person_names_the_job_and_it_is_collected(page, seller):
    row = open_question(page, seller)
    made = requests.post(
        f"{seller.base_url}/generations/video",
        json={"model": "ray-2", "prompt": "what it became"},
        headers={"Authorization": f"Bearer {seller.key}"},
        timeout=10,
    ).json()
    assert page.post("found", {"id": row["id"], "job": made["id"]}).json()["state"] == "submitted"
    assert page.post("collect", {"id": row["id"]}).json() == {"collecting": [row["id"]]}
    told = page.told("collected")
    assert (told["id"], told["state"]) == (row["id"], "completed")
    assert page.get("unfinished").json() == []
    assert len(seller.creates) == 1  # the one of the test itself


def test_collecting_an_open_question_sends_nothing_and_says_so(page, seller):
    row = open_question(page, seller)
    page.post("collect", {})
    assert row["id"] in page.told("undecided")["message"]
    assert len(seller.creates) == 0


def test_the_first_page_that_is_opened_later_hears_what_was_told_before(page, seller):
    row = open_question(page, seller)
    page.post("collect", {})
    told = page.told("undecided")
    (news,) = page.post("news", {}).json()
    assert news == {**told, "event": "undecided"}
    assert news["id"] == row["id"]
    assert page.post("news", {}).json() == []


def test_what_an_open_page_was_told_is_no_news(page):
    page.server.sockets = {"a page": object()}
    page.collector._tell("collected", {"id": "ray-1"})
    assert page.post("news", {}).json() == []


def test_no_more_news_are_kept_than_somebody_reads(page):
    for number in range(50):
        page.collector._tell("collected", {"id": f"ray-{number}"})
    assert [news["id"] for news in page.post("news", {}).json()] == [
        f"ray-{number}" for number in range(30, 50)
    ]


def test_after_a_start_only_what_nobody_watches_is_collected(page, seller):
    journal = page.studio.lifecycle.journal
    package = page.host_module.__name__.rpartition(".")[0]
    offer = importlib.import_module(f"{package}.generation.offer")
    ids = {}
    for name, owner in (
        ("ours", None),
        ("gone", f"{socket.gethostname()}:999999999:abc"),
        ("far", "elsewhere:1:abc"),
    ):
        made = requests.post(
            f"{seller.base_url}/generations/video",
            json={"model": "ray-2", "prompt": name},
            headers={"Authorization": f"Bearer {seller.key}"},
            timeout=10,
        ).json()
        ids[name] = journal.adopt("luma", offer.Job(id=made["id"])).id
        if owner:
            with journal.database.transaction(writes=True) as connection:
                connection.exec_driver_sql(
                    "UPDATE generations SET owner = ? WHERE id = ?", (owner, ids[name])
                )
    page.collector.start(0, Clock()).join(30)
    assert {data["id"] for event, data in page.events if event == "luma_ray.collected"} == {ids["gone"]}
    assert {row["id"] for row in page.get("unfinished").json()} == {ids["ours"], ids["far"]}


def test_a_journal_that_cannot_be_opened_does_not_stop_the_start(page, monkeypatch, caplog):
    monkeypatch.setenv("LUMA_RAY_DATABASE_URL", "nonsense://user:secret-word@nowhere/x")
    page.host_module._studio_at.cache_clear()
    page.collector.start(0, Clock()).join(30)
    assert "could not look for unfinished generations" in caplog.text
    assert "secret-word" not in caplog.text


def test_what_is_loaded_when_it_is_opened_is_never_an_old_version_and_other_packs_are_left_alone(page):
    kept = lambda folder, name: requests.get(  # noqa: E731
        f"{page.origin}/extensions/{folder}/{name}", timeout=10
    ).headers.get("Cache-Control")
    assert kept(ROOT.name, "library.mjs") == "no-cache"
    assert kept("another-pack", "library.mjs") is None
    assert kept(ROOT.name, "library.js") is None  # ComfyUI says it
