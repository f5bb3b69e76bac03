"""How soon a finished job is known, and for how many requests: ours, and two fixed intervals.

Jobs of 20 to 180 s are simulated: time passes at once, the code that waits is the pack's own. "fixed 5 s" is what
ComfyUI's client for its partner nodes does, "fixed 1 s" the WaveSpeed SDK (both read 2026-11-20).
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import conftest  # noqa: F401 - the pack under its name
from fakes import Desk, FakeClock, Paper, Reports, text
from luma_ray.nodes.generation import waiting
from luma_ray.nodes.generation.credentials import Credentials
from luma_ray.nodes.generation.offer import Completed, Job, Pending
from luma_ray.nodes.generation.pace import Pace

TYPICAL = (20, 40, 60, 90, 120, 180)
"""Seconds that a kind of job usually takes; each job is 20 % shorter to 30 % longer."""
LEARNING, MEASURED = 20, 120
"""Jobs of a kind that were watched before, and those that are measured."""


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


def run(pace: object, lengths: Callable[[random.Random], float], kinds: Sequence[str]) -> list[Measured]:
    """Watch jobs of one length each in a journal of their own."""
    dice = random.Random(7)  # noqa: S311 - times, not secrets
    with tempfile.TemporaryDirectory() as folder, pace, mock.patch.dict("os.environ", PAPER_KEY="k" * 20):  # type: ignore[attr-defined]
        clock = FakeClock()
        jobs = Jobs(clock)
        desk = Desk(Path(folder), provider=jobs, clock=clock, reports=Reports())
        desk.lifecycle.credentials = Credentials(Path(folder))
        for number in range(LEARNING + MEASURED):
            jobs.seconds = lengths(dice)
            desk.generate(text(f"{kinds[0]} {number}"))
        return jobs.measured[LEARNING:]


def table() -> list[tuple[str, ...]]:
    """Rows: the jobs, who waits, median and 95 % of how late, looks per job, looks of a job of about 60 s."""
    rows = []
    groups: dict[str, list[Callable[[random.Random], float]]] = {
        "six kinds of job, 20 to 180 s": [
            lambda dice, typical=typical: typical * dice.uniform(0.8, 1.3)  # type: ignore[misc]
            for typical in TYPICAL
        ],
        "any length from 20 to 180 s": [lambda dice: dice.uniform(20, 180)],
    }
    for group, lengths in groups.items():
        for name, pace in (("ours", ours), ("fixed 5 s", lambda: every(5)), ("fixed 1 s", lambda: every(1))):
            found = [
                job for number, length in enumerate(lengths) for job in run(pace(), length, [str(number)])
            ]
            minute = [job.looks for job in found if 55 <= job.seconds <= 60]
            late = sorted(job.late for job in found)
            rows.append(
                (
                    group,
                    name,
                    f"{median(late):.2f} s",
                    f"{late[int(0.95 * len(late))]:.2f} s",
                    f"{median(job.looks for job in found):.0f}",
                    f"{max(minute)}" if minute else "-",
                )
            )
    return rows


HEADER = ("jobs", "who waits", "known after, median", "95 %", "requests a job, median", "of a 60 s job, most")


def main() -> None:
    """Print the table."""
    from luma_ray.nodes import tables

    print(tables.markdown(HEADER, table()))


if __name__ == "__main__":
    main()
