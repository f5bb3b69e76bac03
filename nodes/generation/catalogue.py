"""The journal as a list to look through: page by page, searched and filtered, and what it all cost."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final

import sqlalchemy as sa

from .errors import InvalidInput
from .journal import Journal
from .ledger import Line
from .records import GENERATIONS, LIVE, OPEN, STATES, Entry, entry_of
from .spending import COUNTED, MICRO

UNFINISHED: Final = "unfinished"
"""In place of a state: everything that has neither a clip nor an end."""
MOST_TAKES: Final = 60
"""Of one request, that are shown together."""
_MOST_WORDS: Final = 200
_MOST_LETTERS: Final = 2000
"""Searched for at once: a prompt that is pasted whole passes."""
_QUARTER: Final = 900.0
"""Seconds in which no day ends anywhere: time zones differ by quarters of an hour."""
_COLUMNS: Final = {name: GENERATIONS.c[name] for name in ("provider", "model", "operation")}


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which generations are looked for; nothing said means all of them."""

    words: tuple[str, ...] = ()
    """Each of them stands in the prompt, the workflow's name or an id; small letters."""
    state: str = ""
    """One of `STATES`, or `UNFINISHED`."""
    provider: str = ""
    model: str = ""
    operation: str = ""
    paid: bool | None = None
    clip: bool | None = None
    """Whether the clip is here, as far as the journal knows."""

    @property
    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """All but the words."""
        found = [_COLUMNS[name] == getattr(self, name) for name in _COLUMNS if getattr(self, name)]
        if self.state:
            states = (*OPEN, "submitted") if self.state == UNFINISHED else (self.state,)
            found.append(GENERATIONS.c.state.in_(states))
        if self.paid is not None:
            found.append(GENERATIONS.c.local.is_(not self.paid))
        if self.clip is not None:
            here = sa.and_(GENERATIONS.c.clip.is_not(None), GENERATIONS.c.removed_at.is_(None))
            found.append(here if self.clip else sa.not_(here))
        return found


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a page ended, in words that the next one is asked for with."""

    created_at: float
    id: str

    def __str__(self) -> str:
        """As it is told."""
        return f"{self.created_at!r}~{self.id}"

    @classmethod
    def of(cls, told: str) -> Place:
        """What was told. Raises InvalidInput."""
        seconds, mark, own = told.partition("~")
        try:
            at = float(seconds)
        except ValueError:
            at = math.nan
        if not mark or not own or not math.isfinite(at):
            raise InvalidInput("There is no such page of the library.")
        return cls(created_at=at, id=own)

    @property
    def beyond(self) -> sa.ColumnElement[bool]:
        """Whether a row comes after it."""
        at = GENERATIONS.c.created_at
        return sa.and_(at <= self.created_at, sa.or_(at < self.created_at, GENERATIONS.c.id > self.id))


@dataclass(frozen=True, kw_only=True)
class Page:
    """Some generations, newest first."""

    lines: list[Line]
    next: Place | None
    """Where the next page begins; None after the last one."""


@dataclass
class Sum:
    """What several purchases come to."""

    micro: int = 0
    generations: int = 0
    clips: int = 0

    @property
    def usd(self) -> Decimal:
        """What counts towards the limits."""
        return Decimal(self.micro) / MICRO


@dataclass(frozen=True)
class Spending:
    """The purchases by day, month and provider; days and months newest first, on this machine's calendar."""

    days: Mapping[str, Sum] = field(default_factory=dict)
    months: Mapping[str, Sum] = field(default_factory=dict)
    providers: Mapping[str, Sum] = field(default_factory=dict)


class Catalogue:
    """The generations of a journal, to look through. Raises JournalUnavailable when its database cannot be used."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def page(self, wanted: Wanted, *, after: Place | None = None, limit: int = 100) -> Page:
        """The *limit* newest of what is *wanted*, from *after* on."""
        conditions = [*wanted.conditions, *([after.beyond] if after is not None else [])]
        with self._journal.database.transaction() as connection:
            if wanted.words:
                conditions = [GENERATIONS.c.id.in_(_found(connection, wanted.words, conditions, limit + 1))]
            lines = _lines(connection, *conditions, limit=limit + 1)
        more = len(lines) > limit
        lines = lines[:limit]
        last = lines[-1].entry if more else None
        return Page(lines=lines, next=Place(created_at=last.created_at, id=last.id) if last else None)

    def count(self, wanted: Wanted) -> int:
        """How many there are of what is *wanted*."""
        with self._journal.database.transaction() as connection:
            if wanted.words:
                return len(_found(connection, wanted.words, wanted.conditions))
            rows = sa.select(sa.func.count()).select_from(GENERATIONS).where(*wanted.conditions)
            return int(connection.scalar(rows) or 0)

    def kinds(self) -> dict[str, dict[str, int]]:
        """How many there are of each provider, model, operation and state; most frequent first."""
        columns = (*_COLUMNS.values(), GENERATIONS.c.state)
        rows = sa.select(*columns, sa.func.count()).group_by(*columns)
        counted: dict[str, dict[str, int]] = {column.name: {} for column in columns}
        with self._journal.database.transaction() as connection:
            for *values, count in connection.execute(rows):
                for column, value in zip(columns, values, strict=True):
                    of = counted[column.name]
                    of[value] = of.get(value, 0) + int(count)
        return {
            name: dict(sorted(of.items(), key=lambda pair: (-pair[1], pair[0])))
            for name, of in counted.items()
        }

    def line(self, id: str) -> Line | None:
        """The generation called *id*."""
        with self._journal.database.transaction() as connection:
            return next(iter(_lines(connection, GENERATIONS.c.id == id, limit=1)), None)

    def takes(self, entry: Entry) -> list[Line]:
        """All takes of what *entry* asked for that are, or may become, a clip: by number, wherever they were made."""
        with self._journal.database.transaction() as connection:
            same = GENERATIONS.c.fingerprint == entry.fingerprint
            lines = _lines(connection, same, LIVE, limit=MOST_TAKES)
        return sorted(lines, key=lambda line: (line.entry.take, line.entry.created_at))

    def spending(self) -> Spending:
        """What was bought. Free previews are none of it."""
        rows = (
            sa.select(GENERATIONS.c.created_at, GENERATIONS.c.provider, GENERATIONS.c.state, COUNTED)
            .where(GENERATIONS.c.local.is_(False))
            .order_by(GENERATIONS.c.created_at.desc())
        )
        days: dict[str, Sum] = {}
        months: dict[str, Sum] = {}
        providers: dict[str, Sum] = {}
        known: dict[int, str] = {}
        with self._journal.database.transaction() as connection:
            for at, provider, state, micro in connection.execute(rows):
                quarter = int(at // _QUARTER)
                day = known.get(quarter) or known.setdefault(quarter, _day(at))
                for sums, name in ((days, day), (months, day[:7]), (providers, provider)):
                    of = sums.get(name) or sums.setdefault(name, Sum())
                    of.micro += int(micro)
                    of.generations += 1
                    of.clips += state == "completed"
        return Spending(days, months, dict(sorted(providers.items(), key=lambda pair: -pair[1].micro)))

    def removed(self, id: str, *, at: float | None) -> None:
        """Mark that the file of the clip was deleted here; *at* None takes the mark back. Nothing else changes."""
        completed = (GENERATIONS.c.id == id, GENERATIONS.c.state == "completed")
        with self._journal.database.transaction(writes=True) as connection:
            connection.execute(GENERATIONS.update().where(*completed).values(removed_at=at))


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d")  # noqa: DTZ006 - the owner's own calendar


def words_of(told: str) -> tuple[str, ...]:
    """What is searched for, word by word, in small letters. Raises InvalidInput where it is too much."""
    words = tuple(dict.fromkeys(told.casefold().split()))
    if len(told) > _MOST_LETTERS or len(words) > _MOST_WORDS:
        raise InvalidInput(f"At most {_MOST_WORDS} words, of {_MOST_LETTERS} letters, are searched for.")
    return words


def state_of(told: str) -> str:
    """A state that can be looked for. Raises InvalidInput."""
    if told and told not in (*STATES, UNFINISHED):
        raise InvalidInput(f"A state is one of {', '.join((*STATES, UNFINISHED))}.")
    return told


def _lines(connection: sa.Connection, *conditions: sa.ColumnElement[bool], limit: int) -> list[Line]:
    query = (
        sa.select(GENERATIONS, COUNTED.label("counted"))
        .where(*conditions)
        .order_by(GENERATIONS.c.created_at.desc(), GENERATIONS.c.id)
        .limit(limit)
    )
    return [
        Line(entry=entry_of(row), counts=Decimal(int(row["counted"])) / MICRO)
        for row in connection.execute(query).mappings()
    ]


def _found(
    connection: sa.Connection,
    words: tuple[str, ...],
    conditions: list[sa.ColumnElement[bool]],
    most: int | None = None,
) -> list[str]:
    """The ids of the rows in which all *words* stand, newest first, *most* of them.

    Looked for here, not by the database: SQLite knows small letters of English alone, and PostgreSQL reads no text
    with a zero byte or half a character in it, which a prompt may have.
    """
    columns = ("id", "request", "job_id", "workflow")
    query = (
        sa.select(*(GENERATIONS.c[name] for name in columns))
        .where(*conditions)
        .order_by(GENERATIONS.c.created_at.desc(), GENERATIONS.c.id)
    )
    found: list[str] = []
    with closing(connection.execute(query, execution_options={"yield_per": 200})) as rows:
        for own, request, job, workflow in rows:
            text = f"{request.get('prompt') or ''}\n{own}\n{job or ''}\n{workflow or ''}".casefold()
            if all(word in text for word in words):
                found.append(own)
                if len(found) == most:
                    break
    return found
