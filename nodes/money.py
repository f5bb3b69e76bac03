"""`luma-ray` about money: the ledger, receipts, and the limits that only the owner of the machine sets."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from . import bookkeeping, tables
from .generation.budget import dollars
from .generation.errors import GenerationError, InvalidInput
from .generation.ledger import GROUPS, Line, total, totals
from .generation.spending import PROVIDER_SCOPES, SCOPES
from .providers import PROVIDERS
from .studio import Studio

Command = Callable[[str, Callable[..., Any], str], argparse.ArgumentParser]
Studios = Callable[[], Studio]
_NOBODY: Final = ("none", "off", "unlimited")


def add(command: Command, studio: Studios) -> None:
    """Add the commands of this module to a parser."""
    ledger = command(
        "ledger", lambda options: _ledger(options, studio()), "what was bought, and for how much"
    )
    ledger.add_argument("--all", action="store_true", help="free previews too")
    ledger.add_argument("--by", choices=sorted(GROUPS), help="added up instead of one by one")
    ledger.add_argument("--since", metavar="DATE", help="only from this day on, such as 2027-01-31")
    ledger.add_argument("--csv", action="store_true", help="as CSV on standard output")
    receipt = command(
        "receipt",
        lambda options: _receipt(options, studio()),
        "what a provider asks for who is asked for money back",
    )
    receipt.add_argument("id", help="our id (ray-...) or the provider's own")
    limits = command(
        "limits",
        lambda options: _limits(options, studio()),
        "show what may be spent, or change it (USD, or none)",
    )
    for scope in SCOPES:
        limits.add_argument(f"--{scope.replace('_', '-')}", metavar="USD", help=_HELP[scope])
    limits.add_argument(
        "--provider",
        choices=[p.name for p in PROVIDERS if not p.local],
        help="day and month of this one alone",
    )


_HELP: Final = {
    "per_generation": "one clip",
    "per_run": "one press of Queue: all clips of a graph",
    "per_day": "a day",
    "per_month": "a month",
}


def _ledger(options: argparse.Namespace, studio: Studio) -> tuple[Any, str]:
    lines = studio.lifecycle.ledger.lines(begin=_begin(options.since), free=options.all)
    found = total("all", lines)
    if options.csv:
        return [bookkeeping.told(line) for line in lines], bookkeeping.csv_text(lines).rstrip("\n")
    if options.by:
        added = totals(lines, options.by)
        header = (options.by, *bookkeeping.TOTALS[1:])
        told = [
            dict(zip(("name", *bookkeeping.TOTALS[1:]), row, strict=True))
            for row in bookkeeping.totals_rows(added)
        ]
        return {"by": options.by, "totals": told}, tables.text(
            header, bookkeeping.totals_rows([*added, found])
        )
    columns = ("id", "when", "provider", "model", "operation", "take", "state", "USD")
    rows = [
        (
            e.id,
            time.strftime("%Y-%m-%d %H:%M", time.localtime(e.created_at)),
            *(e.provider, e.model, e.operation, str(e.take), e.state),
            _price(line),
        )
        for line in lines
        for e in [line.entry]
    ]
    words = (
        tables.text(columns, rows)
        + f"\n{len(rows)} generation{'s' * (len(rows) != 1)}, ${found.counts:.2f} in all"
    )
    return {"generations": [bookkeeping.told(line) for line in lines], "usd": str(found.counts)}, words


def _price(line: Line) -> str:
    entry = line.entry
    if entry.usd is None:
        return "unknown"
    return f"{entry.usd:.2f}{'' if entry.billed_usd is not None else ' est.'}"


def _begin(told: str | None) -> float:
    if told is None:
        return 0.0
    try:
        return datetime.fromisoformat(told).timestamp()
    except ValueError:
        raise InvalidInput(f"--since {told}: a day is needed, such as 2027-01-31.") from None


def _receipt(options: argparse.Namespace, studio: Studio) -> tuple[Any, str]:
    wanted = options.id.strip()
    lines = [
        line
        for line in studio.lifecycle.ledger.lines(free=True)
        if wanted in (line.entry.id, line.entry.job.id if line.entry.job else None)
    ]
    if not lines:
        raise InvalidInput(f"The journal has no generation {wanted!r}.")
    provider = next((p for p in PROVIDERS if p.name == lines[0].entry.provider), None)
    return bookkeeping.told(lines[0]), bookkeeping.receipt(lines[0], provider)


def _limits(options: argparse.Namespace, studio: Studio) -> tuple[Any, str]:
    changes = {
        scope: _amount(scope, getattr(options, scope))
        for scope in SCOPES
        if getattr(options, scope) is not None
    }
    foreign = [scope for scope in changes if options.provider and scope not in PROVIDER_SCOPES]
    if foreign:
        raise InvalidInput(
            f"A provider of its own is limited by day and by month; --{foreign[0].replace('_', '-')} is for all."
        )
    if changes:
        try:
            studio.limits.change(changes, options.provider or "")
        except OSError as error:
            raise GenerationError(
                f"The limits could not be written to {studio.limits.path} ({error.strerror or type(error).__name__})."
            ) from None
    rows = bookkeeping.allowance(studio.lifecycle.ledger, studio.limits.load())
    shown = [
        (
            row["provider"] or "all",
            row["scope"].replace("_", " "),
            "no limit" if row["limit"] is None else f"${row['limit']:.2f}",
            "" if row["spent"] is None else f"${row['spent']:.2f}",
            "" if row["left"] is None else dollars(row["left"]) if row["left"] else "$0.00",
        )
        for row in rows
    ]
    words = tables.text(("provider", "limit", "USD", "spent", "left"), shown)
    return {"limits": rows}, f"{words}\nkept in {studio.limits.path}"


def _amount(scope: str, told: str) -> Decimal | None:
    if told.strip().lower() in _NOBODY:
        return None
    try:
        usd = Decimal(told.strip().removeprefix("$"))
    except InvalidOperation:
        usd = Decimal(-1)
    if not usd.is_finite() or usd < 0:
        raise InvalidInput(
            f"--{scope.replace('_', '-')} {told}: an amount in dollars is needed, such as 25 or 2.50, or none."
        )
    return usd
