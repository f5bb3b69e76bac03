"""A lifecycle that only looks: it says what the one that buys would say, and asks nobody."""

from __future__ import annotations

import itertools

import pytest
from fakes import FakeClock, text
from luma_ray.nodes import looking
from luma_ray.nodes.film import Settings, request_for
from luma_ray.nodes.generation.journal import Journal
from luma_ray.nodes.generation.offer import Job
from luma_ray.nodes.generation.request import Operation
from luma_ray.nodes.studio import Studio
from test_journal import CLIP

FOX = request_for(Settings(prompt="a fox"), Operation.TEXT_TO_VIDEO)


@pytest.fixture
def journal(journal_url):
    return Journal(journal_url, now=FakeClock().now)


@pytest.fixture
def studio(tmp_path):
    return Studio(tmp_path / "private", tmp_path / "clips")


def test_what_is_bought_is_read_as_a_purchase_reads_it(journal):
    """Every state, take, provider and preview: the same row, or none."""
    prompts, states = ("a fox", "a bear"), itertools.cycle(("completed", "failed", "uncertain", "submitting"))
    for prompt, take, provider in itertools.product(prompts, (1, 2, 3), ("paper", "stone", "animatic")):
        entry, _ = journal.claim(
            text(prompt, take=take), provider=provider, local=provider == "animatic", estimate_usd=None
        )
        state = next(states)
        if state == "completed":
            journal.submitted(entry.id, Job(id=entry.id))
            journal.completed(entry.id, **CLIP)
        elif state != "submitting":
            journal.uncertain(entry.id, "lost")
        if state == "failed":
            journal.given_up(journal.get(entry.id), "no")
    known = [text(prompt).fingerprint for prompt in prompts]
    for wanted in (known, known[:1], []):
        reading = looking._Read(journal, wanted)
        for fingerprint, take, provider in itertools.product(
            [*known, "another"], (1, 2, 3, 4), (None, "paper", "stone", "animatic", "nobody")
        ):
            assert reading.live(fingerprint, take, provider) == journal.live(fingerprint, take, provider)


def test_of_many_purchases_each_is_found(journal):
    requests = [text(f"shot {number}") for number in range(looking._AT_ONCE + 20)]
    for each in (requests[0], requests[-1]):
        journal.claim(each, provider="paper", local=False, estimate_usd=None)
    reading = looking._Read(journal, [each.fingerprint for each in requests])
    assert [each for each in requests if reading.live(each.fingerprint, 1)] == [requests[0], requests[-1]]


def test_a_key_that_comes_while_somebody_looks_counts_the_next_time(studio):
    looked = looking.looking(studio.lifecycle, [])
    studio.credentials.save("LUMAAI_API_KEY", "luma-0123456789")
    assert looked.quote(FOX).provider == "animatic"
    assert looking.looking(studio.lifecycle, []).quote(FOX).provider == "luma"


def test_a_price_that_was_told_is_known_and_one_that_was_not_is_not_asked_for(studio, monkeypatch):
    from emulators.wavespeed import WaveSpeedEmulator

    with WaveSpeedEmulator() as wavespeed:
        for name, value in wavespeed.environment().items():
            monkeypatch.setenv(name, value)
        assert not looking.looking(studio.lifecycle, []).quote(FOX).live
        assert wavespeed.requests == []
        told = studio.lifecycle.quote(FOX)
        asked = len(wavespeed.requests)
        assert told.live
        assert looking.looking(studio.lifecycle, []).quote(FOX) == told
        assert len(wavespeed.requests) == asked


def test_the_one_that_buys_is_left_as_it_was(studio):
    before = dict(vars(studio.lifecycle))
    looking.looking(studio.lifecycle, []).quote(FOX)
    assert vars(studio.lifecycle) == before
