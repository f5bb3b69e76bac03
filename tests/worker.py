"""One ComfyUI worker of several that share a journal, as a process: `python worker.py`, and what `work` takes.

Its time runs twenty times as fast as ours, so that a minute's limit can be waited for.
"""

from __future__ import annotations

import json
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import conftest  # noqa: F401 - the pack under its name
from fakes import Facts, Paper, Reports, text
from luma_ray.nodes.generation import errors
from luma_ray.nodes.generation.clock import Clock
from luma_ray.nodes.generation.credentials import Credentials
from luma_ray.nodes.generation.journal import Journal
from luma_ray.nodes.generation.library import Library
from luma_ray.nodes.generation.lifecycle import Lifecycle
from luma_ray.nodes.generation.offer import Completed, Job, Limits, Pending
from luma_ray.nodes.generation.spending import SpendingLimits
from luma_ray.nodes.generation.submitting import key

FAST = 20.0
GENERATIONS = 50
CONCURRENT = 6
PER_MINUTE = 60
LOOKS = 4
"""So often a job is looked at until it is done."""
ATTEMPTS = 100
"""So often somebody queues the same again before it counts as lost."""


class FastClock(Clock):
    """Seconds that pass quickly; the same in every process."""

    def now(self) -> float:
        return 1_800_000_000.0 + (time.time() % 1_000_000) * FAST

    def elapsed(self) -> float:
        return super().elapsed() * FAST

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds / FAST)


class Studio(Paper):
    """A provider on loopback: it makes a job of whatever it hears, and can be asked what it made."""

    name = "studio"
    title = "Studio"
    secrets = ()
    reconciles = True
    typical_seconds = 2
    limits = Limits(concurrent=CONCURRENT, per_minute=PER_MINUTE)

    def __init__(self, address: str) -> None:
        super().__init__()
        self.address = address

    def ask(self, path: str) -> dict:
        with urllib.request.urlopen(f"{self.address}/{path}", timeout=20) as answer:  # noqa: S310 - loopback
            return json.load(answer)

    def submit(self, client, offer, body, key):
        try:
            return Job(id=self.ask(f"create/{key}")["job"])
        except (OSError, ValueError) as error:
            raise errors.SubmissionUncertain(f"No answer: {error}") from None

    def status(self, client, job):
        return Completed(url="") if self.ask(f"status/{job.id}")["done"] else Pending()

    def reconcile(self, client, create):
        found = self.ask(f"find/{create.key}")["job"]
        return Job(id=found) if found else None


def opened(url: str, folder: Path, studio: Studio) -> Lifecycle:
    """What a worker has."""
    return Lifecycle(
        journal=Journal(url, now=FastClock().now),
        library=Library(folder),
        credentials=Credentials(folder),
        providers=[studio],
        hosts=[],
        inspect=lambda path: Facts(),
        limits=lambda: SpendingLimits(per_day=None, per_month=None),
    )


def work(url: str, folder: Path, address: str, name: str) -> Counter[str]:
    """Make all generations of the worker called *name*, as artists do: whatever fails is queued again."""
    studio, told = Studio(address), Counter()
    lifecycle = opened(url, folder, studio)

    def artist(number: int) -> None:
        request = text(f"{name} {number}")
        for _ in range(ATTEMPTS):
            try:
                lifecycle.generate(request, "studio", clock=FastClock(), report=Reports())
            except errors.GenerationError as error:
                told[type(error).__name__] += 1
                if isinstance(error, errors.SubmissionUncertain):
                    looked_up(request)
            else:
                told["made"] += 1
                return

    def looked_up(request) -> None:
        """The artist looks at the studio's own page, and says so where nothing is there."""
        try:
            row = lifecycle.bought(request, "studio")
            if row is not None and row.state == "uncertain" and not studio.ask(f"find/{key(row.id)}")["job"]:
                lifecycle.not_created(row.id)
        except errors.GenerationError as error:
            told[type(error).__name__] += 1

    with ThreadPoolExecutor(GENERATIONS) as pool:
        list(pool.map(artist, range(GENERATIONS)))
    return told


if __name__ == "__main__":
    url, folder, address, name = sys.argv[1:]
    print(json.dumps(work(url, Path(folder), address, name)))
