"""Comfy Router, Comfy's API for partner models: https://docs.comfy.org/development/comfy-router/models/luma/ray-2/code.

Contract, all read 2026-11-21: spec/router-openapi.yaml in the source of `comfy-sdk` 0.5.0 (queue, keys, errors,
estimates) and its README (the names of the two variables); of Comfy-Org/docs development/comfy-router/{api,errors,
headers,queue,billing}.mdx and router-schemas/luma/ray-flash-2.json. Storage and published prices: ComfyUI's own Luma
nodes, read 2026-11-20. Not verified by a live call.

Ray 3.2 for films: docs.comfy.org/development/comfy-router/models/luma_2/ray-3-2/code (fields; what it does not
declare goes on to Luma) and Comfy's price table in tutorials/partner-nodes/pricing.mdx, read 2026-11-21. That the
result is the answer of Luma's own API, as ComfyUI's nodes read it, and that the storage takes films for it as it does
for them, is inferred. Clips from text and pictures are left to Luma's own API. A reframe at 1080p is in the table,
but Luma itself says that it "is still rolling out", so it is not offered.

The key is the one that the artist made at platform.comfy.org, never the token of somebody logged in to ComfyUI. Of
the two ways to run a model this is the queue: a paid call is answered at once, nothing is held for ten minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote

from ..generation import luma_video
from ..generation.answers import about, own_addresses, queued, text
from ..generation.credentials import redact
from ..generation.errors import (
    ContentRefused,
    GenerationError,
    Interrupted,
    ModelNotServed,
    ProviderUnavailable,
    RateLimited,
    Rejected,
    SubmissionUncertain,
    Unauthorized,
    UploadFailed,
)
from ..generation.offer import (
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
    from pathlib import Path

    from ..generation.client import Answer, Client
    from ..generation.credentials import Secret

_PRICES: Final = {
    # (model, seconds): USD for each of Luma's resolutions
    ("ray-2", 5): ("0.57", "1.02", "2.27", "9.11"),
    ("ray-2", 9): ("1.03", "1.83", "4.10", "16.40"),
    ("ray-flash-2", 5): ("0.20", "0.34", "0.79", "3.13"),
    ("ray-flash-2", 9): ("0.36", "0.61", "1.42", "5.65"),
}
# That the router costs what the node costs is documented; the table is the node's badge.
_PRICE_SOURCE: Final = Source(where="ComfyUI's own price badge", day="2026-11-20", unverified=True)
_CREDITS: Final = 211  # for a dollar
_FILM_PRICES: Final = {
    # credits a second
    Operation.MODIFY_VIDEO: {"360p": "22.79", "540p": "30.38", "720p": "45.58", "1080p": "91.15"},
    Operation.REFRAME_VIDEO: {"360p": "6.33", "540p": "12.66", "720p": "25.32"},
}
_FILM_PRICE_SOURCE: Final = Source(
    where="docs.comfy.org/tutorials/partner-nodes/pricing, which is for Comfy's nodes",
    day="2026-11-21",
    unverified=True,
)
_ASKED: Final = {Operation.MODIFY_VIDEO: (5, 10), Operation.REFRAME_VIDEO: ()}
"""Seconds, see `luma_video.remade`. Whether they or those of the film are billed, the table does not say."""
_LONGEST: Final = {Operation.MODIFY_VIDEO: 18, Operation.REFRAME_VIDEO: 30}
_FILM_RATIOS: Final = ("16:9", "9:16", "1:1", "4:3", "3:4", "21:9")
_FILM_FRAMES: Final = frozenset({("none", "none"), ("image", "none")})
_FILMS: Final = "v2/models/luma_2/ray-3.2/requests"
_QUEUES: Final = {model: f"v2/models/luma/{model}/requests" for model in ("ray-2", "ray-flash-2")}
_ENDS: Final = {"status_url": "/status", "response_url": "", "cancel_url": "/cancel"}
"""What the answer to a submit calls its three addresses, and how they end."""

_HOUR: Final = 3600
_DAY: Final = 24 * _HOUR

_LUMAS_TERMS: Final = (
    "Comfy bills what Luma bills Comfy, and Luma refunds failed generations, so this should cost nothing; the usage "
    "page at platform.comfy.org shows it."
)
_FAILURES: Final = {
    "content_policy_violation": (
        "Luma's safety check, asked by Comfy Router, stopped it",
        "Reword the prompt or change the picture.",
        "Whether Comfy charges for a refusal is not documented; the usage page at platform.comfy.org shows it.",
    ),
    "invalid_input": ("Luma did not take the request from Comfy Router", "Change it.", _LUMAS_TERMS),
    "provider_error": ("Luma failed on the job that Comfy Router gave it", "Try again.", _LUMAS_TERMS),
    "provider_timeout": (
        "Luma did not finish the job in the time that Comfy Router gives it",
        "Try again.",
        "Luma may have finished and billed it all the same; the usage page at platform.comfy.org shows it.",
    ),
    "cancelled": (
        "The request was cancelled at Comfy Router",
        "",
        "It is not billed if it still waited in the queue; if Luma had begun it may be, see platform.comfy.org.",
    ),
    "queue_timeout": (
        "The request waited too long in Comfy Router's queue and was never started",
        "Queue it again.",
        "Nothing was billed.",
    ),
}
"""By error type: what happened, what to do, and what it means for the bill."""
_GONE: Final = Failed(
    reason="Comfy keeps a finished request for 24 hours, and this one is older: its clip cannot be fetched any more.",
    billing="If it had become a clip, that was billed; making it again is a new purchase.",
)

T = TypeVar("T")


class _NotHere(Rejected):
    """No such request under this model."""


class _Gone(Rejected):
    """A request that ended more than a day ago."""


class _Ended(Rejected):
    """What stands in place of a result: the job failed."""


class _Broke(ProviderUnavailable):
    """The same with a status of 500 and more. As an answer to anything else it passes."""


class ComfyRouter(Provider):
    """Luma's models for the credits of a Comfy account, keys from platform.comfy.org/profile/api-keys."""

    name = "comfy_router"
    title = "Comfy Router"
    key_from = "platform.comfy.org/profile/api-keys"
    docs = "https://docs.comfy.org/development/comfy-router/models/luma/ray-2/code"
    base_url = "https://api.comfy.org"
    base_url_variable = "COMFY_ROUTER_BASE_URL"
    secrets = ("COMFY_API_KEY",)
    resend_life = 23 * _HOUR
    """A key is remembered for 24 h. After that the same request is a new purchase, so not to the last second."""
    upload_life = 12 * _HOUR
    """A comment in Comfy's own frontend says that the links to read a picture are good for 24 h; half of it, for jobs
    that wait in the queue."""
    keeps = _DAY
    trial = "v2/models?limit=1"
    live_prices = True
    # No `limits`: an account has 5 to 40 jobs under way, and the queue itself parks what is beyond.
    cancel_notice = "could not cancel it: it is finished there, or will be, and is billed."
    offers = tuple(
        Offer(
            model=model,
            operation=operation,
            endpoint=path,
            durations=(5, 9),
            resolutions=luma_video.RESOLUTIONS,
            aspect_ratios=ASPECT_RATIOS,
            keyframes=frozenset(kinds),
            # Luma's own rules: the router hands the body on as it is (inferred).
            loops=luma_video.LOOPS & kinds,
            prompt_length=(3, 5000),
            prices=luma_video.prices(_PRICES, model),
            price_source=_PRICE_SOURCE,
        )
        for model, path in _QUEUES.items()
        for operation, kinds in luma_video.KEYFRAMES.items()
    ) + tuple(
        Offer(
            model="ray-3.2",
            operation=operation,
            endpoint=_FILMS,
            durations=(),
            resolutions=tuple(rates),
            aspect_ratios=_FILM_RATIOS if operation is Operation.REFRAME_VIDEO else (AS_THE_SOURCE,),
            keyframes=_FILM_FRAMES if operation is Operation.MODIFY_VIDEO else frozenset({("none", "none")}),
            prompt_length=(1, 6000),
            price_source=_FILM_PRICE_SOURCE,
            remaking=Remaking(
                kinds=frozenset({"video"}),
                longest=_LONGEST[operation],
                largest=100 * MEGABYTE,
                modes=MODES if operation is Operation.MODIFY_VIDEO else (),
                places=operation is Operation.REFRAME_VIDEO,
                tariff=Tariff(
                    per_second={size: Decimal(rate) / _CREDITS for size, rate in rates.items()},
                    lengths=_ASKED[operation],
                ),
            ),
        )
        for operation, rates in _FILM_PRICES.items()
    )

    def sign(self, secrets: Mapping[str, Secret]) -> dict[str, str]:
        """Comfy's own header, which wins where a bearer token is there too."""
        return {"X-API-Key": secrets["COMFY_API_KEY"].reveal()}

    def error_text(self, reply: Any) -> str:
        """`detail` is a sentence of Router, or a list of what is wrong with the fields of the body."""
        detail = reply.get("detail") or reply.get("message") or ""
        if isinstance(detail, list):
            return "; ".join(f"{'.'.join(map(str, item['loc'][1:]))}: {item['msg']}" for item in detail)
        reason = str(reply.get("upstream_detail") or "")
        return f"{detail} ({reason})" if reason and reason not in detail else detail

    def explain(self, answer: Answer) -> GenerationError | None:
        """By status and X-Comfy-Error-Type, which Router puts on each of its errors."""
        kind, said = _kind(answer), answer.words
        if not answer.paid and kind != "not_enabled":
            return _verdict(answer, kind)
        match answer.status, kind:
            case 403, "not_enabled":
                return ModelNotServed(
                    f"Comfy has not switched on the queue of Comfy Router for the account of this key (403){said}. "
                    "The key is good and nothing was billed; Comfy opens it account by account. Choose another "
                    "provider, or ComfyUI's own Luma nodes, which spend the same credits."
                )
            case 403, "forbidden":
                return ModelNotServed(
                    f"The account of this key may not use this model at Comfy Router (403){said}. Nothing was billed."
                )
            case 404, "model_not_found":
                return ModelNotServed(
                    f"Comfy Router does not serve this model now (404){said}. Nothing was billed. Choose another "
                    "provider."
                )
            case 400, "content_policy_violation":
                return ContentRefused(
                    f"The rules on content at Comfy Router do not allow this (400){said}. It was not taken in, so "
                    "nothing was billed. Reword the prompt or change the picture."
                )
            case 503, _ if kind and answer.retry_after is not None:
                # Only a refusal for want of room names a time: "submitted nothing and charged nothing".
                return RateLimited(
                    f"Comfy Router has no room for the request just now (503){said}. Nothing was billed.",
                    retry_after=answer.retry_after,
                )
            # Neither of these says what became of the first request under this key, so neither ends the purchase.
            case 409, "concurrency_limit_exceeded":
                return _uncertain(answer, f"Comfy Router is still taking in the same request (409){said}.")
            case 409, _:
                return _uncertain(
                    answer,
                    f"Comfy Router knows the key of this purchase and does not repeat its answer (409){said}.",
                )
            case status, _ if status >= 500:
                return _uncertain(
                    answer, f"Comfy Router answered with error {status} to a paid request{said}."
                )
        return None

    def encode(self, request: GenerationRequest, pictures: Mapping[str, str]) -> Json:
        """Luma's own body without `model`, which must not be sent: it is in the path. Pictures are public URLs."""
        if isinstance(request.source, SourceVideo):
            film = {"url": pictures[request.source.sha256], "media_type": request.source.media_type}
            first = [{"url": pictures[still.sha256]} for still in request.stills]
            return luma_video.remade(request, film, first[0] if first else None)
        return {
            "prompt": request.prompt,
            **luma_video.settings(request),
            **luma_video.keyframes(request, pictures),
        }

    def submit(self, client: Client, offer: Offer, body: Json, key: str) -> Job:
        """POST .../requests. Under a key that it knows Router gives the job that exists, marked as a replay."""
        reply = client.create(offer.endpoint, body, headers={"Idempotency-Key": key})
        told = own_addresses(client, reply, _ENDS)
        return Job(id=text(reply["request_id"]), details={"queue": offer.endpoint, **told})

    def status(self, client: Client, job: Job) -> Status:
        """GET status_url, and of a request that is over response_url."""
        try:
            reply = _ask(client, job, "status_url", client.get)
            about(reply, job.id, "request_id")
            if reply["status"] != "COMPLETED":
                return _pending(reply)
            if reply.get("error_type"):
                return _failed(client, job, str(reply["error_type"]))
            result = _ask(client, job, "response_url", client.get)
        except _Gone:
            return _GONE
        if "status" in result and "assets" not in result and "output" not in result:
            return _pending(result)  # 202: the two reads do not agree yet
        if result.get("state") == "failed":
            # A failure is told by the status; this is Luma's own answer about it, should Router hand that on.
            what, advice, billing = _FAILURES["provider_error"]
            said = redact(str(result.get("failure_reason") or "no reason given"))[:300].rstrip(".")
            return Failed(reason=f"{what}: {said}. {advice}", billing=billing)
        # Luma's own id of the clip, by which an extend names it; that of Comfy's queue is another.
        reference = result.get("id")
        if "assets" in result:
            url = result["assets"]["video"]
        else:  # Ray 3.2
            url = next((item["url"] for item in result["output"] if item["type"] == "video"), None)
        return Completed(url=text(url), reference=reference if isinstance(reference, str) else "")

    def cancel(self, client: Client, job: Job) -> Cancellation:
        """PUT cancel_url. "A request, not a guarantee", also where the answer is 202."""
        try:
            _ask(client, job, "cancel_url", lambda address: client.call("PUT", address))
        except Rejected:
            return "impossible"  # 409, earlier 400: it is over. 404: nobody knows it.
        return "asked"

    def upload(self, client: Client, still: StillImage) -> str:
        """Put it into Comfy's storage, as ComfyUI's own nodes do: a signed link to put it there, one to read it."""
        return _stored(
            client, "picture", still.file, f"{still.original[:32]}.{still.suffix}", still.media_type
        )

    def upload_video(self, client: Client, video: SourceVideo) -> str:
        """Put it into Comfy's storage, as `upload`."""
        return _stored(client, "film", video.path, f"{video.sha256[:32]}.mp4", video.media_type)

    def price(self, client: Client, offer: Offer, request: GenerationRequest) -> Decimal | None:
        """POST .../estimate, with the settings that decide it; prompt and pictures stay here.

        Not for every account yet: then it answers 403, and the published price is used.
        """
        plain = GenerationRequest(
            operation=Operation.TEXT_TO_VIDEO,
            model=request.model,
            prompt="What does this cost?",
            aspect_ratio=request.aspect_ratio,
            resolution=request.resolution,
            duration=request.duration,
        )
        path = offer.endpoint.removesuffix("/requests") + "/estimate"
        told = client.call("POST", path, self.encode(plain, {}))
        # Of a range the dear end: a limit on spending must hold.
        amount = {"exact": "amount", "estimated": "max_amount"}.get(told["source"])
        if amount is None or told.get("currency") != "USD":
            return None
        return Decimal(_number(told[amount])) or None


def _stored(client: Client, what: str, file: Path | bytes, name: str, kind: str) -> str:
    """A file in Comfy's storage, by the link with which it is read."""
    try:
        given = client.call("POST", "customers/storage", {"file_name": name, "content_type": kind})
        client.send_file(text(given["upload_url"]), file, {"Content-Type": kind})
    except Interrupted:
        raise
    except Unauthorized as error:
        raise Unauthorized(f"{error} No clip was bought, nothing was billed.") from None
    except GenerationError as error:
        raise UploadFailed(
            f"The {what} could not be put into Comfy's storage: {error} No clip was bought, nothing was billed."
        ) from None
    return text(given["download_url"])


def _kind(answer: Answer) -> str:
    content = answer.content if isinstance(answer.content, dict) else {}
    return str(answer.headers.get("X-Comfy-Error-Type") or content.get("error_type") or "")


def _verdict(answer: Answer, kind: str) -> GenerationError | None:
    """What an answer that is not success says of a job, where it answers a question about one."""
    # Something in between may say so too, and it would end a paid job; Router's own answers carry one of these.
    if answer.status == 410 and (kind or "X-Comfy-Request-Id" in answer.headers):
        return _Gone(_GONE.reason)
    if kind == "request_not_found":
        return _NotHere(f"Comfy Router knows no such request (404){answer.words}.")
    if kind not in _FAILURES:
        return None
    what, advice, _ = _FAILURES[kind]
    sentence = f"{what}{answer.words}. {advice}".rstrip()
    return _Broke(sentence, retry_after=answer.retry_after) if answer.status >= 500 else _Ended(sentence)


def _uncertain(answer: Answer, what: str) -> SubmissionUncertain:
    """With the id by which Comfy's support finds the call: the queue has no list to look the job up in."""
    number = answer.headers.get("X-Comfy-Request-Id", "")
    known = f" Comfy's support finds it as {number}." if 0 < len(number) <= 64 and number.isascii() else ""
    return SubmissionUncertain(f"{what} It may have been created and billed.{known}")


def _pending(reply: Any) -> Pending:
    match reply["status"]:
        case "IN_QUEUE":
            return Pending(note=queued(reply.get("queue_position")))
        case "IN_PROGRESS":
            return Pending(note="generating")
        case unknown:
            raise ValueError(f"unknown status {unknown!r}")


def _failed(client: Client, job: Job, kind: str) -> Failed:
    """A job that is COMPLETED with an error type; its result is the error, in words."""
    what, advice, billing = _FAILURES.get(
        kind, (f"Comfy Router ended the job ({kind})", "Try again.", _LUMAS_TERMS)
    )
    reason = f"{what}. {advice}".rstrip()
    try:
        _ask(client, job, "response_url", lambda address: client.get(address, attempts=1))
    except (_Ended, _Broke) as error:
        reason = str(error)
    except GenerationError:
        pass  # why it failed is not told; that it failed is known
    never_begun = Decimal(0) if kind == "queue_timeout" else None
    return Failed(reason=reason, billing=billing, billed_usd=never_begun)


def _ask(client: Client, job: Job, name: str, ask: Callable[[str], T]) -> T:
    """The answer at the address that Router gave for *job*, else at the documented one.

    That one names the model too; for a job known by its id alone both models are tried.
    """
    told = job.details.get(name)
    if isinstance(told, str) and client.owns(told):
        return ask(told)
    queues = [job.details["queue"]] if "queue" in job.details else [*_QUEUES.values(), _FILMS]
    *others, last = [f"{queue}/{quote(job.id, safe='')}{_ENDS[name]}" for queue in queues]
    for address in others:
        try:
            return ask(address)
        except _NotHere:
            continue
    return ask(last)


def _number(value: Any) -> str:
    """A decimal number as text: "up to 8 decimals and no exponent"."""
    if not isinstance(value, str) or not value.replace(".", "", 1).isdecimal():
        raise ValueError("number expected")
    return value
