"""What is sold where, as tables: made from the offers, for the command line and the README."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from .generation.budget import dollars
from .generation.offer import Offer, Provider
from .generation.ray import ASPECT_RATIOS, DURATIONS, MODELS, RESOLUTIONS
from .generation.request import Operation

HEADER = (
    "provider",
    "model",
    "operations",
    "resolutions",
    "seconds",
    "ratios",
    "loop",
    "concepts",
    "5 s 720p",
)


def matrix(providers: Iterable[Provider]) -> list[tuple[str, ...]]:
    """One row per provider and model: what it sells and for how much."""
    return [
        _row(provider, model, offers)
        for provider in providers
        for model in MODELS
        if (offers := [offer for offer in provider.offers if offer.model == model])
    ]


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table for the README."""
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


def text(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table for a terminal."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in (header, *rows)
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(line.rstrip() for line in lines)


def _row(provider: Provider, model: str, offers: Sequence[Offer]) -> tuple[str, ...]:
    sold = {offer.operation for offer in offers}
    names = {
        Operation.TEXT_TO_VIDEO: "text",
        Operation.IMAGE_TO_VIDEO: "image",
        Operation.KEYFRAMES_TO_VIDEO: "keyframes",
        Operation.EXTEND_VIDEO: "extend",
    }
    prices: list[Decimal] = [
        price for offer in offers if (price := offer.prices.get(("720p", 5))) is not None
    ]
    source = next((offer.price_source for offer in offers if offer.price_source), None)
    unverified = "?" if source is not None and source.unverified else ""
    ratios = _of(offers, "aspect_ratios", ASPECT_RATIOS)
    return (
        provider.name + (" (experimental)" if provider.experimental else ""),
        model,
        ", ".join(words for operation, words in names.items() if operation in sold),
        ", ".join(_of(offers, "resolutions", RESOLUTIONS)),
        ", ".join(str(seconds) for seconds in _of(offers, "durations", DURATIONS)),
        "all 7" if len(ratios) == len(ASPECT_RATIOS) else ", ".join(ratios),
        "yes" if any(offer.loops for offer in offers) else "no",
        "yes" if any(offer.concepts for offer in offers) else "no",
        dollars(min(prices) if prices else None) + unverified + (", live" if provider.live_prices else ""),
    )


def _of(offers: Sequence[Offer], attribute: str, order: Sequence[object]) -> list[str]:
    sold = {value for offer in offers for value in getattr(offer, attribute)}
    return [str(value) for value in order if value in sold]
