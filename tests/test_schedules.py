"""Random graphs under random faults: whatever happens in whatever order, nothing is paid twice and nothing is lost.

LUMA_RAY_SCHEDULES is how many are gone through, LUMA_RAY_SEED where they begin; without the second they are the same
each time.
"""

from __future__ import annotations

import os

import pytest
from emulators.server import FileHost
from faults import play, schedule, street
from faults.ground import empty
from hypothesis import HealthCheck, given, seed, settings

EXAMPLES = int(os.environ.get("LUMA_RAY_SCHEDULES", "150"))
SEED = os.environ.get("LUMA_RAY_SEED", "")


def many(examples: int):
    """So many schedules, from the seed if there is one."""
    chosen = settings(
        max_examples=examples,
        deadline=None,
        derandomize=not SEED,
        database=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    return lambda test: chosen(seed(int(SEED))(test) if SEED else test)


@pytest.fixture(scope="module")
def files():
    with FileHost() as host:
        yield host


@many(EXAMPLES)
@given(schedule.SCHEDULES)
def test_nothing_is_paid_twice_and_nothing_paid_is_lost(monkeypatch, chosen):
    monkeypatch.setenv("PAPER_KEY", play.KEY)
    with empty() as folder:
        play.Play(chosen, folder).perform()


@many(max(EXAMPLES // 8, 1))
@given(street.SCHEDULES)
def test_neither_is_it_at_real_providers_behind_a_network_that_breaks(files, chosen):
    with empty() as folder:
        street.perform(chosen, folder, files)
