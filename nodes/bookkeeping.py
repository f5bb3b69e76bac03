"""Purchases and limits as people and spreadsheets read them: the ledger, receipts, what is left to spend."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any, Final

from .generation.budget import dollars
from .generation.ledger import Ledger, Line, Total
from .generation.offer import Provider
from .generation.records import Entry
from .generation.spending import PROVIDER_SCOPES, SCOPES, ProviderLimits, SpendingLimits

UNBILLED: Final = "not told"


def _when(seconds: float | None) -> str:
    """A moment as ISO 8601 in UTC, for other programs; empty for none."""
    if seconds is None:
        return ""
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="seconds")


def _usd(usd: Decimal | None) -> str:
    """An amount without a sign and without exponents; empty where nobody told it."""
    return "" if usd is None else f"{usd:f}"


COLUMNS: Final[dict[str, Callable[[Line], str]]] = {
    "id": lambda line: line.entry.id,
    "state": lambda line: line.entry.state,
    "created_at": lambda line: _when(line.entry.created_at),
    "submitted_at": lambda line: _when(line.entry.submitted_at),
    "completed_at": lambda line: _when(line.entry.completed_at),
    "provider": lambda line: line.entry.provider,
    "job": lambda line: line.entry.job.id if line.entry.job else "",
    "request_id": lambda line: line.entry.request_id or "",
    "model": lambda line: line.entry.model,
    "operation": lambda line: line.entry.operation,
    "resolution": lambda line: str(line.entry.request.get("resolution", "")),
    "seconds": lambda line: str(line.entry.request.get("duration", "")),
    "take": lambda line: str(line.entry.take),
    "prompt": lambda line: str(line.entry.request.get("prompt", "")),
    "workflow": lambda line: line.entry.workflow or "",
    "run": lambda line: line.entry.run or "",
    "estimate_usd": lambda line: _usd(line.entry.estimate_usd),
    "billed_usd": lambda line: _usd(line.entry.billed_usd),
    "counts_usd": lambda line: _usd(line.counts),
    "clip": lambda line: line.entry.clip or "",
    "note": lambda line: line.entry.note,
}
"""What the ledger tells of a generation, as text. Times are in UTC."""


def told(line: Line) -> dict[str, str]:
    """A generation as the ledger tells it."""
    return {name: of(line) for name, of in COLUMNS.items()}


def csv_text(lines: Sequence[Line]) -> str:
    """The ledger as CSV with a header. No cell begins as a formula does: a prompt must not become one."""
    page = io.StringIO()
    writer = csv.writer(page, lineterminator="\n")
    writer.writerow(COLUMNS)
    for line in lines:
        writer.writerow([_plain(cell) for cell in told(line).values()])
    return page.getvalue()


def totals_rows(totals: Sequence[Total]) -> list[tuple[str, ...]]:
    """Sums for a table: name, generations, clips, quoted, billed, counted."""
    return [
        (
            total.name,
            str(total.generations),
            str(total.clips),
            f"{total.estimate:.2f}",
            f"{total.billed:.2f}",
            f"{total.counts:.2f}",
        )
        for total in totals
    ]


TOTALS: Final = ("", "generations", "clips", "quoted USD", "billed USD", "counts USD")


def receipt(line: Line, provider: Provider | None) -> str:
    """What a person needs who asks a provider for money back: who, what, when, for how much, and every number."""
    entry = line.entry
    rows = [
        ("generation", entry.id),
        ("state", f"{entry.state}{f': {entry.note}' if entry.note else ''}"),
        ("provider", provider.title if provider is not None else entry.provider),
        ("provider's job", entry.job.id if entry.job else "none that is known"),
        ("provider's request", entry.request_id or UNBILLED),
        ("asked for", _asked(entry)),
        ("prompt", str(entry.request.get("prompt") or "")),
        ("sent", _when(entry.submitted_at) or f"{_when(entry.created_at)} (no answer is recorded)"),
        ("done there", _when(entry.done_at) or UNBILLED),
        ("clip here", f"{entry.clip}, {_when(entry.completed_at)}" if entry.clip else "no"),
        ("quoted", dollars(entry.estimate_usd)),
        ("billed", dollars(entry.billed_usd) if entry.billed_usd is not None else UNBILLED),
        ("counts", dollars(line.counts)),
    ]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {words}" for name, words in rows if words)


def allowance(ledger: Ledger, limits: SpendingLimits, providers: Iterable[str] = ()) -> list[dict[str, Any]]:
    """Every limit with what is spent of it and what is left, USD; None where nothing is limited.

    Providers that are limited come last, and with them those of *providers* that are not.
    """
    spent = {
        "per_day": ledger.spent(day=True),
        "per_month": ledger.spent(day=False),
    }
    rows = [_limit("", scope, getattr(limits, scope), spent.get(scope)) for scope in SCOPES]
    for name in sorted({*limits.providers, *providers}):
        own = limits.providers.get(name) or ProviderLimits()
        for scope in PROVIDER_SCOPES:
            there = ledger.spent(day=scope == "per_day", provider=name)
            rows.append(_limit(name, scope, getattr(own, scope), there))
    return rows


def _limit(provider: str, scope: str, limit: Decimal | None, spent: Decimal | None) -> dict[str, Any]:
    left = None if limit is None or spent is None else max(limit - spent, Decimal(0))
    return {"provider": provider, "scope": scope, "limit": limit, "spent": spent, "left": left}


def _asked(entry: Entry) -> str:
    told = entry.request
    words = [entry.model, entry.operation.replace("_", " ")]
    words += [str(told[name]) for name in ("resolution", "aspect_ratio") if told.get(name)]
    if told.get("duration"):
        words.append(f"{told['duration']} s")
    return f"{', '.join(words)}, take {entry.take}"


def _plain(cell: str) -> str:
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell
