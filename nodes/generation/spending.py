"""How much may be spent: the owner's limits, which no workflow can raise, and what counts towards them.

A clip counts from the moment at which its row is written: with what it was quoted, and once the provider told with
what it billed. What was refused counts nothing; a job that failed or was cancelled counts in full unless its provider
says that such jobs are free.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from .budget import dollars
from .errors import LimitReached
from .records import AHEAD, GENERATIONS

MICRO: Final = 1_000_000
"""The journal adds up in millionths of a dollar: whole numbers, in every database."""
UNTOLD: Final = "The file of spending limits cannot be read"


@dataclass(frozen=True, kw_only=True)
class ProviderLimits:
    """USD at one provider; None: no limit of its own."""

    per_day: Decimal | None = None
    per_month: Decimal | None = None


@dataclass(frozen=True, kw_only=True)
class SpendingLimits:
    """USD; None: no limit. Days and months are those of the machine's own calendar.

    The defaults let an evening of drafts, a 30 s film in Ray 2 at 720p and the dearest ordinary clip ($7.50, 5 s at
    Amazon) through. They stop what an artist would want to be asked about first: single clips in 4k, a graph that was
    queued by mistake, a queue that somebody else filled overnight.
    """

    per_generation: Decimal | None = Decimal(10)
    per_run: Decimal | None = Decimal(20)
    per_day: Decimal | None = Decimal(50)
    per_month: Decimal | None = Decimal(200)
    providers: Mapping[str, ProviderLimits] = field(default_factory=dict)


SCOPES: Final = tuple(each.name for each in fields(SpendingLimits) if each.name != "providers")
"""What can be limited, as the settings file calls it."""
PROVIDER_SCOPES: Final = tuple(each.name for each in fields(ProviderLimits))


@dataclass(frozen=True, kw_only=True)
class Reserve:
    """What one more clip would count, and what it must fit into."""

    usd: Decimal
    limits: SpendingLimits
    run: str = ""


@dataclass(frozen=True, kw_only=True)
class Crossing:
    """A limit that something more would cross."""

    words: str
    """What is limited, such as "a day at luma"."""
    option: str
    """How the command line names it."""
    limit: Decimal
    spent: Decimal
    """What counts towards it already."""

    @property
    def advice(self) -> str:
        """Where the owner of the machine raises it."""
        return (
            f"The owner of this machine can raise it: `luma-ray limits {self.option} USD`, or Settings, Luma Ray. No "
            "workflow can."
        )


class OverLimit(Exception):
    """A limit would be crossed, found in the transaction that would have bought."""

    def __init__(self, crossing: Crossing) -> None:
        super().__init__(crossing.words)
        self.crossing = crossing


class LimitsFile:
    """The owner's limits, in a file beside the journal, where no workflow and no web server reaches."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "limits.json"

    def load(self) -> SpendingLimits:
        """The limits as they are now; the defaults where nothing was set.

        Raises LimitReached where the file cannot be read: then nothing is bought.
        """
        try:
            told = json.loads(self.path.read_text("utf-8-sig"))
        except FileNotFoundError:
            return SpendingLimits()
        except (OSError, ValueError):
            raise LimitReached(
                f"{UNTOLD} ({self.path}), so nothing is bought. Correct or delete it."
            ) from None
        try:
            own = told.get("providers", {})
            return SpendingLimits(
                **_amounts(told, SCOPES),
                providers={
                    name: ProviderLimits(**_amounts(limits, PROVIDER_SCOPES)) for name, limits in own.items()
                },
            )
        except (AttributeError, TypeError, ValueError, InvalidOperation):
            raise LimitReached(
                f"{UNTOLD} ({self.path}): an amount in dollars, or null for no limit, is expected for each of "
                f"{', '.join(SCOPES)}. Nothing is bought until it is corrected or deleted."
            ) from None

    def change(self, changes: Mapping[str, Any], provider: str = "") -> SpendingLimits:
        """Set some limits, USD or None, of one *provider* or of all. Raises LimitReached, OSError, ValueError."""
        limits = self.load()
        if any(usd is not None and not (usd.is_finite() and usd >= 0) for usd in changes.values()):
            raise ValueError("a limit is an amount in dollars, 0 or more")
        if provider:
            own = replace(limits.providers.get(provider, ProviderLimits()), **changes)
            limits = replace(limits, providers={**limits.providers, provider: own})
        else:
            limits = replace(limits, **changes)
        self._save(limits)
        return limits

    def _save(self, limits: SpendingLimits) -> None:
        told: dict[str, Any] = {name: _text(getattr(limits, name)) for name in SCOPES}
        told["providers"] = {
            name: {scope: _text(getattr(own, scope)) for scope in PROVIDER_SCOPES}
            for name, own in sorted(limits.providers.items())
        }
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, temporary = tempfile.mkstemp(dir=self.path.parent, prefix=".limits-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(told, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(self.path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


def check(connection: sa.Connection, provider: str, reserve: Reserve, now: float) -> None:
    """Raise OverLimit where *reserve* does not fit. In the transaction that writes the row, so none is crossed."""
    crossing = crossed(connection, {provider: reserve.usd}, reserve.usd, reserve.limits, reserve.run, now)
    if crossing is not None:
        raise OverLimit(crossing)


def crossed(
    connection: sa.Connection,
    more: Mapping[str, Decimal],
    dearest: Decimal,
    limits: SpendingLimits,
    run: str,
    now: float,
) -> Crossing | None:
    """The first limit that *more* (USD by provider, *dearest* for one clip) would cross."""
    total = sum(more.values(), Decimal(0))
    if limits.per_generation is not None and dearest > limits.per_generation:
        return Crossing(
            words="one clip", option="--per-generation", limit=limits.per_generation, spent=Decimal(0)
        )
    for words, option, limit, added, conditions in _windows(limits, more, total, run, now):
        if limit is None or not added:
            continue
        spent = spent_usd(connection, *conditions)
        if spent + added > limit:
            return Crossing(words=words, option=option, limit=limit, spent=spent)
    return None


_Window = tuple[str, str, Decimal | None, Decimal, tuple[sa.ColumnElement[bool], ...]]


def _windows(
    limits: SpendingLimits, more: Mapping[str, Decimal], total: Decimal, run: str, now: float
) -> Iterator[_Window]:
    if run:
        yield "one run of a graph", "--per-run", limits.per_run, total, (GENERATIONS.c.run == run,)
    day, month = since(now, day=True), since(now, day=False)
    # What a clock that was ahead wrote belongs to no day of ours; the month takes it in.
    in_day = (GENERATIONS.c.created_at >= day, GENERATIONS.c.created_at < now + AHEAD)
    in_month = (GENERATIONS.c.created_at >= month,)
    yield "a day", "--per-day", limits.per_day, total, in_day
    yield "a month", "--per-month", limits.per_month, total, in_month
    for name, added in more.items():
        own = limits.providers.get(name, ProviderLimits())
        there, flag = GENERATIONS.c.provider == name, f"--provider {name}"
        yield f"a day at {name}", f"{flag} --per-day", own.per_day, added, (*in_day, there)
        yield f"a month at {name}", f"{flag} --per-month", own.per_month, added, (*in_month, there)


def spent_usd(connection: sa.Connection, *conditions: sa.ColumnElement[bool]) -> Decimal:
    """What counts of the paid generations that meet *conditions*."""
    counted = sa.select(sa.func.sum(COUNTED)).where(GENERATIONS.c.local.is_(False), *conditions)
    return Decimal(int(connection.scalar(counted) or 0)) / MICRO


def since(now: float, *, day: bool) -> float:
    """When the day, or the month, of *now* began on this machine's calendar: seconds since the epoch."""
    midnight = datetime.fromtimestamp(now).replace(hour=0, minute=0, second=0, microsecond=0)  # noqa: DTZ006
    return (midnight if day else midnight.replace(day=1)).timestamp()


def micro(usd: Decimal) -> int:
    """*usd* as the journal adds it up."""
    return int((usd * MICRO).to_integral_value())


# Rows of before there were limits tell their price in words only.
_PRICE: Final = sa.func.coalesce(GENERATIONS.c.billed_usd, GENERATIONS.c.estimate_usd, "0")
COUNTED: Final = sa.func.coalesce(
    GENERATIONS.c.counts,
    sa.case(
        (GENERATIONS.c.state.in_(("failed", "cancelled")), 0),
        else_=sa.cast(sa.cast(_PRICE, sa.Numeric(20, 6)) * MICRO, sa.BigInteger),
    ),
)
"""What a row counts, in millionths of a dollar."""


def over(crossing: Crossing, asked: str) -> LimitReached:
    """The error for the person: *asked* says what it would have cost."""
    spent = f", and {dollars(crossing.spent)} of it is spent" if crossing.spent else ""
    return LimitReached(
        f"{asked} The limit is ${crossing.limit:.2f} for {crossing.words}{spent}. Nothing was sent or billed. "
        f"{crossing.advice}"
    )


def _amounts(told: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Decimal | None]:
    """The limits that are told; a name that nobody knows is an error, or a misspelt limit would hold nothing."""
    unknown = set(told) - {*names, "providers"}
    if unknown:
        raise ValueError(f"unknown: {unknown}")
    found = {name: None if told[name] is None else Decimal(str(told[name])) for name in names if name in told}
    if any(usd is not None and not (usd.is_finite() and usd >= 0) for usd in found.values()):
        raise ValueError("an amount of 0 or more")
    return found


def _text(usd: Decimal | None) -> str | None:
    return None if usd is None else str(usd)
