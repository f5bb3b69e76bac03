"""One provider on its emulator, reached through the proxy; the pack; and the person who queues."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest import mock

from contracts import PAID, Web, asked, emulator_of
from emulators.clips import journey
from emulators.server import FileHost
from fakes import FakeClock, Reports
from luma_ray.nodes.generation import errors
from luma_ray.nodes.generation.connection import ALLOWED_HOSTS
from luma_ray.nodes.generation.credentials import Credentials
from luma_ray.nodes.generation.finishing import Clip
from luma_ray.nodes.generation.library import Library
from luma_ray.nodes.generation.lifecycle import Lifecycle
from luma_ray.nodes.generation.records import OPEN
from luma_ray.nodes.generation.request import GenerationRequest, Operation
from luma_ray.nodes.hosting.wavespeed import WaveSpeedStorage
from luma_ray.nodes.media import clips
from requests.adapters import HTTPAdapter

from . import truth
from .ground import journal
from .proxy import Proxy
from .truth import Sale, Untrue
from .wire import Wire, nothing

BY_NAME = {provider.name: provider for provider in PAID}
PATIENT = 4 * 3600.0
"""Seconds on the pack's clock that one press of Queue may take at most: the pack's own patience and the lines."""
EARLIER = "an earlier clip"


@dataclass
class World:
    """Made by `opened`. *said* is everything that the person could read."""

    provider: Any
    emulator: Any
    proxy: Proxy
    wire: Wire
    folder: Path
    hosts: list[Any]
    clock: FakeClock = field(default_factory=FakeClock)
    said: list[str] = field(default_factory=list)
    earlier: dict[str, int] = field(default_factory=dict)
    """Requests by step that belong to an earlier purchase."""
    doubled: Counter[str] = field(default_factory=Counter)
    """By prompt: jobs that exist because the network doubled a request that has no key."""

    killed: bool = False
    """Whether a process was killed, which leaves behind what it was writing."""

    def __post_init__(self) -> None:
        self.emulator.now = self.clock.elapsed  # right, whatever this machine's date says
        self.proxy.dripping = lambda: self.clock.sleep(1.0)
        self.journal = journal(self.folder, self.clock.now)
        self.library = Library(self.folder / "clips")
        self.lifecycle = self.process()

    def process(self) -> Lifecycle:
        """A lifecycle as another process would have it."""
        return Lifecycle(
            journal=self.journal,
            library=self.library,
            credentials=Credentials(self.folder),
            providers=[self.provider],
            hosts=self.hosts,
            inspect=clips.inspect,
        )

    def request(self, prompt: str, *, picture: bool = False, take: int = 1) -> GenerationRequest:
        """A clip that this provider sells."""
        return a_clip(self.provider, prompt, picture=picture, take=take)

    def queue(
        self,
        request: GenerationRequest,
        lifecycle: Lifecycle | None = None,
        reporting: Callable[..., None] = lambda words, fraction=None: None,
    ) -> Clip | errors.GenerationError:
        """The person presses Queue. Whatever comes is checked against the provider's books.

        *reporting* is called with what the person is told meanwhile.
        """
        begun, reports = self.clock.elapsed(), Reports()

        def report(words: str, fraction: float | None = None) -> None:
            reports(words, fraction)
            reporting(words, fraction)

        try:
            result: Any = (lifecycle or self.lifecycle).generate(
                request, self.provider.name, clock=self.clock, report=report
            )
            self.said += result.notes
        except errors.GenerationError as error:
            self.said.append(str(error))
            result = error
        self.said.append(reports.words)
        took = self.clock.elapsed() - begun
        if took > PATIENT:
            raise Untrue(f"it took {took / 3600:.1f} hours")
        self.check()
        if isinstance(result, BaseException):
            unknown = [sale for sale in self.unknown() if sale.prompt == request.prompt]
            truth.check_bill(result, len(unknown) - self.doubled[request.prompt])
        return result

    def sales(self) -> list[Sale]:
        """The provider's books."""
        sold = []
        for work in self.emulator.creates:
            prompt = work.prompt if hasattr(work, "prompt") else work.body["prompt"]
            ended = work.state in ("failed", "cancelled")
            sold.append(
                Sale(self.provider.name, work.id, prompt, not ended, work.state == "cancelled", work.clip)
            )
        return sold

    def unknown(self) -> list[Sale]:
        """Paid jobs that are in no row."""
        return truth.unknown_sales(self.journal.entries(), self.sales())

    def check(self) -> None:
        """Everything that has to hold at any moment."""
        rows, sales = self.journal.entries(), self.sales()
        truth.check(rows, sales, self.library, orphans=self.doubled, killed=self.killed)
        truth.check_said(self.said, [self.emulator.key])
        if self.emulator.leaks:
            raise Untrue("the key went to a public address")

    def settled(self, request: GenerationRequest) -> tuple[Clip, list[str]]:
        """All goes well again: the person queues, decides what only a person can, and queues again.

        Returns the clip, and in words how it came to be.
        """
        self.wire.plan = nothing
        self.clock.stop.clear()
        self.proxy.deliver()
        how: list[str] = []
        for _ in range(4):
            before = len(self.emulator.creates)
            result = self.queue(request, self.process())
            if isinstance(result, Clip):
                how.append("bought" if len(self.emulator.creates) > before else "collected")
                return result, how
            if isinstance(result, errors.SubmissionUncertain):
                how.append(self.decide(request))
            elif isinstance(result, errors.GenerationFailed):
                how.append("failed")
            else:
                raise Untrue(f"nothing is wrong any more, and still: {type(result).__name__}: {result}")
        raise Untrue(f"there is no end to it: {how}")

    def decide(self, request: GenerationRequest) -> str:
        """The person looks at the provider's own page and says what is there."""
        (row,) = (
            row
            for row in self.journal.entries()
            if row.state in OPEN and (row.fingerprint, row.take) == (request.fingerprint, request.take)
        )
        there = [sale for sale in self.unknown() if sale.prompt == request.prompt]
        if there:
            self.process().found(row.id, there[0].job, clock=self.clock)
            return "found"
        self.process().not_created(row.id)
        return "not created"

    def check_end(self, request: GenerationRequest, clip: Clip) -> None:
        """The purchase is over: one clip, paid once, and free from now on."""
        self.check()
        if clip.path.read_bytes() not in [
            sale.clip for sale in self.sales() if sale.prompt == request.prompt
        ]:
            raise Untrue("the clip is not one that was sold for this request")
        clips.inspect(clip.path)
        alive = [sale for sale in self.sales() if sale.alive and sale.prompt == request.prompt]
        if len(alive) != 1 + self.doubled[request.prompt]:
            raise Untrue(f"{len(alive)} clips were paid for one")
        charges = len(self.emulator.creates)
        again = self.queue(request, self.process())
        if not isinstance(again, Clip) or not again.recalled or len(self.emulator.creates) != charges:
            raise Untrue("a clip that is here is not given for nothing")


def a_clip(provider: Any, prompt: str, *, picture: bool = False, take: int = 1) -> GenerationRequest:
    """A request for the first of everything that *provider* sells."""
    operation = Operation.IMAGE_TO_VIDEO if picture else Operation.TEXT_TO_VIDEO
    kinds = ("image" if picture else "none", "none")
    offer = next(offer for offer in provider.offers if offer.operation is operation)
    return replace(asked(offer, kinds, None), prompt=prompt, take=take)


@contextmanager
def opened(name: str, folder: Path, files: FileHost, **options: Any) -> Iterator[World]:
    """A world with the provider called *name*; *options* are its emulator's."""
    provider = BY_NAME[name]
    with ExitStack() as stack:
        emulator = emulator_of(provider, **options)
        proxy = Proxy(lambda: emulator._server.server_port)
        stack.enter_context(proxy)
        _seen_through(emulator, proxy)
        stack.enter_context(emulator)
        stack.enter_context(environment(emulator, proxy.netloc, files.origin.removeprefix("http://")))
        wire = Wire(name, proxy.netloc)

        def send(adapter: HTTPAdapter, request: Any, **options: Any) -> Any:
            return wire.send(adapter, request, **options)

        stack.enter_context(mock.patch.object(HTTPAdapter, "send", send))
        hosts: list[Any] = [WaveSpeedStorage()] if name == "wavespeed" else [Web(files)]
        yield World(provider, emulator, proxy, wire, folder, hosts)


def _seen_through(emulator: Any, proxy: Proxy) -> None:
    """Let the addresses that an emulator gives out lead through *proxy*, and its clips be small: each is another."""
    kind = type(emulator)
    changes = {
        "origin": property(lambda _: proxy.origin),
        "_render": lambda _, work: journey(work.number, (64, 36), 1),
    }
    emulator.__class__ = type(kind.__name__, (kind,), changes)


@contextmanager
def environment(emulator: Any, *netlocs: str) -> Iterator[None]:
    """The variables that lead the pack to *emulator*."""
    values: Mapping[str, str] = {**emulator.environment(), ALLOWED_HOSTS: ",".join(netlocs)}
    with mock.patch.dict(os.environ, values):
        yield
