"""One PostgreSQL under several workers: what is paid is recorded, whatever breaks, hangs, waits or is older."""

from __future__ import annotations

import gc
import json
import logging
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import count
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
import worker
from databases import COMMIT, PASSWORD, Line, missing
from fakes import Desk, FakeClock, Reports, text
from luma_ray.nodes.generation import database, errors, postgresql
from luma_ray.nodes.generation.journal import Journal
from luma_ray.nodes.generation.ledger import Ledger
from luma_ray.nodes.generation.offer import Job, Limits
from luma_ray.nodes.generation.pictures import Pictures
from luma_ray.nodes.generation.records import GENERATIONS, METADATA
from luma_ray.nodes.generation.room import Full
from luma_ray.nodes.generation.spending import OverLimit, Reserve, SpendingLimits

if missing():
    pytest.skip(missing(), allow_module_level=True)

SOON = 5.0
"""Seconds within which an answer came at once, on the busiest machine."""


@pytest.fixture
def server(postgresql):
    """The PostgreSQL, with nobody connected."""
    yield postgresql
    postgresql.hang_up()


@pytest.fixture
def line(server):
    """A line to it that breaks when it is told to."""
    with closing(Line(server)) as line:
        yield line


@pytest.fixture
def desk(tmp_path, monkeypatch, server, line):
    """A lifecycle whose journal is at the other end of the line, and was used before."""
    monkeypatch.setenv("PAPER_KEY", "paper-key-1234567890")
    desk = Desk(tmp_path, url=line.through(server.journal()))
    desk.lifecycle.journal.entries()
    return desk


def claim(journal, **others):
    terms = {name: others.pop(name) for name in ("limits", "reserve") if name in others}
    entry, is_new = journal.claim(text(**others), provider="paper", local=False, estimate_usd=None, **terms)
    assert is_new
    return entry


def refused(error, url, **others):
    """A worker that claims, or is told that there is no room."""
    with suppress(error):
        claim(Journal(url), **others)


def side_by_side(work, *, workers):
    """What *work* gives, done by several workers at the same moment."""
    together = threading.Barrier(workers, timeout=20)

    def one(number):
        together.wait()
        return work(number)

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(one, range(workers)))


def rows(url):
    """The journal, read by who has not used it so far."""
    return Journal(url).entries()


def schema_of(url):
    return sa.make_url(url).query["options"].partition("search_path=")[2]


def awaited(true):
    """The server notices that somebody is gone, soon."""
    until = time.monotonic() + SOON
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)


@contextmanager
def writing(url, *, then=lambda: None):
    """Another worker holds the journal, in a step that it has begun."""
    held, over = threading.Event(), threading.Event()

    def hold():
        with Journal(url).database.transaction(writes=True) as connection:
            held.set()
            over.wait(20)
            then()
            connection.exec_driver_sql("SELECT 1")

    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(hold)
        assert held.wait(20)
        try:
            yield holding
        finally:
            over.set()


# -- what it is asked for -----------------------------------------------------------------------------------


def test_what_is_recorded_is_on_the_servers_disk_also_where_its_owner_asks_for_less(server):
    careless = Journal(server.journal(synchronous_commit="off")).database
    with careless.transaction(writes=True) as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
    careful = Journal(server.journal(synchronous_commit="remote_apply")).database
    with careful.transaction(writes=True) as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "remote_apply"


@pytest.mark.parametrize("isolation", ["read committed", "repeatable read", "serializable"])
def test_a_limit_holds_between_workers_whatever_isolation_the_server_has_by_default(server, isolation):
    url = server.journal(default_transaction_isolation=isolation)
    claim(Journal(url), prompt="there already")
    side_by_side(
        lambda number: refused(Full, url, prompt=f"shot {number}", limits=Limits(concurrent=3)), workers=6
    )
    assert len(rows(url)) == 3


def test_no_more_is_spent_than_the_owner_allows_by_several_workers(server):
    url = server.journal()
    reserve = Reserve(usd=Decimal("0.20"), limits=SpendingLimits(per_day=Decimal("0.65")))
    side_by_side(lambda number: refused(OverLimit, url, take=number, reserve=reserve), workers=6)
    assert Ledger(Journal(url)).spent(day=True) == Decimal("0.60")


def test_a_reader_cannot_write(server):
    journal = Journal(server.journal())
    with (
        pytest.raises(errors.JournalUnavailable, match="read-only"),
        journal.database.transaction() as connection,
    ):
        connection.execute(GENERATIONS.delete())


def test_the_servers_own_limits_of_time_hold_in_every_step_and_nowhere_else(server):
    names = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
    journal = Journal(server.journal())
    for writes in (True, False):
        with journal.database.transaction(writes=writes) as connection:
            told = [connection.exec_driver_sql(f"SHOW {name}").scalar() for name in names]
        assert told == ["30s", "40s", "20s"]
    with closing(journal.database._engine.raw_connection()) as connection:  # as a pooler hands it on
        assert [connection.cursor().execute(f"SHOW {name}").fetchone() for name in names] == [("0",)] * 3


def test_a_process_keeps_two_connections_and_never_has_more_than_eight(server):
    journal, most = Journal(server.journal()), []

    def buy(take, journal=journal):
        entry = claim(journal, take=take)
        most.append(len(server.clients()) if take % 5 == 0 else 0)
        journal.submitted(entry.id, Job(id=f"job-{take}"))

    with ThreadPoolExecutor(40) as pool:
        list(pool.map(buy, range(40)))
    assert max(most) <= postgresql.MOST
    awaited(lambda: len(server.clients()) <= postgresql.KEPT)
    del journal, buy
    gc.collect()
    awaited(lambda: not server.clients())


def test_a_step_that_finds_all_connections_in_use_says_so(server, monkeypatch):
    for name, value in {"KEPT": 1, "MOST": 1, "BUSY": 0.1}.items():
        monkeypatch.setattr(postgresql, name, value)
    journal = Journal(server.journal())
    with (
        journal.database.transaction(),
        pytest.raises(errors.JournalUnavailable, match="other generations of this process keep it busy"),
    ):
        journal.entries()


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_a_url_as_database_services_hand_it_out_names_no_driver_and_is_understood(server, scheme):
    url = server.journal()
    journal = Journal(url.replace("postgresql+psycopg", scheme))
    entry = claim(journal)
    assert [row.id for row in rows(url)] == [entry.id]


# -- texts --------------------------------------------------------------------------------------------------

WORDS = "füchse 🦊, \ud83e, 狐 and \0"


@pytest.mark.parametrize("encoding", ["UTF8", "SQL_ASCII"])
def test_every_text_is_kept_also_in_a_database_without_an_encoding(server, encoding):
    name = server.database(f"ENCODING '{encoding}' TEMPLATE template0")
    url = server.journal(database=name)
    entry = claim(Journal(url), prompt=WORDS)
    Journal(url).failed(entry.id, WORDS)
    (row,) = rows(url)
    assert (row.state, row.note) == ("failed", "füchse 🦊, ?, 狐 and ")
    assert row.request["prompt"] == WORDS


def test_a_database_that_could_not_record_every_answer_is_refused_before_anything_is_paid(server):
    name = server.database("ENCODING 'LATIN1' TEMPLATE template0")
    with pytest.raises(errors.JournalUnavailable, match=r"encoded as LATIN1.*nothing is bought"):
        claim(Journal(server.journal(database=name)))


@pytest.mark.parametrize("id", ["a\0b", "\ud83e", "x" * 5000])
def test_an_id_that_no_database_can_hold_is_no_reason_to_break_down(server, id):
    journal = Journal(server.journal())
    entry = claim(journal)
    with suppress(errors.JournalUnavailable):
        journal.by_job(id)
    with suppress(errors.JournalUnavailable):
        journal.submitted(entry.id, Job(id=id))
    assert journal.get(entry.id).state in ("submitting", "submitted")


# -- waiting for each other, and not for ever ---------------------------------------------------------------


def test_a_worker_that_holds_the_journal_too_long_is_not_waited_for_any_longer(server, monkeypatch):
    url = server.journal()
    journal = Journal(url)
    claim(journal)
    with writing(url):
        for name in (postgresql, database):
            monkeypatch.setattr(name, "BUSY", 0.2)
        begun = time.monotonic()
        with pytest.raises(errors.JournalUnavailable, match=r"lock timeout.*nothing is bought"):
            claim(journal, take=2)
        assert time.monotonic() - begun < SOON
        assert len(journal.entries()) == 1  # a reader does not wait


def test_a_worker_that_stops_in_the_middle_of_a_step_does_not_stop_the_others(server, monkeypatch):
    # A laptop that is closed, a machine that loses its network: its line stays, and says nothing.
    url = server.journal()
    journal = Journal(url)
    claim(journal)
    usual = postgresql.IDLE
    monkeypatch.setattr(postgresql, "IDLE", 0.2)
    with writing(url) as asleep:
        monkeypatch.setattr(postgresql, "IDLE", usual)
        begun = time.monotonic()
        claim(journal, take=2)
        assert time.monotonic() - begun < SOON
    with pytest.raises(database.Unconfirmed, match="idle-in-transaction timeout"):
        asleep.result(20)
    assert [row.take for row in rows(url)] == [2, 1]


def test_a_statement_that_does_not_end_is_ended_by_the_server(server, monkeypatch):
    journal = Journal(server.journal())
    monkeypatch.setattr(postgresql, "STATEMENT", 0.2)
    with (
        pytest.raises(errors.JournalUnavailable, match="statement timeout"),
        journal.database.transaction() as connection,
    ):
        connection.exec_driver_sql("SELECT pg_sleep(30)")


@pytest.mark.parametrize("words", ["set_config", "INSERT", COMMIT])
def test_a_server_that_hangs_is_left_whatever_it_was_doing(desk, line, monkeypatch, words):
    monkeypatch.setattr(postgresql, "ANSWER", 0.7)
    monkeypatch.setattr(database, "BUSY", 0.1)
    line.breaks(words, "silent")
    with pytest.raises(errors.JournalUnavailable, match=r"did not answer for 1 seconds.*nothing is bought"):
        desk.generate()
    assert line.broken.is_set()
    assert desk.provider.submitted == []


def test_a_server_that_hangs_while_workers_connect_is_told_to_all_of_them(server, line, monkeypatch):
    monkeypatch.setattr(postgresql, "CONNECT", 2)  # the least that psycopg takes
    monkeypatch.setattr(database, "BUSY", 0.2)
    journal = Journal(line.through(server.journal()))
    line.deaf = True

    def node(number):
        with pytest.raises(errors.JournalUnavailable, match="nothing is bought"):
            claim(journal, take=number)

    begun = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(node, range(8)))
    assert time.monotonic() - begun < 2 + SOON  # not each after the other


# -- lines that break ---------------------------------------------------------------------------------------


def test_a_connection_that_was_closed_while_nothing_happened_is_not_noticed(server):
    journal = Journal(server.journal())
    for take in range(3):
        server.hang_up()
        assert len(journal.entries()) == take
        server.hang_up()
        claim(journal, take=take)


def test_a_job_is_recorded_when_the_server_is_back(desk, line):
    def restarting():
        line.down()
        threading.Timer(0.3, line.up).start()
        return Job(id="job-1")

    desk.provider.submits = [restarting]
    assert desk.generate().entry.job.id == "job-1"


def test_who_only_looks_is_told_at_once_that_the_server_is_gone(desk, line):
    line.down()
    begun = time.monotonic()
    with pytest.raises(errors.JournalUnavailable, match="nothing is bought"):
        desk.lifecycle.journal.entries()
    assert time.monotonic() - begun < SOON
    line.up()
    assert desk.lifecycle.journal.entries() == []


@pytest.mark.parametrize("how", ["lost", "unanswered"])
@pytest.mark.parametrize("words", ["INSERT", COMMIT])
def test_no_row_no_submit_where_the_line_breaks_while_it_is_written(desk, line, words, how):
    line.breaks(words, how)
    with suppress(errors.JournalUnavailable):
        desk.generate()
    assert line.broken.is_set()
    made = desk.lifecycle.journal.entries(["completed"])
    assert len(desk.provider.submitted) == len(made)


@pytest.mark.parametrize("how", ["lost", "unanswered"])
@pytest.mark.parametrize("words", ["UPDATE", COMMIT])
def test_a_job_is_paid_once_where_the_line_breaks_while_it_is_recorded(desk, line, words, how):
    desk.provider.submits = [lambda: line.breaks(words, how) or Job(id="job-1")]
    with suppress(errors.SubmissionUncertain):  # which says what the job is called
        desk.generate()
    assert line.broken.is_set()
    clip = desk.lifecycle.collect("job-1", clock=FakeClock(desk.clock.now()), report=Reports())
    assert (clip.entry.state, clip.entry.job.id) == ("completed", "job-1")
    assert len(desk.provider.submitted) == 1


@pytest.mark.parametrize("how", ["lost", "unanswered"])
@pytest.mark.parametrize("words", ["INSERT", COMMIT])
def test_a_row_whose_line_breaks_while_it_is_written_is_written_once(desk, line, words, how):
    line.breaks(words, how)
    assert desk.generate().entry.job.id == "job-1"
    assert line.broken.is_set()
    assert len(desk.lifecycle.journal.entries()) == len(desk.provider.submitted) == 1


@pytest.mark.parametrize("how", ["lost", "unanswered"])
@pytest.mark.parametrize("words", ["UPDATE", COMMIT])
def test_a_job_is_recorded_at_once_where_the_line_breaks_in_the_middle(desk, line, words, how):
    desk.provider.submits = [lambda: line.breaks(words, how) or Job(id="job-1")]
    assert desk.generate().entry.job.id == "job-1"
    assert line.broken.is_set()


@pytest.mark.parametrize("how", ["lost", "unanswered"])
@pytest.mark.parametrize("words", ["INSERT", COMMIT])
def test_an_upload_is_remembered_where_the_line_breaks_while_it_is_recorded(desk, line, words, how):
    pictures = Pictures(desk.lifecycle.journal)
    line.breaks(words, how)
    pictures.remember("shelf", "ab", "https://shelf.test/1", life=60)
    assert line.broken.is_set()
    assert pictures.find("shelf", "ab", at_least=30) == "https://shelf.test/1"


@pytest.mark.parametrize("how", ["lost", "unanswered"])
def test_a_clip_is_kept_where_the_line_breaks_while_it_is_recorded(desk, line, how):
    desk.provider.downloads = [lambda: line.breaks(COMMIT, how)]
    assert desk.generate().path.is_file()
    assert line.broken.is_set()
    assert desk.generate().entry.state == "completed"
    assert len(desk.provider.submitted) == 1


def test_the_password_is_in_no_error_and_no_log(server, line, caplog):
    caplog.set_level(logging.DEBUG)
    url = line.through(server.journal())
    journal, told = Journal(url), []
    claim(journal)
    server.hang_up()
    claim(journal, take=2)
    for words, how in [(COMMIT, "lost"), ("DELETE", "unanswered")]:
        line.breaks(words, how)
        with (
            pytest.raises(database.Unconfirmed) as caught,
            journal.database.transaction(writes=True) as connection,
        ):
            connection.execute(GENERATIONS.delete())
        told.append(caught.value)
    line.down()
    wrong = sa.make_url(url)
    for broken in (
        wrong,
        wrong.set(port=1),
        wrong.set(host="nowhere.invalid"),
        sa.make_url(server.url(database="nothing")),
        sa.make_url(server.url(user="nobody")),
        wrong.set(password=None).update_query_dict({"password": PASSWORD}),
        wrong.update_query_dict({"sslmode": "require", "sslpassword": PASSWORD}),
        wrong.update_query_dict({"sslmode": PASSWORD}),
        wrong.update_query_dict({PASSWORD: "1"}),
        f"postgresql+psycopg://ray:with@{PASSWORD}@127.0.0.1:1/ray",  # an @ that was not written as %40
        f"postgresql+psycopg://ray:{PASSWORD}@{PASSWORD}@127.0.0.1:1/ray",
    ):
        with pytest.raises(errors.JournalUnavailable) as caught:
            rows(broken)
        told.append(caught.value)
    assert [str(error) for error in told if PASSWORD in str(error)] == []
    assert all(error.__suppress_context__ for error in told)
    assert PASSWORD not in caplog.text


# -- journals of other versions -----------------------------------------------------------------------------

FIRST = """
CREATE TABLE generations (
    id VARCHAR NOT NULL,
    state VARCHAR NOT NULL
        CHECK (state in ('submitting', 'submitted', 'completed', 'failed', 'uncertain', 'cancelled')),
    provider VARCHAR NOT NULL, model VARCHAR NOT NULL, operation VARCHAR NOT NULL, fingerprint VARCHAR NOT NULL,
    take INTEGER NOT NULL, local BOOLEAN NOT NULL, request JSON NOT NULL, job_id VARCHAR, job JSON,
    estimate_usd VARCHAR, billed_usd VARCHAR, note VARCHAR NOT NULL, clip VARCHAR, frames INTEGER, width INTEGER,
    height INTEGER, seconds FLOAT, owner VARCHAR NOT NULL, created_at FLOAT NOT NULL, submitted_at FLOAT,
    completed_at FLOAT, updated_at FLOAT NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX ix_generations_job_id ON generations (job_id);
CREATE UNIQUE INDEX one_job ON generations (provider, job_id);
CREATE UNIQUE INDEX one_purchase ON generations (fingerprint, take, provider)
    WHERE state NOT IN ('failed', 'cancelled');
"""
"""The tables of the first version, as it made them."""


def within(url):
    """The owner's connection to where the journal of *url* is."""
    connection = psycopg.connect(
        sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    )
    connection.autocommit = True
    return closing(connection)


@pytest.fixture
def old(server):
    """The URL of a journal of the first version, with a row in each state; the take is the place in this list."""
    url, now = server.journal(), FakeClock().now()
    states = ["completed", "submitted", "uncertain", "failed", "submitting"]
    with within(url) as connection:
        connection.execute(FIRST)
        for take, state in enumerate(states):
            job = f"j{take}" if state in ("completed", "submitted") else None
            connection.execute(
                "INSERT INTO generations (id, state, provider, model, operation, fingerprint, take, local, request,"
                " job_id, job, estimate_usd, note, owner, created_at, submitted_at, updated_at) VALUES (%s, %s,"
                " 'paper', 'ray-flash-2', 'text_to_video', %s, %s, false, '{}', %s, %s, '0.20', '',"
                " 'elsewhere:1:abc', %s, %s, %s)",
                [
                    *(f"ray-{take}", state, text().fingerprint, take, job),
                    f'{{"id": "{job}", "details": {{}}}}' if job else "null",
                    *[now - 5000] * 3,
                ],
            )
    return url


def test_purchases_of_the_first_version_go_on(old, tmp_path, monkeypatch):
    monkeypatch.setenv("PAPER_KEY", "paper-key-1234567890")
    desk = Desk(tmp_path, url=old)
    assert desk.generate(text(take=0)).entry.job.id == "j0"
    assert desk.generate(text(take=1)).entry.job.id == "j1"
    for take in (2, 4):
        with pytest.raises(errors.SubmissionUncertain):
            desk.generate(text(take=take))
    assert desk.provider.submitted == []
    clip = desk.generate(text(take=3))
    assert len(desk.provider.submitted) == 1
    assert clip.entry.estimate_usd == Decimal("0.20")


def test_workers_that_are_brought_up_to_date_at_the_same_moment_do_it_once(old):
    def look(_number):
        journal = Journal(old)
        return len(journal.entries()), journal.by_handle("j1")[0].id

    assert side_by_side(look, workers=6) == [(5, "ray-1")] * 6


def test_a_worker_of_the_first_version_goes_on_beside_one_of_today(old):
    Journal(old).entries()
    with within(old) as first:
        first.execute(
            "INSERT INTO generations (id, state, provider, model, operation, fingerprint, take, local, request, note,"
            " owner, created_at, updated_at) VALUES ('ray-x', 'submitting', 'paper', 'ray-2', 'text_to_video', 'f',"
            " 1, false, '{}', '', 'elsewhere:1:abc', 0, 0)"
        )
    assert Journal(old).get("ray-x").state == "submitting"


def test_no_column_since_the_first_version_has_to_be_filled(old):
    # Workers of two versions share a database while they are brought up to date, one after the other.
    with within(old) as connection:
        known = connection.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = 'generations'"
            " AND table_schema = current_schema()"
        ).fetchall()
    newer = [column for column in METADATA.tables["generations"].columns if (column.name,) not in known]
    assert newer
    assert [column.name for column in newer if not column.nullable] == []


def test_a_database_of_a_newer_version_still_works(server, tmp_path, monkeypatch):
    monkeypatch.setenv("PAPER_KEY", "paper-key-1234567890")
    url = server.journal()
    claim(Journal(url), take=9)
    with within(url) as newer:
        for table in ("generations", "creates", "uploads"):
            newer.execute(
                f"ALTER TABLE {table} ADD COLUMN later JSONB, ADD COLUMN sooner INTEGER DEFAULT 3 NOT NULL"
            )
        newer.execute("CREATE TABLE more (id VARCHAR PRIMARY KEY)")
        newer.execute("CREATE INDEX later ON generations (later)")
    desk = Desk(tmp_path, url=url)
    desk.provider.resend_life = 3600
    assert desk.generate().entry.state == "completed"
    assert {row.take for row in rows(url)} == {1, 9}


def test_a_worker_needs_no_right_to_make_tables_that_are_there(server):
    url = server.journal()
    claim(Journal(url), take=9)
    schema = schema_of(url)
    server.admin.execute(f"CREATE ROLE {schema}_worker LOGIN")
    server.admin.execute(f"GRANT USAGE ON SCHEMA {schema} TO {schema}_worker")
    server.admin.execute(
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {schema}_worker"
    )
    claim(Journal(server.url(user=f"{schema}_worker", search_path=schema)))
    assert len(rows(url)) == 2


def test_a_worker_without_the_right_to_make_tables_says_so(server):
    server.admin.execute("CREATE ROLE guest LOGIN")
    with pytest.raises(errors.JournalUnavailable, match="permission denied"):
        rows(server.url(user="guest", search_path="pg_catalog"))


# -- several workers ----------------------------------------------------------------------------------------


class Books:
    """What a studio was asked to make. Now and then it makes a job, and its answer is lost."""

    def __init__(self):
        self.creates, self.jobs, self.looks, self.most = [], {}, {}, 0
        self.busy = threading.Event()
        """A good part of the work has been done, and more is under way."""

    def create(self, key):
        self.creates.append(key)
        job = f"job-{len(self.creates)}"
        self.jobs[key], self.looks[job] = job, 0
        self.most = max(self.most, sum(looks < worker.LOOKS for looks in self.looks.values()))
        if len(self.creates) == worker.GENERATIONS // 2:
            self.busy.set()
        return None if len(self.creates) % 12 == 0 else {"job": job}

    def status(self, job):
        self.looks[job] += 1
        return {"done": self.looks[job] >= worker.LOOKS}

    def find(self, key):
        return {"job": self.jobs.get(key)}


class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        what, _, of = self.path[1:].partition("/")
        answer = getattr(self.server.books, what)(of)
        if answer is not None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *given):
        """Not into the output of the tests."""


class Studio(HTTPServer):
    """Answers one request after the other, in the order in which they came: so who looks, looks after the create."""

    request_queue_size = 200

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Page)
        self.books = Books()
        self.address = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address):
        """Who asked was killed meanwhile."""


@contextmanager
def serving(server):
    thread = threading.Thread(target=server.serve_forever, args=[0.05])
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def trouble(server, schema):
    """All the time somebody's connection ends, and now and then nobody can write, or not even read."""
    over, ended = threading.Event(), []
    chosen = random.Random(1)  # noqa: S311

    def make():
        with closing(server.connected()) as connection:
            for turn in count():
                if over.wait(0.04):
                    return
                clients = server.clients()
                if clients:
                    connection.execute("SELECT pg_terminate_backend(%s)", [chosen.choice(clients)])
                    ended.append(turn)
                if turn % 10 == 0:
                    with connection.transaction():
                        connection.execute("SELECT pg_advisory_xact_lock(%s)", [postgresql._WRITERS])
                        over.wait(0.1)
                if turn % 10 == 5:
                    with connection.transaction():
                        connection.execute(f"LOCK TABLE {schema}.generations IN ACCESS EXCLUSIVE MODE")
                        over.wait(0.05)

    with ThreadPoolExecutor(1) as pool:
        making = pool.submit(make)
        try:
            yield ended
        finally:
            over.set()
            making.result(20)


def begun(url, folder, address, name):
    return subprocess.Popen(
        [sys.executable, "worker.py", url, str(folder), address, name],
        cwd=Path(__file__).parent,
        text=True,
        stdout=subprocess.PIPE,
    )


def test_two_workers_buy_everything_once_within_the_limits_whatever_breaks(server, tmp_path):
    url = server.journal()
    Journal(url).entries()
    with serving(Studio()) as studio:
        books, work = studio.books, (url, tmp_path / "clips", studio.address)
        with trouble(server, schema_of(url)) as ended:
            killed, other = begun(*work, "one"), begun(*work, "two")
            assert books.busy.wait(60)
            killed.send_signal(signal.SIGKILL)
            assert killed.wait(20) == -signal.SIGKILL
            killed.stdout.close()
            again = begun(*work, "one")
            told = [json.loads(each.communicate(timeout=60)[0]) for each in (again, other)]
        assert (again.returncode, other.returncode) == (0, 0)
        # Some clips are here, and the journal could not record that: who asks for them again records it.
        for row in Journal(url).entries(["submitted"]):
            lifecycle = worker.opened(url, tmp_path / "clips", worker.Studio(studio.address))
            lifecycle.resume(row.id, clock=worker.FastClock(), report=Reports())
    asked = rows(url)
    made = [row for row in asked if row.state == "completed"]
    # Everything was made, and every job that is paid is a clip.
    assert [each["made"] for each in told] == [worker.GENERATIONS] * 2
    assert {row.request["prompt"] for row in made} == {
        f"{name} {number}" for name in ("one", "two") for number in range(worker.GENERATIONS)
    }
    assert sorted(row.job.id for row in made) == sorted(books.looks)
    # Once: by the provider's books no generation was asked for twice.
    assert len(books.creates) == len(set(books.creates)) == len(made) == 2 * worker.GENERATIONS
    # Within the limits, both together.
    assert 2 < books.most <= worker.CONCURRENT
    times = sorted(row.created_at for row in asked)
    assert all(late - early >= 60 for early, late in zip(times, times[worker.PER_MINUTE :], strict=False))
    # And it was no quiet day.
    assert len(ended) > 30
    assert "deadlock" not in server.log.read_text()
