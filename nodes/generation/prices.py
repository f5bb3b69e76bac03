"""What a generation costs now: the price that is published, or what the provider says when it is asked."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Final

from .budget import Quote, quote, sensible
from .client import Client, decoding
from .clock import Clock
from .errors import GenerationError
from .offer import Offer, Provider
from .request import GenerationRequest

FRESH: Final = 3600.0
"""Seconds for which a price that a provider told is used."""
SILENT: Final = 60.0
"""Seconds for which a provider that did not tell is not asked again."""

_Key = tuple[str, str, str, str, int, bool, bool]


class Prices:
    """Quotes, live where a provider serves its prices. Safe on any number of threads."""

    def __init__(self, connect: Callable[[Provider, Clock], Client]) -> None:
        self._connect = connect
        self._told: dict[_Key, tuple[float, Decimal | None]] = {}
        self._lock = threading.Lock()

    def quote(self, provider: Provider, offer: Offer, request: GenerationRequest, clock: Clock) -> Quote:
        """The price of *request*. Where a provider that should tell does not, the published one."""
        published = quote(provider, offer, request)
        if not provider.tells_price(request.operation):
            return published
        told = self._live(provider, offer, request, clock)
        return published if told is None else replace(published, usd=told, source=None, live=True)

    def _live(
        self, provider: Provider, offer: Offer, request: GenerationRequest, clock: Clock
    ) -> Decimal | None:
        key = (
            provider.name,
            offer.endpoint,
            request.model,
            request.resolution,
            request.duration,
            request.loop,
            request.enhance_prompt,
        )
        with self._lock:
            at, told = self._told.get(key, (float("-inf"), None))
        if clock.elapsed() - at < (SILENT if told is None else FRESH):
            return told
        return self._asked(key, provider, offer, request, clock)

    def _asked(
        self, key: _Key, provider: Provider, offer: Offer, request: GenerationRequest, clock: Clock
    ) -> Decimal | None:
        try:
            with decoding(provider.title):
                told = sensible(provider.price(self._connect(provider, clock), offer, request)) or None
        except GenerationError:
            told = None  # a purchase does not wait for it; what is wrong shows when it is sent
        with self._lock:
            self._told[key] = (clock.elapsed(), told)
        return told


class Known(Prices):
    """The same quotes as far as they are known already: nobody is asked."""

    def __init__(self, prices: Prices) -> None:
        super().__init__(prices._connect)
        self._told, self._lock = prices._told, prices._lock

    def _asked(
        self,
        key: _Key,  # noqa: ARG002
        provider: Provider,  # noqa: ARG002
        offer: Offer,  # noqa: ARG002
        request: GenerationRequest,  # noqa: ARG002
        clock: Clock,  # noqa: ARG002
    ) -> Decimal | None:
        return None
