"""What a generation will cost, said before it is bought."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from .offer import Offer, Provider, Source
from .request import GenerationRequest

ABSURD: Final = Decimal(1_000_000)
"""USD; no clip costs so much, so who tells it tells something else."""


@dataclass(frozen=True, kw_only=True)
class Quote:
    """The price of one generation at one provider, before it is bought."""

    provider: str
    model: str
    usd: Decimal | None
    """None when the provider publishes no price."""
    source: Source | None = None
    live: bool = False
    """The provider said so when it was asked, within the last hour."""
    recalled: bool = False
    """The clip is already here or already paid: queueing it costs nothing."""

    @property
    def words(self) -> str:
        """The price for people."""
        if self.recalled:
            return "$0.00 (already yours)"
        return dollars(self.usd) + (", its price now" if self.live else "")


def quote(provider: Provider, offer: Offer, request: GenerationRequest) -> Quote:
    """The published price of *request*; `animatic` and other local providers cost nothing."""
    return Quote(
        provider=provider.name,
        model=request.model,
        usd=Decimal(0) if provider.local else offer.price(request),
        source=offer.price_source,
    )


def counted(quoted: Quote, providers: Iterable[Provider], request: GenerationRequest) -> Decimal:
    """What *request* counts towards limits: its price, and where nobody knows that, the highest that is known.

    The highest of the same clip (model, size, seconds) at any provider, else of any clip at all.
    """
    if quoted.usd is not None:
        return quoted.usd
    offers = [offer for provider in providers if not provider.local for offer in provider.offers]
    known = [(offer, usd) for offer in offers for usd in [offer.price(request)] if usd is not None]
    same = [usd for offer, usd in known if offer.model == request.model]
    anything = [usd for offer in offers for usd in offer.prices.values()]
    return max(same or [usd for _, usd in known] or anything, default=Decimal(0))


def sensible(usd: Decimal | None) -> Decimal | None:
    """An amount that a provider told, where it is one that somebody can be charged; else None."""
    return usd if usd is not None and usd.is_finite() and 0 <= usd < ABSURD else None


def dollars(usd: Decimal | None) -> str:
    """USD for people: "free", "$0.20", or "price unknown"."""
    if usd is None:
        return "price unknown"
    return "free" if usd == 0 else f"${usd:.2f}"
