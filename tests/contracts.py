"""Every provider with its emulator, and a request for everything it sells."""

from __future__ import annotations

import importlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from emulators.serve import EMULATORS
from emulators.server import FileHost
from fakes import FakeClock, Reports
from luma_ray.nodes.generation.credentials import Credentials
from luma_ray.nodes.generation.hosting import Hosting
from luma_ray.nodes.generation.journal import Journal
from luma_ray.nodes.generation.library import Library
from luma_ray.nodes.generation.lifecycle import Lifecycle
from luma_ray.nodes.generation.offer import Offer, Provider
from luma_ray.nodes.generation.request import (
    GenerationReference,
    GenerationRequest,
    MiddleFrame,
    Operation,
    StillImage,
)
from luma_ray.nodes.media import clips
from luma_ray.nodes.providers import PROVIDERS
from PIL import Image

PAID = [provider for provider in PROVIDERS if not provider.local]


def emulator_of(provider: Provider, **options: Any) -> Any:
    """The emulator of *provider*, not started."""
    module, name = EMULATORS[provider.name].split(":")
    return getattr(importlib.import_module(module), name)(**options)


@cache
def photograph(seed: int) -> StillImage:
    """A picture of 1024x576 pixels that all providers take."""
    across = np.linspace(0, 255, 1024, dtype=np.uint8)[None, :, None]
    down = np.linspace(0, 255, 576, dtype=np.uint8)[:, None, None]
    pixels = np.broadcast_to(across // 2 + down // 2, (576, 1024, 3)).copy()
    pixels[..., seed % 3] = 255 - pixels[..., seed % 3]
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    content = file.getvalue()
    return StillImage(1024, 576, f"{seed:02x}" * 32, lambda media_type: content)


class Web(Hosting):
    """A hosting for providers that take pictures by URL only: a loopback server."""

    name = "web"
    title = "Web"
    settings = ()
    how = "is set up."
    life = 3600.0

    def __init__(self, files: FileHost) -> None:
        self.files = files

    def publish(self, still: StillImage, credentials: Credentials, clock: Any) -> str:
        return self.files.put(f"{still.sha256}.png", still.encode("image/png"), "image/png")


@dataclass
class Contract:
    """One provider on its emulator, with a lifecycle in a folder."""

    provider: Provider
    emulator: Any
    lifecycle: Lifecycle
    clock: FakeClock
    reports: Reports

    def generate(self, request: GenerationRequest) -> Any:
        """Buy or recall."""
        return self.lifecycle.generate(request, self.provider.name, clock=self.clock, report=self.reports)

    def reference(self, model: str, resolution: str) -> GenerationReference:
        """An earlier clip at this provider."""
        offer = next(
            offer
            for offer in self.provider.offers
            if offer.operation is Operation.TEXT_TO_VIDEO
            and offer.model == model
            and resolution in offer.resolutions
        )
        request = asked(offer, ("none", "none"), None)
        entry = self.generate(replace(request, prompt="an earlier clip", resolution=resolution)).entry
        return GenerationReference(id=entry.id, provider=entry.provider, job_id=entry.handle)

    def request(self, offer: Offer, kinds: tuple[str, str], **others: Any) -> GenerationRequest:
        """What *offer* sells with such keyframes."""
        reference = None
        if "generation" in kinds:
            reference = self.reference(offer.model, offer.resolutions[0])
        return replace(asked(offer, kinds, reference), **others)

    @property
    def row(self) -> Any:
        """The newest row that is not an earlier clip."""
        rows = self.lifecycle.journal.entries()
        return next(row for row in rows if row.request["prompt"] != "an earlier clip")

    @property
    def charges(self) -> int:
        """How often the account was charged."""
        return len(self.emulator.creates)


def opened(provider: Provider, emulator: Any, files: FileHost, folder: Any) -> Contract:
    """A lifecycle that has *provider* alone."""
    clock = FakeClock()
    emulator.now = clock.now
    lifecycle = Lifecycle(
        journal=Journal(f"sqlite:///{folder / 'journal.db'}", now=clock.now),
        library=Library(folder / "clips"),
        credentials=Credentials(folder),
        providers=[provider],
        hosts=[Web(files)],
        inspect=clips.inspect,
    )
    return Contract(provider, emulator, lifecycle, clock, Reports())


def asked(offer: Offer, kinds: tuple[str, str], reference: GenerationReference | None) -> GenerationRequest:
    """The first of everything that *offer* has."""
    frames = [
        {"none": None, "image": photograph(number + 1), "generation": reference}[kind]
        for number, kind in enumerate(kinds)
    ]
    middle = ()
    if offer.middle_frames and kinds == ("none", "none"):
        middle = (MiddleFrame(0, photograph(3)), MiddleFrame(24, photograph(4)))
    return GenerationRequest(
        operation=offer.operation,
        model=offer.model,
        prompt="a fox in the snow",
        aspect_ratio="16:9" if "16:9" in offer.aspect_ratios else offer.aspect_ratios[0],
        resolution=offer.resolutions[0],
        duration=offer.durations[0],
        first_frame=frames[0],
        last_frame=frames[1],
        middle_frames=middle,
    )


def offers() -> Iterator[Any]:
    """Each provider with each of its offers."""
    for provider in PAID:
        for offer in provider.offers:
            yield provider, offer


def name_of(provider: Provider, offer: Offer) -> str:
    """For a test's id."""
    number = list(provider.offers).index(offer)
    return f"{provider.name}-{offer.model}-{offer.operation.value}-{number}"
