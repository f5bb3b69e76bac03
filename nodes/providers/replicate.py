"""Replicate: https://replicate.com/luma.

Contract: replicate.com/luma/*/api (inputs and prices) and the changelog of 2025-10-16 (cancelled and aborted jobs),
read 2026-11-20; Replicate's OpenAPI file (the copy of 2026-04) and its pages on predictions, files, data retention,
rate limits and billing, read 2026-11-21. Not verified by a live call.

A model there is a model and a resolution: luma/ray-2-720p. Waiting with the request (`Prefer: wait`) is documented
for creates only, and a create is not held: its id must be recorded at once.

luma/modify-video and luma/reframe-video do not say which model they are: that it is ray-2, and Luma's length of a
prompt, is inferred. What their numbers mean, reframe-video's page says best (read 2026-11-21).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, quote, urlsplit

from ..generation import luma_video
from ..generation.answers import about, text
from ..generation.canvas import placement_of
from ..generation.credentials import redact
from ..generation.errors import (
    ContentRefused,
    GenerationError,
    InsufficientCredits,
    ModelNotServed,
    RateLimited,
    Rejected,
    UnexpectedReply,
    UploadFailed,
)
from ..generation.offer import (
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
from ..generation.ray import ASPECT_RATIOS, CONCEPTS, MODES
from ..generation.remaking import MEGABYTE, Remaking, Tariff
from ..generation.request import (
    AS_THE_SOURCE,
    GenerationRequest,
    Json,
    Operation,
    SourceVideo,
    StillImage,
    Upload,
)

if TYPE_CHECKING:
    from ..generation.client import Answer, Client
    from ..generation.credentials import Secret

_USD_A_SECOND: Final = {
    ("ray-2", "540p"): Decimal("0.10"),
    ("ray-2", "720p"): Decimal("0.18"),
    ("ray-flash-2", "540p"): Decimal("0.033"),
    ("ray-flash-2", "720p"): Decimal("0.06"),
}
_DURATIONS: Final = (5, 9)
_KEYFRAMES: Final = {
    Operation.TEXT_TO_VIDEO: {("none", "none")},
    Operation.IMAGE_TO_VIDEO: {("image", "none")},
    Operation.KEYFRAMES_TO_VIDEO: {("image", "image"), ("none", "image")},
}
# Luma's own rules for these models, which Replicate does not repeat: no loop with a last frame, and the length of
# the prompt. Inferred; the job would fail there.
_LOOPS: Final = frozenset({("none", "none"), ("image", "none")})
_PROMPT_LENGTH: Final = (3, 5000)

_LARGEST: Final = 100 * MEGABYTE
_REMAKING: Final = {
    # operation: name of the model there, ratios, which films and for how much, where that was read
    Operation.MODIFY_VIDEO: (
        *("modify-video", (AS_THE_SOURCE,)),
        Remaking(
            kinds=frozenset({"video"}),
            longest=30,
            largest=_LARGEST,
            modes=MODES,
            tariff=Tariff(per_megapixel=Decimal("0.019")),
        ),
        Source(
            where="third parties, citing replicate.com/luma/modify-video", day="2026-11-20", unverified=True
        ),
    ),
    Operation.REFRAME_VIDEO: (
        *("reframe-video", ASPECT_RATIOS),
        # The newer of two published versions takes 10 s, the older one 30 s.
        Remaking(kinds=frozenset({"video"}), longest=10, largest=_LARGEST, places=True),
        None,
    ),
}

_HOUR: Final = 3600
_FILES: Final = ("start_image", "end_image", "video", "first_frame")
_NUMBERS: Final = ("grid_position_x", "grid_position_y", "x_start", "x_end", "y_start", "y_end")
_FILE: Final = re.compile(r"https?://[^?#]*/files/([\w-]+)")
_RESETS: Final = re.compile(r"resets in ~(\d+)s")
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d\d:\d\d)")
_MOST_PAGES: Final = 20
"""Of the list, 100 jobs each; an end for a server that always says there is more."""

# By words in the error of a failed job. The first is known from published answers, the others are inferred.
_FAILURES: Final = {
    "flagged as sensitive": (
        "The safety check at Replicate or Luma rejected the prompt, a picture, or what came of them. Change them."
    ),
    "moderation": "Luma's safety check rejected the prompt or a picture. Change them.",
    "input image": "The model at Replicate could not read the picture. Try again.",
}
_FAILED_BILLING: Final = (
    "Replicate charges for the seconds of finished video, so this should cost nothing; it does not promise that in "
    "writing, see replicate.com/account/billing."
)


class Replicate(Provider):
    """Ray 2 on Replicate, paid by the second of video; tokens from replicate.com/account/api-tokens."""

    name = "replicate"
    title = "Replicate"
    key_from = "replicate.com/account/api-tokens"
    docs = "https://replicate.com/luma"
    base_url = "https://api.replicate.com/v1"
    base_url_variable = "REPLICATE_BASE_URL"
    secrets = ("REPLICATE_API_TOKEN",)
    upload_life = _HOUR
    """From the example in the OpenAPI file; no page names the time."""
    reconciles = True
    trial = "../v1/account"  # see `_at`
    limits = Limits(
        per_minute=600,
        source=Source(where="Replicate's docs, Rate limits: create predictions", day="2026-11-21"),
    )
    keeps = _HOUR
    cancelled_bill = "Replicate bills the time it ran."
    typical_seconds = 60
    cancel_notice = "did not confirm that the job was stopped, so it may finish there and be billed."
    offers = tuple(
        Offer(
            model=model,
            operation=operation,
            endpoint="models/luma/{name}/predictions",
            durations=_DURATIONS,
            resolutions=("540p", "720p"),
            aspect_ratios=ASPECT_RATIOS,
            keyframes=frozenset(kinds),
            loops=_LOOPS & kinds,
            concepts=CONCEPTS,
            prompt_length=_PROMPT_LENGTH,
            prices={
                (resolution, seconds): usd * seconds
                for (priced, resolution), usd in _USD_A_SECOND.items()
                for seconds in _DURATIONS
                if priced == model
            },
            price_source=Source(where="the models' pages at replicate.com/luma", day="2026-11-20"),
        )
        for model in ("ray-2", "ray-flash-2")
        for operation, kinds in _KEYFRAMES.items()
    ) + tuple(
        Offer(
            model="ray-2",
            operation=operation,
            endpoint="models/luma/{name}/predictions",
            durations=(),
            resolutions=(AS_THE_SOURCE,),
            aspect_ratios=ratios,
            keyframes=frozenset(
                {("none", "none")} | ({("image", "none")} if remaking.modes else frozenset())
            ),
            prompt_length=_PROMPT_LENGTH,
            prompt_optional=True,
            price_source=source,
            remaking=remaking,
        )
        for operation, (_, ratios, remaking, source) in _REMAKING.items()
    )

    def sign(self, secrets: Mapping[str, Secret]) -> dict[str, str]:
        """Bearer authentication."""
        return {"Authorization": f"Bearer {secrets['REPLICATE_API_TOKEN'].reveal()}"}

    def error_text(self, reply: Any) -> str:
        """`detail`; for a 422 it is a list in Markdown."""
        lines = str(reply.get("detail") or reply["title"]).strip().splitlines()
        return "; ".join(line.removeprefix("- ") for line in lines)

    def explain(self, answer: Answer) -> GenerationError | None:
        """A wait that is told in words only; and of creates a model that is gone, no credit, refused content."""
        status, words = answer.status, answer.words
        billing = " Nothing was billed." if answer.paid else ""
        resets = _RESETS.search(words)
        if status == 429 and answer.retry_after is None and resets:
            return RateLimited(
                f"Rate Limit Exceeded: Replicate wants fewer requests at a time{words}.{billing}",
                retry_after=float(resets[1]),
            )
        if not answer.paid:
            return None
        if status == 402 and "insufficient credit" in words:
            return InsufficientCredits(
                "The credit at Replicate is used up (402). Nothing was billed. Buy some at "
                "replicate.com/account/billing; a few minutes later it can be used."
            )
        if status == 404:
            return ModelNotServed(
                f"Replicate does not serve this model any more, or not to this account (404){words}. Nothing was "
                "billed. See replicate.com/luma for what it serves, or choose another provider."
            )
        if status == 422 and "flagged as sensitive" in words:
            return ContentRefused(
                f"Replicate refused the prompt or a picture (422){words}.{billing} Change them."
            )
        return None

    def upload(self, client: Client, still: StillImage) -> str:
        """POST /files, for pictures of every size, as Replicate's own SDK does.

        A small picture could go along as a data: URL. But only a file carries our hash of its pixels, by which
        `reconcile` knows a job again.
        """
        return self._uploaded(client, still, still.file)

    def upload_video(self, client: Client, video: SourceVideo) -> str:
        """POST /files, which takes up to 100 MB."""
        return self._uploaded(client, video, video.path)

    def _uploaded(self, client: Client, upload: Upload, content: bytes | Path) -> str:
        named = {"metadata": json.dumps({"picture": upload.original})}
        form = {"content": (f"{upload.original[:32]}.{upload.suffix}", content, upload.media_type)}
        try:
            reply = client.call("POST", _at(client, "files"), named, files=form)
        except GenerationError as error:
            what = "film" if isinstance(upload, SourceVideo) else "picture"
            raise UploadFailed(
                f"The {what} could not be put at Replicate: {error} No clip was bought, nothing was billed."
            ) from None
        return text(reply["urls"]["get"])

    def encode(self, request: GenerationRequest, pictures: Mapping[str, str]) -> Json:
        """The name of the model, and its input; pictures and films are addresses of files at Replicate."""
        asked = request.describe()
        sent = _without_pictures(asked)
        if request.placement is not None:
            sent.update(luma_video.place(request.placement, sized=False))
        sent.update({name: pictures[sha256] for name, sha256 in _files(asked).items()})
        return {"name": _name(asked), "input": sent}

    def submit(self, client: Client, offer: Offer, body: Json, key: str) -> Job:  # noqa: ARG002
        """POST /models/luma/{name}/predictions."""
        path = _at(client, offer.endpoint.format(name=body["name"]))
        reply = client.create(path, {"input": body["input"]})
        urls = reply.get("urls")
        told = urls if isinstance(urls, dict) else {}  # whatever they are, the id must be kept
        ours = {name: told.get(name) for name in ("get", "cancel")}
        return Job(
            id=text(reply["id"]),
            details={name: url for name, url in ours.items() if isinstance(url, str) and client.owns(url)},
        )

    def status(self, client: Client, job: Job) -> Status:
        """GET /predictions/{id}. It never waits: `Prefer` is documented for creates only."""
        reply = client.get(_address(client, job, "get", ""))
        about(reply, job.id)
        match reply["status"]:
            case "starting" | "processing" as state:
                return Pending(note=state)
            case "succeeded" if reply.get("data_removed"):
                return _gone(reply)
            case "succeeded":
                url = text(reply["output"])
                # Clips are at replicate.delivery and need no token; a file of the API itself does.
                return Completed(url=url, signed=url.startswith(client.base_url + _at(client, "")))
            case "failed":
                return Failed(reason=_reason(reply.get("error")), billing=_FAILED_BILLING)
            case "canceled":
                return Failed(
                    reason="The job was cancelled at Replicate while it ran: on request, or at a deadline.",
                    billing="Replicate bills such a job for the time it ran.",
                )
            case "aborted":
                return Failed(
                    reason="The job was stopped at Replicate before it started.",
                    billing="Replicate does not bill a job that never started.",
                )
            case unknown:
                raise ValueError(f"unknown status {unknown!r}")

    def cancel(self, client: Client, job: Job) -> Cancellation:
        """POST /predictions/{id}/cancel. A job that ran is billed for that time, one that never started is not."""
        reply = client.call("POST", _address(client, job, "cancel", "/cancel"))
        about(reply, job.id)
        match reply["status"]:
            case "canceled" | "aborted":
                return "confirmed"
            case "starting" | "processing":
                return "asked"
        return "impossible"

    def reconcile(self, client: Client, create: Unanswered) -> Job | None:
        """Look through GET /predictions for the same input, created about then by the API and not ours yet.

        Of several, the one created closest to the time of the create. Raises UnexpectedReply where a job may be
        the one, and what it was asked for cannot be seen any more.
        """
        matches: list[tuple[float, str]] = []
        unclear: list[str] = []
        for item in _listed(client, create.since):
            if item["model"] != f"luma/{_name(create.asked)}" or item.get("source") == "web":
                continue
            if item["id"] in create.known:
                continue
            same = None if item.get("data_removed") else _same(client, item["input"], create.asked)
            if same:
                matches.append((abs(_seconds(item["created_at"]) - create.since), text(item["id"])))
            elif same is None:
                unclear.append(text(item["id"]))
        if not matches and unclear:
            raise UnexpectedReply(
                f"job {' and '.join(unclear)} was created about then, and what it was asked for is no longer told "
                "(Replicate deletes that after an hour), so it may be this one."
            )
        return Job(id=min(matches)[1]) if matches else None


def _at(client: Client, path: str) -> str:
    """*path* below /v1: Replicate's SDKs disagree whether the variable for the address holds that part."""
    return path if client.base_url.endswith("/v1/") else f"v1/{path}"


def _address(client: Client, job: Job, kind: str, rest: str) -> str:
    """What the create returned, where it is still of the origin that is asked now; else as documented."""
    told = job.details.get(kind)
    if isinstance(told, str) and client.owns(told):
        return told
    return _at(client, f"predictions/{quote(job.id, safe='')}{rest}")


def _name(asked: Json) -> str:
    remade = _REMAKING.get(Operation(asked["operation"]))
    return remade[0] if remade else f"{asked['model']}-{asked['resolution']}"


def _files(asked: Json) -> dict[str, str]:
    """The fields of the input that are files, with the hash of what is in them."""
    first, last = asked["first_frame"], asked["last_frame"]
    if "source" in asked:
        given = {"video": asked["source"].get("video"), "first_frame": first and first["image"]}
    else:
        given = {"start_image": first and first["image"], "end_image": last and last["image"]}
    return {name: sha256 for name, sha256 in given.items() if sha256}


def _without_pictures(asked: Json) -> Json:
    """The input for a request as the journal holds it, but for its files and the place of a film."""
    if "source" in asked:
        told = {"prompt": asked["prompt"].strip() and asked["prompt"], "mode": asked.get("mode")}
        ratio = asked["aspect_ratio"]
        told["aspect_ratio"] = None if ratio == AS_THE_SOURCE else ratio
        return {name: value for name, value in told.items() if value}
    sent = {name: asked[name] for name in ("prompt", "duration", "aspect_ratio", "loop")}
    return {**sent, "concepts": asked["concepts"]} if asked["concepts"] else sent


def _listed(client: Client, since: float) -> Iterator[Any]:
    """Jobs created about then, newest first. Always asked at our own address: only a page's query is taken over."""
    about = {"created_after": _iso(since - 300), "created_before": _iso(since + 900)}
    for _ in range(_MOST_PAGES):
        page = client.get(_at(client, "predictions"), about)
        yield from page["results"]
        if not page.get("next"):
            return
        about = dict(parse_qsl(urlsplit(page["next"]).query))


def _same(client: Client, theirs: Any, asked: Json) -> bool | None:
    """Whether an input is what we sent; None where that cannot be seen."""
    given = {name: value for name, value in theirs.items() if value not in (None, [])}
    ours = _files(asked)
    pictures = {name: given.pop(name) for name in _FILES if name in given}
    place = asked.get("placement")
    numbers = {name: given.pop(name) for name in _NUMBERS if name in given}
    if given != _without_pictures(asked) or set(pictures) != set(ours):
        return False
    if numbers != (luma_video.place(placement_of(place), sized=False) if place else {}):
        return False
    pairs = [(_pixels(client, told), ours[name]) for name, told in pictures.items()]
    if any(found not in (None, wanted) for found, wanted in pairs):
        return False
    return None if any(found is None for found, _ in pairs) else True


def _pixels(client: Client, url: Any) -> str | None:
    """The hash of the pixels that we gave with an uploaded file; None where it is another's, or gone."""
    found = _FILE.match(text(url))
    if not found:
        return None
    try:
        metadata = client.get(_at(client, f"files/{found[1]}"))["metadata"]
    except Rejected:
        return None
    told = metadata.get("picture")
    return told if isinstance(told, str) else None


def _gone(reply: Any) -> Failed:
    ended = reply.get("completed_at")
    until = datetime.fromtimestamp(_seconds(ended), timezone.utc) + timedelta(hours=1) if ended else None
    when = f" It could be fetched until about {until:%Y-%m-%d %H:%M} UTC." if until else ""
    return Failed(
        reason=f"The job succeeded, and its clip is gone: Replicate deletes it after an hour.{when}",
        billing="It was billed. Queue again to buy a new one.",
    )


def _reason(error: Any) -> str:
    said = error.strip().rstrip(".") if isinstance(error, str) else ""
    known = next((words for part, words in _FAILURES.items() if part in said.lower()), "")
    # An unknown error may quote the address of a picture.
    return known or f"Replicate's job failed: {redact(said)[:300] or 'no reason given'}."


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _seconds(told: Any) -> float:
    """A time of Replicate's, which have up to nine digits after the point, in seconds since the epoch."""
    found = _TIME.fullmatch(text(told))
    if not found:
        raise ValueError("time expected")
    return datetime.strptime("".join(found.groups()), "%Y-%m-%dT%H:%M:%S%z").timestamp()
