"""Every fault at every step of a purchase: a paid clip is never lost and never paid twice.

The faults of the network, gateways, the person and the clock are the table of `faults/table.py`; here are also those
of the machine: processes that are killed, disks that are full, folders and databases that cannot be written.
LUMA_RAY_THOROUGH goes through all of it (`make soak`), otherwise a part of each kind is.
"""

from __future__ import annotations

import errno
import gc
import os
import signal
import sqlite3
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path

import pytest
import requests
import sqlalchemy as sa
from emulators.server import FileHost
from fakes import FakeClock, Reports
from faults import proxy, table
from faults.elsewhere import Elsewhere, Order
from faults.ground import empty
from faults.truth import FREE, Untrue
from faults.wire import nothing
from faults.world import opened
from luma_ray.nodes.generation import database, errors
from luma_ray.nodes.generation.connection import ALLOWED_HOSTS
from luma_ray.nodes.generation.finishing import Clip
from requests.adapters import HTTPAdapter

THOROUGH = bool(os.environ.get("LUMA_RAY_THOROUGH"))
PROMPT = "a fox in the snow"
KINDS = ("luma", "comfy_router", "replicate", "wavespeed")
CELLS = [
    pytest.param(cell, id=cell.id.replace(" ", "_")) for cell in table.cells() if THOROUGH or cell.everyday
]


@pytest.fixture(scope="module")
def files():
    with FileHost() as host:
        yield host


@pytest.fixture
def folder():
    """Where nothing has to be durable."""
    with empty() as folder:
        yield folder


@pytest.fixture
def world(files, folder):
    with opened("luma", folder, files) as world:
        yield world


@pytest.fixture(scope="module")
def elsewhere():
    with Elsewhere() as elsewhere:
        yield elsewhere


@contextmanager
def fresh(provider, files):
    """A world of its own."""
    with empty() as folder, opened(provider, folder, files) as world:
        yield world


def ends_well(world, request, result=None):
    """Whatever *result* was: the person queues again, and has the clip, paid once."""
    if not isinstance(result, Clip):
        result, _ = world.settled(request)
    world.check_end(request, result)


# -- the table ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", CELLS)
def test_nothing_paid_is_lost_and_nothing_is_paid_twice(cell, files, folder):
    table.play(cell, folder, files)


@pytest.mark.parametrize("provider", KINDS)
def test_a_job_that_nobody_can_ask_about_for_hours_is_still_there_afterwards(
    provider, files, folder, monkeypatch
):
    with opened(provider, folder, files) as world:
        monkeypatch.setattr(type(world.provider), "patience", 120)
        request = world.request(PROMPT)
        world.wire.plan = lambda ask: "answered: 503 soon" if ask.step == "poll" else ""
        begun = world.clock.elapsed()
        result = world.queue(request)
        assert isinstance(result, errors.StillRunning)
        assert world.clock.elapsed() - begun < 600
        ends_well(world, request)


def test_a_clip_that_drips_for_ever_is_given_up_and_fetched_later(world):
    request, begun = world.request(PROMPT), world.clock.elapsed()
    world.proxy.dripping = lambda: world.clock.sleep(50.0)
    world.wire.plan = lambda ask: "drip: 30" if ask.step == "download" else ""
    result = world.queue(request)
    assert isinstance(result, errors.DownloadFailed)
    assert world.clock.elapsed() - begun < 3 * 3600
    ends_well(world, request)


# -- the proxy itself ---------------------------------------------------------------------------------------


def answered(world, fault, **options):
    """What a client gets for a question about a job that nobody knows."""
    headers = {"X-Fault": fault, "Authorization": f"Bearer {world.emulator.key}"}
    return requests.get(f"{world.emulator.base_url}/generations/x", headers=headers, timeout=5, **options)


def test_without_a_fault_an_answer_comes_back_as_it_is(world):
    assert answered(world, "").json() == {"detail": "Generation not found"}
    (asked,) = world.emulator.requests
    assert "X-Fault" not in asked.headers


@pytest.mark.parametrize("fault", ["reset unread", "reset before"])
def test_a_request_that_is_lost_does_not_arrive(world, fault):
    with pytest.raises(requests.ConnectionError):
        answered(world, fault)
    assert world.emulator.requests == []


@pytest.mark.parametrize(
    "fault", ["reset after", "closed after", "reset in answer", "cut", "length too long", "garbage"]
)
def test_a_request_whose_answer_is_lost_does_arrive(world, fault):
    with pytest.raises(requests.RequestException):
        answered(world, fault)
    assert len(world.emulator.requests) == 1


def test_a_request_that_is_late_arrives_when_it_is_let_through(world):
    with pytest.raises(requests.ConnectionError):
        answered(world, "delivered late")
    assert world.emulator.requests == []
    assert world.proxy.deliver() == 1
    assert len(world.emulator.requests) == 1


def test_a_request_that_is_doubled_arrives_twice(world):
    answered(world, "delivered twice")
    assert len(world.emulator.requests) == 2


def test_a_gateway_answers_in_place_of_the_provider(world):
    assert answered(world, "answered: 503 soon").headers["Retry-After"] == "7"
    assert world.emulator.requests == []
    assert answered(world, "answered: 502 page, handled").content == proxy.PAGE
    assert len(world.emulator.requests) == 1


def test_who_says_nothing_is_left_at_the_clients_time_out(world):
    with pytest.raises(requests.Timeout):
        requests.get(world.emulator.base_url, headers={"X-Fault": "silent before"}, timeout=(5, 0.05))


def test_a_refused_connection_is_known_not_to_have_been_sent(world):
    world.wire.plan = lambda ask: "refused" if ask.step == "create" else ""
    assert isinstance(world.queue(world.request(PROMPT)), errors.ProviderUnavailable)
    assert world.emulator.requests == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("step", ["create", "poll", "download"])
def test_an_answer_with_two_lengths_is_no_answer(world, step):
    world.wire.plan = lambda ask: "two lengths" if (ask.step, ask.number) == (step, 1) else ""
    request = world.request(PROMPT)
    ends_well(world, request, world.queue(request))
    gc.collect()  # urllib3 leaves such a connection to the collector, which complains


# -- the checks themselves ----------------------------------------------------------------------------------


def test_a_create_that_is_sent_twice_is_seen(world, monkeypatch):
    submit = type(world.provider).submit

    def twice(self, client, offer, body, key):
        submit(self, client, offer, body, key)
        return submit(self, client, offer, body, key)

    monkeypatch.setattr(type(world.provider), "submit", twice)
    with pytest.raises(Untrue, match="are in no row"):
        world.queue(world.request(PROMPT))


def test_a_clip_that_is_given_up_is_seen(world):
    world.wire.plan = lambda ask: "answered: 403" if ask.step == "download" else ""
    world.queue(world.request(PROMPT))
    (row,) = world.journal.entries()
    world.journal.failed(row.id, "nobody wants it")
    with pytest.raises(Untrue, match="is told as failed"):
        world.check()


def test_a_clip_that_is_cut_short_is_seen(world):
    clip = world.queue(world.request(PROMPT))
    clip.path.write_bytes(clip.path.read_bytes()[:-100])
    with pytest.raises(Untrue, match="another clip"):
        world.check()


@pytest.mark.parametrize("said", ["luma-test-key", "see http://a.test/b.mp4?signature=abc"])
def test_a_key_and_a_signed_address_in_what_is_said_are_seen(world, said):
    world.said.append(said)
    with pytest.raises(Untrue, match="in what was said"):
        world.check()


# -- killed, and out of disk --------------------------------------------------------------------------------


def happens_at_each_moment(provider, fate, files, elsewhere):
    """Buy in a process of its own as often as it has moments; its *fate* meets it one moment later each time."""
    first = KINDS.index(provider) if not THOROUGH else 0
    step = 1 if THOROUGH else len(KINDS)
    for at in count(first, step):
        with fresh(provider, files) as world:
            world.killed = fate == "killed"
            request = world.request(PROMPT, picture=provider in ("comfy_router", "replicate"))
            named = (*world.emulator.environment(), ALLOWED_HOSTS)
            environment = {name: os.environ[name] for name in named}
            order = Order(
                *(provider, str(world.folder), environment, world.clock.now(), PROMPT),
                picture=bool(request.stills),
                fate=fate,
                at=at,
            )
            (outcome,) = elsewhere.buy(order)
            met = outcome.code == -signal.SIGKILL if fate == "killed" else at < len(outcome.events)
            world.said.append(outcome.error)
            world.check()
            if outcome.error and FREE.search(outcome.error):
                assert world.unknown() == [], outcome.error
            ends_well(world, request)
            if not met:
                assert at >= 12, "a purchase has more moments than these"
                assert outcome.clip
                return


@pytest.mark.skipif(sys.platform == "win32", reason="no fork and no SIGKILL")
@pytest.mark.parametrize("provider", KINDS)
def test_a_kill_at_any_moment_loses_nothing(provider, files, elsewhere):
    happens_at_each_moment(provider, "killed", files, elsewhere)


@pytest.mark.skipif(sys.platform == "win32", reason="no fork and no limits of a process")
@pytest.mark.parametrize("provider", KINDS)
def test_a_disk_that_is_full_from_any_moment_on_loses_nothing(provider, files, elsewhere):
    happens_at_each_moment(provider, "full", files, elsewhere)


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
@pytest.mark.parametrize("provider", KINDS)
def test_two_processes_that_want_the_same_clip_at_once_buy_one(provider, files, elsewhere):
    for _ in range(6 if THOROUGH else 2):
        with fresh(provider, files) as world:
            request = world.request(PROMPT)
            named = (*world.emulator.environment(), ALLOWED_HOSTS)
            environment = {name: os.environ[name] for name in named}
            order = Order(*(provider, str(world.folder), environment, world.clock.now(), PROMPT), processes=3)
            outcomes = elsewhere.buy(order)
            assert {outcome.error for outcome in outcomes} == {""}
            assert len({outcome.clip for outcome in outcomes}) == 1
            ends_well(world, request)


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
def test_several_processes_that_collect_the_same_clip_at_once_all_have_it(files, elsewhere):
    with fresh("luma", files) as world:
        request = world.request(PROMPT)
        world.wire.plan = lambda ask: "answered: 403" if ask.step == "download" else ""
        assert isinstance(world.queue(request), errors.DownloadFailed)
        environment = {name: os.environ[name] for name in (*world.emulator.environment(), ALLOWED_HOSTS)}
        order = Order("luma", str(world.folder), environment, world.clock.now(), PROMPT, processes=4)
        outcomes = elsewhere.buy(order)
        assert {outcome.error for outcome in outcomes} == {""}
        ends_well(world, request)


# -- one process --------------------------------------------------------------------------------------------


def test_two_threads_that_collect_the_same_clip_at_once_both_have_it(world):
    request = world.request(PROMPT)
    world.wire.plan = lambda ask: "answered: 403" if ask.step == "download" else ""
    world.queue(request)
    world.wire.plan = nothing
    (row,) = world.journal.entries()
    together = threading.Barrier(2)

    def collect(lifecycle):
        together.wait(10)
        return lifecycle.collect(row.id, clock=FakeClock(world.clock.now()), report=Reports())

    with ThreadPoolExecutor(2) as pool:
        # one lifecycle, and one that knows nothing of the other, as in another process
        found = list(pool.map(collect, [world.lifecycle, world.process()]))
    assert found[0].path == found[1].path
    ends_well(world, request)


@pytest.mark.parametrize("provider", KINDS)
def test_a_stop_at_any_moment_loses_nothing(provider, files):
    """At each word for the person and at each pause; those at requests are in the table."""
    for moment in count(1):
        with fresh(provider, files) as world:
            moments = iter(range(1, moment + 1))

            def passes(world=world, moments=moments, moment=moment):
                if next(moments, None) == moment:
                    world.clock.stop.set()

            request = world.request(PROMPT)
            world.clock.on_sleep = passes
            result = world.queue(request, reporting=lambda words, fraction=None: passes())
            world.clock.on_sleep = lambda: None
            assert isinstance(result, (Clip, errors.Interrupted)), result
            ends_well(world, request, result)
            if next(moments, None) is not None:
                assert moment > 4
                return


def test_a_sibling_that_fails_takes_nothing_with_it(files, folder):
    """Two shots of one graph with one picture: one is refused, whereupon ComfyUI stops the other."""
    with opened("comfy_router", folder, files) as world:
        refused, stopped = (world.request(prompt, picture=True) for prompt in ("a fox", "a heron"))
        second = FakeClock(world.clock.now())
        world.wire.plan = lambda ask: "answered: 400" if (ask.step, ask.number) == ("create", 1) else ""
        polling = threading.Event()
        second.on_sleep = polling.set

        def shot(request, clock):
            try:
                world.lifecycle.generate(request, "comfy_router", clock=clock, report=Reports())
            except errors.GenerationError as error:
                world.said.append(str(error))
                second.stop.set()

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(shot, [refused, stopped], [world.clock, second]))
        world.check()
        for request in (refused, stopped):
            ends_well(world, request)
        assert sum(sale.alive for sale in world.sales()) == 2


# -- what the machine refuses -------------------------------------------------------------------------------


def failing(number, act):
    """*act*, which for a clip on its way fails with the error *number*."""

    def fails(*given, **others):
        told = [Path(f"/proc/self/fd/{part}").resolve() if isinstance(part, int) else part for part in given]
        if any(".arriving-" in str(part) for part in (*told, *others.values())):
            raise OSError(number, os.strerror(number))
        return act(*given, **others)

    return fails


@pytest.mark.parametrize(
    "number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO], ids=errno.errorcode.get
)
@pytest.mark.parametrize("step", ["mkstemp", "fsync", "rename"])
def test_a_clip_that_cannot_be_kept_is_kept_by_the_provider(world, monkeypatch, step, number):
    place, name = {"mkstemp": (tempfile, "mkstemp"), "fsync": (os, "fsync"), "rename": (os, "replace")}[step]
    request = world.request(PROMPT)
    with monkeypatch.context() as patch:
        patch.setattr(place, name, failing(number, getattr(place, name)))
        result = world.queue(request)
    assert isinstance(result, errors.DownloadFailed)
    assert "paid and kept" in str(result)
    ends_well(world, request)


def test_a_library_that_is_a_file_loses_nothing(world):
    world.library.folder.write_bytes(b"")
    request = world.request(PROMPT)
    assert isinstance(world.queue(request), errors.DownloadFailed)
    world.library.folder.unlink()
    ends_well(world, request)


@pytest.fixture
def impatient(world, monkeypatch):
    """A journal that waits for milliseconds where it would for half a minute."""
    monkeypatch.setattr(database, "BUSY", 0.02)
    world.journal.entries()

    with each_connection(world.journal, "PRAGMA busy_timeout = 5"):
        yield world


@contextmanager
def each_connection(journal, statement):
    """Each connection to the file of *journal* begins with *statement*."""

    def begins(connection, _record):
        connection.execute(statement)

    engine = journal.database._engine
    sa.event.listen(engine, "connect", begins)
    try:
        yield
    finally:
        sa.event.remove(engine, "connect", begins)


@contextmanager
def before_each_transaction(journal, act):
    """Call *act* with 1, 2, ... before each transaction."""
    transaction, numbers = journal.database.transaction, count(1)

    @contextmanager
    def noticed(*, writes=False):
        act(next(numbers))
        with transaction(writes=writes) as connection:
            yield connection

    journal.database.transaction = noticed
    try:
        yield numbers
    finally:
        del journal.database.transaction


def test_a_journal_that_is_locked_from_any_moment_on_loses_nothing(impatient):
    world = impatient
    for moment in count(1):
        request = world.request(f"{PROMPT} {moment}")
        with closing(sqlite3.connect(world.folder / "journal.db", isolation_level=None)) as other:

            def lock(number, other=other, moment=moment):
                if number == moment:
                    other.execute("BEGIN EXCLUSIVE")

            with before_each_transaction(world.journal, lock) as numbers:
                try:
                    result = world.lifecycle.generate(request, "luma", clock=world.clock, report=Reports())
                except errors.GenerationError as error:
                    result = error
            locked = other.in_transaction
            if locked:
                other.execute("ROLLBACK")
        world.said.append(str(result))
        world.check()
        ends_well(world, request)
        if not locked:
            assert next(numbers) > 8
            return


def test_a_journal_that_is_locked_for_a_moment_is_waited_for(impatient, monkeypatch):
    world = impatient
    monkeypatch.setattr(database, "BUSY", 30.0)
    for moment in count(1):
        request = world.request(f"{PROMPT} {moment}")
        timers = []
        with closing(
            sqlite3.connect(world.folder / "journal.db", isolation_level=None, check_same_thread=False)
        ) as other:

            def lock(number, other=other, moment=moment, timers=timers):
                if number == moment:
                    other.execute("BEGIN EXCLUSIVE")
                    timers.append(threading.Timer(0.03, other.execute, ["ROLLBACK"]))
                    timers[0].start()

            with before_each_transaction(world.journal, lock) as numbers:
                result = world.lifecycle.generate(request, "luma", clock=world.clock, report=Reports())
            for timer in timers:
                timer.join()
        world.check_end(request, result)
        if not timers:
            assert next(numbers) > 8
            return


def test_a_journal_that_cannot_be_written_buys_nothing(world):
    request = world.request(PROMPT)
    with each_connection(world.journal, "PRAGMA query_only = ON"):
        with pytest.raises(errors.JournalUnavailable, match="nothing is bought"):
            world.lifecycle.generate(request, "luma", clock=world.clock, report=Reports())
        assert world.emulator.creates == []
    ends_well(world, request)


def test_what_goes_out_in_a_test_goes_through_the_wire(world):
    """Else no fault would ever meet it."""
    assert HTTPAdapter.send is not world.wire._send
    world.queue(world.request(PROMPT))
    assert sum(world.wire.counts.values()) == len(world.emulator.requests) == len(world.proxy.exchanges) > 3
