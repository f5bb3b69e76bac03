"""What the tests hand in where the pack would meet the world: time that passes at once, a provider in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from luma_ray.nodes.generation.clock import Clock
from luma_ray.nodes.generation.credentials import Credentials
from luma_ray.nodes.generation.journal import Journal
from luma_ray.nodes.generation.library import Library
from luma_ray.nodes.generation.lifecycle import Lifecycle
from luma_ray.nodes.generation.offer import Completed, Job, Offer, Pending, Provider
from luma_ray.nodes.generation.records import CREATES
from luma_ray.nodes.generation.request import GenerationRequest, Operation, StillImage


class FakeClock(Clock):
    """A clock whose seconds pass as soon as they are waited for."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        super().__init__(threading.Event())
        self._now = now
        self._corrected = 0.0
        self.slept: list[float] = []
        self.on_sleep: Callable[[], None] = lambda: None

    def now(self) -> float:
        return self._now

    def elapsed(self) -> float:
        return self._now - self._corrected

    def correct(self, seconds: float) -> None:
        """The date is set forward, or back, while no time passes."""
        self._now += seconds
        self._corrected += seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._now += seconds
        self.on_sleep()


class Reports(list):
    """Everything that was reported."""

    def __call__(self, words: str, fraction: float | None = None) -> None:
        self.append((words, fraction))

    @property
    def words(self) -> str:
        return "\n".join(words for words, _ in self)


@dataclass(frozen=True)
class Facts:
    frames: int = 121
    width: int = 1280
    height: int = 720
    seconds: float = 121 / 24


class Paper(Provider):
    """A provider in memory: each answer of `submit` and `status` is taken from a list of answers or errors."""

    name = "paper"
    title = "Paper"
    docs = ""
    secrets = ("PAPER_KEY",)
    offers = tuple(
        Offer(
            model=model,
            operation=operation,
            endpoint="",
            durations=(5, 9),
            resolutions=("540p", "720p"),
            aspect_ratios=("16:9", "1:1"),
            keyframes=frozenset(kinds),
            prices={("720p", 5): Decimal("0.20")},
        )
        for model in ("ray-2", "ray-flash-2")
        for operation, kinds in (
            (Operation.TEXT_TO_VIDEO, [("none", "none")]),
            (Operation.IMAGE_TO_VIDEO, [("image", "none")]),
        )
    )

    def __init__(self) -> None:
        self.submits: list = []
        self.statuses: list = [Completed(url="")]
        self.found: list = []
        self.submitted: list = []
        self.keys: list = []
        self.downloads: list = []
        self.cancelled: list = []
        self.cancellation = "impossible"

    def encode(self, request, pictures):
        return {"prompt": request.prompt, "pictures": dict(pictures)}

    def submit(self, client, offer, body, key):
        self.submitted.append(body)
        self.keys.append(key)
        return _next(self.submits, default=Job(id=f"job-{len(self.submitted)}"))

    def status(self, client, job):
        return _next(self.statuses, default=Pending())

    def upload(self, client, still):
        return f"uploaded:{still.sha256}"

    def reconcile(self, client, create):
        return _next(self.found, default=None)

    def cancel(self, client, job):
        self.cancelled.append(job.id)
        return self.cancellation

    def download(self, client, completed, path, *, request, clock, progress):
        _next(self.downloads, default=None)
        path.write_bytes(b"clip")
        progress(1.0)


class Reconciling(Paper):
    name = "reconciling"
    title = "Reconciling"
    reconciles = True


def _next(answers: list, default: object) -> object:
    """The next of *answers*: an error is raised once, the last other answer stays (a finished job stays so)."""
    if not answers:
        return default
    stays = len(answers) == 1 and not isinstance(answers[0], BaseException)
    answer = answers[0] if stays else answers.pop(0)
    if isinstance(answer, BaseException):
        raise answer
    return answer() if callable(answer) else answer


@dataclass
class Desk:
    """A lifecycle over a folder, with one provider in memory."""

    folder: Path
    provider: Paper = field(default_factory=Paper)
    clock: FakeClock = field(default_factory=FakeClock)
    reports: Reports = field(default_factory=Reports)
    url: str = ""
    """Where the journal is; empty: in the folder."""

    def __post_init__(self) -> None:
        self.lifecycle = self.opened()

    def opened(self, **others: object) -> Lifecycle:
        """A lifecycle as another process would have it."""
        return Lifecycle(
            **{
                "journal": Journal(self.url or f"sqlite:///{self.folder / 'journal.db'}", now=self.clock.now),
                "library": Library(self.folder / "clips"),
                "credentials": Credentials(self.folder),
                "providers": [self.provider],
                "hosts": [],
                "inspect": lambda path: Facts(),
                **others,
            }
        )

    def creates_kept(self) -> int:
        """How many creates the journal keeps to send them again."""
        with self.lifecycle.journal.database.transaction() as connection:
            return len(connection.execute(CREATES.select()).all())

    def generate(self, request: GenerationRequest | None = None, provider: str = "paper", **others: object):
        return self.lifecycle.generate(
            request or text(), provider, **{"clock": self.clock, "report": self.reports, **others}
        )


def text(prompt: str = "a fox in the snow", **others: object) -> GenerationRequest:
    values = {"operation": Operation.TEXT_TO_VIDEO, "model": "ray-flash-2", "prompt": prompt, **others}
    return GenerationRequest(**values)


def picture(sha256: str = "ab" * 32, width: int = 1280, height: int = 720) -> StillImage:
    return StillImage(width=width, height=height, sha256=sha256, encode=lambda media_type: b"picture")
