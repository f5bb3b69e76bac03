"""What a provider sells and how it is asked for it: offers are data, a provider is a few short methods."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from .answers import TRIES
from .errors import GenerationError, UploadFailed
from .ray import FRAMES_PER_SECOND
from .remaking import Remaking
from .request import GenerationRequest, Json, Operation, SourceVideo, StillImage

if TYPE_CHECKING:
    from .client import Answer, Client
    from .clock import Clock
    from .credentials import Secret


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a fact about the world was read."""

    where: str
    day: str
    """ISO date."""
    unverified: bool = False
    """True when it is not the provider's own current word: a third party's copy, or our conclusion."""


@dataclass(frozen=True, kw_only=True)
class Offer:
    """One model in one operation at one provider, with its limits and its price."""

    model: str
    operation: Operation
    endpoint: str
    durations: tuple[int, ...]
    """Seconds; empty where the clip is as long as its source."""
    resolutions: tuple[str, ...]
    aspect_ratios: tuple[str, ...]
    keyframes: frozenset[tuple[str, str]]
    """Allowed kinds of (first, last) frame: "none", "image" or "generation" each."""
    loops: frozenset[tuple[str, str]] = frozenset()
    """The kinds of keyframes with which `loop` is allowed."""
    concepts: tuple[str, ...] = ()
    prompt_length: tuple[int, int] = (1, 5000)
    """Characters."""
    prompt_optional_with_image: bool = False
    prompt_optional: bool = False
    enhances: bool = False
    """The provider documents that it can rewrite the prompt before it uses it."""
    middle_frames: int = 0
    """How many pictures may stand between the first and the last frame."""
    image_sides: tuple[int, int] | None = None
    """Smallest and largest side of a picture, pixels; None where the provider documents no limit."""
    image_bytes: int | None = None
    """Largest file of a picture; None where the provider documents no limit."""
    image_lossless_bytes: int | None = None
    """Largest file that is not lossy; None where nothing is said of it."""
    image_types: tuple[str, ...] = ("image/png", "image/jpeg")
    """The media types that are sent, the best first."""
    reduces: bool = True
    """A picture that is too large is sent smaller (and that is said), instead of being refused."""
    prices: Mapping[tuple[str, int], Decimal] = field(default_factory=dict)
    """USD for (resolution, seconds)."""
    price_source: Source | None = None
    remaking: Remaking | None = None
    """Of a clip that is made from another one: what that may be, and what it costs."""

    def price(self, request: GenerationRequest) -> Decimal | None:
        """USD for *request*; None when the provider publishes no price for it."""
        if self.remaking is not None:
            return self.remaking.tariff.price(request)
        return self.prices.get((request.resolution, request.duration))

    def refusals(self, request: GenerationRequest) -> list[str]:
        """Everything in *request* that this offer does not cover, each as half a sentence."""
        kinds = request.keyframe_kinds
        reasons = []
        if kinds not in self.keyframes and not (request.middle_frames and kinds == ("none", "none")):
            reasons.append(_keyframe_refusal(kinds))
        if len(request.middle_frames) > self.middle_frames:
            most = f" (at most {self.middle_frames})" if self.middle_frames else ""
            reasons.append(f"no {len(request.middle_frames)} pictures between first and last frame{most}")
        reasons += misplaced(request)
        if self.remaking is not None:
            reasons += self.remaking.refusals(request)
        elif request.duration not in self.durations:
            reasons.append(f"no {request.duration} s ({_listed(f'{d} s' for d in self.durations)} only)")
        if request.resolution not in self.resolutions:
            reasons.append(f"no {request.resolution} ({_listed(self.resolutions)} only)")
        if request.aspect_ratio not in self.aspect_ratios:
            reasons.append(f"no {request.aspect_ratio} ({_listed(self.aspect_ratios)} only)")
        if request.loop and not self.loops:
            reasons.append("no loop")
        elif request.loop and kinds in self.keyframes - self.loops:
            first, last = (kind != "none" for kind in kinds)
            beside = "a last frame" if last else "a first frame" if first else "a prompt alone"
            reasons.append(f"no loop together with {beside}")
        reasons += [f"no camera concept {key!r}" for key in request.concepts if key not in self.concepts]
        if request.enhance_prompt and not self.enhances:
            reasons.append("no prompt enhancement")
        reasons += self._prompt_refusals(request)
        reasons += self._image_refusals(request)
        return reasons

    def _prompt_refusals(self, request: GenerationRequest) -> list[str]:
        shortest, longest = self.prompt_length
        length = len(request.prompt.strip())
        if length == 0:
            if self.prompt_optional or (self.prompt_optional_with_image and request.stills):
                return []
            lifted = " unless a picture is given" if self.prompt_optional_with_image else ""
            return [f"the prompt is empty, and it is required{lifted}"]
        if length < shortest:
            return [f"the prompt has {length} characters, at least {shortest} are needed"]
        if len(request.prompt) > longest:
            return [f"the prompt has {len(request.prompt)} characters, at most {longest} are taken"]
        return []

    def _image_refusals(self, request: GenerationRequest) -> list[str]:
        if self.image_sides is None:
            return []
        smallest, largest = self.image_sides
        reasons = []
        first, last = request.keyframes
        middle = [(keyframe_at(frame.index), frame.still) for frame in request.middle_frames]
        for name, frame in (("first frame", first), *middle, ("last frame", last)):
            if not isinstance(frame, StillImage):
                continue
            size = f"the {name} is {frame.width}x{frame.height} pixels"
            if min(frame.width, frame.height) < smallest:
                reasons.append(f"{size}, each side must have at least {smallest}")
            if max(frame.width, frame.height) <= largest:
                continue
            if not self.reduces or frame.resized is None:
                reasons.append(f"{size}, each side may have at most {largest}")
            elif (
                smallest
                <= min(frame.width, frame.height)
                < smallest * max(frame.width, frame.height) / largest
            ):
                reasons.append(
                    f"{size}, and with sides of up to {largest} the shorter would be below {smallest}"
                )
        return reasons


def keyframe_at(index: int) -> str:
    """How a picture in between is called, by the second at which the artist put it: `keyframe at 1.50 s`."""
    return f"keyframe at {index / FRAMES_PER_SECOND:.2f} s"


def misplaced(request: GenerationRequest) -> list[str]:
    """Which pictures in between cannot stand where they are, at any provider, and what to change."""
    places = [frame.index for frame in request.middle_frames]
    end = FRAMES_PER_SECOND * request.duration
    reasons = []
    for place in places:
        name = keyframe_at(place)
        if place < 0:
            reasons.append(f"the {name} is before the beginning of the clip: move it")
        elif place > end:
            reasons.append(f"the {name} is after the end of the clip ({request.duration} s): move it")
        elif place == 0 and request.first_frame is not None:
            reasons.append(f"there is a first_frame already: move the {name}")
        elif place == end and request.last_frame is not None:
            reasons.append(f"there is a last_frame already: move the {name}")
    doubled = dict.fromkeys(keyframe_at(late) for early, late in pairwise(places) if early == late)
    reasons += [f"there is more than one {name}: move one of them" for name in doubled]
    if any(late < early for early, late in pairwise(places)):
        reasons.append("the keyframes are not in order of time")
    return reasons


def _keyframe_refusal(kinds: tuple[str, str]) -> str:
    first, last = kinds
    words = {"image": "picture", "generation": "earlier generation"}
    parts = [
        f"{words[kind]} as {name} frame" for kind, name in ((first, "first"), (last, "last")) if kind in words
    ]
    return "no " + " with ".join(parts) if parts else "a first or last frame is needed"


def _listed(items: Any) -> str:
    return ", ".join(str(item) for item in items)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much a provider lets one account do at a time. None: nothing is documented."""

    concurrent: int | None = None
    """Jobs that may be under way."""
    per_minute: int | None = None
    """Creates in any 60 s."""
    source: Source | None = None


@dataclass(frozen=True, kw_only=True)
class Job:
    """The provider's handle of a running generation: plain JSON, good in any process at any later time."""

    id: str
    details: Json = field(default_factory=dict)
    """What else the provider returned for asking again, such as its own poll URL. Never a signed URL,
    but where that is the only way to the clip."""


@dataclass(frozen=True, kw_only=True)
class Pending:
    """Not done yet."""

    note: str = ""
    """The state in a word for the person, such as "queued"."""


@dataclass(frozen=True, kw_only=True)
class Completed:
    """Done: the clip can be downloaded."""

    url: str
    billed_usd: Decimal | None = None
    signed: bool = False
    """The clip is at the provider's own origin and given out only with its key."""
    reference: str = ""
    """The id by which later requests call this clip, where it is another than the job's."""


@dataclass(frozen=True, kw_only=True)
class Failed:
    """Ended without a clip."""

    reason: str
    """What happened and what to change, as a sentence."""
    billing: str
    """What the failure means for the bill, as a sentence."""
    billed_usd: Decimal | None = None
    """What it is billed all the same, where the provider tells: 0 where such a job is free by its own word."""


Status = Pending | Completed | Failed


@dataclass(frozen=True, kw_only=True)
class Unanswered:
    """A create that went out and whose answer is lost."""

    key: str
    """The idempotency key that went with it."""
    asked: Json
    """The request as the journal holds it, see `GenerationRequest.describe`."""
    since: float
    """When it went out, seconds since the epoch."""
    known: Sequence[str]
    """Ids of the provider's jobs that belong to other generations."""


@dataclass(frozen=True, kw_only=True)
class Account:
    """What a question that costs nothing told of its owner's account: the key is a good one, at least."""

    balance_usd: Decimal | None = None
    """What is left on it; None where the provider does not tell."""
    note: str = ""
    """What the answer leaves open, as a sentence."""


Cancellation = Literal["confirmed", "asked", "impossible"]


class Provider(ABC):
    """One service that runs Ray. Stateless: one instance serves every generation, on any thread."""

    name: ClassVar[str]
    title: ClassVar[str]
    """The name for people."""
    key_from: ClassVar[str] = ""
    """Where its owner gets what must be set, for people."""
    docs: ClassVar[str]
    base_url: ClassVar[str] = ""
    base_url_variable: ClassVar[str] = ""
    """Environment variable with which the machine's owner points at another origin (a proxy, an emulator)."""
    secrets: ClassVar[tuple[str, ...]] = ()
    """Environment variables with its credentials, in the provider's own spelling."""
    settings: ClassVar[tuple[str, ...]] = ()
    """Names (environment or key file) of what else must be set, no secrets: a bucket, a region."""
    wants: ClassVar[str] = ""
    """What it needs besides what can be named and saved, as a sentence for people."""
    chooses_account: ClassVar[tuple[str, ...]] = ()
    """Names of what else decides which account is asked, such as a profile."""
    offers: ClassVar[tuple[Offer, ...]]
    local: ClassVar[bool] = False
    """Runs on this machine, free: needs no key, no upload and no download."""
    experimental: ClassVar[str] = ""
    """Why it is experimental; empty where it is not."""
    takes_urls_only: ClassVar[bool] = False
    """Pictures must be at a public URL (see `hosting`), they cannot be sent along."""
    hosting: ClassVar[str] = ""
    """Name of the hosting to use for it where that is set up: its own storage."""
    upload_life: ClassVar[float] = 0
    """Seconds for which what `upload` gave can be used again for the same picture; 0: never."""
    video_life: ClassVar[float] = 0
    """As `upload_life`, of what `upload_video` gave; 0: as of pictures."""
    resend_life: ClassVar[float] = 0
    """Seconds for which an unanswered create may be sent again with the same key and body: the provider then
    gives the job that exists instead of making a second one. 0: it has no idempotency keys."""
    long_poll: ClassVar[float] = 0
    """Seconds for which `status` is held by the provider until something changes; 0: it answers at once."""
    limits: ClassVar[Limits] = Limits()
    keeps: ClassVar[float] = 0
    """Seconds for which a finished clip can be fetched; 0: not documented; infinite: its owner's storage has it."""
    live_prices: ClassVar[bool] = False
    """`price` asks the provider, see `tells_price`."""
    reconciles: ClassVar[bool] = False
    """`reconcile` can find a job whose create was never answered."""
    trial: ClassVar[str] = ""
    """Path of a read that costs nothing and is answered to a good key only; empty where none is documented."""
    typical_seconds: ClassVar[int] = 100
    patience: ClassVar[int] = 45 * 60
    """Seconds after which waiting ends with `StillRunning`; the job stays collectable."""
    cancelled_bill: ClassVar[str] = ""
    """What a confirmed cancellation means for the bill, as a sentence."""
    cancel_notice: ClassVar[str] = ""
    """What happens to a job whose wait was stopped, as a sentence."""

    def sign(self, secrets: Mapping[str, Secret]) -> dict[str, str]:
        """Headers that prove who asks. The client sends them to the provider's own origin only."""
        return {}

    @property
    def label(self) -> str:
        """The name for people, with a warning where it is experimental."""
        return f"{self.title} (experimental)" if self.experimental else self.title

    @property
    def found_at(self) -> str:
        """Where its owner gets what must be set, in brackets; empty where nobody knows."""
        return f" (from {self.key_from})" if self.key_from else ""

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of everything that must be set on this machine."""
        return (*self.secrets, *self.settings)

    @property
    def identity(self) -> tuple[str, ...]:
        """Names of everything that decides which account is asked, and where."""
        return (*self.needs, *self.chooses_account, self.base_url_variable)

    @property
    def tells(self) -> bool:
        """Whether its key can be tried without spending."""
        return bool(self.trial) or type(self).check is not Provider.check

    def error_text(self, reply: Any) -> str:
        """The provider's own words in the body of an error answer, or an empty string."""
        return ""

    def explain(self, answer: Answer) -> GenerationError | None:
        """The error for an answer whose status alone would be misunderstood; None: as the status says.

        What is raised decides what becomes of the purchase: for a create (`answer.paid`) `Rejected` and its
        kinds and `ProviderUnavailable` mean that no job exists, `SubmissionUncertain` that there may be one.
        """
        return None

    @abstractmethod
    def encode(self, request: GenerationRequest, pictures: Mapping[str, str]) -> Json:
        """*request* in the provider's words. Pure.

        *pictures* maps the sha256 of a still to what `upload` gave, and that of a film to what `upload_video` gave.
        """

    @abstractmethod
    def submit(self, client: Client, offer: Offer, body: Json, key: str) -> Job:
        """Start the job. Billable: called once per generation, or again with the same *key* (`resend_life`).

        *key* is a UUID made from the generation's id, for providers with idempotency keys.
        """

    @abstractmethod
    def status(self, client: Client, job: Job) -> Status:
        """Look once. Never waits; `lifecycle` owns the loop."""

    def upload(self, client: Client, still: StillImage) -> str:
        """Put a picture where this provider reads it; what comes back goes into `encode`. Costs nothing.

        A data: URI or the picture in base64 is as good, for a provider that takes pictures along.
        """
        raise UploadFailed(f"{self.title} takes pictures by public URL only.")

    def upload_video(self, client: Client, video: SourceVideo) -> str:
        """Put a film where this provider reads it, as `upload`."""
        raise UploadFailed(f"{self.title} takes films by public URL only.")

    def reconcile(self, client: Client, create: Unanswered) -> Job | None:
        """Look for a job that was created but never answered. Only a certain match: another's job is no gift."""
        return None

    def cancel(self, client: Client, job: Job) -> Cancellation:
        """Ask the provider to stop a job."""
        return "impossible"

    def check(self, client: Client) -> Account | None:
        """Try the key with a question that costs nothing. Raises as `Client.get`.

        None: nothing of the kind is documented, and only a purchase would tell.
        """
        if not self.trial:
            return None
        client.get(self.trial, attempts=TRIES)
        return Account()

    def tells_price(self, operation: Operation) -> bool:
        """Whether `price` is asked: not of what is made from a film, which would have to be there first."""
        return self.live_prices and not operation.remakes

    def price(self, client: Client, offer: Offer, request: GenerationRequest) -> Decimal | None:
        """What the provider says now that *request* costs, USD; where it `tells_price`. None: it does not say."""
        return None

    def download(
        self,
        client: Client,
        completed: Completed,
        path: Path,
        *,
        request: GenerationRequest | None,
        clock: Clock,
        progress: Callable[[float], None],
    ) -> None:
        """Bring the clip to *path*. *request* is None when another process asked for the clip."""
        from .download import download

        signature = client.signature() if completed.signed and client.owns(completed.url) else None
        download(completed.url, path, clock=clock, progress=progress, signature=signature)
