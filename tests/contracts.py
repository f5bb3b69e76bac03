"""Every provider with its emulator, and a request for everything it sells."""

from __future__ import annotations

import atexit
import hashlib
import importlib
import io
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from emulators import clips as drawn
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
    SourceVideo,
    StillImage,
    Upload,
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


@cache
def film() -> SourceVideo:
    """A film of 5 s that all providers take."""
    content = drawn.journey(7, (320, 180), 5)
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "film.mp4"
    path.write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    return SourceVideo(320, 180, 121 / 24, len(content), sha256, path)


class Web(Hosting):
    """A hosting for providers that take pictures by URL only: a loopback server."""

    name = "web"
    title = "Web"
    settings = ()
    how = "is set up."
    life = 3600.0

    def __init__(self, files: FileHost) -> None:
        self.files = files

    def publish(self, upload: Upload, credentials: Credentials, clock: Any) -> str:
        if isinstance(upload, SourceVideo):
            return self.files.put(f"{upload.sha256}.mp4", upload.path.read_bytes(), upload.media_type)
        return self.files.put(f"{upload.sha256}.png", upload.encode("image/png"), "image/png")


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
        return GenerationReference(
            id=entry.id, provider=entry.provider, job_id=entry.handle, seconds=entry.seconds or 0
        )

    def request(self, offer: Offer, kinds: tuple[str, str], **others: Any) -> GenerationRequest:
        """What *offer* sells with such keyframes."""
        reference = None
        if "generation" in kinds or _of_its_own(offer):
            size = "540p" if offer.remaking else offer.resolutions[0]
            reference = self.reference(offer.model, size)
        return replace(asked(offer, kinds, reference), **others)

    def ending(self, offer: Offer, kinds: tuple[str, str], words: str) -> GenerationRequest:
        """As `request`, of a job that ends as *words* say: by its prompt, where it has one."""
        if offer.prompt_length[1]:
            return self.request(offer, kinds, prompt=words)
        request = self.request(offer, kinds)
        self.emulator.fate = words
        return request

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
    source = None
    if offer.remaking is not None:
        source = reference if _of_its_own(offer) else film()
    return GenerationRequest(
        operation=offer.operation,
        model=offer.model,
        prompt="a fox in the snow" if offer.prompt_length[1] else "",
        aspect_ratio="16:9" if "16:9" in offer.aspect_ratios else offer.aspect_ratios[0],
        resolution=offer.resolutions[0],
        duration=offer.durations[0] if offer.durations else 5,
        source=source,
        mode=offer.remaking.modes[0] if offer.remaking and offer.remaking.modes else "",
        first_frame=frames[0],
        last_frame=frames[1],
        middle_frames=middle,
    )


def _of_its_own(offer: Offer) -> bool:
    """Whether what it makes is made from a clip of the provider's own."""
    return offer.remaking is not None and "video" not in offer.remaking.kinds


def offers() -> Iterator[Any]:
    """Each provider with each of its offers."""
    for provider in PAID:
        for offer in provider.offers:
            yield provider, offer


def name_of(provider: Provider, offer: Offer) -> str:
    """For a test's id."""
    number = list(provider.offers).index(offer)
    return f"{provider.name}-{offer.model}-{offer.operation.value}-{number}"
