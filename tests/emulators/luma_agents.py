"""Luma's current API (agents.lumalabs.ai, Ray 3.2) as it is documented, for films only.

Sources (read 2026-11-21): the `luma-agents` SDK 0.5.0; the stored opening of the guides of docs.agents.lumalabs.ai
(error handling, rate limits, pricing, video generation, FAQ), and the rest of them in public copies. Where these
say nothing, a comment marks the answer as inferred; all words of a 422 about a combination are.

SDK 0.5.0 against 0.3.0: `video.keyframes` with `keyframe_indexes` (1 to 64, also a single one), the resolution
360p, the Files API and `file_id`, the type `layering`. Still no list, cancel or idempotency key for generations.

Not served: image, image_edit, layering, HDR (an account without HDR access), the advanced controls and guide frames
of an edit, and the multipart form of an upload. Addresses of pictures must be https, as documented, except on this
machine's loopback.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

import requests

from . import clips
from .clips import Picture
from .jobs import MODES, Entry, Failure, JobEmulator, Still, Trouble, Work
from .server import Fault, Refusal, Reply, Request, Route, html_reply, json_reply, time_told, utc
from .shapes import Problem, Rule, Where, fields, flag, items, one_of, text, uuid_text, web_address, whole

API_VERSION = "2026-04-01"
MODELS = {
    "uni-1": ("image", "image_edit", "layering"),
    "uni-1-max": ("image", "image_edit"),
    "ray-3.2": ("video", "video_edit", "video_reframe"),
}
"""The types of each model."""
ASPECT_RATIOS = ("16:9", "1:1", "21:9", "3:4", "4:3", "9:16")
USD = {
    "360p": {"5s": 0.06, "10s": 0.18},
    "540p": {"5s": 0.15, "10s": 0.45},
    "720p": {"5s": 0.30, "10s": 0.90},
    "1080p": {"5s": 1.20, "10s": 3.60},
}
"""Standard dynamic range; an extension costs as much as 5 s."""
SECONDS = {"5s": 5, "10s": 10}
FRAMES_PER_SECOND = 24
MOST_KEYFRAMES = 64
LARGEST_IMAGE = 50 * 1024 * 1024
LONGEST_SIDE = 8000
LINK_LIFE = 3600.0
PAGE = 25
STATES = {"queued": "queued", "running": "processing", "completed": "completed", "failed": "failed"}

FAILURES = {
    "indecent": ("content_moderated", "Generation output was flagged by our content moderation system."),
    "doomed": ("generation_failed", "Generation failed"),
    "penniless": ("budget_exhausted", "Insufficient credits to complete this generation."),
    "misplaced": ("output_not_found", "Output artifacts not found"),
    # The codes from here on are in the SDK alone, so the reasons are inferred.
    "enormous": ("image_too_large", "An input image exceeded the size limit"),
    "outlandish": ("unsupported_format", "An input media file was in an unsupported format"),
    "garbled": ("corrupt_input", "An input media file could not be decoded"),
    "contradictory": ("invalid_request", "The request was rejected"),
    "crowded": ("rate_limited", "Upstream rate limit"),
}
"""A prompt that contains the word on the left fails, after submission, with the code and reason on the right."""
REFUNDED = ("content_moderated", "generation_failed", "output_not_found")
"""For budget_exhausted a "partial charge" is "possible"; nothing is said of the others, so they stay charged."""
SOURCES = ("url", "data", "generation_id", "file_id")


def _optional(rule: Rule) -> Rule:
    """The SDK declares such fields Optional: null is as good as leaving them out."""

    def lenient(value: Any, where: Where) -> Iterator[Problem]:
        if value is not None:
            yield from rule(value, where)

    return lenient


def _positive(value: Any, where: Where) -> Iterator[Problem]:
    yield from whole(value, where)
    if isinstance(value, int) and value < 1:
        yield Problem(where, "greater_than", "Input should be greater than 0")


def _number(value: Any, where: Where) -> Iterator[Problem]:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        yield Problem(where, "float_type", "Input should be a valid number")


def _time(value: Any, where: Where) -> Iterator[Problem]:
    try:
        time_told(value)
    except (ValueError, AttributeError):
        yield Problem(where, "datetime_parsing", "Input should be a valid datetime")


_REFERENCE = _optional(
    fields(
        optional={
            "url": _optional(web_address),
            "data": _optional(text),
            "media_type": _optional(text),
            "generation_id": _optional(uuid_text),
            "file_id": _optional(uuid_text),
        }
    )
)
# The model and the ratio have refusals of their own, further down.
FILM = fields(
    {"prompt": text},
    {
        "model": text,
        "type": text,
        "aspect_ratio": _optional(text),
        "user_id": _optional(text),
        "video": _optional(
            fields(
                optional={
                    "resolution": _optional(one_of(*USD)),
                    "duration": _optional(one_of(*SECONDS)),
                    "loop": _optional(flag),
                    "hdr": _optional(flag),
                    "exr_export": _optional(flag),
                    "start_frame": _REFERENCE,
                    "end_frame": _REFERENCE,
                    "keyframes": _optional(items(_REFERENCE)),
                    "keyframe_indexes": _optional(items(whole)),
                }
            )
        ),
    },
)
_SIDE = dict.fromkeys(("x_norm", "y_norm", "w_norm", "h_norm"), _number)
REMADE = fields(
    {"prompt": text, "source": _REFERENCE},
    {
        "model": text,
        "type": text,
        "aspect_ratio": _optional(text),
        "user_id": _optional(text),
        "video": _optional(
            fields(
                optional={
                    "resolution": _optional(one_of(*USD)),
                    "duration": _optional(one_of(*SECONDS)),
                    "start_frame": _REFERENCE,
                    "source_position": _optional(fields(_SIDE)),
                    "edit": _optional(
                        fields(
                            optional={"auto_controls": _optional(flag), "strength": _optional(one_of(*MODES))}
                        )
                    ),
                }
            )
        ),
    },
)
"""An edit or a reframe."""
LONGEST_FILM = {"video_edit": 18, "video_reframe": 30}
EDIT_USD = {
    "360p": {"5s": 0.54, "10s": 1.08},
    "540p": {"5s": 0.72, "10s": 1.44},
    "720p": {"5s": 1.08, "10s": 2.16},
    "1080p": {"5s": 2.16, "10s": 4.32},
}
REFRAME_USD = {"360p": 0.03, "540p": 0.06, "720p": 0.12, "1080p": 0.36}
"""A second of output; charged as 5 s here, before the length of the source is known."""
UPLOAD = fields(
    {"mime_type": text, "size_bytes": _positive},
    {
        "expires_at": _optional(_time),
        "filename": _optional(text),
        "purpose": one_of("input", "reference"),
        "user_id": _optional(text),
    },
)


@dataclass
class File:
    """One file of the caller's namespace."""

    id: str
    about: Mapping[str, Any]
    """The create body."""
    created_at: float
    state: str = "pending"
    content: bytes | None = None
    ingesting: bool = False
    """Whether the caller said that the bytes are there."""
    failure_reason: str | None = None
    deleted_at: float | None = None


def refuse(detail: str, status: int = 400) -> Refusal:
    """An error in Luma's shape."""
    return Refusal(json_reply({"detail": detail}, status))


class LumaAgentsEmulator(JobEmulator):
    """The server, its account, its generations and its files.

    The limits depend on the plan, so they are high here unless a test sets them. Pictures are drawn at the two
    ends of a film only: of indexed keyframes, the first and the last one.
    """

    prefix = "/v1"
    default_key = "luma-api-test-0123456789"
    create = ("POST", "/generations")
    poll = ("GET", "/generations/{id}")

    def __init__(
        self, *, requests_a_minute: int = 10_000, concurrent_jobs: int = 10_000, **options: Any
    ) -> None:
        super().__init__(**options)
        self.requests_a_minute = requests_a_minute
        self.concurrent_jobs = concurrent_jobs
        self.files: dict[str, File] = {}
        self._asked: list[float] = []
        self._minted: dict[tuple[str, str], float] = {}
        self._undecodable: set[str] = set()
        self._desk = threading.RLock()

    def routes(self) -> list[Route]:
        """Generations and files."""
        return [
            Route("POST", ("/generations",), self._create),
            Route("GET", ("/generations/{id}",), self._get),
            Route("POST", ("/files",), self._new_file),
            Route("GET", ("/files",), self._list_files),
            Route("GET", ("/files/{id}",), self._get_file),
            Route("DELETE", ("/files/{id}",), self._delete_file),
            Route("POST", ("/files/{id}/complete",), self._complete_file),
            Route("PUT", ("/uploads/{id}",), self._put, public=True),
            *self.file_routes(),
        ]

    def environment(self) -> dict[str, str]:
        """The variables that lead the pack here."""
        return {
            "LUMA_BASE_URL": self.base_url,
            "LUMA_AGENTS_API_KEY": self.key,
            "LUMA_RAY_ALLOWED_HOSTS": self.netloc,
        }

    def unauthorized(self) -> Reply:
        """No key, another scheme than Bearer, or a key that does not begin with luma-api-."""
        return json_reply({"detail": "Missing or invalid API key"}, 401)

    def not_found(self) -> Reply:
        """The same for an id that is no UUID, that is nobody's, and that is somebody else's."""
        return json_reply({"detail": "Generation not found"}, 404)

    def trouble(self, kind: Trouble) -> Reply:
        """The documented refusals of a create; for moderation none is documented, its words are inferred."""
        window = {"X-RateLimit-Limit": "30", "X-RateLimit-Remaining": "0"}
        status, detail, headers = {
            "unauthorized": (401, "API key has been revoked", {}),
            "no money": (402, "Insufficient balance. Please add funds to continue.", {}),
            "rate limit": (429, "Rate limit exceeded", {"Retry-After": "7", **window}),
            "moderation": (422, "Prompt was flagged by our content moderation system.", {}),
            "server error": (502, "Upstream service unavailable", {}),
        }[kind]
        return json_reply({"detail": detail}, status, headers)

    def unknown_status(self) -> Fault:
        """A state of the older API."""
        return Fault.fields(state="dreaming")

    def exchange(self, request: Request) -> Reply:
        """Every answer of the API names the request and the API's version."""
        reply = super().exchange(request)
        if not urlsplit(request.target).path.startswith(self.prefix + "/"):
            return reply
        named = {
            "X-Request-Id": request.headers.get("X-Request-Id") or str(uuid.uuid4()),
            "X-API-Version": API_VERSION,
        }
        return replace(reply, headers={**named, **reply.headers})

    def _answer(self, request: Request, found: tuple[Route, dict[str, str]] | None) -> Reply:
        wrong_key = request.headers.get("Authorization", "").startswith("Bearer luma-api-")
        if wrong_key and not self.authorized(request) and not (found and found[0].public):
            return json_reply({"detail": "Invalid API key"}, 401)
        return super()._answer(request, found)

    # -- generations --------------------------------------------------------------------------------------

    def _create(self, request: Request) -> Reply:
        window = self._admit()
        body = _film(request)
        if body.get("type") in LONGEST_FILM:
            return json_reply(self._view(self._remake(body)), 201, window)
        video = {name: value for name, value in (body.get("video") or {}).items() if value is not None}
        _refuse_combinations(video)
        frames = self._frames(video)
        first, last = frames[0] if frames else None, frames[-1] if frames else None
        if len(frames) == 1:
            at_end = "end_frame" in video or video.get("keyframe_indexes", [0])[0] * 2 > _last_index(video)
            first, last = (None, first) if at_end else (first, None)
        resolution, duration = video.get("resolution", "720p"), video.get("duration", "5s")
        name = str(uuid.uuid4())
        if any(frame is None for frame in frames):
            with self._desk:
                self._undecodable.add(name)
        work = self.accept(
            id=name,
            body=body,
            model=body["model"],
            resolution=resolution,
            # Without one "the model picks"; that it picks this one is inferred.
            aspect_ratio=body.get("aspect_ratio") or "16:9",
            seconds=SECONDS[duration],
            usd=USD[resolution][duration],
            prompt=body["prompt"],
            loop=bool(video.get("loop")),
            first=first,
            last=last,
        )
        return json_reply(self._view(work), 201, window)

    def _remake(self, body: dict[str, Any]) -> Work:
        """An edit or a reframe. All words of its refusals are inferred."""
        kind = body["type"]
        video = {name: value for name, value in (body.get("video") or {}).items() if value is not None}
        edits, position = "edit" in video, video.get("source_position")
        wrong = {
            "video.edit is only valid for type 'video_edit'": edits and kind != "video_edit",
            "video.source_position is only valid for type 'video_reframe'": position and kind == "video_edit",
            "aspect_ratio is required for type 'video_reframe'": kind == "video_reframe"
            and not body.get("aspect_ratio"),
            "video_reframe at 1080p is coming soon": kind == "video_reframe"
            and video.get("resolution") == "1080p",
            "video.source_position: sides are up to 2.0": position
            and not (0 < position["w_norm"] <= 2 and 0 < position["h_norm"] <= 2),
        }
        for detail, happens in wrong.items():
            if happens:
                raise refuse(detail, 422)
        resolution, duration = video.get("resolution", "720p"), video.get("duration", "5s")
        if "start_frame" in video:
            self._referred("video.start_frame", video["start_frame"])
        return self.accept(
            id=str(uuid.uuid4()),
            body=body,
            model=body["model"],
            resolution=resolution,
            aspect_ratio=body.get("aspect_ratio") or "16:9",
            seconds=SECONDS[duration],
            usd=EDIT_USD[resolution][duration] if kind == "video_edit" else 5 * REFRAME_USD[resolution],
            prompt=body["prompt"],
            remake="modify" if kind == "video_edit" else "reframe",
            media=self._source(body["source"]),
            longest=LONGEST_FILM[kind],
        )

    def _source(self, reference: Mapping[str, Any]) -> Work | bytes:
        """The film that a source stands for."""
        given = [source for source in SOURCES if reference.get(source) is not None]
        if len(given) != 1:
            raise refuse(f"source: provide exactly one of {', '.join(map(repr, SOURCES))}")
        if given[0] == "generation_id":
            return self._earlier("source", reference["generation_id"])
        if given[0] == "file_id":
            file = self.files.get(reference["file_id"])
            if file is None or file.state != "ready" or file.content is None:
                raise refuse("source: file is not ready", 422)
            return file.content
        if not (reference.get("media_type") or "").startswith("video/"):
            raise refuse("source: 'media_type' is required and must be video/*", 422)
        if given[0] == "url":
            return self.fetched(reference["url"])
        try:
            return clips.unpacked(reference["data"])
        except clips.Unreadable:
            raise refuse("source: invalid base64 data", 422) from None

    def _get(self, request: Request, id: str) -> Reply:
        return json_reply(self._view(self.looked_at(id)))

    def _view(self, work: Work) -> dict[str, Any]:
        """The Generation object of the API."""
        completed, failed = work.state == "completed", work.state == "failed"
        code, reason = self._failure(work) if failed else (None, None)
        return {
            "id": work.id,
            "type": work.body.get("type", "video"),
            "state": STATES[work.state],
            "model": work.model,
            "created_at": utc(work.created_at),
            "output": [{"type": "video", "url": self.link(work)}] if completed else [],
            "failure_reason": reason,
            "failure_code": code,
        }

    def _failure(self, work: Work) -> tuple[str, str]:
        if work.failure == "unreadable":
            return FAILURES["garbled"]
        return next(told for word, told in FAILURES.items() if word in work.prompt.lower())

    def _fetch(self, work: Work) -> Failure:
        if work.id in self._undecodable or super()._fetch(work):
            return "unreadable"
        return "failed" if any(word in work.prompt.lower() for word in FAILURES) else ""

    def refund(self, work: Work) -> None:
        """By the failure code, as the FAQ has it."""
        code, _ = self._failure(work)
        if code in REFUNDED:
            super().refund(work)
        elif code == "budget_exhausted":
            with self._account:
                self.ledger.append(Entry(work.id, work.usd / 2))

    def link(self, work: Work) -> str:
        """Presigned for one hour; every question about the job mints a new one."""
        address = super().link(work)
        with self._desk:
            self._minted[work.id, address.rpartition("secret-")[2]] = self.now()
        return f"{address}&X-Amz-Expires={int(LINK_LIFE)}"

    def _asset(self, request: Request, name: str) -> Reply:
        number = request.query.get("signature", "").removeprefix("secret-")
        minted = self._minted.get((name, number))
        if minted is not None and self.now() - minted > LINK_LIFE:
            return html_reply(403)
        return super()._asset(request, name)

    def _admit(self) -> dict[str, str]:
        """Count this request; the headers about the last 60 s. Raises Refusal for either limit."""
        now = self.now()
        with self._desk:
            self._asked = [moment for moment in self._asked if now - moment < 60]
            full = len(self._asked) >= self.requests_a_minute
            if not full:
                self._asked.append(now)
            oldest, left = self._asked[0], self.requests_a_minute - len(self._asked)
        window = {
            "X-RateLimit-Limit": str(self.requests_a_minute),
            "X-RateLimit-Remaining": str(left),
            "X-RateLimit-Reset": str(int(oldest + 60)),
        }
        if full:
            wait = {"Retry-After": str(max(1, int(oldest + 60 - now)))}
            raise Refusal(json_reply({"detail": "Rate limit exceeded"}, 429, {**window, **wait}))
        if sum(not work.done for work in self.creates) >= self.concurrent_jobs:
            raise Refusal(json_reply({"detail": "Too many concurrent jobs"}, 429, {"Retry-After": "60"}))
        return window

    # -- pictures -----------------------------------------------------------------------------------------

    def _frames(self, video: Mapping[str, Any]) -> list[Still | Work | None]:
        """What the references stand for, in order of time; None for a picture that cannot be decoded."""
        if "keyframes" in video:
            order = sorted(range(len(video["keyframes"])), key=video["keyframe_indexes"].__getitem__)
            named = [(f"video.keyframes[{index}]", video["keyframes"][index]) for index in order]
        else:
            named = [(f"video.{name}", video[name]) for name in ("start_frame", "end_frame") if name in video]
        frames = [self._referred(name, reference or {}) for name, reference in named]
        if any(isinstance(frame, Work) for frame in frames):
            if "keyframes" in video:
                # The guide allows generations here; that pictures are meant and no films is inferred.
                raise refuse("video.keyframes: a video generation cannot be a guide frame", 422)
            if len(frames) > 1:
                raise refuse("Interpolation from a generation plus another keyframe is not supported", 422)
            if video.get("resolution") == "360p":
                # The price list of extensions begins at 540p; that 360p is refused is inferred.
                raise refuse("360p is not supported for video extension", 422)
        return frames

    def _referred(self, name: str, reference: Mapping[str, Any]) -> Still | Work | None:
        given = [source for source in SOURCES if reference.get(source) is not None]
        if len(given) != 1:
            # Documented for two forms ("provide either 'url' or 'data', not both"); for four it is inferred.
            wrong = "not neither" if not given else "not both"
            raise refuse(f"{name}: provide exactly one of {', '.join(map(repr, SOURCES))}, {wrong}")
        if given[0] == "generation_id":
            return self._earlier(name, reference["generation_id"])
        if given[0] == "file_id":
            return self._filed(name, reference["file_id"])
        media_type = reference.get("media_type")
        if media_type is None and given[0] == "data":
            raise refuse(f"{name}: 'media_type' is required with 'data'")
        if media_type is not None and not media_type.startswith("image/"):
            raise refuse(f"{name}: Unsupported content type", 422)
        if given[0] == "url":
            content = self._downloaded(name, reference["url"])
        else:
            try:
                content = clips.unpacked(reference["data"])
            except clips.Unreadable:
                raise refuse(f"{name}: invalid base64 data", 422) from None
        return _picture(name, content)

    def _earlier(self, name: str, id: str) -> Work:
        # The words of both refusals are inferred.
        try:
            work = self.known(id)
        except Refusal:
            raise refuse(f"{name}: generation not found", 422) from None
        if work.state != "completed":
            raise refuse(f"{name}: generation is not completed", 422)
        return work

    def _filed(self, name: str, id: str) -> Picture | None:
        file = self.files.get(id)
        if file is None or file.state != "ready" or file.content is None:
            raise refuse(f"{name}: file is not ready", 422)  # inferred
        return _picture(name, file.content)

    def _downloaded(self, name: str, address: str) -> bytes:
        parts = urlsplit(address)
        if parts.scheme != "https" and parts.hostname != "127.0.0.1":
            raise refuse(f"{name}: failed to fetch URL", 422)
        try:
            content = self.fetched(address)
        except requests.HTTPError as error:
            raise refuse(f"{name}: failed to fetch URL (HTTP {error.response.status_code})", 422) from None
        except requests.RequestException:
            raise refuse(f"{name}: failed to fetch URL", 422) from None
        if _picture(name, content) is None:
            raise refuse(f"{name}: content-type is not an image", 422)
        return content

    # -- files --------------------------------------------------------------------------------------------

    def _new_file(self, request: Request) -> Reply:
        about = _checked(request, UPLOAD)
        file = File(id=str(uuid.uuid4()), about=about, created_at=self.now())
        with self._desk:
            self.files[file.id] = file
        envelope = {
            "url": f"{self.origin}/uploads/{file.id}?signature={_signature(file)}",
            "method": "PUT",
            "headers": {"Content-Type": about["mime_type"]},
            "expires_at": utc(self.now() + LINK_LIFE),
        }
        view = _file_view(file)
        # That this is a 201 is inferred from generations.
        return json_reply({"id": file.id, "state": file.state, "file": view, "upload": envelope}, 201)

    def _put(self, request: Request, id: str) -> Reply:
        """What an object store does with a presigned PUT."""
        file = self.files.get(id)
        if file is None or request.query.get("signature") != _signature(file):
            return html_reply(403)
        if request.headers.get("Content-Type") != file.about["mime_type"]:
            return html_reply(403)
        file.content = request.body
        return Reply(200)

    def _complete_file(self, request: Request, id: str) -> Reply:
        file = self._known_file(id)
        # What happens when the bytes are missing or of another length is not documented; inferred.
        if file.content is None or len(file.content) != file.about["size_bytes"]:
            raise refuse("The uploaded bytes do not match size_bytes", 422)
        file.ingesting = True
        return json_reply(_file_view(file))

    def _get_file(self, request: Request, id: str) -> Reply:
        file = self._known_file(id)
        if file.ingesting and file.state == "pending":
            readable = file.content is not None and _readable(file)
            file.state = "ready" if readable else "failed"
            file.failure_reason = None if readable else "The file could not be decoded"
        return json_reply(_file_view(file))

    def _delete_file(self, request: Request, id: str) -> Reply:
        file = self._known_file(id)
        file.state, file.deleted_at = "deleted", self.now()
        return Reply(204)

    def _list_files(self, request: Request) -> Reply:
        wanted = dict(request.query)
        limit, cursor = wanted.pop("limit", str(PAGE)), wanted.pop("cursor", "0")
        # The refusals are inferred; so is that the opaque cursor is a number.
        if set(wanted) - {"purpose", "state"} or not limit.isdecimal() or not 1 <= int(limit) <= 100:
            raise refuse("Invalid query parameters")
        if not cursor.isdecimal():
            raise refuse("Invalid cursor")
        views = [_file_view(file) for file in reversed(self.files.values())]
        views = [view for view in views if wanted.items() <= view.items()]
        begin, end = int(cursor), int(cursor) + int(limit)
        more = end < len(views)
        page = {"data": views[begin:end], "has_more": more, "next_cursor": str(end) if more else None}
        return json_reply(page)

    def _known_file(self, id: str) -> File:
        file = self.files.get(id)
        if file is None or file.state == "deleted":
            raise refuse("File not found", 404)  # inferred
        return file


def _checked(request: Request, shape: Rule) -> dict[str, Any]:
    """The body, if it has the documented shape. That one with another shape is a 400 is inferred."""
    if not request.is_json:
        raise refuse("Content-Type should be application/json")
    problem = next(shape(request.json, ()), None)
    if problem is not None:
        place = ".".join(map(str, problem.where))
        raise refuse(f"{place}: {problem.text}" if place else problem.text)
    body: dict[str, Any] = request.json
    return body


def _film(request: Request) -> dict[str, Any]:
    """The body of a create for a film."""
    told = request.json if isinstance(request.json, dict) else {}
    model, kind = told.get("model", "uni-1"), told.get("type", "image")
    if not isinstance(model, str) or model not in MODELS:
        raise refuse(f"Unknown model: {model}")
    if kind not in MODELS[model]:
        raise refuse(f"Type '{kind}' is not supported for model '{model}'")
    if kind not in ("video", *LONGEST_FILM):
        raise refuse(f"Type '{kind}' is not served by this emulator")
    body = _checked(request, FILM if kind == "video" else REMADE)
    if not 1 <= len(body["prompt"]) <= 6000:
        raise refuse("Prompt must be between 1 and 6000 characters")
    ratio = body.get("aspect_ratio")
    if ratio is not None and ratio not in ASPECT_RATIOS:
        raise refuse(f"Invalid aspect_ratio '{ratio}'. Valid: {', '.join(sorted(ASPECT_RATIOS))}")
    return body


def _refuse_combinations(video: Mapping[str, Any]) -> None:
    """The constraints of the guide "Video generation" and of the SDK's field descriptions."""
    indexed = "keyframes" in video or "keyframe_indexes" in video
    anchored = "start_frame" in video or "end_frame" in video
    loop, hdr, long = video.get("loop"), video.get("hdr"), video.get("duration") == "10s"
    wrong = {
        "video.loop is not supported with duration '10s'": loop and long,
        "video.loop is not supported with video.end_frame": loop and "end_frame" in video,
        "video.loop is not supported with video.hdr": loop and hdr,
        "video.keyframes cannot be combined with start_frame, end_frame or loop": indexed
        and (anchored or loop),
        "duration '10s' is not supported with start_frame or end_frame": long and anchored,
        "video.hdr requires resolution '720p' or '1080p'": hdr
        and video.get("resolution", "720p") not in ("720p", "1080p"),
        "video.exr_export requires video.hdr": video.get("exr_export") and not hdr,
        "video.hdr is not enabled for this client": hdr,
    }
    for detail, happens in wrong.items():
        if happens:
            raise refuse(detail, 422)
    if indexed:
        _refuse_indexes(video)


def _refuse_indexes(video: Mapping[str, Any]) -> None:
    keyframes, indexes = video.get("keyframes", []), video.get("keyframe_indexes", [])
    if len(keyframes) != len(indexes):
        raise refuse("video.keyframe_indexes must match video.keyframes in length", 422)
    if not 1 <= len(keyframes) <= MOST_KEYFRAMES:
        raise refuse(f"video.keyframes supports 1 to {MOST_KEYFRAMES} anchors", 422)
    if len(set(indexes)) != len(indexes) or not all(0 <= index <= _last_index(video) for index in indexes):
        raise refuse(f"video.keyframe_indexes must be unique and between 0 and {_last_index(video)}", 422)


def _last_index(video: Mapping[str, Any]) -> int:
    return SECONDS[video.get("duration", "5s")] * FRAMES_PER_SECOND


def _picture(name: str, content: bytes) -> Picture | None:
    """The picture inside, None where there is none. Raises Refusal for one that is too large."""
    if len(content) > LARGEST_IMAGE:
        raise refuse(f"{name}: image exceeds 50 MB limit", 413)
    picture = _decoded(content)
    if picture is not None and max(picture.width, picture.height) > LONGEST_SIDE:
        raise refuse(f"{name}: image exceeds {LONGEST_SIDE} px per side", 413)  # wording inferred
    return picture


def _decoded(content: bytes) -> Picture | None:
    try:
        return clips.picture(content)
    except clips.Unreadable:
        return None


def _readable(file: File) -> bool:
    content = file.content or b""
    if not file.about["mime_type"].startswith("video/"):
        return _decoded(content) is not None
    try:
        clips.edges(content)
    except clips.Unreadable:
        return False
    return True


def _signature(file: File) -> str:
    return f"upload-{file.id[:8]}"


def _file_view(file: File) -> dict[str, Any]:
    """The File object of the API. The default purpose is inferred."""
    return {
        "id": file.id,
        "created_at": utc(file.created_at),
        "mime_type": file.about["mime_type"],
        "purpose": file.about.get("purpose", "input"),
        "size_bytes": file.about["size_bytes"],
        "state": file.state,
        "deleted_at": None if file.deleted_at is None else utc(file.deleted_at),
        "expires_at": file.about.get("expires_at"),
        "failure_reason": file.failure_reason,
        "filename": file.about.get("filename"),
        "user_id": file.about.get("user_id"),
    }
