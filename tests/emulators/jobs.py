"""What emulators of providers that sell Ray share: an account, jobs that get on, pictures fetched, clips rendered.

A prompt decides how its job ends: one with "indecent" is stopped by moderation, one with "doomed" fails. A clip
has a quarter of the real width and height unless *full_size* is set, and follows the shape of its pictures.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

import requests

from . import clips
from .clips import Picture
from .server import Emulator, Fault, Refusal, Reply, Request, Route, file_reply, html_reply

SHORT_SIDE = {"360p": 360, "540p": 540, "720p": 720, "1080p": 1080, "4k": 2160}
ENDS = ("completed", "failed", "cancelled")
LARGEST_FILM = 200_000_000
MODES = tuple(f"{kind}_{level}" for kind in ("adhere", "flex", "reimagine") for level in (1, 2, 3))
PIXELS = ("grid_position_x", "grid_position_y", "x_start", "x_end", "y_start", "y_end")
"""Of a reframe, where it takes six numbers."""

State = Literal["queued", "running", "completed", "failed", "cancelled"]
Failure = str
""""moderation", "failed", "unreadable" or, where the provider has more of them, its own words; empty for none."""
Trouble = Literal["unauthorized", "no money", "rate limit", "moderation", "server error"]
"""Refusals that every provider has its own words for."""
Still = Picture | str
"""A picture that came with the request, or the address where the provider fetches it."""


class Entry(NamedTuple):
    """One movement of the account; negative when charged, positive when refunded."""

    job_id: str
    usd: float


@dataclass
class Work:
    """One job, in words of no provider."""

    id: str
    number: int
    """1 for the first one of this emulator; also the seed of its pictures, so that clips can be cached."""
    body: Any
    """The create as it arrived."""
    model: str
    resolution: str
    aspect_ratio: str
    seconds: int
    usd: float
    prompt: str = ""
    loop: bool = False
    first: Still | Work | None = None
    last: Still | Work | None = None
    remake: str = ""
    """"modify" or "reframe", of a film that is made from `media`."""
    media: Work | bytes | str | None = None
    """A film that came with the request, that was made earlier, or the address where the provider fetches it."""
    longest: float = 30.0
    """Seconds of a film that is taken."""
    key: str = ""
    """The idempotency key it came with."""
    created_at: float = 0.0
    """Seconds since the epoch, by the emulator's clock."""
    born: float = field(default_factory=time.monotonic)
    polls: int = 0
    state: State = "queued"
    failure: Failure = ""
    """Why it failed or will fail."""
    links: int = 0
    """How many links to its clip were handed out; `JobEmulator.expire_links` makes them stale."""
    stale: int = 0
    moving: threading.RLock = field(default_factory=threading.RLock)
    rendering: threading.RLock = field(default_factory=threading.RLock)
    clip: bytes | None = None

    @property
    def done(self) -> bool:
        """Whether it has reached its end, good or bad."""
        return self.state in ENDS


class JobEmulator(Emulator):
    """A server with an account and jobs. A subclass adds the routes, and says things in its provider's words."""

    refunds_failures = True
    works: type[Work] = Work
    """What its jobs are."""
    create: tuple[str, str]
    """Method and pattern of the requests that are billed, for `fail_next`."""
    poll: tuple[str, str]
    """Method and pattern of the questions about a job."""
    asset: tuple[str, str] = ("GET", "/assets/*")
    """Method and pattern of the requests for a finished clip."""

    def __init__(self, *, credit_usd: float = 100.0, **options: Any) -> None:
        super().__init__(**options)
        self.credit_usd = credit_usd
        self.fate = ""
        """Words that decide how the next job ends, where its prompt has none, such as "doomed"."""
        self.creates: list[Work] = []
        """Every job that was created and charged, in order."""
        self.ledger: list[Entry] = []
        self._jobs: dict[str, Work] = {}
        self._account = threading.RLock()

    def trouble(self, kind: Trouble) -> Reply:
        """How this provider refuses a create; for a subclass to say. A rate limit asks to wait 7 s."""
        raise NotImplementedError

    def unknown_status(self) -> Fault:
        """An answer to a poll with a status word that is in no documentation; for a subclass to say."""
        raise NotImplementedError

    def refusing(self, kind: Trouble) -> Fault:
        """`trouble` as a fault: nothing is created or charged."""
        return Fault(lambda _: self.trouble(kind), handled=False)

    def not_found(self) -> Reply:
        """The answer about a job nobody knows; for a subclass to say."""
        raise NotImplementedError

    def summary(self) -> str:
        """What happened, for a person."""
        billed = -sum(entry.usd for entry in self.ledger)
        return f"{len(self.creates)} creates, ${billed:.2f} billed, {len(self.leaks)} leaks of the key"

    def file_routes(self) -> list[Route]:
        """Where finished clips are: public, with a link that can expire."""
        return [Route("GET", ("/assets/{name}.mp4",), self._asset, public=True)]

    @property
    def netloc(self) -> str:
        """Such as `127.0.0.1:9000`, for LUMA_RAY_ALLOWED_HOSTS."""
        return urlsplit(self.origin).netloc

    @property
    def balance(self) -> float:
        """USD left."""
        with self._account:
            return self.credit_usd + sum(entry.usd for entry in self.ledger)

    def accept(self, **values: Any) -> Any:
        """Create and charge a job; *values* are fields of `works`. Raises Refusal for "no money"."""
        with self._account:
            work = self.works(number=len(self.creates) + 1, created_at=self.now(), **values)
            if self.balance < work.usd:
                raise Refusal(self.trouble("no money"))
            self.ledger.append(Entry(work.id, -work.usd))
            self.creates.append(work)
            work.prompt, self.fate = f"{work.prompt} {self.fate}".strip(), ""
            self._jobs[work.id] = work
        if self.pace.seconds is not None:
            self.background(partial(self._run, work, self.pace.seconds))
        return work

    def known(self, id: str) -> Work:
        """The job called *id*. Raises Refusal with `not_found`."""
        with self._account:
            work = self._jobs.get(id)
        if work is None:
            raise Refusal(self.not_found())
        return work

    def before(self, work: Work) -> int:
        """How many jobs wait in the queue before it."""
        with self._account:
            return sum(other.state == "queued" and other.number < work.number for other in self.creates)

    def by_key(self, key: str) -> Work | None:
        """The job that was created with this idempotency key."""
        with self._account:
            return next((work for work in self.creates if key and work.key == key), None)

    def looked_at(self, id: str, *, wait: float = 0) -> Work:
        """The job, after one more question about it; *wait* is a long poll of so many seconds.

        Where jobs get on by questions, a long poll counts as a question for each 5 s of it and answers at once.
        """
        work = self.known(id)
        with work.moving:
            work.polls += 1 + int(wait // 5)
            self._move(work)
        until = time.monotonic() + wait
        while (
            self.pace.seconds is not None
            and not work.done
            and time.monotonic() < until
            and not self.closing.wait(0.02)
        ):
            with work.moving:
                self._move(work)
        return work

    def cancel(self, work: Work, *, refund: bool) -> bool:
        """End a job that is not done. Returns whether it was stopped."""
        with work.moving:
            if work.done:
                return False
            work.state = "cancelled"
        if refund:
            self.refund(work)
        return True

    def refund(self, work: Work) -> None:
        """Give back what the job cost."""
        with self._account:
            self.ledger.append(Entry(work.id, work.usd))

    def link(self, work: Work) -> str:
        """A new link to the clip of a completed job, with something like a signature in its query."""
        with self._account:
            work.links += 1
            return f"{self.origin}/assets/{work.id.rpartition('/')[2]}.mp4?signature=secret-{work.links}"

    def expire_links(self) -> None:
        """Make all links handed out so far stale; the next ones work."""
        with self._account:
            for work in self.creates:
                work.stale = work.links

    def film(self, work: Work) -> bytes:
        """The clip of a job, made when it is first wanted."""
        with work.rendering:
            if work.clip is None:
                work.clip = self._render(work)
            return work.clip

    # -- the life of a job --------------------------------------------------------------------------------

    def _run(self, work: Work, seconds: float) -> None:
        """The job by the clock: a third in the queue, then the rest of the time."""
        for end in (seconds / 3, seconds):
            # the margin keeps rounding from waking this thread just before the step
            self.closing.wait(max(work.born + end + 0.01 - time.monotonic(), 0))
            if self.closing.is_set():
                return
            with work.moving:
                self._move(work)
            if not work.done and not work.failure:
                self.film(work)

    def _move(self, work: Work) -> None:
        """Bring the state up to date. The caller holds `moving`."""
        if work.done:
            return
        progress = self.pace.progress(work.polls, time.monotonic() - work.born)
        if progress > 1 / 3 and work.state == "queued":
            work.state = "running"
            work.failure = self._fetch(work) or self._moderate(work)
        if progress < 1:
            return
        if not work.failure:
            work.state = "completed"
            return
        work.state = "failed"
        if self.refunds_failures:
            self.refund(work)

    def _fetch(self, work: Work) -> Failure:
        """Get the pictures from where the request says. Returns why that failed."""
        try:
            for name in ("first", "last"):
                place = getattr(work, name)
                if isinstance(place, str):
                    setattr(work, name, clips.picture(self.fetched(place)))
            if isinstance(work.media, str):
                work.media = self.fetched(work.media)
            if isinstance(work.media, bytes):
                _, _, count = clips.edges(work.media)
                # What is said of a film beyond the limits is documented nowhere: that it is unreadable is inferred.
                if count > work.longest * clips.FRAMES_PER_SECOND + 1 or len(work.media) > LARGEST_FILM:
                    return "unreadable"
        except (requests.RequestException, clips.Unreadable):
            return "unreadable"
        return ""

    def _moderate(self, work: Work) -> Failure:
        said = work.prompt.lower()
        return "moderation" if "indecent" in said else "failed" if "doomed" in said else ""

    def fetched(self, address: str) -> bytes:
        """What is at *address*, as a provider on the internet would get it: without any key."""
        with requests.Session() as session:
            # a proxy for the outside world cannot reach this machine's loopback
            session.trust_env = urlsplit(address).hostname not in ("127.0.0.1", "localhost", "::1")
            response = session.get(address, timeout=5)
            response.raise_for_status()
            return response.content

    def _asset(self, request: Request, name: str) -> Reply:
        work = next((item for item in self.creates if item.id.rpartition("/")[2] == name), None)
        number = request.query.get("signature", "").removeprefix("secret-")
        if work is None or work.state != "completed" or not number.isdecimal():
            return html_reply(404)
        if not work.stale < int(number) <= work.links:
            return html_reply(403)  # what object stores answer to an expired link
        return file_reply(request, self.film(work), "video/mp4")

    # -- the pictures -------------------------------------------------------------------------------------

    def _render(self, work: Work) -> bytes:
        if work.remake:
            return self._remade(work)
        start = clips.edges(self.film(work.first))[1] if isinstance(work.first, Work) else work.first
        end = clips.edges(self.film(work.last))[0] if isinstance(work.last, Work) else work.last
        assert not isinstance(start, str)
        assert not isinstance(end, str)
        shape = start or end
        across, down = map(int, (work.aspect_ratio or "16:9").split(":"))
        size = self._size(work.resolution, shape.width / shape.height if shape else across / down)
        if work.loop:
            end = clips.edges(self.film(work.first))[0] if isinstance(work.first, Work) else start
        return clips.journey(work.number, size, work.seconds, start, end, closed=work.loop)

    def _remade(self, work: Work) -> bytes:
        media = self.film(work.media) if isinstance(work.media, Work) else work.media
        assert isinstance(media, bytes)
        first, _, _ = clips.edges(media)
        if work.remake == "modify":
            size = (first.width // 2 * 2, first.height // 2 * 2)
            return clips.remade(media, size, clips.recoloured)
        across, down = map(int, work.aspect_ratio.split(":"))
        return clips.remade(media, self._size(work.resolution, across / down), clips.within)

    def _size(self, resolution: str, proportion: float) -> tuple[int, int]:
        """(width, height), both even. That the short side names the resolution is inferred."""
        proportion = min(max(proportion, 9 / 21), 21 / 9)
        # even before anything is derived from it, so that extensions of extensions keep their size
        short = SHORT_SIDE[resolution] if self.full_size else 2 * round(SHORT_SIDE[resolution] / 8)
        width, height = short * max(proportion, 1), short * max(1 / proportion, 1)
        return 2 * round(width / 2), 2 * round(height / 2)
