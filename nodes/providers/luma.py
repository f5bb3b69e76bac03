"""Luma's own Dream Machine API v1: https://docs.lumalabs.ai/docs/video-generation.

Contract: Luma's OpenAPI "Dream Machine API" 1.1.0 and the `lumaai` SDK 1.21.0, read 2026-11-20; error texts
and billing of failures from Luma's docs (Errors, FAQ), the limits and prices of films to modify or reframe from its
pages on these, same day. Not verified by a live call.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from ..generation import luma_video
from ..generation.answers import TRIES, about, amount, text
from ..generation.credentials import redact
from ..generation.offer import (
    Account,
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
    GenerationReference,
    GenerationRequest,
    Json,
    Operation,
    SourceVideo,
)

if TYPE_CHECKING:
    from ..generation.client import Client
    from ..generation.credentials import Secret

_PRICE_SOURCE: Final = Source(
    where="two public copies of lumalabs.ai's price table", day="2026-11-20", unverified=True
)
_MODIFY_PRICES: Final = Source(where="docs.lumalabs.ai/docs/modify-video", day="2026-11-21")
"""By the million pixels; that these are the film's own is inferred from its example."""
_PRICES: Final = {
    # (model, seconds): USD for each of Luma's resolutions
    ("ray-2", 5): ("0.40", "0.71", "0.86", "0.96"),
    ("ray-2", 9): ("0.72", "1.27", "1.54", "1.72"),
    ("ray-flash-2", 5): ("0.14", "0.24", "0.39", "0.49"),
    ("ray-flash-2", 9): ("0.25", "0.44", "0.71", "0.89"),
}

_FILM: Final = frozenset({"video"})
_OWN: Final = frozenset({"generation"})
_REMADE: Final = {
    # what is made from a clip: generation_type, endpoint, ratios, resolutions, kinds of keyframes
    Operation.MODIFY_VIDEO: (
        *("modify_video", "generations/video/modify", (AS_THE_SOURCE,), (AS_THE_SOURCE,)),
        {("none", "none"), ("image", "none")},
    ),
    Operation.REFRAME_VIDEO: (
        *("reframe_video", "generations/video/reframe", ASPECT_RATIOS, (AS_THE_SOURCE,)),
        {("none", "none"), ("image", "none")},
    ),
    Operation.UPSCALE_VIDEO: (
        *("upscale_video", "generations/{id}/upscale", (AS_THE_SOURCE,), ("720p", "1080p", "4k")),
        {("none", "none")},
    ),
    Operation.ADD_AUDIO: (
        *("add_audio", "generations/{id}/audio", (AS_THE_SOURCE,), (AS_THE_SOURCE,)),
        {("none", "none")},
    ),
}
_LARGEST: Final = 100 * MEGABYTE
# Which size a clip may be upscaled from, and how long a prompt for sound may be, is not documented.
_REMAKING: Final = {
    **{
        (model, Operation.MODIFY_VIDEO): Remaking(
            kinds=_FILM,
            longest=longest,
            largest=_LARGEST,
            modes=MODES,
            tariff=Tariff(per_megapixel=Decimal(usd)),
        )
        for model, longest, usd in (("ray-2", 10, "0.01582"), ("ray-flash-2", 15, "0.00544"))
    },
    # "Same as cost of the models", which is per million pixels made; that these are the canvas's is inferred.
    **{
        (model, Operation.REFRAME_VIDEO): Remaking(
            kinds=_FILM,
            longest=longest,
            largest=_LARGEST,
            places=True,
            tariff=Tariff(per_megapixel=Decimal(usd), on_canvas=True),
        )
        for model, longest, usd in (("ray-2", 10, "0.0064"), ("ray-flash-2", 30, "0.0022"))
    },
    **{
        (model, Operation.UPSCALE_VIDEO): Remaking(
            kinds=_OWN,
            grows=True,
            tariff=Tariff(
                per_second={"720p": Decimal("0.06"), "1080p": Decimal("0.09"), "4k": Decimal("0.11")}
            ),
        )
        for model in ("ray-2", "ray-flash-2")
    },
    **{
        (model, Operation.ADD_AUDIO): Remaking(
            kinds=_OWN, avoids=True, tariff=Tariff(per_second={AS_THE_SOURCE: Decimal("0.02")})
        )
        for model in ("ray-2", "ray-flash-2")
    },
}
_OWN_CLIP: Final = "id"
"""In a body that we keep: the clip that is upscaled or gets sound. It goes into the address, and is not sent."""

_FAILURES: Final = {
    "contains blacklisted words": "Luma refused the prompt: it contains a word on Luma's list. Reword it.",
    "failed to read user input frames": (
        "Luma could not fetch the image URL. The picture's host must be reachable from the internet and the "
        "link still valid; check the hosting settings."
    ),
    "failed to moderate image": (
        "Luma could not fetch the image URL to check the picture. The picture's host must be reachable from "
        "the internet; check the hosting settings."
    ),
    "frame moderation failed": "Luma's safety check rejected one of the pictures.",
    "advanced prompt moderation failed": "Luma's safety check rejected the prompt. Reword it.",
    "advanced moderation failed": "Luma's safety check rejected the prompt or a picture.",
    "prompt processing failed": "Luma could not process the prompt. Reword it, or try again.",
    "error dispatching job": "Luma could not start the job. Try again.",
    "job failed": "Luma's model failed on this job. Try again, or change the prompt.",
    "error processing callback": "Luma failed while reporting the job. Try again.",
}
_REFUNDED: Final = "Luma refunds failed generations in full."
_CONTENT_HASH: Final = re.compile("[0-9a-f]{64}")
_MOST_PAGES: Final = 20
"""Of the list, 100 generations each; an end for a server that always says there is more."""


class Luma(Provider):
    """Luma's own API: every operation of Ray 2, keys from lumalabs.ai/dream-machine/api/keys."""

    name = "luma"
    title = "Luma"
    key_from = "lumalabs.ai/dream-machine/api/keys"
    docs = "https://docs.lumalabs.ai/docs/video-generation"
    base_url = "https://api.lumalabs.ai/dream-machine/v1"
    base_url_variable = "LUMAAI_BASE_URL"
    secrets = ("LUMAAI_API_KEY",)
    takes_urls_only = True
    reconciles = True
    limits = Limits(
        concurrent=10,
        per_minute=20,
        source=Source(where="Luma's docs, Rate Limits (Build tier)", day="2026-11-20"),
    )
    typical_seconds = 60
    cancel_notice = "cannot cancel a job that is running: it finishes there and is billed."
    offers = tuple(
        Offer(
            model=model,
            operation=operation,
            endpoint="generations/video",
            durations=(5, 9),
            resolutions=luma_video.RESOLUTIONS,
            aspect_ratios=ASPECT_RATIOS,
            keyframes=frozenset(kinds),
            loops=luma_video.LOOPS & kinds,
            concepts=CONCEPTS,
            prompt_length=(3, 5000),
            prompt_optional_with_image=True,
            prices=luma_video.prices(_PRICES, model),
            price_source=_PRICE_SOURCE,
        )
        for model in ("ray-2", "ray-flash-2")
        for operation, kinds in luma_video.KEYFRAMES.items()
    ) + tuple(
        Offer(
            model=model,
            operation=operation,
            endpoint=_REMADE[operation][1],
            durations=(),
            resolutions=_REMADE[operation][3],
            aspect_ratios=_REMADE[operation][2],
            keyframes=frozenset(_REMADE[operation][4]),
            prompt_length=(0, 0) if operation is Operation.UPSCALE_VIDEO else (3, 5000),
            prompt_optional=True,
            price_source=_MODIFY_PRICES if operation is Operation.MODIFY_VIDEO else _PRICE_SOURCE,
            remaking=remaking,
        )
        for (model, operation), remaking in _REMAKING.items()
    )

    def sign(self, secrets: Mapping[str, Secret]) -> dict[str, str]:
        """Bearer authentication."""
        return {"Authorization": f"Bearer {secrets['LUMAAI_API_KEY'].reveal()}"}

    def error_text(self, reply: Any) -> str:
        """`detail` is a string, or for a 422 a list of objects (inferred)."""
        detail = reply["detail"]
        if isinstance(detail, str):
            return detail
        return "; ".join(str(item["msg"]) for item in detail)

    def check(self, client: Client) -> Account:
        """GET /credits: the balance in US cents."""
        cents = client.get("credits", attempts=TRIES)["credit_balance"]
        return Account(balance_usd=amount(cents) / 100)

    def encode(self, request: GenerationRequest, pictures: Mapping[str, str]) -> Json:
        """The create body; pictures and films are public URLs."""
        if request.operation.remakes:
            return _remake(request, pictures)
        body: Json = {
            "generation_type": "video",
            "model": request.model,
            **luma_video.settings(request),
            **luma_video.keyframes(request, pictures),
        }
        if request.prompt.strip():
            body["prompt"] = request.prompt
        if request.concepts:
            body["concepts"] = [{"key": key} for key in request.concepts]
        return body

    def submit(self, client: Client, offer: Offer, body: Json, key: str) -> Job:  # noqa: ARG002
        """POST /generations/video and its likes. Luma charges here and refunds what fails."""
        sent = {name: value for name, value in body.items() if name != _OWN_CLIP}
        path = offer.endpoint.format(id=quote(body.get(_OWN_CLIP, ""), safe=""))
        return Job(id=_id(client.create(path, sent)))

    def status(self, client: Client, job: Job) -> Status:
        """GET /generations/{id}."""
        reply = client.get(f"generations/{quote(job.id, safe='')}")
        about(reply, job.id)
        match reply["state"]:
            case "queued" | "dreaming" as state:
                return Pending(note=state)
            case "completed":
                return Completed(url=text(reply["assets"]["video"]))
            case "failed":
                return _failed(reply.get("failure_reason"))
            case unknown:
                raise ValueError(f"unknown state {unknown!r}")

    def reconcile(self, client: Client, create: Unanswered) -> Job | None:
        """Look through GET /generations for the request, created about then and not ours yet.

        Of several that match, the one created closest to the time of the create. Which clip was upscaled or got
        sound is not in the echo of its request, so none of these is ever certain.
        """
        if Operation(create.asked["operation"]) in (Operation.UPSCALE_VIDEO, Operation.ADD_AUDIO):
            return None
        asked, since, known = create.asked, create.since, create.known
        matches: list[tuple[float, str]] = []
        offset = 0
        for _ in range(_MOST_PAGES):
            page = client.get("generations", {"limit": 100, "offset": offset})
            listed = page["generations"]
            for item in listed:
                created = _created(item)
                near = created is None or since - 300 <= created <= since + 3600
                if near and item.get("id") and item["id"] not in known and _same(item, asked):
                    away = abs(created - since) if created is not None else 3600.0
                    matches.append((away, _id(item)))
            offset += len(listed)
            if not listed or not page.get("has_more") or _all_older(listed, since - 300):
                break
        return Job(id=min(matches)[1]) if matches else None


def _id(reply: Any) -> str:
    return text(reply["id"])


def _created(item: Any) -> float | None:
    try:
        told = datetime.fromisoformat(item["created_at"].replace("Z", "+00:00"))
    except (KeyError, AttributeError, ValueError):
        return None  # no field of a generation is required, and Python 3.10 reads few spellings of a time
    return (told if told.tzinfo else told.replace(tzinfo=timezone.utc)).timestamp()


def _all_older(listed: Sequence[Any], limit: float) -> bool:
    """Whether a page ends before *limit* and the next ones will too: the list's order is not documented."""
    newest, oldest = _created(listed[0]), _created(listed[-1])
    return newest is not None and oldest is not None and newest >= oldest and oldest < limit


def _remake(request: GenerationRequest, pictures: Mapping[str, str]) -> Json:
    """The body for a clip that is made from another one."""
    kind, source = _REMADE[request.operation][0], request.source
    body: Json = {"generation_type": kind}
    if isinstance(source, GenerationReference):
        body[_OWN_CLIP] = source.job_id
    if isinstance(source, SourceVideo):
        body.update(model=request.model, media={"url": pictures[source.sha256]})
    if request.operation is Operation.REFRAME_VIDEO:
        body["aspect_ratio"] = request.aspect_ratio
    if request.operation is Operation.UPSCALE_VIDEO:
        body["resolution"] = request.resolution
    if request.mode:
        body["mode"] = request.mode
    if request.placement is not None:
        body.update(luma_video.place(request.placement))
    for still in request.stills:
        body["first_frame"] = {"url": pictures[still.sha256]}
    for name, words in (("prompt", request.prompt), ("negative_prompt", request.negative_prompt)):
        if words.strip():
            body[name] = words
    return body


def _same(item: Any, asked: Json) -> bool:
    """Whether a listed generation is what we asked for, by every field that Luma echoes."""
    echo = item.get("request") or {}
    if Operation(asked["operation"]).remakes:
        return _same_remake(item, echo, asked)
    expected = {
        "generation_type": "video",
        "model": asked["model"],
        "aspect_ratio": asked["aspect_ratio"],
        "resolution": asked["resolution"],
        "duration": f"{asked['duration']}s",
        "loop": asked["loop"],
    }
    for name, value in expected.items():
        told = echo.get(name, item.get(name) if name == "model" else None)
        if told is not None and told != value:
            return False
    if (echo.get("prompt") or "").strip() != asked["prompt"].strip():
        return False
    concepts = echo.get("concepts")
    if concepts is not None and sorted(item["key"] for item in concepts) != sorted(asked["concepts"]):
        return False
    frames = echo.get("keyframes") or {}
    for name, ours in (("frame0", asked["first_frame"]), ("frame1", asked["last_frame"])):
        theirs = frames.get(name)
        if ours is None or theirs is None:
            if ours is not theirs:
                return False
            continue
        if ("image" in ours) != (theirs["type"] == "image"):
            return False
        if "job" in ours and theirs.get("id") != ours["job"]:
            return False
        # Our hosting names pictures by their content; another host's link may say nothing about it.
        named = _CONTENT_HASH.search(theirs["url"]) if "image" in ours else None
        if named is not None and named.group() != ours["image"]:
            return False
    return True


def _same_remake(item: Any, echo: Any, asked: Json) -> bool:
    """As `_same`, of a film that was modified or reframed."""
    place = asked.get("placement") or {}
    expected = {
        "generation_type": _REMADE[Operation(asked["operation"])][0],
        "model": asked["model"],
        "mode": asked.get("mode"),
        "aspect_ratio": None if asked["aspect_ratio"] == AS_THE_SOURCE else asked["aspect_ratio"],
        "resized_width": place.get("width"),
        "x_start": place.get("left"),
        "y_start": place.get("top"),
    }
    for name, value in expected.items():
        if echo.get(name, item.get(name) if name == "model" else None) != value:
            return False
    if (echo.get("prompt") or "").strip() != asked["prompt"].strip():
        return False
    first, picture = echo.get("first_frame"), asked["first_frame"]
    if (first is None) != (picture is None):
        return False
    links = [((echo.get("media") or {}).get("url"), asked["source"]["video"])]
    if picture is not None:
        links.append((first["url"], picture["image"]))
    for link, ours in links:
        # As above: a link that does not name its content says nothing about it, but a missing one does.
        named = _CONTENT_HASH.search(link or "")
        if not link or (named is not None and named.group() != ours):
            return False
    return True


def _failed(reason: Any) -> Failed:
    said = (reason if isinstance(reason, str) else "").removeprefix("400: ").strip().rstrip(".")
    known = _FAILURES.get(said.lower())
    # An unknown reason may quote the picture's signed URL.
    return Failed(
        reason=known or f"Luma's job failed: {redact(said) or 'no reason given'}.",
        billing=_REFUNDED,
        billed_usd=Decimal(0),
    )
