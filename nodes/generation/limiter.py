"""No more at a time than a provider allows: shots beyond it wait in line, in every process, and say so."""

from __future__ import annotations

import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Final

from .clock import Clock
from .errors import RateLimited
from .journal import Journal
from .offer import Limits, Offer, Provider
from .records import Entry, Occasion, Sent
from .request import GenerationRequest, Json
from .room import Full
from .spending import Reserve
from .waiting import Report

LOOK: Final = 1.0
"""Seconds between two looks at whether there is room."""
STEP: Final = 0.1
"""Seconds between two looks at whether the line has moved."""
MOST_REFUSALS: Final = 8
"""So many answers "too many requests" to one create, and the person decides."""
LONGEST_HOLD: Final = 300.0
"""Seconds; a provider that asks to wait longer is not waited for."""


class Limiter:
    """The lines before the providers. First come, first served in a process; between processes the journal counts."""

    def __init__(self, journal: Journal, setting: Callable[[str], str]) -> None:
        self._journal = journal
        self._setting = setting
        self._lines: dict[str, list[object]] = {}
        self._held: dict[str, float] = {}
        self._lock = threading.Lock()

    def claim(
        self,
        provider: Provider,
        offer: Offer,
        body: Json,
        request: GenerationRequest,
        *,
        account: str,
        estimate_usd: Decimal | None,
        anywhere: bool,
        occasion: Occasion,
        reserve: Reserve | None,
        clock: Clock,
        report: Report,
    ) -> tuple[Entry, bool]:
        """As `Journal.claim`, once the provider takes one more. Raises OverLimit, and Interrupted while waiting."""
        limits = self.limits(provider)
        limited = limits.concurrent is not None or limits.per_minute is not None
        kept = Sent(endpoint=offer.endpoint, body=body, account=account) if provider.resend_life else None
        ticket, came = object(), clock.elapsed()
        with self._lock:
            line = self._lines.setdefault(provider.name, [])
            line.append(ticket)
        try:
            while True:
                with self._lock:
                    before = line.index(ticket) if limited else 0
                    held = self._held.get(provider.name, float("-inf")) - clock.elapsed()
                if before == 0 and held <= 0:
                    try:
                        return self._journal.claim(
                            request,
                            provider=provider.name,
                            local=provider.local,
                            estimate_usd=estimate_usd,
                            limits=limits,
                            anywhere=anywhere,
                            occasion=occasion,
                            reserve=reserve,
                            running_since=clock.now() - max(600.0, 4.0 * provider.typical_seconds),
                            create=kept,
                        )
                    except Full as full:
                        why = str(full)
                elif held > 0:
                    why = f"it asks to wait {held:.0f} s"
                else:
                    why = f"{before} before this one"
                clock.check()
                if clock.elapsed() - came >= LOOK or not before:
                    report(f"waiting in line for {provider.title}: {why}")
                clock.sleep(min(held, LOOK) if held > 0 else STEP if before else LOOK)
        finally:
            with self._lock:
                line.remove(ticket)

    def refused(self, provider: Provider, error: RateLimited, refusals: int, clock: Clock) -> None:
        """A create came back with "too many requests": nothing more goes there for as long as it asks.

        Raises *error* when the person had better decide.
        """
        pause = error.retry_after if error.retry_after is not None else min(2.0**refusals, 60.0)
        if refusals >= MOST_REFUSALS or pause > LONGEST_HOLD or clock.stopped:
            raise error
        with self._lock:
            until = clock.elapsed() + max(pause, 0.5)
            self._held[provider.name] = max(self._held.get(provider.name, until), until)

    def limits(self, provider: Provider) -> Limits:
        """What *provider* allows, or what the machine's owner says that this account is allowed.

        Set by LUMA_RAY_<PROVIDER>_CONCURRENT and LUMA_RAY_<PROVIDER>_PER_MINUTE, such as LUMA_RAY_LUMA_CONCURRENT.
        """
        named = f"LUMA_RAY_{provider.name.upper()}_"
        return Limits(
            concurrent=self._number(f"{named}CONCURRENT", provider.limits.concurrent),
            per_minute=self._number(f"{named}PER_MINUTE", provider.limits.per_minute),
            source=provider.limits.source,
        )

    def _number(self, name: str, otherwise: int | None) -> int | None:
        told = self._setting(name)
        return int(told) if told.isdecimal() and int(told) > 0 else otherwise
