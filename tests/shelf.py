"""Generations for tests of the library, with real clips: bought by nobody."""

from __future__ import annotations

import shutil
from decimal import Decimal

from luma_ray.nodes.generation.offer import Job
from luma_ray.nodes.generation.request import GenerationRequest, Operation


def asked(studio, prompt="a fox in the snow", *, provider="luma", local=False, **others):
    """A generation that is being sent."""
    settings = {"operation": Operation.TEXT_TO_VIDEO, "model": "ray-flash-2", "prompt": prompt, **others}
    request = GenerationRequest(**settings)
    return studio.lifecycle.journal.claim(
        request, provider=provider, local=local, estimate_usd=Decimal(0) if local else Decimal("0.20")
    )[0]


def submitted(studio, prompt="a fox in the snow", **others):
    """A generation that its provider has."""
    entry = asked(studio, prompt, **others)
    return studio.lifecycle.journal.submitted(entry.id, Job(id=f"job of {entry.id}"))


def made(studio, film, prompt="a fox in the snow", **others):
    """A generation with its clip, a copy of *film*, in the library."""
    entry, library = submitted(studio, prompt, **others), studio.library
    name = library.name(entry)
    with library.arriving(name) as arriving:
        shutil.copyfile(film, arriving)
        library.keep(arriving, name)
    facts = {"frames": 24, "width": 192, "height": 108, "seconds": 1.0, "billed_usd": None}
    return studio.lifecycle.journal.completed(entry.id, clip=name, **facts)
