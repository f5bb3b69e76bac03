"""Which choices of a node nobody sells to this machine, given its other widgets: marked, never taken away."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from ..generation.credentials import missing
from ..generation.lifecycle import Lifecycle
from ..generation.ray import ASPECT_RATIOS, DURATIONS, MODELS, MODES, RESOLUTIONS
from ..generation.request import AS_THE_SOURCE, GenerationRequest
from ..generation.selection import AUTO
from ..looking import configured, sellers
from ..plan import Shot

_CHOICES: Final[Mapping[str, Mapping[str, Any]]] = {
    "model": {name: name for name in MODELS},
    "aspect_ratio": {name: name for name in ASPECT_RATIOS},
    "resolution": {name: name for name in (AS_THE_SOURCE, *RESOLUTIONS)},
    "duration": {f"{seconds} s": seconds for seconds in DURATIONS},
    "mode": {name: name for name in MODES},
}
"""By widget, which is also how a request calls it: what it may say, and what that is in a request."""
_NAMED: Final = 2
"""Providers that are named before the rest is left out."""

Requests = tuple[tuple[GenerationRequest, ...], ...]
"""For each shot what it may be."""
Unsold = dict[str, dict[str, str]]
"""By widget and choice why it is marked, in a few words."""


def plain(request: GenerationRequest) -> GenerationRequest:
    """*request* without what no widget with choices says: so that shots which differ in words alone are one."""
    return replace(request, prompt="a shot" if request.prompt.strip() else "", take=1)


def named(lifecycle: Lifecycle, names: Iterable[str]) -> str:
    """Providers in their own order; the free preview is none of them."""
    wanted = set(names)
    found = [each.name for each in lifecycle.sellers.providers if each.name in wanted and not each.local]
    return ", ".join(found[:_NAMED]) + ("..." if len(found) > _NAMED else "")


class Choices:
    """What is marked on the nodes of one graph. Those that ask for the same are looked at once."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle
        self._here = configured(lifecycle)
        self._known: dict[Any, Unsold] = {}

    def unsold(self, shots: Sequence[Shot], given: Mapping[str, Any]) -> Unsold:
        """The choices of a node with these shots and widgets that are marked."""
        asked: Requests = tuple(dict.fromkeys(tuple(dict.fromkeys(map(plain, s.requests))) for s in shots))
        told = {name: given[name] for name in (*_CHOICES, "provider") if isinstance(given.get(name), str)}
        if not asked or not all(asked):
            return {}
        seller = shots[0].provider
        key = (asked, seller, tuple(told.items()))
        if key not in self._known:
            self._known[key] = self._look(asked, seller, told)
        return self._known[key]

    def _look(self, asked: Requests, seller: str, told: Mapping[str, str]) -> Unsold:
        found: Unsold = {}
        for widget, now in told.items():
            choices = _CHOICES.get(widget, {})
            marked = {}
            for choice, value in choices.items():
                changed = _with(asked, widget, choices.get(now), value, always=now == "auto")
                why = self._why(changed, seller) if changed is not None else ""
                if why:
                    marked[choice] = why
            # Where no choice is any better, it is not this widget that is to be changed.
            if 0 < len(marked) < len(choices):
                found[widget] = marked
        if "provider" in told:
            marked = {name: why for name, why in self._providers(asked).items() if why}
            if marked:
                found["provider"] = marked
        return found

    def _why(self, asked: Requests, seller: str) -> str:
        each = [frozenset().union(*(sellers(self._lifecycle, r) for r in shot)) for shot in asked]
        if all(who & self._here if seller == AUTO else seller in who for who in each):
            return ""
        if seller != AUTO:
            return f"not at {seller}"
        able = named(self._lifecycle, frozenset.intersection(*each) - self._here)
        return f"with a key: {able}" if able else "not sold"

    def _providers(self, asked: Requests) -> dict[str, str]:
        told = {AUTO: self._why(asked, AUTO)}
        for provider in self._lifecycle.sellers.providers:
            lacking = missing(provider.needs, self._lifecycle.credentials)
            told[provider.name] = "no key" if lacking else self._why(asked, provider.name) and "not this"
        return told


def _with(asked: Requests, widget: str, now: Any, value: Any, *, always: bool) -> Requests | None:
    """*asked* with another choice in a widget, where that has a say in it; None where it has none.

    A line of a scene's sheet may say something else than the node, and goes on saying it. *always*: the widget leaves
    it to the pictures.
    """
    followed = [[always or getattr(r, widget) == now for r in shot] for shot in asked]
    if not any(map(any, followed)):
        return None
    return tuple(
        tuple(replace(r, **{widget: value}) if follows else r for r, follows in zip(shot, those, strict=True))
        for shot, those in zip(asked, followed, strict=True)
    )
