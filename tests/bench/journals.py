"""What the journal's operations take when it has been used for years."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

from .plan import Bench, Part, Trial, times
from .rows import fill
from .trial import Rows, Unavailable

SQLITE, POSTGRESQL = "SQLite, a file", "PostgreSQL, over a socket"
CLAIM = "claim, within all limits"


def sqlite(count: int, repeats: int) -> Callable[[], Rows]:
    """In a file, as an artist has it."""
    folder = tempfile.TemporaryDirectory(prefix="luma-ray-bench-")
    return _operations(f"sqlite:///{folder.name}/journal.db", count, repeats, folder.cleanup)


def postgresql(count: int, repeats: int) -> Callable[[], Rows]:
    """In a server, as several workers share it."""
    import databases

    if databases.missing():
        raise Unavailable(databases.missing())
    server = databases.Server()
    return _operations(server.journal(), count, repeats, server.stop)


def _operations(url: str, count: int, repeats: int, end: Callable[[], None]) -> Callable[[], Rows]:
    from luma_ray.nodes.generation.journal import Journal
    from luma_ray.nodes.generation.ledger import Ledger, totals
    from luma_ray.nodes.generation.offer import Job, Limits
    from luma_ray.nodes.generation.request import GenerationRequest, Operation
    from luma_ray.nodes.generation.spending import SCOPES, Reserve, SpendingLimits

    journal = Journal(url)
    known = fill(journal, count)
    ledger = Ledger(journal)
    limits = SpendingLimits(**dict.fromkeys(SCOPES, Decimal(10**6)))
    price = Decimal("0.24")
    dice = random.Random(7)  # noqa: S311 - which row, no secret

    def claim(number: int) -> str:
        request = GenerationRequest(
            operation=Operation.TEXT_TO_VIDEO, model="ray-flash-2", prompt=f"new {number}"
        )
        reserve = Reserve(usd=price, limits=limits, run=f"new {number}")
        room = Limits(concurrent=100, per_minute=100_000)
        entry, ours = journal.claim(
            request, provider="luma", local=False, estimate_usd=price, limits=room, reserve=reserve
        )
        assert ours
        return entry.id

    def completed(id: str) -> Any:
        return journal.completed(
            id, clip="a.mp4", frames=121, width=1280, height=720, seconds=5.04, billed_usd=price
        )

    def work() -> Rows:
        spent: dict[str, list[float]] = {}

        def timed(name: str, operation: Callable[..., Any], *given: Any) -> Any:
            began = time.perf_counter()
            result = operation(*given)
            spent.setdefault(name, []).append(time.perf_counter() - began)
            return result

        for number in range(repeats):
            made = timed(CLAIM, claim, number)
            timed("submitted", journal.submitted, made, Job(id=f"new-{number}"))
            timed("completed", completed, made)
            assert timed("find by fingerprint", journal.live, dice.choice(known), 1)
            assert timed("find by id", journal.get, made)
            timed("check of a graph's price", ledger.crossed, {"luma": price}, price, limits, "a run")
            if number % 20 == 0:
                timed("how long such jobs take", journal.running_times, "luma", "ray-flash-2")
                timed("the newest 1,000", journal.entries)
                timed("the whole ledger, by month", lambda: totals(ledger.lines(), "month"))
        end()
        return Rows({name: {"wall": values} for name, values in spent.items()})

    return work


def plan(bench: Bench) -> Iterator[Trial]:
    """In both databases."""
    given = {"count": 100, "repeats": 3} if bench.tiny else {"count": 10_000, "repeats": 200}
    yield Trial(way="bench.journals:sqlite", name="SQLite", group=SQLITE, options=given)
    yield Trial(way="bench.journals:postgresql", name="PostgreSQL", group=POSTGRESQL, options=given)


PART = Part(
    name="journal",
    title="The journal at 10,000 generations",
    about=(
        "Writes are durable before they return: with SQLite each is synced to the disk (the PostgreSQL is the tests' "
        "own, which does not sync). A claim holds the check of every limit on spending and of the provider's room."
    ),
    columns=times(unit="ms", divided=1e-3),
    plan=plan,
    rounds=2,
)
