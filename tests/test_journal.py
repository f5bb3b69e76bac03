"""The record of purchases: one row a generation, there before the money goes, whatever is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from fakes import FakeClock, text
from luma_ray.nodes.generation import errors
from luma_ray.nodes.generation.database import DATABASE_URL
from luma_ray.nodes.generation.journal import LEASE, Journal, Taken
from luma_ray.nodes.generation.offer import Job
from luma_ray.nodes.generation.records import GENERATIONS, STATES, Entry

TESTS = Path(__file__).parent
JOB = Job(id="job-1", details={"poll": "/jobs/1"})
CLIP = {"clip": "a.mp4", "frames": 121, "width": 1280, "height": 720, "seconds": 5.04, "billed_usd": None}


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def journal(journal_url, clock) -> Journal:
    return Journal(journal_url, now=clock.now)


def claim(journal: Journal, *, provider="paper", local=False, usd=None, **others) -> Entry:
    entry, is_new = journal.claim(text(**others), provider=provider, local=local, estimate_usd=usd)
    assert is_new
    return entry


REACH: dict[str, Callable[[Journal, str], object]] = {
    "submitting": lambda journal, row: None,
    "submitted": lambda journal, row: journal.submitted(row, JOB),
    "uncertain": lambda journal, row: journal.uncertain(row, "lost"),
    "completed": lambda journal, row: (journal.submitted(row, JOB), journal.completed(row, **CLIP)),
    "failed": lambda journal, row: (journal.submitted(row, JOB), journal.failed(row, "no")),
    "cancelled": lambda journal, row: (journal.submitted(row, JOB), journal.cancelled(row, "stopped")),
}


def in_state(journal: Journal, state: str, **others) -> Entry:
    """A row that was brought to *state*."""
    entry = claim(journal, **others)
    REACH[state](journal, entry.id)
    return journal.get(entry.id)


# -- claiming -----------------------------------------------------------------------------------------------


def test_a_claim_writes_the_whole_request(journal, clock):
    entry = claim(journal, usd=Decimal("0.20"))
    assert journal.get(entry.id) == entry
    assert entry.request == text().describe()
    assert (entry.state, entry.provider, entry.take) == ("submitting", "paper", 1)
    assert (entry.fingerprint, entry.estimate_usd) == (text().fingerprint, Decimal("0.20"))
    assert entry.created_at == entry.updated_at == clock.now()
    assert (entry.job, entry.clip, entry.billed_usd) == (None, None, None)


def test_an_id_says_what_it_is_and_when_it_was_made(journal):
    assert claim(journal).id.startswith("ray-270115-")


@pytest.mark.parametrize("state", ["submitting", "submitted", "uncertain", "completed"])
def test_what_is_bought_or_being_bought_is_not_claimed_again(journal, state):
    entry = in_state(journal, state)
    again, is_new = journal.claim(text(), provider="paper", local=False, estimate_usd=None)
    assert (again.id, is_new) == (entry.id, False)


@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_what_ended_without_a_clip_may_be_bought_again(journal, state):
    entry = in_state(journal, state)
    assert claim(journal).id != entry.id
    assert journal.get(entry.id).state == state


def test_another_take_another_provider_and_another_request_are_purchases_of_their_own(journal):
    rows = [
        claim(journal),
        claim(journal, take=2),
        claim(journal, provider="other"),
        claim(journal, prompt="a hare"),
    ]
    assert len({row.id for row in rows}) == 4


@pytest.mark.parametrize("shared", [True, False], ids=["one journal", "a journal each"])
def test_twenty_threads_make_one_row(journal_url, shared):
    together, journal = threading.Barrier(20, timeout=20), Journal(journal_url)

    def buy(_number: int) -> tuple[Entry, bool]:
        mine = journal if shared else Journal(journal_url)
        together.wait()
        return mine.claim(text(), provider="paper", local=False, estimate_usd=None)

    with ThreadPoolExecutor(20) as pool:
        claims = list(pool.map(buy, range(20)))
    assert sum(is_new for _, is_new in claims) == 1
    assert len({entry.id for entry, _ in claims}) == 1
    assert len(journal.entries()) == 1


def test_several_processes_make_one_row_for_each_take(tmp_path):
    url = f"sqlite:///{tmp_path / 'journal.db'}"
    program = f"""
import conftest
from fakes import text
from luma_ray.nodes.generation.journal import Journal
journal, requests = Journal({url!r}), [text(take=take) for take in range(20)]
print("ready", flush=True)
input()
for request in requests:
    entry, is_new = journal.claim(request, provider="paper", local=False, estimate_usd=None)
    print(request.take, entry.id, is_new, flush=True)
"""
    others = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=TESTS,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in range(4)
    ]
    for other in others:
        assert other.stdout.readline() == "ready\n"
    for other in others:
        other.stdin.write("go\n")
        other.stdin.flush()
    lines = [line.split() for other in others for line in other.communicate(timeout=60)[0].splitlines()]
    assert [other.returncode for other in others] == [0, 0, 0, 0]
    assert len(lines) == 80
    assert sorted(int(take) for take, _, is_new in lines if is_new == "True") == list(range(20))
    assert len({(take, row) for take, row, _ in lines}) == 20
    assert len(Journal(url).entries()) == 20


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_row_survives_a_kill_right_after_it_was_claimed(tmp_path):
    url = f"sqlite:///{tmp_path / 'journal.db'}"
    program = f"""
import os, signal
import conftest
from fakes import text
from luma_ray.nodes.generation.journal import Journal
Journal({url!r}).claim(text(), provider="paper", local=False, estimate_usd=None)
os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", program], cwd=TESTS, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    journal = Journal(url)
    (row,) = journal.entries()
    assert (row.state, row.fingerprint) == ("submitting", text().fingerprint)
    assert journal.abandoned(row)


# -- from state to state ------------------------------------------------------------------------------------

STEPS: dict[str, Callable[[Journal, str], Entry]] = {
    "submitted": lambda journal, row: journal.submitted(row, Job(id="job-2")),
    "uncertain": lambda journal, row: journal.uncertain(row, "lost again"),
    "failed": lambda journal, row: journal.failed(row, "failed"),
    "cancelled": lambda journal, row: journal.cancelled(row, "stopped"),
    "completed": lambda journal, row: journal.completed(row, **CLIP),
}
ALLOWED = {
    ("submitting", "submitted"),
    ("submitting", "uncertain"),
    ("submitting", "failed"),
    ("submitting", "cancelled"),
    ("uncertain", "submitted"),
    ("uncertain", "uncertain"),
    ("uncertain", "failed"),
    ("submitted", "failed"),
    ("submitted", "cancelled"),
    ("submitted", "completed"),
    ("completed", "completed"),
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("state", STATES)
def test_a_row_only_goes_forward(tmp_path, clock, state, step):
    journal = Journal(f"sqlite:///{tmp_path / 'journal.db'}", now=clock.now)
    before = in_state(journal, state)
    clock.sleep(1)
    after = STEPS[step](journal, before.id)
    if (state, step) in ALLOWED:
        assert after.state == step
        assert after.updated_at == clock.now()
    else:
        assert after == before


def test_a_submitted_row_holds_the_whole_job(journal):
    assert in_state(journal, "submitted").job == JOB


def test_a_completed_row_holds_the_clip_and_the_bill(journal):
    entry = in_state(journal, "submitted", usd=Decimal("0.20"))
    assert entry.usd == Decimal("0.20")
    done = journal.completed(entry.id, **{**CLIP, "billed_usd": Decimal("0.17")})
    assert (done.clip, done.frames, done.width, done.height, done.seconds) == ("a.mp4", 121, 1280, 720, 5.04)
    assert done.usd == Decimal("0.17")


def test_completing_again_without_a_bill_keeps_the_bill(journal):
    entry = in_state(journal, "submitted")
    journal.completed(entry.id, **{**CLIP, "billed_usd": Decimal("0.17")})
    assert journal.completed(entry.id, **{**CLIP, "clip": "b.mp4"}).billed_usd == Decimal("0.17")


def test_an_answer_that_comes_after_the_row_was_given_up_is_kept(journal):
    # The machine slept during the create; meanwhile somebody said that it was not created.
    entry = in_state(journal, "uncertain")
    journal.failed(entry.id, "the person says that it was not created")
    late = journal.submitted(entry.id, JOB)
    assert (late.state, late.job, late.note) == ("submitted", JOB, "")


def test_an_answer_that_comes_after_it_was_bought_again_is_told_and_not_a_second_purchase_of_the_row(journal):
    entry = in_state(journal, "uncertain")
    journal.failed(entry.id, "the person says that it was not created")
    again = claim(journal)
    with pytest.raises(Taken, match=again.id):
        journal.submitted(entry.id, JOB)
    assert journal.get(entry.id).state == "failed"
    assert journal.get(again.id).state == "submitting"


def test_a_row_that_is_not_there_cannot_change(journal):
    with pytest.raises(errors.JournalUnavailable, match="no generation ray-0"):
        journal.failed("ray-0", "no")


def test_the_database_itself_refuses_an_unknown_state(journal):
    claim(journal)
    with (
        pytest.raises(errors.JournalUnavailable, match=r"(?i)check constraint"),
        journal.database.transaction(writes=True) as connection,
    ):
        connection.exec_driver_sql("update generations set state = 'paid'")


def test_the_database_itself_refuses_a_second_live_purchase(journal):
    claim(journal)
    columns = ", ".join(column.name for column in GENERATIONS.columns if column.name != "id")
    copied = f"insert into generations (id, {columns}) select 'copy', {columns} from generations"  # noqa: S608
    with (
        pytest.raises(errors.JournalUnavailable, match=r"(?i)unique constraint"),
        journal.database.transaction(writes=True) as connection,
    ):
        connection.exec_driver_sql(copied)


# -- jobs ---------------------------------------------------------------------------------------------------


def test_a_job_belongs_to_one_generation(journal):
    one, other = claim(journal), claim(journal, take=2)
    journal.submitted(one.id, JOB)
    with pytest.raises(Taken, match=one.id):
        journal.submitted(other.id, JOB)
    assert journal.get(other.id).state == "submitting"


def test_a_job_that_was_collected_by_hand_comes_to_the_row_of_its_purchase(journal):
    by_hand = journal.adopt("paper", JOB)
    journal.done(by_hand.id, ran_seconds=None, reference="ref")
    size = {"frames": 121, "width": 1280, "height": 720, "seconds": 5.04}
    journal.completed(by_hand.id, clip="x.mp4", billed_usd=Decimal("0.2"), **size)
    row = journal.submitted(in_state(journal, "uncertain").id, JOB)
    assert (row.state, row.clip, row.frames, row.reference) == ("completed", "x.mp4", 121, "ref")
    assert row.billed_usd == Decimal("0.2")
    assert journal.get(by_hand.id) is None
    assert [found.id for found in journal.by_job(JOB.id)] == [row.id]


def test_two_providers_may_use_the_same_id(journal):
    one, other = claim(journal), claim(journal, provider="other")
    journal.submitted(one.id, JOB)
    journal.submitted(other.id, JOB)
    assert {row.id for row in journal.by_job("job-1")} == {one.id, other.id}
    assert journal.jobs("paper") == ["job-1"]


def test_the_jobs_of_ended_generations_are_known_too(journal):
    in_state(journal, "failed")
    assert journal.jobs("paper") == ["job-1"]
    assert journal.jobs("other") == []


def test_a_job_made_elsewhere_is_adopted_once(journal):
    first, again = journal.adopt("paper", JOB), journal.adopt("paper", JOB)
    assert first == again
    assert (first.state, first.job, first.operation) == ("submitted", JOB, "collected")


def test_twenty_threads_adopt_a_job_once(journal):
    with ThreadPoolExecutor(20) as pool:
        rows = list(pool.map(lambda _: journal.adopt("paper", JOB), range(20)))
    assert len({row.id for row in rows}) == 1


@pytest.mark.parametrize("state", ["submitted", "completed", "failed", "cancelled"])
def test_a_job_that_has_a_generation_is_not_adopted(journal, state):
    entry = in_state(journal, state)
    assert journal.adopt("paper", JOB) == entry
    assert len(journal.entries()) == 1


# -- looking ------------------------------------------------------------------------------------------------


def test_the_finished_purchase_comes_before_the_one_on_its_way(journal, clock):
    finished = in_state(journal, "completed")
    clock.sleep(10)
    claim(journal, provider="other")
    assert journal.live(text().fingerprint, 1).id == finished.id
    assert journal.live(text().fingerprint, 1, "other").state == "submitting"
    assert journal.live(text().fingerprint, 2) is None


def test_a_preview_is_found_by_its_provider_only(journal):
    preview = claim(journal, provider="animatic", local=True)
    assert journal.live(text().fingerprint, 1) is None
    assert journal.live(text().fingerprint, 1, "animatic").id == preview.id


@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_what_ended_without_a_clip_is_no_purchase(journal, state):
    in_state(journal, state)
    assert journal.live(text().fingerprint, 1) is None


def test_entries_come_newest_first_and_by_state(journal, clock):
    rows = []
    for take in range(3):
        rows.append(claim(journal, take=take).id)
        clock.sleep(1)
    journal.uncertain(rows[1], "lost")
    assert [entry.id for entry in journal.entries()] == rows[::-1]
    assert [entry.id for entry in journal.entries(limit=2)] == [rows[2], rows[1]]
    assert [entry.id for entry in journal.entries(["uncertain"])] == [rows[1]]


# -- who is still at it -------------------------------------------------------------------------------------


def owned(entry: Entry, **parts) -> Entry:
    host, pid, token = entry.owner.rsplit(":", 2)
    parts = {"host": host, "pid": pid, "token": token, **parts}
    return replace(entry, owner="{host}:{pid}:{token}".format(**parts))


def test_a_row_of_this_process_is_not_abandoned(journal):
    assert not journal.abandoned(claim(journal))


def test_a_row_of_a_living_process_is_not_abandoned(journal):
    assert not journal.abandoned(owned(claim(journal), pid=os.getppid(), token="other"))


def test_a_row_of_a_dead_process_is_abandoned(journal):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    assert journal.abandoned(owned(claim(journal), pid=dead.pid, token="other"))


def test_a_row_of_an_earlier_process_with_our_number_is_abandoned(journal):
    # In a container every process is number 1.
    assert journal.abandoned(owned(claim(journal), token="other"))


def test_a_row_of_another_machine_is_abandoned_when_its_lease_is_over(journal, clock):
    elsewhere = owned(claim(journal), host="else:where", pid=1, token="other")
    assert not journal.abandoned(elsewhere)
    clock.sleep(LEASE + 1)
    assert journal.abandoned(elsewhere)


@pytest.mark.parametrize("parts", [{}, {"token": "other", "pid": os.getppid()}], ids=["own", "living"])
def test_no_row_belongs_to_anybody_longer_than_its_lease(journal, clock, parts):
    # Not even our own: a thread that could not write what came of its create would be waited for for ever.
    row = owned(claim(journal), **parts)
    clock.sleep(LEASE + 1)
    assert journal.abandoned(row)


# -- the database -------------------------------------------------------------------------------------------


def test_every_commit_is_on_disk_when_it_returns(tmp_path):
    with Journal.at(tmp_path).database.transaction(writes=True) as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL


def test_a_reader_in_another_process_sees_one_moment_and_does_not_stop_a_purchase(journal, journal_url):
    claim(journal)
    count, other = "select count(*) from generations", Journal(journal_url).database
    with other.transaction() as reader:
        assert reader.exec_driver_sql(count).scalar() == 1
        claim(journal, take=2)
        assert reader.exec_driver_sql(count).scalar() == 1
    with other.transaction() as reader:
        assert reader.exec_driver_sql(count).scalar() == 2


def test_a_purchase_waits_for_another_process_that_is_writing(journal, journal_url):
    claim(journal)
    held, over, order = threading.Event(), threading.Event(), []

    def another():
        with Journal(journal_url).database.transaction(writes=True):
            held.set()
            over.wait(0.1)
            order.append("theirs")

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(another)
        assert held.wait(10)
        claim(journal, take=2)
        order.append("ours")
        writing.result(10)
    assert order == ["theirs", "ours"]


def test_no_connection_stays_open(tmp_path):
    claim(Journal.at(tmp_path))
    # The last connection that closes folds the write-ahead log back into the file.
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("journal")] == ["journal.db"]


@pytest.mark.parametrize(
    "usd", [None, "0", "0.20", "0.1", "12345678901234567890.123456789", "1E-7", "0.30000000000000004"]
)
def test_money_comes_back_to_the_last_digit(journal, usd):
    entry = claim(journal, usd=None if usd is None else Decimal(usd))
    assert str(journal.get(entry.id).estimate_usd) == str(usd)


@pytest.mark.parametrize("words", ["füchse 🦊", "'; drop table generations; --", "\ud83e", "a\0b", ""])
def test_any_text_can_be_recorded(journal, words):
    entry = claim(journal, prompt=words)
    assert journal.get(entry.id).request["prompt"] == words
    assert journal.failed(entry.id, f"It says {words}.").note.startswith("It says ")


def test_a_new_folder_is_made_for_it(tmp_path):
    claim(Journal.at(tmp_path / "new" / "folder"))
    assert (tmp_path / "new" / "folder" / "journal.db").is_file()


@pytest.mark.parametrize(
    "name", ["with space", "ünïcode", "percent%20sign", "hash#tag", "query?mode=ro", "a:b@c"]
)
def test_a_folder_may_be_called_anything(tmp_path, name):
    entry = claim(Journal.at(tmp_path / name))
    assert Journal.at(tmp_path / name).get(entry.id) == entry
    assert [path.name for path in tmp_path.rglob("*.db")] == ["journal.db"]
    assert (tmp_path / name / "journal.db").is_file()


def test_the_environment_names_another_database(tmp_path, monkeypatch):
    monkeypatch.setenv(DATABASE_URL, f"sqlite:///{tmp_path / 'shared.db'}")
    claim(Journal.at(tmp_path / "private"))
    assert (tmp_path / "shared.db").is_file()


def test_a_file_that_is_no_database_is_told(tmp_path):
    (tmp_path / "journal.db").write_text("this is no database, and long enough to be looked at closely" * 20)
    with pytest.raises(errors.JournalUnavailable, match=r"file is not a database.*nothing is bought"):
        claim(Journal.at(tmp_path))


def test_a_folder_in_its_place_is_told(tmp_path):
    (tmp_path / "journal.db").mkdir()
    with pytest.raises(errors.JournalUnavailable, match="unable to open database file"):
        claim(Journal.at(tmp_path))


def test_a_file_where_the_folder_should_be_is_told(tmp_path):
    (tmp_path / "private").write_text("")
    with pytest.raises(errors.JournalUnavailable, match="nothing is bought"):
        claim(Journal.at(tmp_path / "private"))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg2://ray:hunter2@127.0.0.1:1/ray",
        "postgresql+psycopg://ray:hunter2@127.0.0.1:1/ray",
        "postgresql+psycopg://ray@127.0.0.1:1/ray?password=hunter2",
        "postgresql+psycopg://ray@127.0.0.1:1/ray?nonsense=hunter2",
        "mysql+pymysql://ray:hunter2@127.0.0.1/ray",
        "postgresql://ray:hunter2@127.0.0.1:port/ray",
        "postgresql+nothing://ray:hunter2@127.0.0.1/ray",
        "nothing://ray:hunter2@127.0.0.1/ray",
        "postgresql://ray:hunter2@[::1/ray",
        "hunter2",
        "://hunter2",
    ],
)
def test_a_database_that_cannot_be_used_is_told_without_its_password(url):
    journal = Journal(url)
    for use in (lambda: claim(journal), journal.entries, lambda: journal.get("ray-1")):
        with pytest.raises(errors.JournalUnavailable, match="nothing is bought") as caught:
            use()
        assert "hunter2" not in str(caught.value)
        assert caught.value.__suppress_context__


def test_a_file_that_is_locked_for_a_moment_is_tried_again_and_a_broken_one_is_not():
    import sqlalchemy as sa
    from luma_ray.nodes.generation.database import patiently

    def refused(reason):
        return sa.exc.OperationalError("BEGIN", {}, Exception(reason))

    answers = [refused("database is locked"), refused("database is locked"), "begun"]

    def begin():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert patiently(begin) == "begun"
    answers[:] = [refused("disk I/O error"), "begun"]
    with pytest.raises(sa.exc.OperationalError, match="disk I/O"):
        patiently(begin)


def test_a_purchase_is_found_by_its_index_and_not_by_reading_every_row(tmp_path):
    import sqlalchemy as sa
    from luma_ray.nodes.generation.records import GENERATIONS, LIVE

    journal = Journal(f"sqlite:///{tmp_path / 'journal.db'}")
    wanted = sa.select(GENERATIONS.c.id).where(
        GENERATIONS.c.fingerprint == "f", GENERATIONS.c.take == 1, LIVE
    )
    with journal.database.transaction() as connection:
        dialect = connection.dialect
        asked = wanted.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
        values = tuple(asked.params[name] for name in asked.positiontup)
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {asked}", values).fetchall()
    assert "one_purchase" in str(plan)
