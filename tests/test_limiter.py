"""No more at a time than a provider allows, in all threads and processes; who waits is told why."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from fakes import Desk, FakeClock, Reports, text
from luma_ray.nodes.generation import errors
from luma_ray.nodes.generation.clock import Clock
from luma_ray.nodes.generation.offer import Completed, Job, Limits, Pending


@pytest.fixture
def desk(tmp_path, monkeypatch, journal_url):
    monkeypatch.setenv("PAPER_KEY", "paper-key-1234567890")
    return Desk(tmp_path, url=journal_url)


class Gate(Clock):
    """Real threads, and seconds that are a hundredth."""

    def sleep(self, seconds: float) -> None:
        self.stop.wait(seconds / 100)

    def elapsed(self) -> float:
        return super().elapsed() * 100


def limited(desk, **limits):
    desk.provider.limits = Limits(**limits)


def test_forty_shots_where_ten_are_allowed_run_as_ten_while_thirty_wait(desk):
    limited(desk, concurrent=10)
    lock, running, most, full = threading.Lock(), set(), [], threading.Event()

    class Watched(Reports):
        def __call__(self, words, fraction=None):
            super().__call__(words, fraction)
            if "10 of 10 clips are being made there" in words:
                full.set()

    waiting = Watched()

    class Counting(type(desk.provider)):
        limits = Limits(concurrent=10)

        def submit(self, client, offer, body, key):
            with lock:
                running.add(key)
                most.append(len(running))
            return Job(id=key)

        def status(self, client, job):
            assert full.wait(30)
            with lock:
                running.discard(job.id)
            return Completed(url="")

    desk.provider = Counting()
    desk.lifecycle = desk.opened()

    def shot(number):
        return desk.generate(text(f"shot {number}"), clock=Gate(), report=waiting)

    with ThreadPoolExecutor(40) as pool:
        clips = list(pool.map(shot, range(40)))
    assert len({clip.entry.id for clip in clips}) == 40
    assert max(most) == 10
    assert "waiting in line for Paper: 10 of 10 clips are being made there" in waiting.words
    behind = {int(words.split()[5]) for words, _ in waiting if words.endswith(" before this one")}
    assert max(behind) > 20


def test_a_shot_of_another_process_counts(desk):
    limited(desk, concurrent=1)
    other = desk.opened().journal.claim(text("other"), provider="paper", local=False, estimate_usd=None)[0]
    freed = []

    def other_finishes():
        if len(desk.clock.slept) == 3:
            freed.append(desk.lifecycle.journal.failed(other.id, "it failed there"))

    desk.clock.on_sleep = other_finishes
    desk.generate()
    assert freed
    assert len(desk.provider.submitted) == 1
    assert "1 of 1 clips are being made there" in desk.reports.words


def test_a_job_that_is_done_at_the_provider_makes_room_before_its_clip_is_here(desk):
    limited(desk, concurrent=1)
    desk.provider.downloads = [lambda: desk.generate(text("the next one")), None]
    desk.generate()
    assert len(desk.provider.submitted) == 2


def test_a_job_that_nobody_watches_any_more_does_not_block_the_line_for_ever(desk):
    limited(desk, concurrent=1)
    desk.lifecycle.journal.claim(text("lost"), provider="paper", local=False, estimate_usd=None)
    begun = desk.clock.now()
    desk.generate()
    assert 500 < desk.clock.now() - begun < 700


def test_no_more_creates_a_minute_than_allowed(desk):
    limited(desk, per_minute=3)
    desk.provider.statuses = [Completed(url="")]
    times = []
    for number in range(7):
        desk.provider.submits = [lambda: times.append(desk.clock.now()) or Job(id=f"j{len(times)}")]
        desk.generate(text(f"shot {number}"))
    for early, late in zip(times, times[3:], strict=False):
        assert late - early >= 60


def test_the_owner_says_what_the_account_is_allowed(desk, monkeypatch):
    limited(desk, concurrent=1)
    monkeypatch.setenv("LUMA_RAY_PAPER_CONCURRENT", "2")
    desk.lifecycle.journal.claim(text("other"), provider="paper", local=False, estimate_usd=None)
    desk.generate()
    assert "waiting in line" not in desk.reports.words


def test_a_stop_while_waiting_in_line_buys_nothing(desk):
    limited(desk, concurrent=1)
    desk.lifecycle.journal.claim(text("other"), provider="paper", local=False, estimate_usd=None)
    desk.clock.on_sleep = desk.clock.stop.set
    with pytest.raises(errors.Interrupted, match="nothing was billed"):
        desk.generate()
    assert desk.provider.submitted == []
    assert len(desk.lifecycle.journal.entries()) == 1


def test_a_line_goes_on_when_the_one_at_its_head_gives_up(desk):
    limited(desk, concurrent=1)
    other = desk.lifecycle.journal.claim(text("other"), provider="paper", local=False, estimate_usd=None)[0]
    stopped, going = Gate(), Gate()
    with ThreadPoolExecutor(2) as pool:
        reports = Reports()
        first = pool.submit(desk.generate, text("one"), clock=stopped, report=reports)
        while "waiting" not in reports.words:
            pass
        second = pool.submit(desk.generate, text("two"), clock=going, report=reports)
        while "1 before this one" not in reports.words:
            pass
        stopped.stop.set()
        with pytest.raises(errors.Interrupted):
            first.result(10)
        desk.lifecycle.journal.failed(other.id, "over")
        assert second.result(10).path.exists()


# -- "too many requests" ------------------------------------------------------------------------------------


def test_a_create_that_meets_too_many_requests_is_sent_again_after_the_time_asked_for(desk):
    desk.provider.submits = [errors.RateLimited("too many.", retry_after=42), Job(id="job")]
    begun = desk.clock.now()
    clip = desk.generate()
    assert clip.entry.job.id == "job"
    assert desk.clock.now() - begun >= 42
    assert "it asks to wait 42 s" in desk.reports.words
    assert len(desk.lifecycle.journal.entries()) == 1


def test_while_a_provider_asks_to_wait_nothing_else_is_sent_there(desk):
    desk.provider.submits = [errors.RateLimited("too many.", retry_after=30), Job(id="a"), Job(id="b")]
    begun = desk.clock.now()
    desk.clock.on_sleep = lambda: None
    desk.generate(text("one"))
    assert desk.clock.now() - begun >= 30


def test_without_a_time_the_pauses_grow_and_then_the_person_decides(desk):
    desk.provider.submits = [errors.RateLimited("too many. Nothing was billed.") for _ in range(20)]
    with pytest.raises(errors.RateLimited, match="Nothing was billed"):
        desk.generate()
    assert len(desk.provider.submitted) == 9
    assert desk.lifecycle.journal.entries() == []


def test_a_provider_that_asks_for_too_long_is_not_waited_for(desk):
    desk.provider.submits = [errors.RateLimited("come back tomorrow.", retry_after=86400)]
    with pytest.raises(errors.RateLimited, match="tomorrow"):
        desk.generate()
    assert len(desk.provider.submitted) == 1


def test_a_stop_while_the_provider_asks_to_wait_leaves_nothing_behind(desk):
    desk.provider.submits = [errors.RateLimited("too many.", retry_after=42)]
    desk.clock.on_sleep = desk.clock.stop.set
    with pytest.raises((errors.Interrupted, errors.RateLimited)):
        desk.generate()
    assert desk.lifecycle.journal.entries() == []


# -- the same key again -------------------------------------------------------------------------------------


@pytest.fixture
def keyed(desk):
    desk.provider.resend_life = 3600
    return desk


LOST = errors.SubmissionUncertain("lost.")


def test_an_unanswered_create_is_sent_again_with_the_same_key_and_body(keyed):
    keyed.provider.submits = [LOST, Job(id="job")]
    assert keyed.generate().entry.job.id == "job"
    assert len(set(keyed.provider.keys)) == 1
    assert keyed.provider.submitted[0] == keyed.provider.submitted[1]


def test_it_is_sent_again_by_another_process_that_never_had_the_request(keyed):
    keyed.provider.submits = [LOST] * 4
    with pytest.raises(errors.SubmissionUncertain):
        keyed.generate()
    keyed.provider.submits = [Job(id="job")]
    (row,) = keyed.lifecycle.journal.entries()
    clip = keyed.opened().resume(row.id, clock=keyed.clock, report=keyed.reports)
    assert clip.entry.job.id == "job"
    assert len(set(keyed.provider.keys)) == 1
    assert keyed.creates_kept() == 0


def test_it_is_not_sent_again_once_the_key_is_forgotten_there(keyed):
    keyed.provider.submits = [LOST] * 4
    with pytest.raises(errors.SubmissionUncertain):
        keyed.generate()
    sent = len(keyed.provider.submitted)
    keyed.clock.sleep(3600)
    with pytest.raises(errors.SubmissionUncertain, match="--not-created"):
        keyed.generate()
    assert len(keyed.provider.submitted) == sent


def test_a_provider_without_keys_is_never_sent_a_create_twice(desk):
    desk.provider.submits = [LOST, Job(id="job")]
    with pytest.raises(errors.SubmissionUncertain):
        desk.generate()
    assert len(desk.provider.submitted) == 1


def test_a_refusal_of_the_second_sending_says_that_there_is_no_job(keyed):
    keyed.provider.submits = [LOST, errors.ContentRefused("moderation. Nothing was billed.")]
    with pytest.raises(errors.ContentRefused):
        keyed.generate()
    (row,) = keyed.lifecycle.journal.entries()
    assert row.state == "failed"


@pytest.mark.parametrize(
    "answer",
    [
        errors.Unauthorized("another key."),
        errors.InsufficientCredits("the first one took the last money."),
        errors.ModelNotServed("not any more."),
        errors.RateLimited("too many."),
        errors.ProviderUnavailable("no network."),
        errors.SubmissionUncertain("lost again."),
    ],
)
def test_what_says_nothing_about_the_first_sending_leaves_the_question_open(keyed, answer):
    keyed.provider.submits = [LOST, *[answer] * 3]
    with pytest.raises(errors.SubmissionUncertain):
        keyed.generate()
    (row,) = keyed.lifecycle.journal.entries()
    assert row.state == "uncertain"


def test_two_generations_have_two_keys(keyed):
    keyed.generate(text("one"))
    keyed.generate(text("two"))
    assert len(set(keyed.provider.keys)) == 2


def test_the_bill_is_the_estimate_of_the_time_of_purchase(desk):
    assert desk.generate().entry.estimate_usd == Decimal("0.20")


def test_a_job_in_the_line_of_another_provider_does_not_count(desk):
    limited(desk, concurrent=1)
    desk.lifecycle.journal.claim(text("other"), provider="elsewhere", local=False, estimate_usd=None)
    desk.provider.statuses = [Pending(), Completed(url="")]
    desk.generate(clock=desk.clock if isinstance(desk.clock, FakeClock) else None)
    assert "waiting in line" not in desk.reports.words
