"""Jobs are looked at often when they may be done, seldom otherwise; what is expected is learned from the journal."""

from __future__ import annotations

import random
from statistics import median

import pytest
from fakes import Desk, picture, text
from luma_ray.nodes.generation import errors
from luma_ray.nodes.generation.offer import Completed, Failed, Job, Pending
from luma_ray.nodes.generation.pace import ENOUGH, LATE, OFTEN, QUICKEST, Pace, expected, learn
from luma_ray.nodes.generation.request import Operation


@pytest.fixture
def desk(tmp_path, monkeypatch):
    monkeypatch.setenv("PAPER_KEY", "paper-key-1234567890")
    return Desk(tmp_path)


def looks(pace: Pace, seconds: float) -> tuple[int, float]:
    """How many looks a job of so many seconds takes, and how late its end is known."""
    time, count = pace.pause(0), 1
    while time < seconds:
        time += pace.pause(time)
        count += 1
    return count, time - seconds


def test_a_minute_takes_at_most_25_looks_and_its_end_is_known_within_a_second():
    dice = random.Random(1)  # noqa: S311 - times, not secrets
    for typical in (20, 40, 60, 90, 120, 180):
        pace = expected([typical * dice.uniform(0.8, 1.3) for _ in range(40)], 60)
        found = [looks(pace, typical * dice.uniform(0.8, 1.3)) for _ in range(200)]
        assert median(late for _, late in found) < 1
        if typical == 60:
            assert max(count for count, _ in found) <= 25 * 1.3


def test_even_jobs_of_which_nothing_is_known_but_a_wide_range_are_known_within_a_second():
    dice = random.Random(2)  # noqa: S311
    pace = expected([dice.uniform(20, 180) for _ in range(40)], 60)
    found = [looks(pace, dice.uniform(20, 180)) for _ in range(400)]
    assert median(late for _, late in found) < 1
    assert looks(pace, 60)[0] <= 25


def test_a_narrow_expectation_is_looked_at_quickly_but_not_restlessly():
    pace = expected([60.0] * 20, 60)
    assert min(pace.pause(second) for second in range(200)) >= QUICKEST


def test_a_job_that_takes_longer_than_any_before_is_asked_about_less_and_less():
    pace = expected([60.0, 62.0, 64.0, 66.0, 68.0], 60)
    assert pace.pause(70) <= OFTEN < pace.pause(300) == LATE


def test_a_first_look_comes_soon_because_moderation_answers_within_seconds():
    assert expected([], 200).pause(0) == 2.0


def test_a_few_jobs_do_not_yet_overrule_what_is_known_of_the_provider():
    assert expected([10.0] * 4, 60).typical == 60
    assert expected([10.0] * 5, 60).typical == 10


def test_a_long_clip_is_expected_later_than_a_short_one_before_any_was_measured(desk):
    journal, paper = desk.lifecycle.journal, desk.provider
    short, long = (learn(journal, paper, "ray-2", "720p", seconds).typical for seconds in (5, 10))
    assert long > short == paper.typical_seconds


def job_of(desk, seconds: float, **others):
    """Buy a clip whose job takes so many seconds."""
    accepted = []
    desk.provider.submits = [
        lambda: accepted.append(desk.clock.now()) or Job(id=f"job-{len(desk.provider.keys)}")
    ]
    desk.provider.status = lambda client, job: (
        Completed(url="") if desk.clock.now() >= accepted[0] + seconds else Pending()
    )
    return desk.generate(text(f"a job of {seconds} s", **others))


def test_what_was_watched_is_learned_for_jobs_of_its_kind_only(desk):
    for seconds in (30, 31, 32, 33, 34):
        job_of(desk, seconds)
    journal = desk.lifecycle.journal
    assert 31 <= learn(journal, desk.provider, "ray-flash-2", "720p", 5).typical <= 36
    for model, resolution, duration in (
        ("ray-2", "720p", 5),
        ("ray-flash-2", "540p", 5),
        ("ray-flash-2", "720p", 9),
    ):
        assert learn(journal, desk.provider, model, resolution, duration).typical >= 100


def test_the_time_of_a_job_that_nobody_watched_to_its_end_is_not_learned(desk):
    desk.provider.statuses = [errors.UnexpectedReply("odd.")] * 5
    with pytest.raises(errors.UnexpectedReply):
        desk.generate()
    desk.clock.sleep(5000)
    desk.provider.statuses = [Completed(url="")]
    row = desk.generate().entry
    assert (row.state, row.ran_seconds) == ("completed", None)
    assert row.done_at is not None


def test_a_failed_job_teaches_nothing_about_times(desk):
    desk.provider.statuses = [Pending(), Failed(reason="it failed.", billing="Free.")]
    with pytest.raises(errors.GenerationFailed):
        desk.generate()
    assert desk.lifecycle.journal.running_times("paper", "ray-flash-2") == []


def test_a_long_poll_is_followed_by_the_next_without_a_pause(desk):
    desk.provider.long_poll = 25
    answers = [Pending(), Pending(), Completed(url="")]

    def held(client, job):
        desk.clock._now += 25
        return answers.pop(0)

    desk.provider.status = held
    desk.generate()
    assert desk.clock.slept == [0]


def test_a_long_poll_that_is_answered_at_once_is_not_repeated_at_once(desk):
    desk.provider.long_poll = 25
    desk.provider.statuses = [Pending(), Pending(), Completed(url="")]
    desk.generate()
    assert all(pause >= QUICKEST for pause in desk.clock.slept[1:])


def jobs_of(desk, seconds: float, count: int = ENOUGH):
    """So many jobs that take so long, each a purchase of its own."""
    for take in range(1, count + 1):
        job_of(desk, seconds, take=take)


def test_the_person_sees_how_long_it_usually_takes(desk):
    jobs_of(desk, 60)
    assert " of about " not in desk.reports.words  # what is only believed of a provider is not told
    job_of(desk, 61)
    assert "s of about 61 s" in desk.reports.words


def test_the_person_sees_that_a_job_takes_longer_than_usual(desk):
    jobs_of(desk, 60)
    assert "longer" not in desk.reports.words
    job_of(desk, 200)
    assert "s, longer than the usual 61 s" in desk.reports.words


def test_jobs_of_another_operation_say_nothing_of_how_long_it_usually_takes(desk):
    jobs_of(desk, 60)
    job_of(desk, 61, operation=Operation.IMAGE_TO_VIDEO, first_frame=picture())
    assert " of about " not in desk.reports.words


def test_how_soon_a_clip_is_thrown_away_is_said_when_it_is_not_fetched(desk):
    desk.provider.keeps = 3600
    desk.provider.statuses = [Pending()]
    desk.clock.on_sleep = desk.clock.stop.set
    with pytest.raises(errors.Interrupted, match="keeps a finished clip for 1 hour only"):
        desk.generate()
