"""Providers in memory that keep books: what was ordered, made, paid and served, whatever the pack was told of it."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from fakes import Facts, Paper
from luma_ray.nodes.generation import errors
from luma_ray.nodes.generation.offer import Completed, Failed, Job, Limits, Offer, Pending
from luma_ray.nodes.generation.request import Operation

from .stage import Stage
from .truth import Sale

LAG = 100.0
"""Seconds after which a list that lags shows a job."""


@dataclass
class Sold:
    """One job in the books."""

    provider: str
    id: str
    prompt: str
    pictures: tuple[str, ...]
    key: str
    created: float
    done: float
    ends: Literal["clip", "failure"]
    buyer: int = 0
    """The thread whose order it was; of one that came late nobody's."""
    cancelled: bool = False

    @property
    def job(self) -> str:
        """The id, as `Sale` calls it."""
        return self.id

    def alive(self, now: float) -> bool:
        """Whether it is paid, and a clip or on its way to be one."""
        return not self.cancelled and not (self.ends == "failure" and now >= self.done)

    @property
    def clip(self) -> bytes:
        """What is served for it."""
        return f"<the clip of {self.provider} {self.id}>".encode()


def inspect(path: Path) -> Facts:
    """As `media.clips.inspect`, for clips of these providers."""
    content = path.read_bytes()
    if not (content.startswith(b"<the clip of ") and content.endswith(b">")):
        raise errors.BrokenClip(f"{path} is cut off.")
    return Facts()


class Shop(Paper):
    """A provider that keeps books. Subclasses are the kinds that there are."""

    secrets = ("PAPER_KEY",)
    patience = 300
    typical_seconds = 12

    def __init__(
        self, stage: Stage, fault: Callable[[str], str], jobs: Callable[[], tuple[float, str]]
    ) -> None:
        super().__init__()
        self.stage = stage
        self.fault = fault
        self.jobs = jobs
        self.books: list[Sold] = []
        self.files: dict[str, tuple[str, float]] = {}
        """Pictures: their hash, and until when they are there."""
        self.recorded: Callable[[str], bool] = lambda job: False
        """Whether a journal knows a job."""
        self.refused: set[str] = set()
        """Keys of orders whose content it does not allow; neither when the same one comes late."""
        self.priced(Decimal("0.20"), Limits())

    def priced(self, usd: Decimal, limits: Limits) -> None:
        """What it costs, and how much it takes."""
        self.limits = limits
        self.offers = tuple(
            Offer(
                model="ray-flash-2",
                operation=operation,
                endpoint=f"{self.name}/{operation.value}",
                durations=(5,),
                resolutions=("720p",),
                aspect_ratios=("16:9",),
                keyframes=frozenset({kinds}),
                prices={("720p", 5): usd},
            )
            for operation, kinds in (
                (Operation.TEXT_TO_VIDEO, ("none", "none")),
                (Operation.IMAGE_TO_VIDEO, ("image", "none")),
            )
        )

    @property
    def sales(self) -> list[Sale]:
        """The books as `truth` reads them."""
        return [
            Sale(self.name, sold.id, sold.prompt, sold.alive(self.stage.now), sold.cancelled, sold.clip)
            for sold in self.books
        ]

    def sold(self, id: str) -> Sold:
        """A job. Raises Rejected where there is none."""
        found = next((sold for sold in self.books if sold.id == id), None)
        if found is None:
            raise errors.Rejected(f"{self.title} knows no job {id}.")
        return found

    def accept(self, body: Any, key: str) -> Sold:
        """The order has arrived."""
        if self.resend_life:
            known = next((sold for sold in self.books if sold.key == key), None)
            if known is not None and self.stage.now - known.created < self.resend_life:
                return known
        seconds, ends = self.jobs()
        pictures = tuple(self.files[file][0] for file in body["pictures"])
        number = f"{self.name}-{len(self.books) + 1}"
        now = self.stage.now
        buyer = threading.get_ident()
        sold = Sold(self.name, number, body["prompt"], pictures, key, now, now + seconds, ends, buyer)
        self.books.append(sold)
        return sold

    def late(self, body: Any, key: str) -> None:
        """An order that everybody believed to be lost."""
        if key not in self.refused:
            self.accept(body, key)

    # -- what the pack calls --------------------------------------------------------------------------------

    def encode(self, request: Any, pictures: Any) -> Any:
        return {"prompt": request.prompt, "pictures": [pictures[still.sha256] for still in request.stills]}

    def upload(self, client: Any, still: Any) -> str:
        fault = self.fault("upload")
        self.stage.pause()
        if fault in ("unreachable", "strange"):
            raise errors.UploadFailed("The picture could not be put there. Nothing was billed.")
        self.stage.pause(20.0 if fault == "slow" else 0.2)
        name = f"{self.name}-file-{len(self.files) + 1}"
        self.files[name] = (still.sha256, self.stage.now + self.upload_life)
        return name

    def price(self, client: Any, offer: Any, request: Any) -> Decimal | None:
        fault = self.fault("price")
        self.stage.pause()
        if fault == "unreachable":
            raise errors.ProviderUnavailable("no answer.")
        if fault == "strange":
            raise KeyError("usd")
        if fault == "dearer":
            return Decimal("0.90")
        return offer.price(request)

    def submit(self, client: Any, offer: Any, body: Any, key: str) -> Job:
        fault, _, told = self.fault("create").partition(" ")
        self.stage.pause()
        lost = errors.SubmissionUncertain("No answer came. It may have been created and billed.")
        match fault:
            case "unreachable":
                raise errors.ProviderUnavailable("It could not be reached. Nothing was sent or billed.")
            case "turned":  # away, by something in between
                raise errors.Rejected("Refused (404). Nothing was billed.")
            case "refused" if not any(sold.key == key for sold in self.books):
                self.refused.add(key)
                raise errors.ContentRefused("Refused. Nothing was billed.")
            case "busy":
                wait = float(told) if told else None
                raise errors.RateLimited("Too many. Nothing was billed.", retry_after=wait)
            case "lost":
                self.stage.pause(60.0)
                raise lost
            case "late":
                self.stage.at(self.stage.now + float(told), lambda: self.late(body, key))
                self.stage.pause(60.0)
                raise lost
            case "unanswered":
                self.accept(body, key)
                self.stage.pause(60.0)
                raise lost
            case "slow":
                self.stage.pause(float(told) / 2)
                sold = self.accept(body, key)
                self.stage.pause(float(told) / 2)
                return Job(id=sold.id)
            case "strange":
                self.accept(body, key)
                raise KeyError("id")
            case "mixed":  # up with the answer to another
                mine = self.accept(body, key)
                # Of one that no journal knows nobody could tell that it is another's.
                others = [sold for sold in self.books if sold is not mine and self.recorded(sold.id)]
                return Job(id=others[0].id if others else mine.id)
        sold = self.accept(body, key)
        self.stage.pause(0.3)
        return Job(id=sold.id)

    def status(self, client: Any, job: Job) -> Any:
        self.spoil("poll")
        sold = self.sold(job.id)
        if sold.cancelled:
            return Failed(reason="It was cancelled.", billing="It is free.")
        if self.stage.now < sold.done:
            return Pending(note="running")
        if sold.ends == "failure":
            return Failed(reason="It failed.", billing="It is free.")
        return Completed(url=sold.id)

    def spoil(self, kind: str) -> None:
        """What can happen to a question."""
        fault = self.fault(kind)
        self.stage.pause()
        match fault:
            case "unreachable":
                raise errors.ProviderUnavailable("no answer.")
            case "busy":
                raise errors.RateLimited("too many.", retry_after=20)
            case "strange":
                raise ValueError("unknown word")
            case "turned away":
                raise errors.Unauthorized("not today.")
            case "slow":
                self.stage.pause(50.0)

    def cancel(self, client: Any, job: Job) -> Any:
        self.spoil("cancel")
        sold = self.sold(job.id)
        if self.cancellation == "impossible" or self.stage.now >= sold.done:
            return "impossible"
        # One that began to run goes on, whatever it was asked.
        sold.cancelled = self.cancellation == "confirmed" or self.stage.now < sold.created + 4
        self.stage.pause()
        return self.cancellation

    def download(
        self, client: Any, completed: Any, path: Path, *, request: Any, clock: Any, progress: Any
    ) -> None:
        fault = self.fault("download")
        self.stage.pause()
        if fault == "unreachable":
            raise errors.DownloadFailed("It answered 503 instead of the clip.")
        clip = self.sold(completed.url).clip
        with path.open("wb") as file:
            file.write(clip[:7])
            if fault == "disk full":
                raise OSError(errno.ENOSPC, "No space left on device")
            self.stage.pause(1.0)
            if clock.stopped:
                raise errors.Interrupted("Stopped while the finished clip was being downloaded.")
            if fault == "cut":
                return
            if fault == "broken off":
                raise errors.DownloadFailed("It broke off.")
            file.write(clip[7:])
        progress(1.0)

    def matching(self, create: Any) -> list[Sold]:
        """The jobs that a look into the list would take for *create*."""
        self.spoil("list")
        asked = create.asked
        frame = asked["first_frame"]
        pictures = () if frame is None else (frame["image"],)
        fault = self.fault("lag")
        shown = [sold for sold in self.books if fault != "lags" or sold.created + LAG < self.stage.now]
        return [
            sold
            for sold in shown
            if sold.id not in create.known
            and (sold.prompt, sold.pictures) == (asked["prompt"], pictures)
            and create.since - 300 <= sold.created <= create.since + 3600
        ]


class Lister(Shop):
    """One with a list, as Luma."""

    name = "lister"
    title = "Lister"
    reconciles = True
    upload_life = 3600

    def reconcile(self, client: Any, create: Any) -> Job | None:
        found = min(self.matching(create), key=lambda sold: abs(sold.created - create.since), default=None)
        return None if found is None else Job(id=found.id)


class Keeper(Shop):
    """One that makes one job of one key, and tells its prices."""

    name = "keeper"
    title = "Keeper"
    resend_life = 3600
    upload_life = 7200
    live_prices = True

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.cancellation = "asked"


class Silent(Shop):
    """One with neither, that confirms cancellations."""

    name = "silent"
    title = "Silent"

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.cancellation = "confirmed"


KINDS = (Lister, Keeper, Silent)
