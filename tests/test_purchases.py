"""Purchases in bad company: several nodes, processes and accounts, clocks that jump, kills, late answers."""

from __future__ import annotations

import decimal
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from decimal import Decimal
from pathlib import Path

import pytest
import requests
from fakes import Desk, FakeClock, Paper, Reconciling, Reports, picture, text
from luma_ray.nodes.generation import errors
from luma_ray.nodes.generation.client import Client
from luma_ray.nodes.generation.hosting import Hosting
from luma_ray.nodes.generation.journal import LEASE, Journal
from luma_ray.nodes.generation.offer import Completed, Failed, Job, Limits, Pending
from luma_ray.nodes.generation.request import Operation

TESTS = Path(__file__).parent
LOST = errors.SubmissionUncertain("lost.")
DAY = 24 * 3600.0


@pytest.fixture
def desk(tmp_path, monkeypatch):
    monkeypatch.setenv("PAPER_KEY", "paper-key-1234567890")
    return Desk(tmp_path)


@pytest.fixture
def keyed(desk):
    """A provider that takes an unanswered create again under the same key, as one that keeps its word does."""
    desk.provider.resend_life = 3600
    return desk


def only_row(desk):
    (row,) = desk.lifecycle.journal.entries()
    return row


def once(act):
    """*act* the first time, nothing afterwards."""
    acts = [act]
    return lambda: acts.pop()() if acts else None


def raising(error, act=lambda: None):
    """An answer: *act* happens first, then *error* is raised."""

    def answer():
        act()
        raise error

    return answer


class Meanwhile:
    """A journal to which something else happens just before or after one of its methods, the first time."""

    def __init__(self, journal, name, *, before=lambda: None, after=lambda: None):
        self._journal, self._name = journal, name
        self._before, self._after = once(before), once(after)

    def __getattr__(self, name):
        method = getattr(self._journal, name)
        if name != self._name:
            return method

        def call(*given, **others):
            self._before()
            answer = method(*given, **others)
            self._after()
            return answer

        return call


class Broken:
    """A journal that cannot be used for some of its methods."""

    def __init__(self, journal, *names):
        self._journal, self._names = journal, names

    def __getattr__(self, name):
        if name in self._names:
            raise errors.JournalUnavailable(
                "The journal of purchases cannot be used: database is locked. Without it nothing is bought."
            )
        return getattr(self._journal, name)


# -- the person says that nothing was created ---------------------------------------------------------------


def uncertain_row(desk, answers=1):
    desk.provider.submits = [LOST] * answers
    with pytest.raises(errors.SubmissionUncertain):
        desk.generate()
    return only_row(desk)


def test_not_created_does_not_end_a_job_that_another_process_found_at_the_same_moment(desk):
    row, journal = uncertain_row(desk), desk.lifecycle.journal
    racing = Meanwhile(journal, "get", after=lambda: journal.submitted(row.id, Job(id="found")))
    with suppress(errors.InvalidInput):
        desk.opened(journal=racing).not_created(row.id)
    after = journal.get(row.id)
    assert (after.state, after.job) == ("submitted", Job(id="found"))
    assert desk.generate().entry.job.id == "found"
    assert len(desk.provider.submitted) == 1


def test_nothing_is_sent_again_after_the_person_said_that_it_was_not_created(keyed):
    keyed.provider.submits = [LOST, LOST]
    keyed.clock.on_sleep = once(lambda: keyed.opened().not_created(only_row(keyed).id))
    with suppress(errors.GenerationError):
        keyed.generate()
    assert len(keyed.provider.submitted) == 2


def test_what_was_given_up_and_bought_anew_while_it_was_being_settled_is_paid_once(keyed):
    paid = set()
    lost = [LOST, LOST]

    def submit(client, offer, body, key):
        if lost:
            raise lost.pop()  # neither of these arrived
        paid.add(key)
        return Job(id=f"job-{key}")

    def elsewhere():
        other = keyed.opened()
        other.not_created(only_row(keyed).id)
        other.generate(text(), "paper", clock=FakeClock(keyed.clock.now()), report=Reports())

    keyed.provider.submit = submit
    keyed.clock.on_sleep = once(elsewhere)
    with suppress(errors.GenerationError):
        keyed.generate()
    assert len(paid) == 1


def test_an_answer_that_comes_after_not_created_is_kept(desk):
    def late():
        desk.clock.sleep(LEASE + 1)
        other = desk.opened()
        with pytest.raises(errors.SubmissionUncertain):
            other.generate(text(), "paper", clock=FakeClock(desk.clock.now()), report=Reports())
        other.not_created(only_row(desk).id)
        return Job(id="late")

    desk.provider.submits = [late]
    assert desk.generate().entry.job.id == "late"
    assert len(desk.provider.submitted) == 1


def test_an_answer_that_comes_after_it_was_bought_anew_is_told_with_its_id_and_can_be_collected(desk):
    def late():
        desk.clock.sleep(LEASE + 1)
        other, clock = desk.opened(), FakeClock(desk.clock.now())
        with pytest.raises(errors.SubmissionUncertain):
            other.generate(text(), "paper", clock=clock, report=Reports())
        other.not_created(only_row(desk).id)
        other.generate(text(), "paper", clock=clock, report=Reports())
        return Job(id="late")

    desk.provider.submits = [late, Job(id="anew")]
    with pytest.raises(errors.SubmissionUncertain, match="job late"):
        desk.generate()
    assert desk.lifecycle.collect("late", clock=desk.clock, report=desk.reports).entry.job.id == "late"


# -- an unanswered create, settled by several ---------------------------------------------------------------


def test_a_refusal_of_a_second_sending_does_not_end_a_job_that_another_process_recorded(keyed):
    def other_has_it():
        keyed.opened().journal.submitted(only_row(keyed).id, Job(id="theirs"))

    keyed.provider.submits = [LOST, raising(errors.Rejected("409."), other_has_it), Job(id="second")]
    with suppress(errors.GenerationError):
        keyed.generate()
    assert only_row(keyed).job == Job(id="theirs")
    assert only_row(keyed).state in ("submitted", "completed")
    assert keyed.generate().entry.job.id == "theirs"
    assert len(keyed.provider.submitted) == 2


def test_a_job_that_another_process_recorded_meanwhile_ends_the_search_for_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PAPER_KEY", "paper-key-1234567890")
    desk = Desk(tmp_path, provider=Reconciling())
    desk.provider.submits = [LOST]
    desk.clock.on_sleep = once(lambda: desk.opened().journal.submitted(only_row(desk).id, Job(id="theirs")))
    assert desk.generate(provider="reconciling").entry.job.id == "theirs"


def test_of_two_processes_that_settle_by_sending_again_neither_calls_a_recorded_job_uncertain(keyed):
    row = uncertain_row(keyed, answers=4)
    other = keyed.opened()
    keyed.provider.submits = [Job(id="job"), Job(id="job")]
    racing = Meanwhile(
        keyed.lifecycle.journal,
        "send_again",
        before=lambda: other.resume(row.id, clock=FakeClock(keyed.clock.now()), report=Reports()),
    )
    clip = keyed.opened(journal=racing).resume(row.id, clock=keyed.clock, report=keyed.reports)
    assert clip.entry.job.id == "job"


def test_a_twin_of_another_process_that_takes_the_job_first_leaves_a_question_not_a_broken_journal(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("PAPER_KEY", "paper-key-1234567890")
    desk = Desk(tmp_path, provider=Reconciling())
    journal = desk.lifecycle.journal
    twin, _ = journal.claim(text(take=2), provider="reconciling", local=False, estimate_usd=None)

    def taken():
        journal.submitted(twin.id, Job(id="seen"))
        return Job(id="seen")

    desk.provider.submits, desk.provider.found = [LOST], [taken, None]
    with pytest.raises(errors.SubmissionUncertain, match="lost"):
        desk.generate(provider="reconciling")


def test_a_row_that_failed_while_it_was_taken_over_is_not_called_damaged(desk):
    journal = desk.lifecycle.journal
    row, _ = journal.claim(text(), provider="paper", local=False, estimate_usd=None)
    desk.clock.sleep(LEASE + 1)
    racing = Meanwhile(journal, "taken_over", before=lambda: journal.failed(row.id, "It was refused."))
    with pytest.raises(errors.GenerationFailed, match="It was refused"):
        desk.opened(journal=racing).resume(row.id, clock=desk.clock, report=desk.reports)


def test_a_create_is_not_sent_again_with_the_key_of_another_account(keyed, monkeypatch):
    # To that account the idempotency key is new: it would make and bill a second job.
    uncertain_row(keyed, answers=4)
    sent = len(keyed.provider.submitted)
    monkeypatch.setenv("PAPER_KEY", "the-key-of-another-account")
    with pytest.raises(errors.SubmissionUncertain):
        keyed.generate()
    assert len(keyed.provider.submitted) == sent


def test_a_job_that_was_collected_as_told_answers_the_question_it_left_open(keyed):
    keyed.lifecycle = keyed.opened(journal=Broken(keyed.lifecycle.journal, "submitted"))
    with pytest.raises(errors.SubmissionUncertain, match=r"job-1.*'Ray Collect Generation'"):
        keyed.generate()
    keyed.lifecycle = keyed.opened()
    keyed.lifecycle.collect("job-1", clock=keyed.clock, report=keyed.reports)
    keyed.clock.sleep(LEASE + 1)
    keyed.provider.submits = [Job(id="job-1")]  # the same key, so the same job
    assert keyed.generate().entry.job.id == "job-1"


def test_an_open_question_is_not_quoted_as_already_owned(keyed):
    # Queueing it may send it again, which is a purchase where the first sending never arrived.
    uncertain_row(keyed, answers=4)
    assert "already yours" not in keyed.lifecycle.quote(text(), "paper").words


# -- "too many requests" and refusals, seen from another process --------------------------------------------


def test_who_waits_for_another_processes_create_goes_on_when_that_is_withdrawn(desk):
    journal = desk.lifecycle.journal
    theirs, _ = journal.claim(text(), provider="paper", local=False, estimate_usd=None)
    desk.clock.on_sleep = once(lambda: journal.withdraw(theirs.id))  # it met a 429
    begun = desk.clock.now()
    assert desk.generate().entry.job.id == "job-1"
    assert desk.clock.now() - begun < 120


def test_a_create_that_takes_longer_than_its_lease_is_taken_over_and_still_paid_once(keyed):
    def slow():
        keyed.clock.sleep(LEASE + 1)
        keyed.provider.submits = [Job(id="the-one")]
        other = keyed.opened()
        clip = other.generate(text(), "paper", clock=FakeClock(keyed.clock.now()), report=Reports())
        assert clip.entry.job.id == "the-one"
        return Job(id="the-one")

    keyed.provider.submits = [slow]
    assert keyed.generate().entry.job.id == "the-one"
    assert len(set(keyed.provider.keys)) == 1
    assert len(keyed.lifecycle.journal.entries()) == 1


# -- auto ---------------------------------------------------------------------------------------------------


class Live(Paper):
    name = "live"
    title = "Live"
    secrets = ("LIVE_KEY",)
    live_prices = True

    def __init__(self):
        super().__init__()
        self.told = [Decimal("0.99")]

    def price(self, client, offer, request):
        answer = self.told[0] if len(self.told) == 1 else self.told.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer


@pytest.fixture
def two(desk, monkeypatch):
    """Paper, which is full, and Live, which is dearer and has room."""
    monkeypatch.setenv("LIVE_KEY", "live-key-1234567890")
    desk.live = Live()
    desk.provider.limits = Limits(concurrent=1)
    desk.blocker = desk.lifecycle.journal.claim(
        text("another shot"), provider="paper", local=False, estimate_usd=None
    )[0]
    return desk


def test_two_nodes_with_one_request_on_auto_buy_one_clip_though_prices_change_between_them(two):
    lifecycle = two.opened(providers=[two.provider, two.live])
    in_line, second_is_on_its_way, go = threading.Event(), threading.Event(), threading.Event()
    first, second = FakeClock(), FakeClock()
    first.on_sleep = lambda: (in_line.set(), go.wait(10))
    second.on_sleep = lambda: (second_is_on_its_way.set(), go.wait(10))

    def node(clock):
        return lifecycle.generate(text(), "auto", clock=clock, report=Reports())

    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(node, first)
        assert in_line.wait(10)
        two.live.told = [Decimal("0.01")]
        lifecycle.prices._told.clear()  # as after an hour
        other = pool.submit(node, second)
        other.add_done_callback(lambda _: second_is_on_its_way.set())
        assert second_is_on_its_way.wait(10)
        two.lifecycle.journal.failed(two.blocker.id, "over")
        go.set()
        clips = [one.result(20), other.result(20)]
    assert len(two.provider.submitted) + len(two.live.submitted) == 1
    assert clips[0].path == clips[1].path


def test_two_processes_with_one_request_on_auto_buy_one_clip_though_prices_change_between_them(two):
    def another_process():
        two.live.told = [Decimal("0.01")]
        lifecycle = two.opened(providers=[two.provider, two.live])
        lifecycle.generate(text(), "auto", clock=FakeClock(two.clock.now()), report=Reports())
        lifecycle.journal.failed(two.blocker.id, "over")

    two.clock.on_sleep = once(another_process)
    lifecycle = two.opened(providers=[two.provider, two.live])
    lifecycle.generate(text(), "auto", clock=two.clock, report=two.reports)
    assert len(two.provider.submitted) + len(two.live.submitted) == 1


# -- prices -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "told",
    [
        decimal.InvalidOperation("not a number"),
        Decimal("NaN"),
        Decimal("Infinity"),
        Decimal("-0.20"),
    ],
    ids=["no number", "NaN", "infinite", "negative"],
)
def test_a_price_that_is_no_price_does_not_stop_a_purchase(two, told):
    two.live.told = [told]
    lifecycle = two.opened(providers=[two.provider, two.live])
    assert lifecycle.select(text()).provider.name in ("paper", "live")
    clip = lifecycle.generate(text(), "live", clock=two.clock, report=two.reports)
    assert clip.entry.estimate_usd == Decimal("0.20")


# -- clocks that jump ---------------------------------------------------------------------------------------


def buy(desk, prompt):
    desk.generate(text(prompt))


@pytest.mark.parametrize(
    "limits", [{"per_minute": 1}, {"concurrent": 1}], ids=lambda limits: next(iter(limits))
)
def test_rows_from_a_clock_that_was_ahead_do_not_hold_the_line_until_it_catches_up(desk, limits):
    # A second system on the machine leaves its clock hours ahead, until the network corrects it.
    desk.provider.limits = Limits(**limits)
    journal = desk.lifecycle.journal
    journal.claim(text("another shot"), provider="paper", local=False, estimate_usd=None)
    desk.clock.correct(-2 * 3600)
    begun = desk.clock.now()
    desk.generate()
    assert desk.clock.now() - begun < 700


def test_a_clock_that_is_set_back_does_not_lengthen_the_wait_that_a_provider_asked_for(desk):
    def set_back():
        desk.clock.correct(-3600)

    desk.clock.on_sleep = once(set_back)
    desk.provider.submits = [errors.RateLimited("too many.", retry_after=20), Job(id="job")]
    desk.generate()
    assert sum(desk.clock.slept) < 600


def test_a_create_from_the_future_is_not_sent_again(keyed):
    # How old its key is cannot be known: the clock was wrong then or is wrong now.
    uncertain_row(keyed, answers=4)
    sent = len(keyed.provider.submitted)
    keyed.clock.correct(-DAY)
    with pytest.raises(errors.SubmissionUncertain):
        keyed.generate()
    assert len(keyed.provider.submitted) == sent


def test_a_price_is_asked_for_again_after_an_hour_whatever_the_date_says(two):
    (offer,) = [o for o in two.live.offers if (o.model, o.operation) == ("ray-flash-2", text().operation)]
    prices = two.opened(providers=[two.live]).prices
    assert prices.quote(two.live, offer, text(), two.clock).usd == Decimal("0.99")
    two.live.told = [Decimal("0.11")]
    two.clock.sleep(3600)
    two.clock.correct(-DAY)
    assert prices.quote(two.live, offer, text(), two.clock).usd == Decimal("0.11")


def test_a_clip_that_waited_for_the_journal_counts_from_when_it_was_sent(desk):
    desk.provider.limits = Limits(per_minute=1)
    journal, times = desk.lifecycle.journal, []
    transaction = journal.database.transaction
    held = once(lambda: desk.clock.sleep(25))

    @contextmanager
    def waiting(*, writes=False):
        if writes:
            held()
        with transaction(writes=writes) as connection:
            yield connection

    journal.database.transaction = waiting
    for number in range(2):
        desk.provider.submits = [lambda: times.append(desk.clock.now()) or Job(id=f"j{len(times)}")]
        buy(desk, f"shot {number}")
    assert times[1] - times[0] >= 60


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the time zone of a process cannot be changed here")
@pytest.mark.parametrize("zone", ["UTC", "America/Los_Angeles", "Asia/Tokyo"])
@pytest.mark.parametrize("told", ["Fri, 15 Jan 2027 08:00:42 GMT", "Fri Jan 15 08:00:42 2027"])
def test_a_date_to_wait_for_means_the_same_in_every_time_zone(monkeypatch, zone, told):
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        answer = requests.Response()
        answer.headers["Retry-After"] = told
        client = Client("Paper", "https://paper.test", dict, FakeClock(1_800_000_000.0))
        assert client._retry_after(answer) == 42
    finally:
        monkeypatch.undo()
        time.tzset()


# -- lines --------------------------------------------------------------------------------------------------


def test_where_nothing_is_limited_nobody_waits_for_another_shots_turn(desk):
    inside, go = threading.Event(), threading.Event()

    class Slow(Journal):
        def claim(self, request, **others):
            if request.prompt == "one":
                inside.set()
                assert go.wait(10)
            return super().claim(request, **others)

    lifecycle = desk.opened(journal=Slow(f"sqlite:///{desk.folder / 'journal.db'}", now=desk.clock.now))
    reports, clock = Reports(), FakeClock()
    clock.on_sleep = go.set  # or the test would wait for ever where it fails
    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(lifecycle.generate, text("one"), "paper", clock=FakeClock(), report=Reports())
        assert inside.wait(10)
        two = pool.submit(lifecycle.generate, text("two"), "paper", clock=clock, report=reports)
        two.result(10)
        go.set()
        one.result(10)
    assert "waiting in line" not in reports.words


def test_the_limit_holds_between_processes(tmp_path):
    url = f"sqlite:///{tmp_path / 'journal.db'}"
    program = f"""
import conftest
from fakes import text
from luma_ray.nodes.generation.journal import Journal
from luma_ray.nodes.generation.offer import Limits
from luma_ray.nodes.generation.room import Full
journal = Journal({url!r})
print("ready", flush=True)
number = int(input())
for take in range(10):
    try:
        journal.claim(text(f"process {{number}}", take=take), provider="paper", local=False, estimate_usd=None,
                      limits=Limits(concurrent=5, per_minute=7))
        print("made", flush=True)
    except Full:
        pass
"""
    others = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=TESTS,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in range(3)
    ]
    for other in others:
        assert other.stdout.readline() == "ready\n"
    for number, other in enumerate(others):
        other.stdin.write(f"{number}\n")
        other.stdin.flush()
    made = sum(other.communicate(timeout=60)[0].count("made") for other in others)
    assert [other.returncode for other in others] == [0, 0, 0]
    assert made == 5
    assert len(Journal(url).entries()) == 5


# -- stopping -----------------------------------------------------------------------------------------------


def test_a_job_for_which_another_node_waits_is_not_cancelled(desk):
    desk.provider.cancellation = "confirmed"
    first, second = FakeClock(), FakeClock()
    first_waits, second_waits = threading.Event(), threading.Event()

    def stop_first():
        first_waits.set()
        assert second_waits.wait(10)
        first.stop.set()

    first.on_sleep, second.on_sleep = stop_first, second_waits.set
    desk.provider.statuses = [Pending(), Completed(url="")]

    def stopped():
        with pytest.raises(errors.Interrupted):
            desk.generate(clock=first, report=Reports())

    with ThreadPoolExecutor(2) as pool:
        leader = pool.submit(stopped)
        assert first_waits.wait(10)
        follower = pool.submit(desk.generate, clock=second, report=Reports())
        leader.result(10)
        assert follower.result(10).path.is_file()
    assert desk.provider.cancelled == []
    assert len(desk.provider.submitted) == 1


def test_a_clip_that_is_finished_at_the_provider_is_not_cancelled_when_its_download_is_stopped(desk):
    desk.provider.cancellation = "confirmed"
    desk.provider.statuses = [Pending(), Completed(url="")]
    desk.provider.downloads = [raising(errors.DownloadFailed("it broke off."), desk.clock.stop.set), None]
    with pytest.raises(errors.Interrupted):
        desk.generate()
    assert desk.provider.cancelled == []
    assert only_row(desk).state == "submitted"
    assert desk.generate(clock=FakeClock()).path.is_file()
    assert len(desk.provider.submitted) == 1


def test_a_stop_during_a_held_question_that_brings_the_clip_keeps_it(desk):
    desk.provider.long_poll, desk.provider.cancellation = 25, "confirmed"

    def held():
        desk.clock._now += 20
        desk.clock.stop.set()
        return Completed(url="")

    desk.provider.statuses = [held]
    with suppress(errors.Interrupted):
        desk.generate()
    assert desk.provider.cancelled == []
    assert only_row(desk).state in ("submitted", "completed")


def test_a_stop_during_a_held_question_ends_the_wait_with_its_answer(desk):
    desk.provider.long_poll = 25

    def held():
        desk.clock._now += 25
        desk.clock.stop.set()
        return Pending()

    desk.provider.statuses = [held]
    with pytest.raises(errors.Interrupted, match="Queue again to collect it"):
        desk.generate()
    assert len(desk.provider.cancelled) == 1


# -- killed and locked --------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_clip_on_disk_is_not_lost_by_a_kill_before_it_was_recorded(desk):
    program = f"""
import os, pathlib, signal
import conftest
from fakes import Desk
from luma_ray.nodes.generation.journal import Journal
Journal.completed = lambda *given, **others: os.kill(os.getpid(), signal.SIGKILL)
Desk(pathlib.Path({str(desk.folder)!r})).generate()
"""
    killed = subprocess.run([sys.executable, "-c", program], cwd=TESTS, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    row = only_row(desk)
    assert row.state == "submitted"
    assert (desk.folder / "clips" / desk.lifecycle.library.name(row)).is_file()
    # Some providers forget a clip after an hour.
    desk.provider.statuses = [Failed(reason="It is gone.", billing="It was billed.")]
    clip = desk.generate()
    assert (clip.entry.state, clip.path.read_bytes()) == ("completed", b"clip")
    assert desk.provider.submitted == []


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
@pytest.mark.parametrize("step", ["submitted", "done", "completed"])
def test_a_kill_at_any_step_after_the_create_buys_nothing_twice(desk, step):
    program = f"""
import os, pathlib, signal
import conftest
from fakes import Desk, Reconciling
from luma_ray.nodes.generation.journal import Journal
Journal.{step} = lambda *given, **others: os.kill(os.getpid(), signal.SIGKILL)
Desk(pathlib.Path({str(desk.folder)!r}), provider=Reconciling()).generate(provider="reconciling")
"""
    killed = subprocess.run([sys.executable, "-c", program], cwd=TESTS, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    desk.provider = Reconciling()
    desk.provider.found = [Job(id="job-1")]
    desk.lifecycle = desk.opened(journal=Journal(f"sqlite:///{desk.folder / 'journal.db'}", now=time.time))
    assert desk.generate(provider="reconciling").entry.job.id == "job-1"
    assert desk.provider.submitted == []


@pytest.mark.parametrize("step", ["running_times", "done", "completed"])
def test_a_journal_that_is_locked_after_the_purchase_is_not_told_as_if_nothing_was_bought(desk, step):
    journal = desk.lifecycle.journal
    desk.lifecycle = desk.opened(journal=Broken(journal, step))
    assert desk.generate().path.is_file()
    desk.lifecycle = desk.opened()
    assert desk.generate().path.is_file()
    assert len(desk.provider.submitted) == 1


def test_a_row_that_could_not_be_read_back_does_not_stand_in_the_way_of_the_purchase(desk):
    class Blinking(Journal):
        reads = 0

        def get(self, id):
            Blinking.reads += 1
            if Blinking.reads == 1:
                raise errors.JournalUnavailable("database is locked.")
            return super().get(id)

    journal = Blinking(f"sqlite:///{desk.folder / 'journal.db'}", now=desk.clock.now)
    desk.lifecycle, begun = desk.opened(journal=journal), desk.clock.now()
    with suppress(errors.JournalUnavailable):
        desk.generate()
    assert desk.generate().path.is_file()
    assert len(desk.provider.submitted) == 1
    assert desk.clock.now() - begun < 120


def test_a_clip_that_is_gone_here_and_there_is_not_promised_as_a_purchase_that_never_comes(desk):
    desk.generate().path.unlink()
    desk.provider.statuses = [
        Failed(reason="It is gone.", billing="Making it again is a new purchase."),
        Completed(url=""),
    ]
    with pytest.raises(errors.GenerationFailed) as caught:
        desk.generate()
    if "take" not in str(caught.value):  # another take would be a way; else the same one must be
        desk.provider.statuses = [Completed(url="")]
        desk.generate()
        assert len(desk.provider.submitted) == 2


def test_the_time_of_a_job_is_still_known_after_a_download_that_was_tried_again(desk):
    desk.provider.statuses = [Pending(), Completed(url="")]
    desk.provider.downloads = [errors.DownloadFailed("it broke off."), None]
    row = desk.generate().entry
    assert row.ran_seconds is not None


# -- pictures -----------------------------------------------------------------------------------------------


class Shelf(Hosting):
    name = "shelf"
    title = "Shelf"
    settings = ("SHELF",)
    how = "set SHELF."
    life = 7 * DAY

    def __init__(self):
        self.published = []

    def publish(self, still, credentials, clock):
        self.published.append(still.sha256)
        return f"https://{credentials.setting('SHELF')}.test/{len(self.published)}"


@pytest.fixture
def shelf(desk, monkeypatch):
    monkeypatch.setenv("SHELF", "oak")
    desk.provider.takes_urls_only = True
    shelf = Shelf()
    desk.lifecycle = desk.opened(hosts=[shelf])
    return shelf


def image(take=1):
    return text(operation=Operation.IMAGE_TO_VIDEO, first_frame=picture(), take=take)


def test_a_picture_that_a_provider_could_not_fetch_is_put_there_again(desk, shelf):
    desk.provider.submits = [
        Job(id="a"),
        errors.Rejected("the picture's URL could not be fetched. Nothing was billed."),
        Job(id="b"),
    ]
    desk.generate(image(1))
    with pytest.raises(errors.Rejected):
        desk.generate(image(2))  # somebody emptied the shelf
    desk.generate(image(2))
    assert len(shelf.published) == 2


def test_a_picture_that_a_job_could_not_fetch_is_put_there_again(desk, shelf):
    desk.generate(image(1))
    desk.provider.statuses = [
        Failed(reason="It could not read a picture.", billing="Who knows."),
        Completed(url=""),
    ]
    with pytest.raises(errors.GenerationFailed):
        desk.generate(image(2))
    desk.generate(image(2))
    assert len(shelf.published) == 2


def test_a_picture_on_another_shelf_is_not_looked_for_on_this_one(desk, shelf, monkeypatch):
    desk.generate(image(1))
    monkeypatch.setenv("SHELF", "pine")
    desk.generate(image(2))
    assert len(shelf.published) == 2


def test_an_upload_to_one_account_is_not_given_to_another(desk, monkeypatch):
    desk.provider.upload_life, uploads = 7200, []
    desk.provider.upload = lambda client, still: uploads.append(still.sha256) or f"file-{len(uploads)}"
    desk.generate(image(1))
    monkeypatch.setenv("PAPER_KEY", "the-key-of-another-account")
    desk.generate(image(2))
    assert len(uploads) == 2


def test_an_upload_is_not_remembered_across_servers(desk, monkeypatch):
    # What was put at an emulator or a proxy is not at the provider.
    desk.provider.upload_life, uploads = 7200, []
    desk.provider.base_url, desk.provider.base_url_variable = "https://paper.test", "PAPER_BASE_URL"
    desk.provider.upload = lambda client, still: uploads.append(client.base_url) or f"file-{len(uploads)}"
    monkeypatch.setenv("PAPER_BASE_URL", "http://127.0.0.1:9")
    desk.generate(image(1))
    monkeypatch.delenv("PAPER_BASE_URL")
    desk.generate(image(2))
    assert uploads == ["http://127.0.0.1:9/", "https://paper.test/"]


def test_a_failed_upload_is_tried_again_by_the_next_shot(desk, shelf):
    answers = [errors.UploadFailed("the shelf is full."), None]
    publish = shelf.publish

    def sometimes(still, credentials, clock):
        answer = answers.pop(0)
        if answer is not None:
            raise answer
        return publish(still, credentials, clock)

    shelf.publish = sometimes
    with pytest.raises(errors.UploadFailed):
        desk.generate(image())
    assert desk.lifecycle.journal.entries() == []
    assert desk.generate(image()).path.is_file()


def test_a_signed_address_of_a_picture_leaves_the_journal_with_the_answer(keyed):
    keyed.provider.upload = lambda client, still: (
        "https://storage.test/picture.png?X-Signature=c2lnbmVkLWFuZC1zZWNyZXQ"
    )
    keyed.generate(image())
    kept = b"".join(path.read_bytes() for path in keyed.folder.glob("journal.db*"))
    assert b"c2lnbmVkLWFuZC1zZWNyZXQ" not in kept


def test_a_create_that_can_never_be_sent_again_is_not_kept(keyed):
    keyed.provider.upload = lambda client, still: (
        "https://storage.test/picture.png?X-Signature=c2lnbmVkLWFuZC1zZWNyZXQ"
    )
    keyed.provider.submits = [LOST] * 4
    with pytest.raises(errors.SubmissionUncertain):
        keyed.generate(image())
    assert keyed.creates_kept() == 1
    keyed.clock.sleep(keyed.provider.resend_life + 1)
    with pytest.raises(errors.SubmissionUncertain):
        keyed.generate(image())
    assert keyed.creates_kept() == 0


# -- journals of the first version --------------------------------------------------------------------------

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
    WHERE (state NOT IN ('failed', 'cancelled'));
"""


def first_version(folder: Path, now: float) -> None:
    """A journal as the first version made it, with a row in each state; the take is the place in this list."""
    with closing(sqlite3.connect(folder / "journal.db")) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.executescript(FIRST)
        for take, (state, job) in enumerate(
            [
                ("completed", "j0"),
                ("submitted", "j1"),
                ("uncertain", None),
                ("failed", None),
                ("submitting", None),
            ]
        ):
            database.execute(
                "INSERT INTO generations (id, state, provider, model, operation, fingerprint, take, local, request,"
                " job_id, job, estimate_usd, note, owner, created_at, submitted_at, updated_at)"
                " VALUES (?, ?, 'paper', 'ray-flash-2', 'text_to_video', ?, ?, 0, '{}', ?, ?, '0.20', '',"
                " 'elsewhere:1:abc', ?, ?, ?)",
                [
                    f"ray-{take}",
                    state,
                    text().fingerprint,
                    take,
                    job,
                    f'{{"id": "{job}", "details": {{}}}}' if job else "null",
                    now - 5000,
                    now - 5000,
                    now - 5000,
                ],
            )
        database.commit()


def test_purchases_of_the_first_version_go_on(desk):
    (desk.folder / "journal.db").unlink(missing_ok=True)
    first_version(desk.folder, desk.clock.now())
    desk.lifecycle = desk.opened()
    assert desk.generate(text(take=0)).entry.job.id == "j0"
    assert desk.generate(text(take=1)).entry.job.id == "j1"
    for take in (2, 4):
        with pytest.raises(errors.SubmissionUncertain):
            desk.generate(text(take=take))
    assert desk.provider.submitted == []
    desk.generate(text(take=3))
    assert len(desk.provider.submitted) == 1


def test_several_processes_open_a_journal_of_the_first_version_at_once(tmp_path):
    first_version(tmp_path, time.time())
    program = f"""
import conftest
from luma_ray.nodes.generation.journal import Journal
journal = Journal("sqlite:///{tmp_path / "journal.db"}")
print("ready", flush=True)
input()
print(len(journal.entries()), journal.by_handle("j1")[0].id, flush=True)
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
    assert [other.communicate(timeout=60)[0] for other in others] == ["5 ray-1\n"] * 4
    assert [other.returncode for other in others] == [0] * 4
