"""fal.ai's queue: https://fal.ai/models/fal-ai/luma-dream-machine/ray-2/api.

Contract: the OpenAPI-generated types of `@fal-ai/client` 1.10.1 and the `fal-client` 1.0.3 source, read 2026-11-20;
fal.ai/docs (Inference API, Request Error Types, Model Errors, FAQ, Data Retention), read 2026-11-21. Not verified by
a live call.

fal has no status for a failure: a job that failed is COMPLETED, its result is the error, and only errors of fal's
own platform are in the status too. fal repeats what its runners fail at, up to ten times, by itself and unpaid.

Modify and reframe: the same types; that ray-2 has a modify too, which they lack, is what others saw. Which films are
taken, how long a prompt may be and that none is needed, is Luma's own (inferred).

The edit of Ray 3.2: fal.ai/models/luma/agent/ray/v3.2/video-to-video (its llms.txt, in a stored copy of 2026-11-21):
fields, sizes and prices. That `edit_strength` has the nine modes by their names and a prompt 6000 characters, others
report. It makes 5 or 10 s and prices no more, so longer films are not taken.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote

from ..generation import luma_video
from ..generation.answers import NOBODYS, NOTED, about, denied, own_addresses, queued, text
from ..generation.credentials import redact
from ..generation.errors import (
    ContentRefused,
    GenerationError,
    InsufficientCredits,
    ModelNotServed,
    ProviderUnavailable,
    Rejected,
    Unauthorized,
)
from ..generation.offer import (
    Account,
    Cancellation,
    Completed,
    Failed,
    Job,
    Offer,
    Pending,
    Provider,
    Source,
    Status,
)
from ..generation.ray import ASPECT_RATIOS, MODES
from ..generation.remaking import MEGABYTE, Remaking, Tariff
from ..generation.request import (
    AS_THE_SOURCE,
    GenerationRequest,
    Json,
    Operation,
    SourceVideo,
    StillImage,
)

if TYPE_CHECKING:
    from ..generation.client import Answer, Client
    from ..generation.credentials import Secret

T = TypeVar("T")

_APP: Final = "fal-ai/luma-dream-machine"
_AGENT: Final = "luma/agent"
"""The app of Ray 3.2."""
_MODELS: Final = {"ray-2": "ray-2", "ray-flash-2": "ray-2-flash"}
"""Our name: fal's."""
_USD: Final = {"ray-2": Decimal("0.50"), "ray-flash-2": Decimal("0.20")}
"""5 s of 540p. "720p costs 2x more, 1080p costs 4x more", and at text to video "9s costs 2x more", say the types of
fal's client; that 9 s cost the same with pictures is inferred."""
_TIMES: Final = {"540p": 1, "720p": 2, "1080p": 4}
_PRICE_SOURCES: Final = {
    "ray-2": Source(
        where="several third parties, citing fal.ai's model page", day="2026-11-21", unverified=True
    ),
    "ray-flash-2": Source(where="fal.ai/models/fal-ai/luma-dream-machine/ray-2-flash", day="2026-11-21"),
}
_KEYFRAMES: Final = {
    Operation.TEXT_TO_VIDEO: ("", {("none", "none")}),
    Operation.IMAGE_TO_VIDEO: ("/image-to-video", {("image", "none")}),
    # A last picture alone: both fields are optional and "can be used together"; that one is enough is inferred.
    Operation.KEYFRAMES_TO_VIDEO: ("/image-to-video", {("image", "image"), ("none", "image")}),
}
# fal documents `loop` for every endpoint; that Luma's own rule holds there too, never with a last frame, is inferred.
_LOOPS: Final = frozenset({("none", "none"), ("image", "none")})

_FILM: Final = frozenset({"video"})
_LARGEST: Final = 100 * MEGABYTE
_REMAKING: Final = {
    # (our model, operation): path, which films and for how much, where that was read
    ("ray-2", Operation.MODIFY_VIDEO): (
        "/modify",
        Remaking(
            kinds=_FILM,
            longest=10,
            largest=_LARGEST,
            modes=MODES,
            tariff=Tariff(per_second={AS_THE_SOURCE: Decimal("0.35")}),
        ),
        Source(where="third parties, citing fal.ai's model page", day="2026-11-20", unverified=True),
    ),
    ("ray-flash-2", Operation.MODIFY_VIDEO): (
        "/modify",
        Remaking(kinds=_FILM, longest=15, largest=_LARGEST, modes=MODES),
        None,
    ),
    ("ray-2", Operation.REFRAME_VIDEO): (
        "/reframe",
        Remaking(kinds=_FILM, longest=10, largest=_LARGEST, places=True),
        None,
    ),
    ("ray-flash-2", Operation.REFRAME_VIDEO): (
        "/reframe",
        Remaking(
            kinds=_FILM,
            longest=30,
            largest=_LARGEST,
            places=True,
            tariff=Tariff(per_second={AS_THE_SOURCE: Decimal("0.06")}),
        ),
        Source(where="fal.ai/models/fal-ai/luma-dream-machine/ray-2-flash/reframe", day="2026-11-20"),
    ),
}

_EDIT: Final = f"{_AGENT}/ray/v3.2/video-to-video"
_EDITS: Final = {
    # resolution: USD for up to 5 s and up to 10 s
    "540p": ("0.72", "1.44"),
    "720p": ("1.08", "2.16"),
    "1080p": ("2.16", "4.32"),
}
_EDIT_STEPS: Final = (5, 10)

WEEK: Final = 7 * 24 * 3600
_LIFECYCLE: Final = {"X-Fal-Object-Lifecycle-Preference": json.dumps({"expiration_duration_seconds": WEEK})}
"""What an account sets decides how long fal's public addresses work; left alone, that is for ever. A week is what
fal's FAQ promises at least: time to collect a paid clip, and then nothing of it stays in public."""

_ENDS: Final = {"status_url": "/status", "response_url": "", "cancel_url": "/cancel"}
"""What the answer to a submit calls its three addresses, and how they end."""
_PLACES: Final = {
    "prompt": "the prompt",
    "image_url": "the first frame",
    "end_image_url": "the last frame",
    "video_url": "the film",
}
_NOT_BILLED: Final = "fal does not bill errors of its servers."
_MAY_BE_BILLED: Final = (
    "fal bills finished clips, but by its FAQ a refused one may be charged when work on it had begun; the billing "
    "page of fal.ai's dashboard shows it."
)


class _Refused(Rejected):
    """The result of a job is the model's own error: about what was asked, so it would come again."""


class _Broke(ProviderUnavailable):
    """The result of a job is an error of the server that ran it. As an answer to anything else it passes."""


class Fal(Provider):
    """fal.ai: Ray 2 and Ray 2 Flash out of one queue, keys from fal.ai/dashboard/keys."""

    name = "fal"
    title = "fal.ai"
    key_from = "fal.ai/dashboard/keys"
    docs = "https://fal.ai/models/fal-ai/luma-dream-machine/ray-2/api"
    base_url = "https://queue.fal.run"
    base_url_variable = "FAL_BASE_URL"
    secrets = ("FAL_KEY",)
    # Data URIs are taken too, and not advised for anything larger than a few kB.
    takes_urls_only = True
    hosting = "fal"
    keeps = WEEK
    # No `limits`: an account runs 2 to 40 jobs at a time, and whatever is beyond waits in fal's own queue.
    cancel_notice = "could not cancel it: it is finished there, or will be, and is billed."
    offers = (
        tuple(
            Offer(
                model=model,
                operation=operation,
                endpoint=f"{_APP}/{_MODELS[model]}{path}",
                durations=(5, 9),
                resolutions=tuple(_TIMES),
                aspect_ratios=("16:9", "9:16", "4:3", "3:4", "21:9", "9:21"),
                keyframes=frozenset(kinds),
                loops=_LOOPS & kinds,
                prompt_length=(3, 5000),  # Luma's own limits; that they hold here is inferred
                prices={
                    (resolution, seconds): _USD[model] * times * longer
                    for resolution, times in _TIMES.items()
                    for seconds, longer in ((5, 1), (9, 2))
                },
                price_source=_PRICE_SOURCES[model],
            )
            for model in _MODELS
            for operation, (path, kinds) in _KEYFRAMES.items()
        )
        + tuple(
            Offer(
                model=model,
                operation=operation,
                endpoint=f"{_APP}/{_MODELS[model]}{path}",
                durations=(),
                resolutions=(AS_THE_SOURCE,),
                aspect_ratios=ASPECT_RATIOS if operation is Operation.REFRAME_VIDEO else (AS_THE_SOURCE,),
                keyframes=frozenset({("none", "none"), ("image", "none")}),
                prompt_length=(3, 5000),
                prompt_optional=True,
                price_source=source,
                remaking=remaking,
            )
            for (model, operation), (path, remaking, source) in _REMAKING.items()
        )
        + (
            Offer(
                model="ray-3.2",
                operation=Operation.MODIFY_VIDEO,
                endpoint=_EDIT,
                durations=(),
                resolutions=tuple(_EDITS),
                aspect_ratios=(AS_THE_SOURCE,),
                keyframes=frozenset({("none", "none"), ("image", "none")}),
                prompt_length=(1, 6000),
                price_source=Source(
                    where="fal.ai/models/luma/agent/ray/v3.2/video-to-video", day="2026-11-21"
                ),
                remaking=Remaking(
                    kinds=_FILM,
                    longest=_EDIT_STEPS[-1],
                    largest=_LARGEST,
                    modes=MODES,
                    tariff=Tariff(
                        steps={
                            (resolution, upto): Decimal(usd)
                            for resolution, prices in _EDITS.items()
                            for upto, usd in zip(_EDIT_STEPS, prices, strict=True)
                        }
                    ),
                ),
            ),
        )
    )

    def sign(self, secrets: Mapping[str, Secret]) -> dict[str, str]:
        """`Key`, not Bearer."""
        return {"Authorization": f"Key {secrets['FAL_KEY'].reveal()}"}

    def error_text(self, reply: Any) -> str:
        """`detail` is a sentence of the platform, or a list of objects from a model."""
        detail = reply["detail"]
        return detail if isinstance(detail, str) else "; ".join(_problem(item) for item in detail)

    def explain(self, answer: Answer) -> GenerationError | None:
        """A locked account, a model that is gone, and what models say themselves, which is a list."""
        detail, said = answer.content["detail"], answer.words
        billing = " Nothing was billed." if answer.paid else ""
        # In these words as fal-ai/fal#1147 and many others quote it; fal documents only that it is rejected.
        if answer.status == 403 and "user is locked" in str(detail).lower():
            if "balance" in said.lower() or "top_up" in said.lower():
                return InsufficientCredits(f"fal.ai has locked the account for want of money{said}.{billing}")
            return Unauthorized(f"fal.ai has locked the account, only its support opens it{said}.{billing}")
        types = {str(item["type"]) for item in detail} if isinstance(detail, list) else set()
        if not answer.paid:
            return _verdict(answer, types)
        if "content_policy_violation" in types:
            return ContentRefused(f"fal.ai's rules on content do not allow this{said}.{billing} Reword it.")
        if answer.status == 404:
            return ModelNotServed(f"fal.ai does not serve this model now{said}.{billing}")
        return None

    def check(self, client: Client) -> Account:
        """The status of a request that never was. fal tells balances to keys for administration only, elsewhere."""
        denied(client, f"{_APP}/requests/{NOBODYS}/status")
        return Account(note=NOTED)

    def encode(self, request: GenerationRequest, pictures: Mapping[str, str]) -> Json:
        """The body; the model is in the path. Pictures and films are public URLs."""
        if isinstance(request.source, SourceVideo):
            return _remake(request, pictures, pictures[request.source.sha256])
        body: Json = {"prompt": request.prompt, **luma_video.settings(request)}
        for name, frame in zip(("image_url", "end_image_url"), request.keyframes, strict=True):
            if isinstance(frame, StillImage):
                body[name] = pictures[frame.sha256]
        return body

    def submit(self, client: Client, offer: Offer, body: Json, key: str) -> Job:  # noqa: ARG002
        """POST /{model}. fal knows no idempotency key and keeps the addresses of the job without the model."""
        reply = client.create(offer.endpoint, body, headers=_LIFECYCLE)
        told = own_addresses(client, reply, _ENDS)
        if offer.endpoint == _EDIT:
            told["app"] = _AGENT
        return Job(id=text(reply["request_id"]), details=told)

    def status(self, client: Client, job: Job) -> Status:
        """GET status_url, and of a job that is over response_url."""
        job, reply = _ask(client, job, "status_url", client.get)
        about(reply, job.id, "request_id")
        match reply["status"]:
            case "IN_QUEUE":
                return Pending(note=queued(reply.get("queue_position")))
            case "IN_PROGRESS":
                return Pending(note="generating")
            case "COMPLETED":
                return _outcome(client, job, reply)
            case unknown:
                raise ValueError(f"unknown status {unknown!r}")

    def cancel(self, client: Client, job: Job) -> Cancellation:
        """PUT cancel_url. 202 for a job that leaves the queue, and for one whose runner may go on all the same."""
        try:
            _ask(client, job, "cancel_url", partial(client.call, "PUT"))
        except Rejected:
            return "impossible"  # 400: it is finished, the clip is there. 404: nobody knows it.
        return "asked"


def _remake(request: GenerationRequest, pictures: Mapping[str, str], film: str) -> Json:
    """The body for a film that is made from *film*."""
    if request.model == "ray-3.2":
        return _edit(request, pictures, film)
    body: Json = {"video_url": film}
    if request.operation is Operation.REFRAME_VIDEO:
        body["aspect_ratio"] = request.aspect_ratio
    if request.mode:
        body["mode"] = request.mode
    if request.placement is not None:
        body.update(luma_video.place(request.placement, sized=False))
    if request.prompt.strip():
        body["prompt"] = request.prompt
    for still in request.stills:
        body["image_url"] = pictures[still.sha256]
    return body


def _edit(request: GenerationRequest, pictures: Mapping[str, str], film: str) -> Json:
    """The body for an edit by Ray 3.2. Of the lengths the one that the film fits into, as Luma's own API is asked."""
    seconds = request.source.seconds if request.source is not None else 0
    length = next((upto for upto in _EDIT_STEPS if seconds <= upto + 0.05), _EDIT_STEPS[-1])
    body: Json = {
        "prompt": request.prompt,
        "video_url": film,
        "resolution": request.resolution,
        "duration": f"{length}s",
        "edit_strength": request.mode,
    }
    for still in request.stills:
        body["start_image_url"] = pictures[still.sha256]
    return body


def _verdict(answer: Answer, types: set[str]) -> GenerationError | None:
    """What an answer that is not success says of a job, where it is the job's result."""
    if answer.status >= 500:
        # 502 to 504 are the platform's, and so is everything with an `error_type`: asking again helps.
        # A 500 is the runner's only with fal's own mark: something in between would end a job that goes on.
        runners = answer.status == 500 and "X-Fal-Request-Id" in answer.headers
        final = types or (runners and "error_type" not in answer.content)
        return _Broke(f"fal.ai answered with error {answer.status}{answer.words}.") if final else None
    if "content_policy_violation" in types:
        return _Refused(
            f"The safety check at fal.ai stopped it{answer.words}. Reword it or change the picture."
        )
    if types & {"file_download_error", "image_load_error"}:
        return _Refused(f"The model at fal.ai could not read a picture{answer.words}.")
    # The queue takes every path, and a runner that does not know it says so in the result, in these words.
    if answer.status == 404 and str(answer.content["detail"]).startswith("Path /"):
        return _Refused(f"fal.ai does not serve this model now{answer.words}. Choose another provider.")
    return _Refused(f"The model at fal.ai refused the request{answer.words}.") if types else None


def _outcome(client: Client, job: Job, ended: Any) -> Status:
    """What a job that is over has come to. *ended* is its status, which tells of errors of the platform."""
    given_up, said = str(ended.get("error_type") or ""), str(ended.get("error") or "")
    try:
        # A 502 to 504 for a good result has been seen to pass (openstory-so/openstory#1505, 2026-09-04).
        result = client.get(_address(client, job, "response_url"), attempts=1 if given_up else 4)
    except _Refused as error:
        return Failed(reason=str(error), billing=_MAY_BE_BILLED)
    except _Broke as error:
        reason = f"The job broke on fal's side: {error} Try again."
        return Failed(reason=reason, billing=_NOT_BILLED, billed_usd=Decimal(0))
    except GenerationError:
        if not (given_up or said):
            raise
        return _stopped(given_up, said)
    return Completed(url=text(result["video"]["url"]))


def _stopped(kind: str, said: str) -> Failed:
    """A job without a readable result, in the words of its status."""
    if kind.startswith("client_"):
        # That one which had not begun costs nothing is inferred from "you pay only for successful outputs".
        return Failed(reason="The job was cancelled at fal.ai.", billing="fal bills finished clips only.")
    words = redact(said).strip().rstrip(".")[:300]
    words = f"{words} ({kind})" if words and kind else words or kind
    return Failed(
        reason=f"fal.ai could not run the job: {words}. It had tried by itself; queue it again later.",
        billing=_NOT_BILLED if kind else _MAY_BE_BILLED,
        billed_usd=Decimal(0) if kind else None,
    )


def _ask(client: Client, job: Job, name: str, ask: Callable[[str], T]) -> tuple[Job, T]:
    """The answer at one of the addresses of *job*, and the job with the app that knows it.

    One that is known by its id alone is looked for in both apps: it may be the answer to a lost create.
    """
    if "app" not in job.details and not _told(client, job, name):
        here = Job(id=job.id, details={**job.details, "app": _APP})
        try:
            return here, ask(_address(client, here, name))
        except Rejected as error:
            if error.status != 404:
                raise
        job = Job(id=job.id, details={**job.details, "app": _AGENT})
    return job, ask(_address(client, job, name))


def _told(client: Client, job: Job, name: str) -> str:
    """The address that fal gave; empty where it gave none of its own."""
    told = job.details.get(name)
    return told if isinstance(told, str) and client.owns(told) else ""


def _address(client: Client, job: Job, name: str) -> str:
    """Where to ask about *job*: as fal said, else as its queue is documented."""
    app = _AGENT if job.details.get("app") == _AGENT else _APP
    return _told(client, job, name) or f"{app}/requests/{quote(job.id, safe='')}{_ENDS[name]}"


def _problem(item: Any) -> str:
    """One error of a model, with what it is about."""
    about = [_PLACES.get(str(part), str(part)) for part in item["loc"][1:]]
    return f"{' '.join(about)}: {item['msg']}" if about else str(item["msg"])
