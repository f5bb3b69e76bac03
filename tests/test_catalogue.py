"""The journal looked through: pages, words, filters, sums."""

from __future__ import annotations

from decimal import Decimal

import pytest
import sqlalchemy as sa
from bench.rows import fill
from luma_ray.nodes.generation import errors
from luma_ray.nodes.generation.catalogue import UNFINISHED, Catalogue, Place, Wanted, state_of, words_of
from luma_ray.nodes.generation.journal import Journal
from luma_ray.nodes.generation.ledger import Ledger, totals
from luma_ray.nodes.generation.offer import Job
from luma_ray.nodes.generation.records import GENERATIONS
from luma_ray.nodes.generation.request import GenerationRequest, Operation

NOW = 1_800_000_000.0


@pytest.fixture
def journal(journal_url):
    return Journal(journal_url, now=lambda: NOW)


@pytest.fixture
def catalogue(journal):
    return Catalogue(journal)


def asked(journal, prompt="a fox in the snow", *, provider="paper", local=False, **others):
    request = GenerationRequest(
        **{"operation": Operation.TEXT_TO_VIDEO, "model": "ray-flash-2", "prompt": prompt, **others}
    )
    entry, _ = journal.claim(request, provider=provider, local=local, estimate_usd=Decimal("0.20"))
    return entry


ANY = Wanted()


def told(catalogue, wanted=ANY, **others):
    return [line.entry.id for line in catalogue.page(wanted, **others).lines]


def all_pages(catalogue, wanted, limit):
    ids, after = [], None
    while True:
        page = catalogue.page(wanted, after=after, limit=limit)
        ids += [line.entry.id for line in page.lines]
        if page.next is None:
            return ids
        after = Place.of(str(page.next))


# -- pages ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 7, 100, 250])
def test_pages_show_every_generation_once_and_the_newest_first(journal, catalogue, limit):
    fill(journal, 250 if limit > 1 else 20)
    expected = [entry.id for entry in journal.entries(limit=1000)]
    assert all_pages(catalogue, Wanted(), limit) == expected


def test_generations_of_the_same_moment_are_all_shown(journal, catalogue):
    ids = {asked(journal, f"shot number {number}").id for number in range(12)}
    shown = all_pages(catalogue, Wanted(), 5)
    assert (len(shown), set(shown)) == (12, ids)


def test_a_page_goes_on_where_the_last_one_ended_though_new_ones_came(journal, catalogue):
    fill(journal, 30)
    first = catalogue.page(Wanted(), limit=10)
    fresh = asked(journal)
    rest = told(catalogue, after=first.next, limit=100)
    assert fresh.id not in rest
    assert len(rest) == 20


@pytest.mark.parametrize("place", ["", "~", "1~", "x~ray-1", "nan~ray-1", "inf~ray-1", "1e999~ray-1", "12"])
def test_a_page_that_nobody_was_told_of_is_refused(place):
    with pytest.raises(errors.InvalidInput, match="no such page"):
        Place.of(place)


# -- words and filters ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("fox", True),
        ("FOX snow", True),
        ("snow fox", True),
        ("füchse", True),
        ("FÜCHSE", True),
        ("狐", True),
        ('"quoted"', True),
        ("100%", True),
        ("fox bear", False),
        ("f%x", False),
        ("f_x", False),
        ("text_to_video", False),
        ("prompt", False),
        ("\\", False),
    ],
)
def test_words_are_looked_for_in_the_prompt_in_small_and_capital_letters(journal, catalogue, words, found):
    kept = asked(journal, 'A Fox in the snow, two Füchse, 狐, "quoted", 100% sharp')
    asked(journal, "a cat on a roof")
    assert told(catalogue, Wanted(words=words_of(words))) == ([kept.id] if found else [])


def test_an_id_a_job_and_a_workflow_are_found_too(journal, catalogue):
    entry = asked(journal)
    asked(journal, "another shot")
    journal.submitted(entry.id, Job(id="their-job-77"))
    for words in (entry.id, "their-job-77"):
        assert told(catalogue, Wanted(words=words_of(words))) == [entry.id]


@pytest.mark.parametrize("prompt", ["a zero \0 byte", "half a character \ud800", "{not json", "a" * 5000])
def test_a_strange_prompt_breaks_no_search(journal, catalogue, prompt):
    strange, plain = asked(journal, prompt), asked(journal, "a fox in the snow")
    assert told(catalogue, Wanted(words=("fox",))) == [plain.id]
    assert strange.id in told(catalogue, Wanted(words=words_of(prompt.split()[0][:200])))
    assert catalogue.count(Wanted(words=("no such word",))) == 0


def test_words_are_paged_and_counted_too(journal, catalogue):
    fill(journal, 60)
    ids = [asked(journal, f"the red kite, {number}").id for number in range(25)]
    wanted = Wanted(words=("kite", "red"))
    assert sorted(all_pages(catalogue, wanted, 10)) == sorted(ids)
    assert catalogue.count(wanted) == 25


@pytest.mark.parametrize("words", [" ".join(f"w{number}" for number in range(201)), "x" * 2001])
def test_more_words_than_anybody_types_are_refused(words):
    with pytest.raises(errors.InvalidInput, match="At most"):
        words_of(words)


def test_each_filter_leaves_what_it_says(journal, catalogue):
    paid = asked(journal)
    preview = asked(journal, provider="animatic", local=True)
    other = asked(journal, "a cat", provider="scissors", model="ray-2")
    loop = asked(journal, "a loop", operation=Operation.EXTEND_VIDEO)
    journal.refused(other.id, "no")
    facts = {"frames": 121, "width": 64, "height": 36, "seconds": 5.0, "billed_usd": None}
    journal.submitted(paid.id, Job(id="1"))
    journal.completed(paid.id, clip="a.mp4", **facts)
    for wanted, expected in (
        (Wanted(provider="scissors"), {other.id}),
        (Wanted(model="ray-2"), {other.id}),
        (Wanted(operation="extend_video"), {loop.id}),
        (Wanted(paid=False), {preview.id}),
        (Wanted(paid=True), {paid.id, other.id, loop.id}),
        (Wanted(state="failed"), {other.id}),
        (Wanted(state=UNFINISHED), {preview.id, loop.id}),
        (Wanted(clip=True), {paid.id}),
        (Wanted(clip=False), {preview.id, other.id, loop.id}),
        (Wanted(provider="paper", model="ray-2"), set()),
    ):
        assert set(told(catalogue, wanted)) == expected, wanted
        assert catalogue.count(wanted) == len(expected)
    catalogue.removed(paid.id, at=NOW)
    assert told(catalogue, Wanted(clip=True)) == []
    assert journal.get(paid.id).removed_at == NOW


def test_a_state_that_is_none_is_refused():
    assert state_of("") == ""
    with pytest.raises(errors.InvalidInput, match="A state is one of"):
        state_of("lost")


def test_kinds_are_counted_the_most_frequent_first(journal, catalogue):
    for number in range(3):
        asked(journal, f"shot {number}")
    asked(journal, "a shot", provider="scissors")
    assert list(catalogue.kinds()["provider"].items()) == [("paper", 3), ("scissors", 1)]
    assert catalogue.kinds()["state"] == {"submitting": 4}


# -- one of them ----------------------------------------------------------------------------------------------------


def test_takes_of_one_request_are_found_together_by_their_number(journal, catalogue):
    third, first = asked(journal, take=3), asked(journal, take=1)
    refused = asked(journal, take=2)
    journal.refused(refused.id, "no")
    asked(journal, "another shot")
    preview = asked(journal, provider="animatic", local=True)
    takes = [line.entry.id for line in catalogue.takes(first)]
    assert takes[-1] == third.id
    assert set(takes[:-1]) == {first.id, preview.id}


def test_a_generation_is_told_with_what_it_counts(journal, catalogue):
    entry = asked(journal)
    assert catalogue.line(entry.id).counts == Decimal("0.2")
    assert catalogue.line("ray-none") is None


def test_a_mark_is_for_a_clip_that_was_here_and_goes_when_it_comes_back(journal, catalogue):
    entry = asked(journal)
    catalogue.removed(entry.id, at=NOW)
    assert journal.get(entry.id).removed_at is None
    journal.submitted(entry.id, Job(id="1"))
    facts = {"frames": 121, "width": 64, "height": 36, "seconds": 5.0, "billed_usd": None}
    journal.completed(entry.id, clip="a.mp4", **facts)
    before = journal.get(entry.id)
    catalogue.removed(entry.id, at=NOW + 5)
    marked = journal.get(entry.id)
    assert marked.removed_at == NOW + 5
    assert (marked.state, marked.counts, marked.clip) == (before.state, before.counts, before.clip)
    assert journal.completed(entry.id, clip="a.mp4", **facts).removed_at is None


# -- money ----------------------------------------------------------------------------------------------------------


def test_spending_is_what_the_ledger_adds_up(journal, catalogue):
    fill(journal, 300)
    asked(journal, provider="animatic", local=True)
    lines = Ledger(journal).lines()
    found = catalogue.spending()
    for group, sums in (("day", found.days), ("month", found.months), ("provider", found.providers)):
        expected = {
            total.name: (total.counts, total.generations, total.clips) for total in totals(lines, group)
        }
        assert {name: (of.usd, of.generations, of.clips) for name, of in sums.items()} == expected
    assert list(found.days) == sorted(found.days, reverse=True)


# -- how fast -------------------------------------------------------------------------------------------------------


def test_a_page_is_read_by_an_index_and_not_from_all_rows(tmp_path):
    journal = Journal(f"sqlite:///{tmp_path / 'journal.db'}")
    fill(journal, 500)
    query = sa.select(GENERATIONS).where(Place(created_at=journal.now(), id="x").beyond)
    query = query.order_by(GENERATIONS.c.created_at.desc(), GENERATIONS.c.id).limit(100)
    with journal.database.transaction() as connection:
        text = str(query.compile(connection.engine, compile_kwargs={"literal_binds": True}))
        plan = " ".join(str(row) for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}"))
    assert "by_time" in plan


def test_a_journal_of_an_older_version_gets_the_index_and_the_column(tmp_path):
    place = tmp_path / "journal.db"
    old = Journal(f"sqlite:///{place}")
    entry = asked(old)
    with old.database.transaction(writes=True) as connection:
        connection.exec_driver_sql("DROP INDEX by_time")
        connection.exec_driver_sql("ALTER TABLE generations DROP COLUMN removed_at")
    again = Journal(f"sqlite:///{place}")
    assert again.get(entry.id).removed_at is None
    with again.database.transaction() as connection:
        names = {row[0] for row in connection.exec_driver_sql("SELECT name FROM sqlite_master")}
    assert "by_time" in names
