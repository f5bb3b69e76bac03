"""The LLM Stats gateway: https://docs.llm-stats.com/gateway/generations.

Contract: gateway/{introduction,generations,errors}.mdx of zeroeval/llm-stats-docs at 5af036a6; price: the page of
ray-flash-2 on llm-stats.com; all read 2026-11-20. Not verified by a live call.

The gateway hands a request on to Luma Labs or whoever else serves the model, and tries the next one when the first
fails. It documents no idempotency key, no list, no cancellation, no upload and no end frame.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from ..generation.answers import NOBODYS, NOTED, about, denied, text
from ..generation.credentials import redact
from ..generation.errors import (
    ContentRefused,
    GenerationError,
    ModelNotServed,
    ProviderUnavailable,
    SubmissionUncertain,
)
from ..generation.offer import Account, Completed, Failed, Job, Offer, Pending, Provider, Source, Status
from ..generation.ray import ASPECT_RATIOS
from ..generation.request import GenerationRequest, Json, Operation, StillImage

if TYPE_CHECKING:
    from ..generation.client import Answer, Client
    from ..generation.credentials import Secret

_PRICE_SOURCE: Final = Source(where="llm-stats.com, page of ray-flash-2", day="2026-11-20")
_USD_A_SECOND: Final = {"720p": Decimal("0.20"), "1080p": Decimal("0.30")}
# The docs list neither for this model; these are Ray's own (inferred).
_DURATIONS: Final = (5, 9)
_RATIOS: Final = ASPECT_RATIOS

_FAILURES: Final = {
    "content_policy": (
        "The safety check of the service behind LLM Stats rejected the prompt or the picture. Change them."
    ),
    "provider_unavailable": "Every service that LLM Stats tried for this model failed. Try again later.",
    "provider_timeout": "Every service that LLM Stats tried for this model took too long. Try again later.",
    "internal_error": "LLM Stats itself failed on this job. Try again.",
}
"""What the documented codes mean for a job; `invalid_input` is told with the gateway's own words."""
_REQUEST_ID: Final = re.compile(r"[\w-]{1,80}")


class LlmStats(Provider):
    """One gateway for many services, paid by the second of video; keys from the dashboard of llm-stats.com."""

    name = "llm_stats"
    title = "LLM Stats"
    key_from = "the dashboard of llm-stats.com"
    docs = "https://docs.llm-stats.com/gateway/generations"
    base_url = "https://gateway.llm-stats.com/v1"
    base_url_variable = "LLM_STATS_BASE_URL"
    secrets = ("LLM_STATS_API_KEY",)  # the docs name no variable for it
    takes_urls_only = True
    long_poll = 25
    """Of at most 60 s: so a stop is never more than half a minute away, and no proxy cuts a silent line."""
    cancel_notice = "cannot cancel a job that is running: it finishes there and is billed."
    offers = tuple(
        Offer(
            model="ray-flash-2",
            operation=operation,
            endpoint="generations",
            durations=_DURATIONS,
            resolutions=tuple(_USD_A_SECOND),
            aspect_ratios=_RATIOS,
            keyframes=frozenset({kinds}),
            prompt_length=(1, 8000),
            prices={
                (resolution, seconds): usd * seconds
                for resolution, usd in _USD_A_SECOND.items()
                for seconds in _DURATIONS
            },
            price_source=_PRICE_SOURCE,
        )
        for operation, kinds in (
            (Operation.TEXT_TO_VIDEO, ("none", "none")),
            (Operation.IMAGE_TO_VIDEO, ("image", "none")),
        )
    )

    def sign(self, secrets: Mapping[str, Secret]) -> dict[str, str]:
        """Bearer authentication."""
        return {"Authorization": f"Bearer {secrets['LLM_STATS_API_KEY'].reveal()}"}

    def error_text(self, reply: Any) -> str:
        """`error.message`, and in brackets the field that is wrong."""
        error = reply["error"]
        field = f" ({error['param']})" if error.get("param") else ""
        return f"{error['message'].rstrip('.')}{field}"

    def explain(self, answer: Answer) -> GenerationError | None:
        """Creates only, by `error.code`: "this is the contract"."""
        if not answer.paid:
            return None
        match answer.status, _code(answer.content):
            case 403, "model_unavailable":
                return ModelNotServed(
                    f"LLM Stats does not serve this model, or not to this account (403){answer.words}. The key is "
                    "good. Nothing was billed. See llm-stats.com for what it serves, or choose another provider."
                )
            case 422, "content_policy":
                return ContentRefused(
                    f"The safety check of the service behind LLM Stats rejected the prompt or the picture (422)"
                    f"{answer.words}. Nothing was billed. Change them."
                )
            # These two are final words of the gateway itself ("a clean error envelope if every provider fails",
            # its own client sends again). The same statuses from a proxy on the way have no such code.
            case 502, "provider_unavailable":
                return ProviderUnavailable(
                    f"Every service behind LLM Stats refused this model just now (502){answer.words}. There is no "
                    "job, nothing was billed. Queue again later, or choose another provider.",
                    retry_after=answer.retry_after,
                )
            case 504, "provider_timeout":
                return ProviderUnavailable(
                    f"No service behind LLM Stats took the request in time (504){answer.words}. LLM Stats documents "
                    "this as safe to send again: there is no job, nothing was billed. Queue again later.",
                    retry_after=answer.retry_after,
                )
            case status, _ if status >= 500 and _REQUEST_ID.fullmatch(answer.headers.get("X-Request-Id", "")):
                # There is no list to look the job up in, but support finds it by this.
                return SubmissionUncertain(
                    f"LLM Stats answered with error {status} to a paid request{answer.words}. It may have been "
                    f"created and billed; its support finds it as request {answer.headers['X-Request-Id']}."
                )
        return None

    def check(self, client: Client) -> Account:
        """GET /generations/{id} of a job that never was: documented are `unauthenticated` and `not_found`."""
        denied(client, f"generations/{NOBODYS}")
        return Account(note=NOTED)

    def encode(self, request: GenerationRequest, pictures: Mapping[str, str]) -> Json:
        """The create body; a picture is a public URL.

        `wait: 0`, so that the id comes back at once: while the gateway holds a create, nobody knows its job.
        """
        given: Json = {
            "prompt": request.prompt,
            "aspect_ratio": request.aspect_ratio,
            "duration": request.duration,
            "resolution": request.resolution,
        }
        if isinstance(request.first_frame, StillImage):
            given["images"] = [pictures[request.first_frame.sha256]]
        return {"model": request.model, "input": given, "wait": 0}

    def submit(self, client: Client, offer: Offer, body: Json, key: str) -> Job:  # noqa: ARG002
        """POST /generations. A second one would be a second purchase: there is no idempotency key."""
        return Job(id=text(client.create(offer.endpoint, body)["id"]))

    def status(self, client: Client, job: Job) -> Status:
        """GET /generations/{id}?wait=25. Each answer about a finished clip holds a new link, good for an hour."""
        path = f"generations/{quote(job.id, safe='')}"
        reply = client.get(path, {"wait": int(self.long_poll)}, hold=self.long_poll)
        about(reply, job.id)
        match reply["status"]:
            case "queued" | "running" as status:
                return Pending(note=status)
            case "completed":
                (video,) = [item for item in reply["output"]["media"] if item["type"] == "video"]
                return Completed(url=text(video["url"]), billed_usd=_billed(reply))
            case "failed":
                return _ended(_reason(reply.get("error")), reply)
            case "cancelled":
                return _ended("The job was cancelled at LLM Stats.", reply)
            case unknown:
                raise ValueError(f"unknown status {unknown!r}")


def _code(content: Any) -> str:
    """`error.code` of an error in the documented envelope."""
    error = content.get("error") if isinstance(content, dict) else None
    return str(error.get("code")) if isinstance(error, dict) else ""


def _billed(reply: Any) -> Decimal | None:
    """`usage.cost_usd`; None where it is not told as a number: a finished clip is worth more than its receipt."""
    usage = reply.get("usage")
    cost = usage.get("cost_usd") if isinstance(usage, dict) else None
    told = isinstance(cost, (int, float)) and not isinstance(cost, bool) and 0 <= cost < 1e6
    return Decimal(str(cost)) if told else None


def _ended(reason: str, reply: Any) -> Failed:
    """A job without a clip, and what LLM Stats billed for it."""
    cost = _billed(reply)
    if cost is None:
        billing = "LLM Stats does not say whether it billed this; its dashboard does."
    else:
        billing = f"LLM Stats billed ${cost:.2f} for it." if cost else "LLM Stats billed nothing for it."
    return Failed(reason=reason, billing=billing, billed_usd=cost)


def _reason(error: Any) -> str:
    code, said = _code({"error": error}), ""
    if isinstance(error, dict) and isinstance(error.get("message"), str):
        said = error["message"].strip().rstrip(".")
    # Other words may quote the picture's signed URL.
    return _FAILURES.get(code) or f"The job failed at LLM Stats: {redact(said) or 'no reason given'}."
