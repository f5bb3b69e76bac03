"""How soon a finished job is known, and for how many requests: ours, and two fixed intervals.

Jobs of 20 to 180 s are simulated: time passes at once, the code that waits is the pack's own.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from unittest import mock

from fakes import Desk, FakeClock, Paper, Reports, text
from luma_ray.nodes.generation import waiting
from luma_ray.nodes.generation.credentials import Credentials
from luma_ray.nodes.generation.offer import Completed, Job, Pending
from luma_ray.nodes.generation.pace import Pace

from .plan import OURS, Bench, Column, Part, Trial
from .trial import Rows

TYPICAL = (20, 40, 60, 90, 120, 180)
"""Seconds that a kind of job usually takes; each job is 20 % shorter to 30 % longer."""
LEARNING, MEASURED = 20, 120
"""Jobs of a kind that were watched before, and those that are measured."""
GROUPS: dict[str, list[Callable[[random.Random], float]]] = {
    "six kinds of job, 20 to 180 s": [
        lambda dice, typical=typical: typical * dice.uniform(0.8, 1.3)  # type: ignore[misc]
        for typical in TYPICAL
    ],
    "jobs of any length, 20 to 180 s": [lambda dice: dice.uniform(20, 180)],
}


class Measured(NamedTuple):
    """One job."""

    seconds: float
    late: float
    """Seconds from done at the provider to known here."""
    looks: int


class Jobs(Paper):
    """A provider whose jobs take as long as they are told."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self._clock = clock
        self.seconds = 0.0
        self.measured: list[Measured] = []
        self._accepted = 0.0
        self._looks = 0

    def submit(self, client, offer, body, key):
        self._accepted, self._looks = self._clock.now(), 0
        return Job(id=key)

    def status(self, client, job):
        self._looks += 1
        waited = self._clock.now() - self._accepted
        if waited < self.seconds:
            return Pending()
        self.measured.append(Measured(self.seconds, waited - self.seconds, self._looks))
        return Completed(url="")


class Fixed(Pace):
    """Every so many seconds."""

    def pause(self, waited: float) -> float:
        """Always the same."""
        return self.typical


def ours() -> object:
    """The pack as it is."""
    return mock.patch.object(waiting, "learn", waiting.learn)


def every(seconds: float) -> object:
    """The same code with a fixed interval."""
    return mock.patch.object(waiting, "learn", return_value=Fixed(0, seconds, 1e9))


WAITERS: dict[str, Callable[[], object]] = {
    OURS: ours,
    "every 5 s": lambda: every(5),
    "every second": lambda: every(1),
}


def run(
    pace: object, lengths: Callable[[random.Random], float], kind: str, learning: int, measured: int
) -> list[Measured]:
    """Watch jobs of one kind in a journal of their own."""
    dice = random.Random(7)  # noqa: S311 - times, not secrets
    with tempfile.TemporaryDirectory() as folder, pace, mock.patch.dict("os.environ", PAPER_KEY="k" * 20):  # type: ignore[attr-defined]
        clock = FakeClock()
        jobs = Jobs(clock)
        desk = Desk(Path(folder), provider=jobs, clock=clock, reports=Reports())
        desk.lifecycle.credentials = Credentials(Path(folder))
        for number in range(learning + measured):
            jobs.seconds = lengths(dice)
            desk.generate(text(f"{kind} {number}"))
        return jobs.measured[learning:]


def watched(group: str, learning: int = LEARNING, measured: int = MEASURED) -> Callable[[], Rows]:
    """All who wait, at the same jobs."""

    def work() -> Rows:
        rows = Rows()
        for name, pace in WAITERS.items():
            jobs = [
                job
                for number, lengths in enumerate(GROUPS[group])
                for job in run(pace(), lengths, str(number), learning, measured)
            ]
            rows[name] = {
                "late": [job.late for job in jobs],
                "looks": [float(job.looks) for job in jobs],
                "minute": [float(job.looks) for job in jobs if 55 <= job.seconds <= 60],
            }
        return rows

    return work


def plan(bench: Bench) -> Iterator[Trial]:
    """Jobs of known kinds, and any."""
    few = {"learning": 5, "measured": 20} if bench.tiny else {}
    for group in list(GROUPS)[-1:] if bench.tiny else GROUPS:
        yield Trial(way="bench.polling:watched", name=group, group=group, options={"group": group, **few})


PART = Part(
    name="polling",
    title="A finished job is known",
    about=(
        "Simulated: time passes at once, the code that waits is the pack's own. Every 5 s is what ComfyUI's client "
        "for its partner nodes does, every second the WaveSpeed SDK (both read 2026-11-20)."
    ),
    columns=(
        Column("known after, median, s", "late"),
        Column("95 %", "late", "share"),
        Column("max", "late", "max"),
        Column("requests a job, median", "looks", digits=0),
        Column("of a 60 s job, most", "minute", "max", digits=0),
    ),
    plan=plan,
    rounds=1,
)
