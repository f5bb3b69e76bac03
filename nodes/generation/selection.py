"""Which provider serves a request: the one named, or the cheapest that works on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, Protocol

from .budget import Quote, dollars, quote
from .credentials import Credentials, missing
from .errors import InvalidInput, MissingCredentials, UnsupportedRequest
from .offer import Offer, Provider, misplaced
from .request import AS_THE_SOURCE, GenerationRequest

AUTO = "auto"
_USUAL: Final = "720p"
"""The size that is named where one must be chosen."""


@dataclass(frozen=True)
class Selection:
    """A provider and the offer of it that serves a request."""

    provider: Provider
    offer: Offer
    reason: str = ""
    """What the person should know of this choice; empty where a paid provider was named."""


def refusals(provider: Provider, request: GenerationRequest) -> tuple[Offer | None, list[str]]:
    """The offer of *provider* that fits best, and what it does not cover (empty when it covers everything)."""
    title = request.operation.words
    offers = [offer for offer in provider.offers if offer.operation is request.operation]
    if not offers:
        return None, [f"no {title}"]
    matching = [offer for offer in offers if offer.model == request.model]
    if not matching:
        models = ", ".join(dict.fromkeys(offer.model for offer in offers))
        return None, [f"no {request.model} for {title} ({models} only)"]
    best = min(matching, key=lambda offer: len(offer.refusals(request)))
    reasons = best.refusals(request)
    reasons += [
        f"it cannot use a clip made at {reference.provider} (only the provider that made it knows it)"
        for reference in request.references
        if reference.provider != provider.name
    ]
    return best, reasons


class Facts(Protocol):
    """What this machine knows about its providers, for `select`."""

    def quote(self, provider: Provider, offer: Offer, request: GenerationRequest) -> Quote:
        """The price."""

    def seconds(self, provider: Provider, request: GenerationRequest) -> float:
        """How long such a clip usually takes there, seconds."""

    def reachable(self, provider: Provider, request: GenerationRequest) -> bool:
        """Whether the pictures of *request* can be brought there."""


class Published:
    """What is known without a journal, a network or hostings: the offers alone."""

    def quote(self, provider: Provider, offer: Offer, request: GenerationRequest) -> Quote:
        """The published price."""
        return quote(provider, offer, request)

    def seconds(self, provider: Provider, request: GenerationRequest) -> float:  # noqa: ARG002
        """What is said of the provider."""
        return float(provider.typical_seconds)

    def reachable(self, provider: Provider, request: GenerationRequest) -> bool:  # noqa: ARG002
        """Assumed."""
        return True


PUBLISHED = Published()


def select(
    providers: Sequence[Provider],
    request: GenerationRequest,
    name: str,
    credentials: Credentials,
    facts: Facts = PUBLISHED,
) -> Selection:
    """The provider called *name*; for "auto" the cheapest with credentials, else the local preview.

    Of several that cost the same, the one that usually is done first.

    Raises InvalidInput for what no provider could make; UnsupportedRequest with every reason at once,
    MissingCredentials.
    """
    wrong = "; ".join(misplaced(request))
    if wrong:
        raise InvalidInput(f"{wrong[0].upper()}{wrong[1:]}. Nothing was sent or billed.")
    if name == AUTO:
        return _cheapest(providers, request, credentials, facts)
    provider = next((candidate for candidate in providers if candidate.name == name), None)
    if provider is None:
        known = ", ".join(candidate.name for candidate in providers)
        raise UnsupportedRequest(
            f"There is no provider called {name!r}; there are {known}. Nothing was billed."
        )
    offer, reasons = refusals(provider, request)
    if reasons or offer is None:
        others = [
            other.name
            for other in providers
            if other is not provider and not other.local and not refusals(other, request)[1]
        ]
        instead = f" {', '.join(others)} would do it." if others else ""
        raise UnsupportedRequest(
            f"{provider.title} cannot do this {request.operation.words}: {'; '.join(reasons)}.{instead}"
            f"{_alternatives([provider], request)} Nothing was sent or billed."
        )
    lacking = missing(provider.needs, credentials)
    if lacking:
        raise MissingCredentials(
            f"{provider.title} needs {' and '.join(lacking)}{provider.found_at}: set it in the environment "
            f"of ComfyUI, or save it with `luma-ray key {lacking[0]}` (kept in {credentials.path.name} in ComfyUI's "
            "private user folder). Nothing was sent or billed."
        )
    return Selection(provider, offer, _preview(_configured(providers, credentials)) if provider.local else "")


def _alternatives(providers: Sequence[Provider], request: GenerationRequest) -> str:
    """The models with which *providers* would make *request*, as a sentence; empty where there are none.

    At the published price: nobody is asked for what may not be wanted.
    """
    ways: dict[str, list[str]] = {}
    for provider in providers:
        for offer in provider.offers:
            other = _with_model(provider, offer, request)
            if other is None:
                continue
            way = f"model {other.model}"
            if other.resolution != request.resolution:
                way += f" and resolution {other.resolution}"
            told = f"{provider.name}, {dollars(quote(provider, offer, other).usd)}"
            if told not in ways.setdefault(way, []):
                ways[way].append(told)
    listed = ", or ".join(f"{way} ({'; '.join(told)})" for way, told in ways.items())
    return f" It would be made with {listed}." if listed else ""


def _with_model(provider: Provider, offer: Offer, request: GenerationRequest) -> GenerationRequest | None:
    """*request* with the model of *offer*, and a size of it where it asks for one; None where that will not do."""
    if offer.operation is not request.operation or offer.model == request.model:
        return None
    ways = [request.resolution, *sorted(offer.resolutions, key=lambda size: size != _USUAL)]
    for resolution in ways if request.resolution == AS_THE_SOURCE else ways[:1]:
        other = replace(request, model=offer.model, resolution=resolution)
        if not refusals(provider, other)[1]:
            return other
    return None


def _configured(providers: Sequence[Provider], credentials: Credentials) -> list[Provider]:
    """The paid providers that work on this machine."""
    return [p for p in providers if not p.local and not missing(p.needs, credentials)]


def _preview(configured: Sequence[Provider]) -> str:
    """What a clip of the local preview is, in one line of a node."""
    return (
        "A free local preview, not Luma Ray."
        if configured
        else "No key here: a free local preview, not Luma Ray."
    )


def _cheapest(
    providers: Sequence[Provider], request: GenerationRequest, credentials: Credentials, facts: Facts
) -> Selection:
    configured = _configured(providers, credentials)
    fitting: list[tuple[Decimal, Selection]] = []
    reasons: list[str] = []
    unreachable: Selection | None = None
    for provider in configured:
        offer, refused = refusals(provider, request)
        if refused or offer is None:
            reasons.append(f"{provider.name}: {', '.join(refused)}")
            continue
        if not facts.reachable(provider, request):
            reasons.append(f"{provider.name}: it takes pictures by public URL only, and no hosting is set up")
            unreachable = unreachable or Selection(provider, offer)
            continue
        price = facts.quote(provider, offer, request).usd
        # A price nobody knows counts as the dearest, so it is never chosen over a known one.
        fitting.append((price if price is not None else Decimal("Infinity"), Selection(provider, offer)))
    if fitting:
        lowest = min(price for price, _ in fitting)
        alike = [chosen for price, chosen in fitting if price == lowest]
        # Only where it decides: the journal is read for it.
        return alike[0] if len(alike) == 1 else min(alike, key=lambda c: facts.seconds(c.provider, request))
    if unreachable is not None:
        return unreachable  # it says how to set a hosting up, before anything is sent
    if reasons:
        able = [p for p in providers if p not in configured and not refusals(p, request)[1]]
        others, free = [p.name for p in able if not p.local], [p.name for p in able if p.local]
        nobody = "No provider with a key on this machine" if able else "No provider"
        instead = f" With a key of its own, {' or '.join(others)} would do it." if others else ""
        instead += f" The free preview is there as provider '{free[0]}'." if free else ""
        raise UnsupportedRequest(
            f"{nobody} does this {request.operation.words}. {'; '.join(reasons)}. Nothing was sent or "
            f"billed.{_alternatives(configured, request)}{instead}"
        )
    for provider in (candidate for candidate in providers if candidate.local):
        offer, refused = refusals(provider, request)
        if offer is not None and not refused:
            return Selection(provider, offer, _preview(configured))
        reasons.append(f"{provider.name}: {', '.join(refused)}")
    raise UnsupportedRequest(
        f"No key is set on this machine, and the free preview cannot do this {request.operation.words}. "
        f"{'; '.join(reasons)}. Nothing was sent or billed."
    )
