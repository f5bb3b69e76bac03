"""WaveSpeedAI's REST API v3: https://wavespeed.ai/docs.

Contract: its pages on the four models, error codes, predictions, deleting, billings and account levels; the
`wavespeed` SDK 2.0.5; WaveSpeedAI/mcp-server at bb1c8fb6 and WaveSpeedAI/wavespeed-cli at 13b1cca1. All read
2026-11-20 and 2026-11-21, nothing verified by a live call.

An answer is an envelope {code, message, data}, and one of HTTP 200 with another code is an error. The error codes are
documented for tasks that failed (`data.code`); that a create is refused with the same ones is inferred.
`luma/modify-video`: wavespeed.ai/docs/docs-api/luma/luma-modify-video, read 2026-11-21. That it is ray-2 is inferred.
Its page shows $0.095 for a run and does not say of how many seconds, so the price counts as unknown.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from ..generation.answers import TRIES, about, amount, text
from ..generation.client import READ_ATTEMPTS, Answer, decoding
from ..generation.credentials import redact
from ..generation.errors import (
    ContentRefused,
    GenerationError,
    InsufficientCredits,
    ModelNotServed,
    Rejected,
    UnexpectedReply,
)
from ..generation.offer import (
    Account,
    Cancellation,
    Completed,
    Failed,
    Job,
    Limits,
    Offer,
    Pending,
    Provider,
    Source,
    Status,
    Unanswered,
)
from ..generation.ray import MODES
from ..generation.remaking import MEGABYTE, Remaking
from ..generation.request import (
    AS_THE_SOURCE,
    GenerationRequest,
    Json,
    Operation,
    SourceVideo,
    StillImage,
)

if TYPE_CHECKING:
    from ..generation.client import Client
    from ..generation.credentials import Secret

_KEPT: Final = 7 * 24 * 3600
_SIZES: Final = {"16:9": "1280*720", "9:16": "720*1280"}
_MODIFY: Final = "luma/modify-video"
_PATHS: Final = {"ray-2": "luma/ray-2", "ray-flash-2": "luma/ray-2-flash"}
_OPERATIONS: Final = {
    Operation.TEXT_TO_VIDEO: ("t2v", ("none", "none")),
    Operation.IMAGE_TO_VIDEO: ("i2v", ("image", "none")),
}
_PRICES: Final = {
    "ray-2": {("720p", 5): Decimal("0.40")},
    "ray-flash-2": {("720p", 5): Decimal("0.20"), ("720p", 10): Decimal("0.40")},
}
_PRICE_SOURCES: Final = {
    "ray-2": Source(
        where="third parties' price lists (another one says $0.90)", day="2026-11-20", unverified=True
    ),
    "ray-flash-2": Source(where="wavespeed.ai/docs, Luma Ray 2 Flash", day="2026-11-20"),
}
_RUNNING: Final = ("created", "processing", "pending")
"""The last is in the CLI only."""
_ENDINGS: Final = {
    "cancelled": "WaveSpeedAI cancelled the job, or was asked to.",
    "timeout": "WaveSpeedAI gave the job up because it took too long. Try again.",
    "deleted": "The job was deleted at WaveSpeedAI, as a stopped wait asks it to.",
}
_MODERATED: Final = (
    "WaveSpeedAI's content check found something sensitive in the prompt or the picture. Change it."
)
_UNREADABLE: Final = (
    "WaveSpeedAI could not fetch the picture's URL. Its host must be reachable from the internet and the link still "
    "valid; check the hosting settings."
)
_FAILURES: Final = {
    1200: _MODERATED,
    1402: _UNREADABLE,
    5000: "WaveSpeedAI had an internal error on this job. Try again later.",
    5003: "WaveSpeedAI's model was not available for this job. Try again later.",
    5004: "The job took too long at WaveSpeedAI. Try again.",
}
_MONEY: Final = re.compile(r"(?i)\binsufficient\b.*\b(balance|credit|fund)|\btop[ -]?up\b")
"""How too little money is told is not documented."""
_MOST_PAGES: Final = 20


class _InvalidParameter(Rejected):
    """Code 1401, and no task was created."""


class WaveSpeed(Provider):
    """Ray 2 and Ray 2 Flash at 720p for a prepaid balance; keys from wavespeed.ai/accesskey."""

    name = "wavespeed"
    title = "WaveSpeedAI"
    key_from = "wavespeed.ai/accesskey, after topping up"
    docs = "https://wavespeed.ai/docs"
    base_url = "https://api.wavespeed.ai"
    base_url_variable = "WAVESPEED_BASE_URL"  # also of WaveSpeedAI's CLI and MCP server
    secrets = ("WAVESPEED_API_KEY",)
    takes_urls_only = True
    hosting = "wavespeed"
    reconciles = True
    live_prices = True
    keeps = _KEPT
    # Beyond the concurrent jobs of an account it queues them itself.
    limits = Limits(
        per_minute=2,
        source=Source(where="wavespeed.ai/docs, Account Levels (Bronze, where all begin)", day="2026-11-20"),
    )
    typical_seconds = 59
    cancel_notice = "could not be asked to stop, or had ended the job already: it is billed there."
    offers = (
        *(
            Offer(
                model=model,
                operation=operation,
                endpoint=f"{path}-{kind}",  # each of the four has a page of its own
                durations=(5, 10),
                resolutions=("720p",),
                aspect_ratios=tuple(_SIZES),
                keyframes=frozenset({kinds}),
                prompt_length=(1, 5000),  # Luma's own; WaveSpeedAI documents none
                enhances=True,
                prices=_PRICES[model],
                price_source=_PRICE_SOURCES[model],
            )
            for model, path in _PATHS.items()
            for operation, (kind, kinds) in _OPERATIONS.items()
        ),
        Offer(
            model="ray-2",
            operation=Operation.MODIFY_VIDEO,
            endpoint=_MODIFY,
            durations=(),
            resolutions=(AS_THE_SOURCE,),
            aspect_ratios=(AS_THE_SOURCE,),
            keyframes=frozenset({("none", "none"), ("image", "none")}),
            prompt_length=(1, 5000),
            prompt_optional=True,
            remaking=Remaking(kinds=frozenset({"video"}), longest=30, largest=100 * MEGABYTE, modes=MODES),
        ),
    )

    def sign(self, secrets: Mapping[str, Secret]) -> dict[str, str]:
        """Bearer authentication."""
        return {"Authorization": f"Bearer {secrets['WAVESPEED_API_KEY'].reveal()}"}

    def error_text(self, reply: Any) -> str:
        """`message`, and where there is one the name of the error."""
        code = reply.get("error_code")
        return f"{reply['message']} [{code}]" if code else str(reply["message"])

    def explain(self, answer: Answer) -> GenerationError | None:
        """By the code in the body, which says more than the HTTP status; but after a 5xx nothing is sure."""
        if answer.status >= 500:
            return None
        told = answer.content.get("code") if isinstance(answer.content, dict) else None
        code = told if isinstance(told, int) else answer.status
        billing = " Nothing was billed." if answer.paid else ""
        match code:
            case 1200:
                return ContentRefused(f"{_MODERATED}{billing}")
            case 1400:
                return Rejected(f"WaveSpeedAI misses something in the request{answer.words}.{billing}")
            case 1401:
                return _InvalidParameter(f"WaveSpeedAI does not take a setting{answer.words}.{billing}")
            case 1402:
                return Rejected(f"{_UNREADABLE}{billing}")
            case 404 if answer.paid:
                return ModelNotServed(f"WaveSpeedAI does not serve this model{answer.words}.{billing}")
        if code < 500 and {code, answer.status}.isdisjoint({401, 429}) and _MONEY.search(answer.words):
            return InsufficientCredits(
                f"The balance at WaveSpeedAI is too low{answer.words}. Top it up at wavespeed.ai.{billing}"
            )
        return None

    def encode(self, request: GenerationRequest, pictures: Mapping[str, str]) -> Json:
        """The create body; pictures and films are public URLs."""
        if isinstance(request.source, SourceVideo):
            film: Json = {"video": pictures[request.source.sha256], "mode": request.mode}
            if request.prompt.strip():
                film["prompt"] = request.prompt
            if isinstance(request.first_frame, StillImage):
                film["first_frame"] = pictures[request.first_frame.sha256]
            return film
        body: Json = {"prompt": request.prompt, **_settings(request)}
        if isinstance(request.first_frame, StillImage):
            body["image"] = pictures[request.first_frame.sha256]
        return body

    def submit(self, client: Client, offer: Offer, body: Json, key: str) -> Job:  # noqa: ARG002
        """POST /api/v3/luma/...; once more, with the duration as a string, where the first was refused with 1401.

        WaveSpeedAI's older pages have strings, and others report that integers were refused. A 1401 without a task
        means that nothing was created.
        """
        try:
            return self._created(client, offer, body)
        except _InvalidParameter as refused:
            if "duration" not in body:
                raise
            try:
                return self._created(client, offer, {**body, "duration": str(body["duration"])})
            except _InvalidParameter:
                hint = " If it is the prompt optimizer: switch the enhancing of the prompt off."
                hint = hint if "enable_prompt_optimizer" in body else ""
                raise Rejected(f"{refused}{hint}") from None

    def status(self, client: Client, job: Job) -> Status:
        """GET /api/v3/predictions/{id}/result, or the address that the create returned."""
        task = self._look(client, job)
        match task["status"]:
            case word if word in _RUNNING:
                return Pending(note=word)
            case "completed":
                return Completed(url=_output(task["outputs"]), billed_usd=self._billed(client, job))
            case "failed":
                return self._ended(client, job, _failure(task))
            case word if word in _ENDINGS:
                return self._ended(client, job, _ENDINGS[word])
            case unknown:
                raise ValueError(f"unknown status {unknown!r}")

    def cancel(self, client: Client, job: Job) -> Cancellation:
        """DELETE /api/v3/predictions/{id}: may not stop it at once, and "partial refunds may apply".

        Only while it runs: a finished clip is paid, and is not thrown away.
        """
        with decoding(self.title):
            if self._look(client, job, attempts=1)["status"] not in _RUNNING:
                return "impossible"
            answer = client.call("DELETE", f"api/v3/predictions/{quote(job.id, safe='')}")
            return "asked" if self._data(client, answer)["status"] == "deleted" else "impossible"

    def check(self, client: Client) -> Account:
        """GET /api/v3/balance, in USD."""
        told = self._data(client, client.get("api/v3/balance", attempts=TRIES))
        return Account(balance_usd=amount(told["balance"]))

    def price(self, client: Client, offer: Offer, request: GenerationRequest) -> Decimal | None:
        """POST /api/v3/model/price, with the settings that can change it; prompt and picture stay here."""
        asked = {"model_id": offer.endpoint, "inputs": _settings(request)}
        told = self._data(client, client.call("POST", "api/v3/model/price", asked))
        if told.get("currency", "USD") != "USD":
            return None
        # A discount of nothing may be told as a price of nothing.
        return _usd(told.get("discounted_price")) or _usd(told.get("price")) or None

    def reconcile(self, client: Client, create: Unanswered) -> Job | None:
        """Look through POST /api/v3/predictions for the one task that is certainly the one that was asked for.

        The documented list has no prompt in it; the CLI reads one from `inputs` or `input` where there is one. A task
        that does not show what was asked may belong to anybody with the same account, and so may its picture where
        the URL does not hold the name that our hosting gave it: neither is taken, and nothing where several match.
        """
        asked, since = create.asked, create.since
        (offer,) = (
            offer
            for offer in self.offers
            if (offer.model, offer.operation.value) == (asked["model"], asked["operation"])
        )
        near = {"created_after": _iso(since - 300), "created_before": _iso(since + 3600)}
        found: set[str] = set()
        silent: list[str] = []
        for page in range(1, _MOST_PAGES + 1):
            body = {"page": page, "page_size": 100, "model": offer.endpoint, **near}
            listed = self._data(client, client.call("POST", "api/v3/predictions", body))["items"]
            for item in listed:
                unknown = item["model"] == offer.endpoint and item["id"] not in create.known
                if not (unknown and since - 300 <= _created(item) <= since + 3600):
                    continue
                if not isinstance(item.get("inputs") or item.get("input"), dict):
                    silent.append(text(item["id"]))
                elif _same(item, asked):
                    found.add(text(item["id"]))
            if len(listed) < 100:
                break
        if len(found) == 1 and not silent:
            return Job(id=found.pop())
        if found or silent:
            raise UnexpectedReply(
                "it does not say for certain which job this is. Of that time and model, and not known here: "
                f"{', '.join([*sorted(found), *silent][:5])}."
            )
        return None

    def _created(self, client: Client, offer: Offer, body: Json) -> Job:
        task = self._data(client, client.create(f"api/v3/{offer.endpoint}", body), paid=True)
        address = (task.get("urls") or {}).get("get")
        ours = isinstance(address, str) and client.owns(address)
        return Job(id=text(task["id"]), details={"get": address} if ours else {})

    def _look(self, client: Client, job: Job, attempts: int = READ_ATTEMPTS) -> Json:
        address = job.details.get("get")
        if not isinstance(address, str) or not client.owns(address):
            address = f"api/v3/predictions/{quote(job.id, safe='')}/result"
        task: Json = self._data(client, client.get(address, attempts=attempts))
        about(task, job.id)
        return task

    def _ended(self, client: Client, job: Job, reason: str) -> Failed:
        """A job without a clip, and what became of its money; no page says what becomes of it in general."""
        billed = self._billed(client, job)
        if billed is None:
            billing = "Whether it is billed is not documented: your billing records at wavespeed.ai tell."
        elif billed > 0:
            billing = f"WaveSpeedAI's billing records show ${billed:.2f} for it so far."
        else:
            billing = "WaveSpeedAI's billing records show that it was refunded."
        return Failed(reason=reason, billing=billing, billed_usd=billed)

    def _billed(self, client: Client, job: Job) -> Decimal | None:
        """POST /api/v3/billings/search: what was deducted less what was refunded; None where it does not say."""
        asked = {"prediction_uuids": [job.id], "page": 1, "page_size": 100}
        try:
            with decoding(self.title):
                records = self._data(client, client.call("POST", "api/v3/billings/search", asked))["items"]
                ours = [item for item in records if (item.get("prediction") or {}).get("uuid") == job.id]
                # The pages show the price with either sign.
                sums = {
                    kind: sum(
                        abs(Decimal(str(item["price"]))) for item in ours if item["billing_type"] == kind
                    )
                    for kind in ("deduct", "refund")
                }
        except (GenerationError, ArithmeticError):
            return None  # a key of a role that may not see it; the clip does not wait for its bill
        return max(sums["deduct"] - sums["refund"], Decimal(0)) if sums["deduct"] else None

    def _data(self, client: Client, reply: Any, *, paid: bool = False) -> Any:
        """What is in the envelope. A task that is in it exists, whatever the envelope says."""
        data, code = reply.get("data"), reply.get("code")
        if code == 200 or (isinstance(data, dict) and data.get("id")):
            return data
        words = self.error_text(reply)
        answer = Answer(200, {}, reply, paid, f": {redact(words)[:300]}".rstrip("."), None)
        # The 5xxx are its 5xx: a question is asked again, and of a create nobody knows what became of it.
        status = 503 if code >= 500 and not paid else code
        raise self.explain(answer) or client.error(status, words, paid=paid)


def _settings(request: GenerationRequest) -> Json:
    """Everything of the create body but prompt and picture."""
    settings: Json = {"size": _SIZES[request.aspect_ratio], "duration": request.duration}
    if request.enhance_prompt:
        # Of the older pages. The current ones praise the models' prompt optimization and list no field for it, so
        # that it is still taken is inferred; it is not sent unless it is wanted.
        settings["enable_prompt_optimizer"] = True
    return settings


def _same(item: Any, asked: Json) -> bool:
    """Whether a listed task shows that it is what was asked for."""
    told = item.get("inputs") or item.get("input")
    if not isinstance(told, dict):
        return False
    frame = asked["first_frame"]
    if "source" in asked:
        return (
            str(told.get("prompt") or "").strip() == asked["prompt"].strip()
            and told.get("mode", MODES[0]) == asked["mode"]
            and asked["source"]["video"][:32] in str(told.get("video"))
            and (frame is None) == (told.get("first_frame") is None)
            and (frame is None or frame["image"][:32] in str(told["first_frame"]))
        )
    return (
        str(told.get("prompt", "")).strip() == asked["prompt"].strip()
        and told.get("size", "1280*720") == _SIZES[asked["aspect_ratio"]]
        and str(told.get("duration", 5)) == str(asked["duration"])
        and bool(told.get("enable_prompt_optimizer")) == bool(asked.get("enhance_prompt"))
        and (frame is None or frame["image"][:32] in str(told.get("image")))
    )


def _failure(task: Json) -> str:
    """Why a task failed, as a sentence."""
    words = redact(" ".join(str(task.get("error") or "").split())).rstrip(".")
    known = _FAILURES.get(task.get("code") or 0)
    return (
        known or f"WaveSpeedAI's job failed: {words or 'no reason given'}. Try again, or change the prompt."
    )


def _output(outputs: Any) -> str:
    """The first of the outputs, which the CLI knows as objects, too; that these have a `url` is inferred."""
    first = outputs[0]
    return text(first["url"] if isinstance(first, dict) else first)


def _usd(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return Decimal(str(value))


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _created(item: Any) -> float:
    """When a listed task was created; not a number, and so near nothing, where it does not say.

    WaveSpeedAI writes nine digits of a second, which Python 3.10 does not read.
    """
    try:
        return datetime.strptime(item["created_at"][:19] + "Z", "%Y-%m-%dT%H:%M:%S%z").timestamp()
    except (KeyError, TypeError, ValueError):
        return math.nan
