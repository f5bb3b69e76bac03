"""A lifecycle that only looks: quick enough for a page that asks at every change, and it asks nobody itself."""

from __future__ import annotations

import copy
from collections.abc import Collection
from functools import lru_cache
from typing import Final

from .generation.credentials import Credentials, missing
from .generation.journal import Journal
from .generation.lifecycle import Lifecycle
from .generation.offer import Provider
from .generation.prices import Known
from .generation.records import GENERATIONS, LIVE, Entry
from .generation.request import GenerationRequest
from .generation.selection import refusals

_REMEMBERED: Final = 8192
_MOST: Final = 100_000
_AT_ONCE: Final = 500
"""Values in one query; old builds of SQLite take 999."""


def looking(lifecycle: Lifecycle, fingerprints: Collection[str]) -> Lifecycle:
    """*lifecycle* as it is now, to quote requests with these *fingerprints*.

    Prices as far as they are known, keys read once, the journal read in a few queries.
    """
    other = copy.copy(lifecycle)
    other.prices = Known(lifecycle.prices)
    other.credentials = _Now(lifecycle.credentials)
    other.journal = _Read(lifecycle.journal, fingerprints)
    return other


def sellers(lifecycle: Lifecycle, request: GenerationRequest) -> frozenset[str]:
    """The names of all providers that sell *request*, with a key here or without."""
    return _sellers(lifecycle.sellers.providers, request)


def configured(lifecycle: Lifecycle) -> frozenset[str]:
    """The names of the paid providers that have a key here; where there is none, of those that need none."""
    providers = lifecycle.sellers.providers
    paid = [p.name for p in providers if not p.local and not missing(p.needs, lifecycle.credentials)]
    return frozenset(paid or [p.name for p in providers if p.local])


@lru_cache(maxsize=_REMEMBERED)
def _sellers(providers: tuple[Provider, ...], request: GenerationRequest) -> frozenset[str]:
    # What is offered does not change while the process runs.
    return frozenset(provider.name for provider in providers if not refusals(provider, request)[1])


class _Now(Credentials):
    """The keys as they were when somebody began to look: the file is read once."""

    def __init__(self, credentials: Credentials) -> None:
        self.path = credentials.path
        self._held = credentials._saved()

    def _saved(self) -> dict[str, str]:
        return self._held


class _Read(Journal):
    """The journal, asked once what is bought, and once for each model how long its clips take."""

    def __init__(self, journal: Journal, fingerprints: Collection[str]) -> None:
        self.database, self.now = journal.database, journal.now
        self._times: dict[tuple[str, str, int], list[Entry]] = {}
        self._bought: dict[str, list[Entry]] = {fingerprint: [] for fingerprint in fingerprints}
        wanted = list(self._bought)
        for begin in range(0, len(wanted), _AT_ONCE):
            for row in self._select(
                GENERATIONS.c.fingerprint.in_(wanted[begin : begin + _AT_ONCE]), LIVE, limit=_MOST
            ):
                self._bought[row.fingerprint].append(row)

    def live(self, fingerprint: str, take: int, provider: str | None = None) -> Entry | None:
        if fingerprint not in self._bought:
            return super().live(fingerprint, take, provider)
        rows = [
            row
            for row in self._bought[fingerprint]
            if row.take == take and (row.provider == provider if provider else not row.local)
        ]
        return min(rows, key=lambda row: row.state != "completed", default=None)

    def running_times(self, provider: str, model: str, limit: int = 400) -> list[Entry]:
        key = provider, model, limit
        if key not in self._times:
            self._times[key] = super().running_times(*key)
        return self._times[key]
