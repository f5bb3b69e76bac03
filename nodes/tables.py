"""What is sold where, as tables: made from the offers, for the command line, the README and the help pages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final

from .generation.budget import dollars
from .generation.offer import Offer, Provider
from .generation.ray import ASPECT_RATIOS, DURATIONS, MODELS, RESOLUTIONS
from .generation.remaking import MEGABYTE
from .generation.request import AS_THE_SOURCE, GenerationRequest, Operation, SourceVideo

Row = tuple[str, ...]

HEADER: Final = ("provider", "model", "operations", "resolutions", "seconds", "ratios", "also", "5 s 720p")
_NAMES: Final = {Operation.ADD_AUDIO: "audio"}
SOLD: Final = ("provider", "what")
"""Two columns: the panel in which ComfyUI shows help is narrow."""


def matrix(providers: Iterable[Provider]) -> list[Row]:
    """One row per provider and model: what it sells and for how much. See `HEADER`."""
    return [
        (
            named(provider),
            model,
            ", ".join(
                _NAMES.get(each, each.words.split()[0])
                for each in Operation
                if any(o.operation is each for o in offers)
            ),
            _of(clips, "resolutions", RESOLUTIONS),
            _of(clips, "durations", DURATIONS),
            _of(clips, "aspect_ratios", ASPECT_RATIOS) if _lacking(clips) else f"all {len(ASPECT_RATIOS)}",
            ", ".join(_also(clips)),
            _film_prices(clips) if clips[0].remaking else _price(provider, clips),
        )
        for provider in providers
        for model, offers in _by_model(provider.offers)
        # What is made from a film has its size, length and price from that.
        for clips in [[offer for offer in offers if offer.remaking is None] or offers]
    ]


def sold(providers: Iterable[Provider], operation: Operation) -> Iterator[Row]:
    """Who sells *operation*, and what of it; models that are sold alike share a row. See `SOLD`."""
    for provider in providers:
        alike: dict[Row, list[str]] = {}
        for model, offers in _by_model(o for o in provider.offers if o.operation is operation):
            also = ["free preview"] * provider.local + _also(offers)
            also += [] if AS_THE_SOURCE in offers[0].aspect_ratios else _ratios(offers)
            if operation in (Operation.IMAGE_TO_VIDEO, Operation.KEYFRAMES_TO_VIDEO):
                also += _pictures(provider, offers)
            if operation.remakes:
                also += [*_changes(provider, offers), *_remake_price(provider, offers)]
            length = _films(offers) if operation.remakes else f"{_of(offers, 'durations', DURATIONS)} s"
            told = (_sizes(offers), length, ", ".join(also))
            alike.setdefault(told, []).append(model)
        for words, models in alike.items():
            yield named(provider), "; ".join(filter(None, [", ".join(models), *words]))


def costs(providers: Iterable[Provider], operation: Operation) -> Iterator[Row]:
    """What each model costs in *operation*: 5 s of 720p, and from the least to the most that is sold."""
    for provider in providers:
        told = [
            f"{model} {_cost(provider, offers)}"
            for model, offers in _by_model(o for o in provider.offers if o.operation is operation)
        ]
        if told:
            yield named(provider), "free" if provider.local else "; ".join(told)


def named(provider: Provider) -> str:
    """Its name as the nodes have it, with a warning where it is experimental."""
    return f"{provider.name} (experimental)" if provider.experimental else provider.name


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table for a page."""
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


def _by_model(offers: Iterable[Offer]) -> Iterator[tuple[str, list[Offer]]]:
    kept = list(offers)
    for model in MODELS:
        if of_model := [offer for offer in kept if offer.model == model]:
            yield model, of_model


def _of(offers: Iterable[Offer], attribute: str, order: Sequence[object]) -> str:
    found = {value for offer in offers for value in getattr(offer, attribute)}
    return ", ".join(str(value) for value in order if value in found)


def _films(offers: Sequence[Offer]) -> str:
    """Which films are changed: how long and how large they may be."""
    for remaking in (offer.remaking for offer in offers if offer.remaking is not None):
        if "video" not in remaking.kinds:
            return "its own clips"
        most = [f"{remaking.longest:g} s"] if remaking.longest is not None else []
        most += [f"{remaking.largest / MEGABYTE:.0f} MB"] if remaking.largest is not None else []
        return f"films up to {' and '.join(most)}" if most else "films"
    return ""


def _changes(provider: Provider, offers: Sequence[Offer]) -> list[str]:
    """What can be said of how a film is changed."""
    words = {
        "modes": any(offer.remaking.modes for offer in offers if offer.remaking),
        "place": any(offer.remaking.places for offer in offers if offer.remaking),
        "negative prompt": any(offer.remaking.avoids for offer in offers if offer.remaking),
        "first frame": any(first == "image" for offer in offers for first, _ in offer.keyframes),
        "prompt required": not any(offer.prompt_optional for offer in offers),
    }
    films = any("video" in offer.remaking.kinds for offer in offers if offer.remaking)
    hosted = ["needs hosting"] if films and needs_hosting(provider) else []
    return [word for word, has in words.items() if has] + hosted


def _film_prices(offers: Sequence[Offer]) -> str:
    """What 5 s of 720p cost in each operation, of a model that is sold for films alone."""
    return ", ".join(f"{offer.operation.words.split()[0]} {_film_price(offer)}" for offer in offers)


def _remake_price(provider: Provider, offers: Sequence[Offer]) -> list[str]:
    """What 5 s of 720p cost, or 5 s in the smallest size that is sold above that; nothing for a free preview."""
    if provider.local:
        return []
    offer = offers[0]
    larger = offer.operation is Operation.UPSCALE_VIDEO
    return [f"{f'5 s to {_film_size(offer)}' if larger else '5 s of 720p'}: {_film_price(offer)}"]


def _film_size(offer: Offer) -> str:
    sizes = [size for size in ("720p", "1080p") if size in offer.resolutions]
    return sizes[-1] if offer.operation is Operation.UPSCALE_VIDEO else (sizes or offer.resolutions)[0]


def _film_price(offer: Offer) -> str:
    source = SourceVideo(1280, 720, 5.0, 1, "0" * 64, Path())
    size = _film_size(offer)
    request = GenerationRequest(operation=offer.operation, model=offer.model, resolution=size, source=source)
    usd = offer.price(request)
    unverified = "?" if offer.price_source is not None and offer.price_source.unverified else ""
    return f"{dollars(usd)}{unverified if usd is not None else ''}"


def _sizes(offers: Sequence[Offer]) -> str:
    """The resolutions in few words: `540p to 4k` where none is left out between."""
    sizes = _of(offers, "resolutions", RESOLUTIONS).split(", ")
    if sizes == [""]:
        return ""  # as the film
    place = RESOLUTIONS.index(sizes[0])
    whole = len(sizes) > 2 and tuple(sizes) == RESOLUTIONS[place : place + len(sizes)]
    return f"{sizes[0]} to {sizes[-1]}" if whole else ", ".join(sizes)


def _also(offers: Sequence[Offer]) -> list[str]:
    looping = _of((offer for offer in offers if offer.loops), "durations", DURATIONS)
    between = max(offer.middle_frames for offer in offers)
    always = looping == _of(offers, "durations", DURATIONS)
    words = {
        "loop" if always else f"loop at {looping} s": looping,
        "concepts": any(offer.concepts for offer in offers),
        "enhance_prompt": any(offer.enhances for offer in offers),
        f"up to {between} pictures in between": between,
    }
    return [word for word, has in words.items() if has]


def _lacking(offers: Sequence[Offer]) -> list[str]:
    return [ratio for ratio in ASPECT_RATIOS if not any(ratio in offer.aspect_ratios for offer in offers)]


def _ratios(offers: Sequence[Offer]) -> list[str]:
    lacking = _lacking(offers)
    if len(lacking) <= 2:
        return [f"no {ratio}" for ratio in lacking]
    return ["only " + _of(offers, "aspect_ratios", ASPECT_RATIOS).replace(", ", " and ")]


def _pictures(provider: Provider, offers: Sequence[Offer]) -> list[str]:
    """What is said of the pictures that an artist gives."""
    words = ["prompt optional"] if any(offer.prompt_optional_with_image for offer in offers) else []
    for smallest, largest in {offer.image_sides for offer in offers if offer.image_sides}:
        least = f"{smallest} to " if smallest > 1 else "up to "
        words.append(f"sides of {least}{largest} px")
    return [*words, "needs hosting"] if needs_hosting(provider) else words


def needs_hosting(provider: Provider) -> bool:
    """Whether pictures for it must be put somewhere that its own key does not open."""
    return provider.takes_urls_only and not provider.hosting


def _cost(provider: Provider, offers: Sequence[Offer]) -> str:
    """The usual price, and the range around it where there is one."""
    prices = sorted({price for offer in offers for price in offer.prices.values()})
    usual = _price(provider, offers)
    return f"{usual} ({dollars(prices[0])} to {dollars(prices[-1])})" if len(prices) > 1 else usual


def _price(provider: Provider, offers: Sequence[Offer]) -> str:
    prices: list[Decimal] = [
        price for offer in offers if (price := offer.prices.get(("720p", 5))) is not None
    ]
    source = next((offer.price_source for offer in offers if offer.price_source), None)
    unverified = "?" if source is not None and source.unverified else ""
    live = ", live" if any(provider.tells_price(offer.operation) for offer in offers) else ""
    return f"{dollars(min(prices) if prices else None)}{unverified}{live}"
