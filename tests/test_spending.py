"""What may be spent: limits that no workflow raises, counted in the transaction that buys."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

import pytest
from fakes import Desk, FakeClock, Paper, Reports, picture, text
from luma_ray.nodes.generation import errors
from luma_ray.nodes.generation.offer import Completed, Failed, Job
from luma_ray.nodes.generation.records import Occasion
from luma_ray.nodes.generation.request import Operation
from luma_ray.nodes.generation.spending import LimitsFile, ProviderLimits, SpendingLimits, since

TESTS = Path(__file__).parent
CLIP = Decimal("0.20")
"""What a clip of 5 s at 720p costs at Paper."""


@pytest.fixture
def desk(tmp_path, monkeypatch):
    monkeypatch.setenv("PAPER_KEY", "paper-key-1234567890")
    return Desk(tmp_path)


def allowed(desk, **limits):
    """A lifecycle whose owner allows so much (USD), and nothing else limited."""
    nothing = dict.fromkeys(("per_generation", "per_run", "per_day", "per_month"))
    told = {name: Decimal(usd) if isinstance(usd, str) else usd for name, usd in limits.items()}
    desk.lifecycle = desk.opened(limits=lambda: SpendingLimits(**{**nothing, **told}))
    return desk


def buy(desk, number, run="", **others):
    lifecycle = desk.lifecycle.on(Occasion(run=run))
    return lifecycle.generate(
        text(f"shot {number}", **others), "paper", clock=FakeClock(desk.clock.now()), report=Reports()
    )


def sent(desk):
    return len(desk.provider.submitted)


# -- what is refused ------------------------------------------------------------------------------------------


def test_a_clip_within_every_limit_is_bought(desk):
    allowed(desk, per_generation="0.20", per_run="0.20", per_day="0.20", per_month="0.20")
    assert buy(desk, 1, run="one").entry.state == "completed"


@pytest.mark.parametrize(
    ("limit", "words", "option"),
    [
        ("per_generation", "one clip", "--per-generation"),
        ("per_run", "one run of a graph", "--per-run"),
        ("per_day", "a day", "--per-day"),
        ("per_month", "a month", "--per-month"),
    ],
)
def test_a_clip_beyond_a_limit_is_refused_with_price_limit_and_where_to_raise_it(desk, limit, words, option):
    allowed(desk, **{limit: "0.19"})
    with pytest.raises(errors.LimitReached) as caught:
        buy(desk, 1, run="one")
    told = str(caught.value)
    assert "ray-flash-2 at 720p, 5 s, from Paper costs $0.20." in told
    assert f"The limit is $0.19 for {words}. Nothing was sent or billed." in told
    assert f"`luma-ray limits {option} USD`" in told
    assert sent(desk) == 0
    assert desk.lifecycle.journal.entries() == []


def test_a_limit_of_nothing_stops_every_purchase(desk):
    allowed(desk, per_day="0")
    with pytest.raises(errors.LimitReached):
        buy(desk, 1)


def test_nothing_is_uploaded_for_a_clip_that_is_too_dear(desk):
    allowed(desk, per_generation="0.10")
    uploads = []
    desk.provider.upload = lambda client, still: uploads.append(still) or "there"
    request = text(operation=Operation.IMAGE_TO_VIDEO, first_frame=picture())
    with pytest.raises(errors.LimitReached):
        desk.generate(request)
    assert uploads == []


def test_what_is_spent_today_is_told(desk):
    allowed(desk, per_day="0.50")
    buy(desk, 1)
    buy(desk, 2)
    with pytest.raises(errors.LimitReached, match=r"\$0\.50 for a day, and \$0\.40 of it is spent"):
        buy(desk, 3)
    assert sent(desk) == 2


def test_a_run_is_counted_by_itself(desk):
    allowed(desk, per_run="0.40")
    for number in range(2):
        buy(desk, number, run="one")
    with pytest.raises(errors.LimitReached, match="one run"):
        buy(desk, 3, run="one")
    buy(desk, 4, run="two")


def test_a_provider_can_be_limited_alone(desk):
    allowed(desk, providers={"paper": ProviderLimits(per_day=Decimal("0.20"))})
    buy(desk, 1)
    with pytest.raises(errors.LimitReached, match=r"a day at paper.*--provider paper --per-day"):
        buy(desk, 2)


def test_another_day_begins_anew_and_the_month_goes_on(desk):
    allowed(desk, per_day="0.20", per_month="0.40")
    desk.clock._now = since(desk.clock.now(), day=False) + 10 * 86400 + 3600  # far from the month's ends
    buy(desk, 1)
    desk.clock.sleep(86400)
    buy(desk, 2)
    desk.clock.sleep(86400)
    with pytest.raises(errors.LimitReached, match="a month"):
        buy(desk, 3)


def test_a_day_is_the_owners_own(monkeypatch):
    import time

    if not hasattr(time, "tzset"):
        pytest.skip("the time zone of a process cannot be changed here")
    noon = 1_800_000_000.0  # 2027-01-15 08:00 UTC
    begins = []
    try:
        for zone in ("UTC", "Asia/Tokyo"):
            monkeypatch.setenv("TZ", zone)
            time.tzset()
            begins.append(since(noon, day=True))
    finally:
        monkeypatch.undo()
        time.tzset()
    assert begins[0] - begins[1] == 9 * 3600
    assert all(0 <= noon - begin < 86400 for begin in begins)


def test_what_is_here_already_costs_nothing_however_low_the_limit(desk):
    buy(desk, 1)
    allowed(desk, per_generation="0")
    assert buy(desk, 1).recalled


def test_the_free_preview_is_never_limited(desk):
    class Local(Paper):
        name = "local"
        local = True
        secrets = ()

    desk.provider = Local()
    allowed(desk, per_generation="0", per_day="0", per_run="0", per_month="0")
    desk.lifecycle.generate(text(), "local", clock=desk.clock, report=desk.reports)
    assert desk.lifecycle.ledger.lines() == []


# -- what counts ----------------------------------------------------------------------------------------------


def test_the_bill_counts_where_it_is_told_and_the_quote_until_then(desk):
    desk.provider.statuses = [Completed(url="", billed_usd=Decimal("0.35"))]
    buy(desk, 1)
    (line,) = desk.lifecycle.ledger.lines()
    assert (line.entry.estimate_usd, line.entry.billed_usd, line.counts) == (
        CLIP,
        Decimal("0.35"),
        Decimal("0.35"),
    )


@pytest.mark.parametrize("billed", ["NaN", "Infinity", "-3", "1e15"])
def test_a_bill_that_is_none_counts_as_the_quote(desk, billed):
    desk.provider.statuses = [Completed(url="", billed_usd=Decimal(billed))]
    buy(desk, 1)
    (line,) = desk.lifecycle.ledger.lines()
    assert (line.entry.billed_usd, line.counts) == (None, CLIP)


@pytest.mark.parametrize(
    ("error", "counts"),
    [
        (errors.Rejected("no. Nothing was billed."), 0),
        (errors.ProviderUnavailable("no answer. Nothing was billed."), 0),
        (errors.SubmissionUncertain("lost."), CLIP),
    ],
    ids=["refused", "not sent", "unanswered"],
)
def test_what_a_create_that_gave_no_job_counts(desk, error, counts):
    desk.provider.submits = [error]
    with pytest.raises(errors.GenerationError):
        buy(desk, 1)
    assert desk.lifecycle.ledger.spent(day=True) == counts


@pytest.mark.parametrize(
    ("billed", "counts"),
    [(None, CLIP), (Decimal(0), 0), (Decimal("0.05"), Decimal("0.05"))],
    ids=["not told", "free", "in part"],
)
def test_what_a_job_that_failed_counts(desk, billed, counts):
    desk.provider.statuses = [Failed(reason="It broke.", billing="Who knows.", billed_usd=billed)]
    with pytest.raises(errors.GenerationFailed):
        buy(desk, 1)
    assert desk.lifecycle.ledger.spent(day=True) == counts


def test_what_the_person_says_was_not_created_counts_nothing_until_it_turns_out_to_be(desk):
    desk.provider.submits = [errors.SubmissionUncertain("lost.")]
    with pytest.raises(errors.SubmissionUncertain):
        buy(desk, 1)
    (row,) = desk.lifecycle.journal.entries()
    desk.lifecycle.not_created(row.id)
    assert desk.lifecycle.ledger.spent(day=True) == 0
    desk.lifecycle.journal.submitted(row.id, Job(id="late"))
    assert desk.lifecycle.ledger.spent(day=True) == CLIP


def test_a_price_that_nobody_knows_counts_as_the_dearest_known_of_such_a_clip(desk):
    class Dear(Paper):
        name, title, secrets = "dear", "Dear", ("DEAR_KEY",)
        offers = tuple(
            type(offer)(**{**{f: getattr(offer, f) for f in offer.__dataclass_fields__}, "prices": prices})
            for offer in Paper.offers
            for prices in [{("540p", 5): Decimal("0.90"), ("720p", 9): Decimal("3.00")}]
        )

    desk.provider.offers = tuple(
        type(offer)(**{**{f: getattr(offer, f) for f in offer.__dataclass_fields__}, "prices": {}})
        for offer in Paper.offers
    )
    nothing = dict.fromkeys(("per_run", "per_day", "per_month"))
    desk.lifecycle = desk.opened(
        providers=[desk.provider, Dear()],
        limits=lambda: SpendingLimits(per_generation=Decimal("0.95"), **nothing),
    )
    buy(desk, 1, resolution="540p")
    assert desk.lifecycle.ledger.spent(day=True) == Decimal("0.90")
    with pytest.raises(
        errors.LimitReached, match=r"no published price and counts as the dearest known: \$3\.00"
    ):
        buy(desk, 2, resolution="540p", duration=9)  # nobody tells a price of that: the dearest of all


def test_rows_of_before_there_were_limits_count(desk):
    buy(desk, 1)
    with desk.lifecycle.journal.database.transaction(writes=True) as connection:
        connection.exec_driver_sql("UPDATE generations SET counts = NULL, run = NULL")
    assert desk.lifecycle.ledger.spent(day=True) == CLIP


# -- together -------------------------------------------------------------------------------------------------


def test_twenty_shots_at_once_do_not_overspend_together(desk):
    allowed(desk, per_day="1.00")

    def shot(number):
        with suppress(errors.LimitReached):
            return buy(desk, number).entry
        return None

    with ThreadPoolExecutor(20) as pool:
        made = [entry for entry in pool.map(shot, range(20)) if entry is not None]
    assert len(made) == 5
    assert sent(desk) == 5
    assert desk.lifecycle.ledger.spent(day=True) == Decimal("1.00")


def test_two_processes_with_ten_shots_each_do_not_overspend_together(tmp_path, monkeypatch):
    monkeypatch.setenv("PAPER_KEY", "paper-key-1234567890")
    program = f"""
import pathlib, sys
import conftest
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from fakes import Desk, FakeClock, Reports, text
from luma_ray.nodes.generation import errors
from luma_ray.nodes.generation.offer import Job
from luma_ray.nodes.generation.spending import SpendingLimits
desk = Desk(pathlib.Path({str(tmp_path)!r}))
lifecycle = desk.opened(limits=lambda: SpendingLimits(per_day=Decimal("1.00")))
print("ready", flush=True)
name = input()
desk.provider.submit = lambda client, offer, body, key: Job(id=key)
def shot(number):
    try:
        lifecycle.generate(text(f"{{name}} {{number}}"), "paper", clock=FakeClock(), report=Reports())
    except errors.LimitReached:
        return 0
    return 1
with ThreadPoolExecutor(10) as pool:
    print(sum(pool.map(shot, range(10))), flush=True)
"""
    others = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=TESTS,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    for other in others:
        assert other.stdout.readline() == "ready\n"
    for name, other in zip("ab", others, strict=True):
        other.stdin.write(f"{name}\n")
        other.stdin.flush()
    made = [int(other.communicate(timeout=120)[0]) for other in others]
    assert [other.returncode for other in others] == [0, 0]
    assert sum(made) == 5
    assert Desk(tmp_path).lifecycle.ledger.spent(day=True) == Decimal("1.00")


# -- the owner's file -----------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path):
    return LimitsFile(tmp_path)


def test_without_a_file_the_defaults_hold(file):
    assert file.load() == SpendingLimits()
    assert None not in (
        file.load().per_generation,
        file.load().per_run,
        file.load().per_day,
        file.load().per_month,
    )


def test_what_is_changed_is_kept_and_the_rest_stays(file):
    file.change({"per_day": Decimal("12.50"), "per_run": None})
    file.change({"per_month": Decimal(40)}, provider="fal")
    limits = LimitsFile(file.path.parent).load()
    assert (limits.per_day, limits.per_run, limits.per_month) == (
        Decimal("12.50"),
        None,
        SpendingLimits().per_month,
    )
    assert limits.providers == {"fal": ProviderLimits(per_month=Decimal(40))}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"per_day": "lots"}',
        '{"per_day": -1}',
        '{"per_day": "NaN"}',
        '{"per_dya": 5}',
        '{"providers": {"fal": {"per_week": 5}}}',
        '{"providers": []}',
        '{"per_day": [5]}',
    ],
)
def test_a_file_that_cannot_be_read_stops_every_purchase(desk, content):
    file = LimitsFile(desk.folder)
    file.path.write_text(content, "utf-8")
    desk.lifecycle = desk.opened(limits=file.load)
    with pytest.raises(errors.LimitReached, match=r"limits.json"):
        buy(desk, 1)
    assert sent(desk) == 0


def test_an_amount_that_is_none_is_not_saved(file):
    for usd in ("-1", "NaN", "Infinity"):
        with pytest.raises(ValueError, match="amount"):
            file.change({"per_day": Decimal(usd)})
    assert not file.path.exists()


def test_a_file_that_an_editor_marked_is_read(file):
    file.path.write_text(json.dumps({"per_day": 3}), "utf-8-sig")
    assert file.load().per_day == 3


def test_readme_names_the_defaults():
    readme = (TESTS.parent / "README.md").read_text("utf-8")
    limits = SpendingLimits()
    for words, usd in (
        ("one clip", limits.per_generation),
        ("one press of *Run*", limits.per_run),
        ("a day", limits.per_day),
        ("a month", limits.per_month),
    ):
        assert f"| {words} | ${usd} |" in readme
