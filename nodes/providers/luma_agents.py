"""Luma's current API, which runs Ray 3.2: https://docs.agents.lumalabs.ai/guides/videos/generation/.

Contract: the `luma-agents` SDK 0.5.0 (read 2026-11-21), which knows 360p, indexed keyframes for films (also a single
one, at 10 s too) and a Files API, none of which 0.3.0 had. The openings of Luma's guides (video generation, error
handling, rate limits, pricing, FAQ) in a stored copy, the rest of them in public copies, same day: error words,
refunds, prices, excluded combinations. That `aspect_ratio` is left out beside pictures is what ComfyUI 0.33 does
(read 2026-11-20). Not verified by a live call.

`video_edit` and `video_reframe`: the same SDK and ComfyUI's nodes (prices, and that an edit of up to 5 s is asked for
as "5s", of more as "10s"). The price of an edit of more than 10 s is published nowhere. A reframe at 1080p "is still
rolling out", so it is not offered. Films go through the Files API of the SDK.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from ..generation import luma_video
from ..generation.answers import about, text
from ..generation.credentials import redact
from ..generation.errors import (
    ContentRefused,
    GenerationError,
    Interrupted,
    ModelNotServed,
    ProviderUnavailable,
    Unauthorized,
    UploadFailed,
)
from ..generation.offer import Completed, Failed, Job, Offer, Pending, Provider, Source, Status
from ..generation.ray import FRAMES_PER_SECOND, MODES
from ..generation.remaking import MEGABYTE, Remaking, Tariff
from ..generation.request import (
    AS_THE_SOURCE,
    GenerationReference,
    GenerationRequest,
    Json,
    Keyframe,
    Operation,
    SourceVideo,
    StillImage,
)

if TYPE_CHECKING:
    from ..generation.client import Answer, Client
    from ..generation.credentials import Secret

_RATIOS: Final = ("16:9", "9:16", "1:1", "4:3", "3:4", "21:9")
_PRICES: Final = {
    # resolution: USD for 5 s and 10 s
    "360p": ("0.06", "0.18"),
    "540p": ("0.15", "0.45"),
    "720p": ("0.30", "0.90"),
    "1080p": ("1.20", "3.60"),
}
_PRICE_SOURCE: Final = Source(
    where="public copies of docs.agents.lumalabs.ai/guides/pricing, the same as ComfyUI's badges",
    day="2026-11-21",
    unverified=True,
)
_ANCHORED: Final = 5
"""Seconds of a clip with `start_frame` or `end_frame`; longer ones take indexed keyframes instead."""
_MOST_BETWEEN: Final = 62
"""Of the 64 keyframes that the SDK allows, two are the ends. Luma's product page speaks of 16 only."""
_LARGE_PICTURE: Final = 4_000_000
_LARGEST_PICTURE: Final = 50_000_000
"""Bytes; "target under 4 MB per image at JPEG quality 85-92" (FAQ), refused beyond 50 MB."""

_EDITS: Final = {
    # resolution: USD for up to 5 s and up to 10 s
    "360p": ("0.54", "1.08"),
    "540p": ("0.72", "1.44"),
    "720p": ("1.08", "2.16"),
    "1080p": ("2.16", "4.32"),
}
_REFRAMES: Final = {"360p": "0.03", "540p": "0.06", "720p": "0.12"}
"""USD a second."""
_REMAKE_SOURCE: Final = Source(
    where="ComfyUI's own price badges for Ray 3.2, and fal.ai's page for the same edit",
    day="2026-11-21",
    unverified=True,
)
_SOURCES: Final = frozenset({"video", "generation"})
_LARGEST_FILM: Final = 200 * MEGABYTE
"""As others report; the Files API itself takes 5 GiB."""
_FILE_LIFE: Final = 24 * 3600
"""Seconds after which Luma may delete an uploaded film."""
_LONGEST_INGEST: Final = 300.0
"""Seconds in which an uploaded film is ready, or is given up."""

_REFUNDED: Final = "Luma refunds a generation that fails in this way."
_FAILURES: Final = {
    # failure_code: what happened and what to do, and what it means for the bill (FAQ)
    "content_moderated": (
        "Luma's moderation stopped it: the prompt, a picture or the finished clip. Change the prompt or the picture",
        _REFUNDED,
    ),
    "generation_failed": ("Luma's model failed on this job. Try again", _REFUNDED),
    "output_not_found": ("Luma made the clip and cannot find it. Try again", _REFUNDED),
    "budget_exhausted": (
        "The account at Luma ran out of money during the generation. Add funds, then try again",
        "Luma may have charged a part of it.",
    ),
    "image_too_large": ("A picture is too large for Luma. Make it smaller", ""),
    "unsupported_format": ("Luma does not take a picture in this format. Try another picture", ""),
    "corrupt_input": ("Luma could not read a picture. Try again, or another picture", ""),
    "invalid_request": ("Luma found the request invalid after it had taken it. Change the settings", ""),
    "rate_limited": ("Luma's service was too busy for this job. Try again later", ""),
}
_BILL_UNKNOWN: Final = (
    "Luma does not say whether it charges a generation that fails in this way; platform.lumalabs.ai shows it."
)


def _offer(
    operation: Operation,
    durations: tuple[int, ...],
    kinds: set[tuple[str, str]],
    *,
    loops: set[tuple[str, str]] | None = None,
    resolutions: tuple[str, ...] = tuple(_PRICES),
    middle_frames: int = 0,
) -> Offer:
    return Offer(
        model="ray-3.2",
        operation=operation,
        endpoint="generations",
        durations=durations,
        resolutions=resolutions,
        aspect_ratios=_RATIOS,
        keyframes=frozenset(kinds),
        loops=frozenset(loops or ()),
        prompt_length=(1, 6000),
        middle_frames=middle_frames,
        image_sides=(1, 8000),
        image_bytes=_LARGEST_PICTURE,
        image_lossless_bytes=_LARGE_PICTURE,
        prices={
            (resolution, seconds): Decimal(usd)
            for resolution in resolutions
            for seconds, usd in zip((5, 10), _PRICES[resolution], strict=True)
            if seconds in durations
        },
        price_source=_PRICE_SOURCE,
    )


def _remake_offer(
    operation: Operation,
    remaking: Remaking,
    resolutions: tuple[str, ...],
    ratios: tuple[str, ...],
    kinds: set[tuple[str, str]],
) -> Offer:
    return Offer(
        model="ray-3.2",
        operation=operation,
        endpoint="generations",
        durations=(),
        resolutions=resolutions,
        aspect_ratios=ratios,
        keyframes=frozenset(kinds),
        prompt_length=(1, 6000),
        image_sides=(1, 8000),
        image_bytes=_LARGEST_PICTURE,
        image_lossless_bytes=_LARGE_PICTURE,
        price_source=_REMAKE_SOURCE,
        remaking=remaking,
    )


class LumaAgents(Provider):
    """Luma's own current API; keys (luma-api-...) from platform.lumalabs.ai.

    Its rate limits depend on the plan and are published nowhere: a 429 says how long to wait.
    """

    name = "luma_agents"
    title = "Luma Agents"
    key_from = "platform.lumalabs.ai (they begin with luma-api-)"
    docs = "https://docs.agents.lumalabs.ai/guides/videos/generation/"
    base_url = "https://agents.lumalabs.ai/v1"
    base_url_variable = "LUMA_BASE_URL"
    secrets = ("LUMA_AGENTS_API_KEY",)
    trial = "files?limit=1"  # there is no list of generations and no balance
    video_life = _FILE_LIFE / 2
    cancel_notice = "cannot cancel a job that is running: it finishes there and is billed."
    # A loop is never 10 s long, so loops have offers of their own.
    offers = (
        _offer(Operation.TEXT_TO_VIDEO, (5, 10), {("none", "none")}),
        _offer(Operation.TEXT_TO_VIDEO, (5,), {("none", "none")}, loops={("none", "none")}),
        _offer(Operation.IMAGE_TO_VIDEO, (5, 10), {("image", "none")}),
        _offer(Operation.IMAGE_TO_VIDEO, (5,), {("image", "none")}, loops={("image", "none")}),
        _offer(
            Operation.KEYFRAMES_TO_VIDEO,
            (5, 10),
            {("image", "image"), ("none", "image"), ("image", "none")},
            middle_frames=_MOST_BETWEEN,
        ),
        # "Interpolation from a prior generation plus another keyframe is not available yet", and no 360p price.
        _offer(
            Operation.EXTEND_VIDEO,
            (_ANCHORED,),
            {("generation", "none"), ("none", "generation")},
            loops={("generation", "none")},
            resolutions=("540p", "720p", "1080p"),
        ),
        _remake_offer(
            Operation.MODIFY_VIDEO,
            Remaking(
                kinds=_SOURCES,
                longest=18,
                largest=_LARGEST_FILM,
                modes=MODES,
                tariff=Tariff(
                    steps={
                        (resolution, upto): Decimal(usd)
                        for resolution, prices in _EDITS.items()
                        for upto, usd in zip((5, 10), prices, strict=True)
                    }
                ),
            ),
            tuple(_EDITS),
            (AS_THE_SOURCE,),
            {("none", "none"), ("image", "none")},
        ),
        _remake_offer(
            Operation.REFRAME_VIDEO,
            Remaking(
                kinds=_SOURCES,
                longest=30,
                largest=_LARGEST_FILM,
                places=True,
                tariff=Tariff(per_second={size: Decimal(usd) for size, usd in _REFRAMES.items()}),
            ),
            tuple(_REFRAMES),
            _RATIOS,
            {("none", "none")},
        ),
    )

    def sign(self, secrets: Mapping[str, Secret]) -> dict[str, str]:
        """Bearer authentication."""
        return {"Authorization": f"Bearer {secrets['LUMA_AGENTS_API_KEY'].reveal()}"}

    def error_text(self, reply: Any) -> str:
        """`detail`, a string in every documented error."""
        return str(reply["detail"])

    def explain(self, answer: Answer) -> GenerationError | None:
        """What the status alone does not tell; its texts are those of the guide "Error handling"."""
        billed = " Nothing was billed." if answer.paid else ""
        if answer.status == 401 and "missing or invalid" in answer.words.lower():
            return Unauthorized(
                f"{self.title} does not accept the key (401){answer.words}. Its keys begin with luma-api- and come "
                f"from platform.lumalabs.ai; a key of the older Dream Machine API is another one.{billed}"
            )
        if answer.status == 403:
            return Unauthorized(
                f"{self.title} has closed this account's access (403){answer.words}. The key is known; only Luma's "
                f"support can open it again.{billed}"
            )
        if answer.status == 400 and re.search("unknown model|is not supported for model", answer.words, re.I):
            return ModelNotServed(
                f"{self.title} does not serve this model, or not to this account (400){answer.words}.{billed}"
            )
        # No refusal for content is documented before the job, see "content_moderated"; these words are inferred.
        if answer.status in (400, 422) and re.search("moderat|flagged", answer.words, re.I):
            return ContentRefused(
                f"{self.title}'s moderation refused the prompt or a picture ({answer.status}){answer.words}. Change "
                f"it.{billed}"
            )
        # Documented as "never charged", like every error of a create; a gateway's page has no such words.
        if answer.paid and answer.status in (502, 503) and "unavailable" in answer.words.lower():
            return ProviderUnavailable(
                f"{self.title} could not take the request ({answer.status}){answer.words}. Nothing was created or "
                "billed. Try again in a minute.",
                retry_after=answer.retry_after,
            )
        return None

    def upload(self, client: Client, still: StillImage) -> str:  # noqa: ARG002
        """The picture itself, as a data: URI: it goes along inside the create. Nothing is sent yet."""
        return f"data:{still.media_type};base64,{base64.b64encode(still.file).decode('ascii')}"

    def upload_video(self, client: Client, video: SourceVideo) -> str:
        """POST /files for a place, PUT the film there, say that it is there, and wait until Luma has looked at it."""
        expires = datetime.fromtimestamp(client.clock.now() + _FILE_LIFE, timezone.utc)
        asked = {
            "mime_type": video.media_type,
            "size_bytes": video.size,
            "filename": f"{video.sha256[:32]}.mp4",
            "purpose": "input",
            "expires_at": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        try:
            given = client.call("POST", "files", asked)
            name, place = text(given["id"]), given["upload"]
            client.send_file(text(place["url"]), video.path, place.get("headers"))
            path = f"files/{quote(name, safe='')}"
            client.call("POST", f"{path}/complete")
            until = client.clock.elapsed() + _LONGEST_INGEST
            while (file := client.get(path))["state"] == "pending" and client.clock.elapsed() < until:
                client.clock.check()
                client.clock.sleep(1.0)
        except Interrupted:
            raise
        except GenerationError as error:
            raise UploadFailed(
                f"The film could not be put at {self.title}: {error} No clip was bought, nothing was billed."
            ) from None
        if file["state"] == "ready":
            return name
        why = redact(str(file.get("failure_reason") or "it was not ready in time"))[:300].rstrip(".")
        raise UploadFailed(
            f"{self.title} did not take the film ({why}). No clip was bought, nothing was billed."
        )

    def encode(self, request: GenerationRequest, pictures: Mapping[str, str]) -> Json:
        """The create body. The ratio goes along with a prompt alone: beside a picture the clip has its shape."""
        if request.source is not None:
            return _remake(request, request.source, pictures)
        video: Json = {"resolution": request.resolution, "duration": f"{request.duration}s"}
        body: Json = {"model": request.model, "type": "video", "prompt": request.prompt, "video": video}
        if request.loop:
            video["loop"] = True
        ends = zip(("start_frame", "end_frame"), request.keyframes, strict=True)
        anchors = {name: _reference(frame, pictures) for name, frame in ends if frame is not None}
        if not anchors and not request.middle_frames:
            body["aspect_ratio"] = request.aspect_ratio
        elif request.middle_frames or request.duration != _ANCHORED:
            indexes = {"start_frame": 0, "end_frame": request.duration * FRAMES_PER_SECOND}
            placed = [(indexes[name], reference) for name, reference in anchors.items()]
            placed += [(middle.index, _reference(middle.still, pictures)) for middle in request.middle_frames]
            placed.sort(key=lambda item: item[0])
            video["keyframes"] = [reference for _, reference in placed]
            video["keyframe_indexes"] = [index for index, _ in placed]
        else:
            video.update(anchors)
        return body

    def submit(self, client: Client, offer: Offer, body: Json, key: str) -> Job:  # noqa: ARG002
        """POST /generations. Luma takes no idempotency key and lists no generations, so no key goes along."""
        return Job(id=text(client.create(offer.endpoint, body)["id"]))

    def status(self, client: Client, job: Job) -> Status:
        """GET /generations/{id}. Each answer about a finished clip has a new link, good for an hour."""
        reply = client.get(f"generations/{quote(job.id, safe='')}")
        about(reply, job.id)
        match reply["state"]:
            case "queued" | "processing" as state:
                return Pending(note=state)
            case "completed":
                clips = (item["url"] for item in reply["output"] if item["type"] == "video")
                return Completed(url=text(next(clips, None)))
            case "failed":
                return _failed(reply.get("failure_code"), reply.get("failure_reason"))
            case unknown:
                raise ValueError(f"unknown state {unknown!r}")


def _remake(
    request: GenerationRequest, source: SourceVideo | GenerationReference, pictures: Mapping[str, str]
) -> Json:
    """The create body for a film that is made from *source*."""
    if isinstance(source, GenerationReference):
        film = {"generation_id": source.job_id}
    else:
        film = {"file_id": pictures[source.sha256]}
    first = request.first_frame
    frame = _reference(first, pictures) if first is not None else None
    return {"model": request.model, **luma_video.remade(request, film, frame)}


def _reference(frame: Keyframe, pictures: Mapping[str, str]) -> Json:
    """An ImageRef of the API."""
    if isinstance(frame, GenerationReference):
        return {"generation_id": frame.job_id}
    media_type, data = pictures[frame.sha256].removeprefix("data:").split(";base64,")
    return {"data": data, "media_type": media_type}


def _failed(code: Any, reason: Any) -> Failed:
    sentence, billing = _FAILURES.get(code if isinstance(code, str) else "", ("Luma's job failed", ""))
    # Luma's own words may tell which picture it was, or quote an address.
    said = redact(" ".join(reason.split()))[:300].rstrip(".") if isinstance(reason, str) else ""
    return Failed(
        reason=f"{sentence} ({said})." if said else f"{sentence}.",
        billing=billing or _BILL_UNKNOWN,
        billed_usd=Decimal(0) if billing == _REFUNDED else None,
    )
