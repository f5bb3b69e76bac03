"""What is known of a film before it is made: how long and how large the widgets that lead to it say it will be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from .film import Settings, request_for
from .generation.ray import LONGEST_FILM, MODELS, MODES, RESOLUTIONS, frame_size, proportion
from .generation.request import (
    AS_THE_SOURCE,
    GenerationReference,
    GenerationRequest,
    Operation,
    SourceVideo,
)
from .generation.selection import AUTO
from .marks import Prompt, linked
from .providers import PROVIDERS

UNKNOWN: Final = 10
"""Seconds that a film from anywhere counts: what every provider that changes films takes."""
_DEEPEST: Final = 32


@dataclass(frozen=True, kw_only=True)
class Expected:
    """A film that is not there yet."""

    seconds: float = UNKNOWN
    width: int = 1280
    height: int = 720
    provider: str = AUTO
    model: str = ""
    """Empty where nobody says."""


def expected(prompt: Prompt, link: Any) -> Expected:
    """What the node at the other end of *link* will give, as far as its widgets tell."""
    return _expected(prompt, link, 0, {})


def _expected(prompt: Prompt, link: Any, depth: int, known: dict[str, Expected]) -> Expected:
    """*known*: what was found so far, or a graph that joins the same films again and again is never read."""
    if not linked(link) or depth > _DEEPEST:
        return Expected()
    node_id = str(link[0])
    if node_id not in known:
        known[node_id] = Expected()
        known[node_id] = _given(prompt, prompt.get(node_id) or {}, depth, known)
    return known[node_id]


def _given(prompt: Prompt, node: Mapping[str, Any], depth: int, known: dict[str, Expected]) -> Expected:
    kind, given = str(node.get("class_type")), node.get("inputs", {})
    if kind == "RayJoinClips":
        parts = [_expected(prompt, value, depth + 1, known) for value in given.values() if linked(value)]
        return replace(parts[0], seconds=sum(part.seconds for part in parts)) if parts else Expected()
    if not kind.startswith("Ray"):
        return Expected()
    source = given.get("generation") or given.get("video") or given.get("frames")
    film = _expected(prompt, source, depth + 1, known)
    told = str(given.get("duration", "")).removesuffix(" s")
    length = given.get("length")
    seconds = float(told) if told.isdecimal() and len(told) < 4 else film.seconds
    if kind == "RayExtendVideo" and isinstance(length, int):
        seconds = float(min(length, LONGEST_FILM))
    provider, model = given.get("provider"), given.get("model")
    return replace(
        _sized(film, given),
        seconds=seconds,
        provider=provider if isinstance(provider, str) else AUTO,
        model=model if model in MODELS else film.model,
    )


def remakes(
    prompt: Prompt, operation: Operation, settings: Settings, given: Mapping[str, Any]
) -> Iterator[GenerationRequest]:
    """What a node that makes one film into another may ask for."""
    film = expected(prompt, given.get("generation") or given.get("video") or given.get("frames"))
    request = GenerationRequest(
        operation=operation,
        model=settings.model,
        prompt="" if operation is Operation.UPSCALE_VIDEO else settings.prompt,
        aspect_ratio=settings.aspect_ratio if operation is Operation.REFRAME_VIDEO else AS_THE_SOURCE,
        resolution=settings.resolution if given.get("resolution") is not None else AS_THE_SOURCE,
        duration=max(1, round(film.seconds)),
        take=settings.take,
    )
    if operation in (Operation.MODIFY_VIDEO, Operation.REFRAME_VIDEO):
        mode = given.get("mode")
        mode = mode if mode in MODES else MODES[3]
        yield replace(
            request,
            mode=mode if operation is Operation.MODIFY_VIDEO else "",
            source=SourceVideo(film.width, film.height, film.seconds, 1, "0" * 64, Path()),
        )
        return
    for seller in _makers(operation, film):
        source = GenerationReference(id="", provider=seller, job_id="", seconds=film.seconds)
        yield replace(request, model=film.model or "ray-2", source=source)


def interpolations(
    prompt: Prompt, settings: Settings, given: Mapping[str, Any]
) -> Iterator[GenerationRequest]:
    """What a node that leads from one film to another may ask for."""
    film = expected(prompt, given.get("before"))
    for seller in _makers(Operation.INTERPOLATE_VIDEO, film):
        before, after = (
            GenerationReference(id="", provider=seller, job_id=end) for end in ("before", "after")
        )
        yield request_for(settings, Operation.INTERPOLATE_VIDEO, before, after)


def _makers(operation: Operation, film: Expected) -> Iterator[str]:
    """Who may have made a clip, of those that sell *operation*: a provider works on its own clips only."""
    for provider in PROVIDERS:
        sells = any(offer.operation is operation for offer in provider.offers)
        if sells and film.provider in (AUTO, provider.name):
            yield provider.name


def _sized(film: Expected, given: Mapping[str, Any]) -> Expected:
    resolution, ratio = given.get("resolution"), given.get("aspect_ratio")
    shape = film.width / film.height
    if isinstance(ratio, str) and ":" in ratio:
        try:
            shape = proportion(ratio)
        except (ValueError, ZeroDivisionError):
            return film
    if resolution not in RESOLUTIONS or not 0.1 < shape < 10:
        return film
    width, height = frame_size(resolution, shape)
    return replace(film, width=width, height=height)
