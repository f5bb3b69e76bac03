"""What was bought, for how much: read from the journal, for limits, lists and receipts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

import sqlalchemy as sa

from .journal import Journal
from .records import GENERATIONS, LIVE, Entry, entry_of
from .spending import COUNTED, MICRO, Crossing, SpendingLimits, crossed, since, spent_usd


@dataclass(frozen=True, kw_only=True)
class Line:
    """One generation with what it counts, USD."""

    entry: Entry
    counts: Decimal


@dataclass(frozen=True, kw_only=True)
class Total:
    """Several generations together, USD."""

    name: str
    generations: int
    clips: int
    """Those of them that became clips."""
    estimate: Decimal
    """What was quoted for them."""
    billed: Decimal
    """What the providers told that they billed."""
    counts: Decimal
    """What counts towards the limits: the bill where it was told, else the quote, nothing for what is free."""


GROUPS: Final[Mapping[str, Callable[[Entry], str]]] = {
    "day": lambda entry: _date(entry.created_at)[:10],
    "month": lambda entry: _date(entry.created_at)[:7],
    "provider": lambda entry: entry.provider,
    "model": lambda entry: entry.model,
    "workflow": lambda entry: entry.workflow or "(no workflow)",
    "run": lambda entry: entry.run or "(no run)",
}
"""By what generations can be added up."""


class Ledger:
    """The paid generations of a journal. Raises JournalUnavailable when its database cannot be used."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def crossed(
        self, more: Mapping[str, Decimal], dearest: Decimal, limits: SpendingLimits, run: str
    ) -> Crossing | None:
        """The first limit that *more* (USD by provider; *dearest* for one clip) would cross now."""
        with self._journal.database.transaction() as connection:
            return crossed(connection, more, dearest, limits, run, self._journal.now())

    def spent(self, *, day: bool, provider: str = "") -> Decimal:
        """What counts since the day, or the month, began."""
        conditions = [GENERATIONS.c.created_at >= since(self._journal.now(), day=day)]
        if provider:
            conditions.append(GENERATIONS.c.provider == provider)
        with self._journal.database.transaction() as connection:
            return spent_usd(connection, *conditions)

    def owned(self, shots: Collection[str]) -> set[str]:
        """Those of *shots* (see `Occasion.shot`) that were bought already and still count."""
        bought = sa.select(GENERATIONS.c.shot).where(
            GENERATIONS.c.shot.in_(list(shots)),
            LIVE,
            GENERATIONS.c.local.is_(False),
        )
        with self._journal.database.transaction() as connection:
            return {str(shot) for (shot,) in connection.execute(bought)}

    def made(self, shots: Collection[str]) -> dict[str, Entry]:
        """The newest finished clip of each of *shots*, previews too."""
        query = (
            sa.select(GENERATIONS)
            .where(GENERATIONS.c.shot.in_(list(shots)), GENERATIONS.c.state == "completed")
            .order_by(GENERATIONS.c.created_at)
        )
        with self._journal.database.transaction() as connection:
            return {str(row["shot"]): entry_of(row) for row in connection.execute(query).mappings()}

    def of_shots(self, shots: Collection[str]) -> dict[str, Entry]:
        """The live generation of each of *shots*: a paid one before a preview, then a finished one."""
        query = sa.select(GENERATIONS).where(GENERATIONS.c.shot.in_(list(shots)), LIVE)
        with self._journal.database.transaction() as connection:
            rows = [entry_of(row) for row in connection.execute(query).mappings()]
        rows.sort(key=lambda row: (row.local, row.state != "completed", -row.created_at), reverse=True)
        return {str(row.shot): row for row in rows}

    def unfinished(self, shots: Collection[str]) -> dict[str, str]:
        """Those of *shots* that were bought and whose clips are not here yet, with their state."""
        under_way = sa.select(GENERATIONS.c.shot, GENERATIONS.c.state).where(
            GENERATIONS.c.shot.in_(list(shots)), LIVE, GENERATIONS.c.state != "completed"
        )
        with self._journal.database.transaction() as connection:
            return {str(shot): str(state) for shot, state in connection.execute(under_way)}

    def lines(self, *, begin: float = 0.0, free: bool = False, limit: int = 100_000) -> list[Line]:
        """The generations since *begin*, newest first; with the local previews where they are wanted (*free*)."""
        query = (
            sa.select(GENERATIONS, COUNTED.label("counted"))
            .where(GENERATIONS.c.created_at >= begin)
            .order_by(GENERATIONS.c.created_at.desc(), GENERATIONS.c.id)
            .limit(limit)
        )
        if not free:
            query = query.where(GENERATIONS.c.local.is_(False))
        with self._journal.database.transaction() as connection:
            return [
                Line(entry=entry_of(row), counts=Decimal(int(row["counted"])) / MICRO)
                for row in connection.execute(query).mappings()
            ]


def totals(lines: Sequence[Line], group: str) -> list[Total]:
    """*lines* added up by one of `GROUPS`, in the order in which they come first."""
    named: dict[str, list[Line]] = {}
    for line in lines:
        named.setdefault(GROUPS[group](line.entry), []).append(line)
    return [total(name, of) for name, of in named.items()]


def total(name: str, lines: Sequence[Line]) -> Total:
    """*lines* as one."""
    nothing = Decimal(0)
    return Total(
        name=name,
        generations=len(lines),
        clips=sum(line.entry.state == "completed" for line in lines),
        estimate=sum((line.entry.estimate_usd or nothing for line in lines), nothing),
        billed=sum((line.entry.billed_usd or nothing for line in lines), nothing),
        counts=sum((line.counts for line in lines), nothing),
    )


def _date(seconds: float) -> str:
    """On this machine's calendar."""
    return datetime.fromtimestamp(seconds).isoformat(sep=" ", timespec="seconds")  # noqa: DTZ006
