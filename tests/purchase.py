"""What the tests of each provider have in common: the way to its emulator, single calls, and whole lives of clips."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
from emulators import clips as drawn
from emulators.jobs import JobEmulator
from fakes import FakeClock, Reports, picture
from luma_ray.nodes.generation import errors
from luma_ray.nodes.generation.client import Client, decoding
from luma_ray.nodes.generation.credentials import Credentials, Secret
from luma_ray.nodes.generation.finishing import Clip
from luma_ray.nodes.generation.hosting import Hosting
from luma_ray.nodes.generation.journal import Journal
from luma_ray.nodes.generation.library import Library
from luma_ray.nodes.generation.lifecycle import Lifecycle
from luma_ray.nodes.generation.offer import Job, Pending, Provider, Status
from luma_ray.nodes.generation.records import Entry
from luma_ray.nodes.generation.request import GenerationRequest, StillImage
from luma_ray.nodes.generation.selection import refusals
from luma_ray.nodes.media import clips, images

A, B = picture("ab" * 32), picture("cd" * 32)
URLS = {A.sha256: "https://pictures.test/a.png", B.sha256: "https://pictures.test/b.png"}
KEY = "0b9b3d0c-5f43-5a5e-8d62-0d6a0c3f9d11"
"""An idempotency key."""


@contextmanager
def led_to(emulator: JobEmulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """*emulator*, started, and this process set up to use it."""
    with emulator:
        for name, value in emulator.environment().items():
            monkeypatch.setenv(name, value)
        yield emulator


# -- single calls ---------------------------------------------------------------------------------------------


def calls(provider: Provider) -> tuple[Callable[..., Any], ...]:
    """`client_for`, `submitted`, `look` and `outcome` of *provider*: what is left to hand in is the emulator."""
    return tuple(partial(call, provider) for call in (client_for, submitted, look, outcome))


def client_for(provider: Provider, emulator: JobEmulator, *, key: str = "", base_url: str = "") -> Client:
    """What the provider talks through, set up by the variables of *emulator*."""
    told = emulator.environment()
    secrets = {name: Secret(key or told[name]) for name in provider.secrets}
    return Client(
        provider.label,
        base_url or told[provider.base_url_variable],
        lambda: provider.sign(secrets),
        FakeClock(),
        provider.error_text,
        explain=provider.explain,
    )


def submitted(
    provider: Provider,
    emulator: JobEmulator,
    request: GenerationRequest,
    *,
    pictures: Mapping[str, str] = URLS,
    key: str = KEY,
) -> Job:
    """The job of *request*, which must be on offer."""
    offer, reasons = refusals(provider, request)
    assert reasons == []
    with decoding(provider.label):
        return provider.submit(client_for(provider, emulator), offer, provider.encode(request, pictures), key)


def look(provider: Provider, emulator: JobEmulator, job: Job) -> Status:
    """What is known of the job, after one more question."""
    with decoding(provider.label):
        return provider.status(client_for(provider, emulator), job)


def outcome(provider: Provider, emulator: JobEmulator, job: Job) -> Status:
    """How the job ends."""
    for _ in range(9):
        status = look(provider, emulator, job)
        if not isinstance(status, Pending):
            return status
    raise AssertionError("never done")


# -- whole lives ----------------------------------------------------------------------------------------------


class Life(Lifecycle):
    """A lifecycle over a folder that has *provider* alone, with real files and time that passes at once.

    The journal goes by *clock* where it is given, else by the real time, as the emulators do.
    """

    def __init__(
        self, folder: Path, provider: Provider, *hosts: Hosting, clock: FakeClock | None = None
    ) -> None:
        super().__init__(
            journal=Journal(f"sqlite:///{folder / 'journal.db'}", now=clock.now if clock else time.time),
            library=Library(folder / "clips"),
            credentials=Credentials(folder),
            providers=[provider],
            hosts=hosts,
            inspect=clips.inspect,
        )
        self.folder = folder
        self.seller = provider.name
        self.clock, self.reports = clock or FakeClock(), Reports()

    def buy(self, request: GenerationRequest) -> Clip:
        """The clip for *request*."""
        return self.generate(request, self.seller, clock=self.clock, report=self.reports)

    def bring(self, id: str) -> Clip:
        """The clip of a job that the provider calls *id*."""
        return self.collect(id, self.seller, clock=self.clock, report=self.reports)

    def row(self) -> Entry:
        """The only row of the journal."""
        (row,) = self.journal.entries()
        return row

    def written(self) -> bytes:
        """Everything that is on disk."""
        return b"".join(path.read_bytes() for path in self.folder.rglob("*") if path.is_file())


def refused(life: Life, emulator: JobEmulator, request: GenerationRequest) -> str:
    """Why *request* is not on offer; nothing is sent or written down then."""
    with pytest.raises(errors.UnsupportedRequest, match=r"Nothing was sent or billed\.$") as caught:
        life.buy(request)
    assert emulator.requests == []
    assert life.journal.entries() == []
    return str(caught.value)


@cache
def photograph(red: int, width: int = 320, height: int = 180) -> StillImage:
    """A picture as the nodes hand it in."""
    pixels = drawn.photograph(red, width, height).pixels
    return images.still(images.tensor(pixels), name="the photograph")
