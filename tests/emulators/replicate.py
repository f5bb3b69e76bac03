"""Replicate's HTTP API with Luma's four Ray 2 models, and two that change films, as it is documented, no more.

Sources: replicate.com/luma/*/api and the changelog of 2025-10-16, read 2026-11-20; Replicate's OpenAPI file (the
copy of 2026-04), its pages on predictions, files, rate limits and billing, and the `replicate` SDK 1.0.7, read
2026-11-21. The bodies of errors are those that people published. What none of these say is marked as inferred.
Webhooks are checked and never called; predictions by version, deployments and the downloads of files are not here.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs, urlencode

from . import clips
from .jobs import MODES, PIXELS, JobEmulator, Trouble, Work
from .luma import ASPECT_RATIOS, CONCEPTS
from .server import Fault, Refusal, Reply, Request, Route, html_reply, json_reply, time_told, utc
from .shapes import Problem, Rule, Where, fields, flag, items, text, web_address, whole

CENTS_A_SECOND: Final = {
    "ray-2-540p": 10.0,
    "ray-2-720p": 18.0,
    "ray-flash-2-540p": 3.3,
    "ray-flash-2-720p": 6.0,
}
DURATIONS: Final = (5, 9)
RETENTION: Final = 3600
"""Seconds after which inputs and outputs are removed. That they count from the end of the job is inferred."""
FILE_LIFE: Final = 3600
"""Seconds until an uploaded file expires, as in the example of the OpenAPI file; no page names the time."""
PAGE: Final = 100
ACCOUNT: Final = {"type": "user", "username": "artist", "name": "An Artist", "github_url": None}
ERRORS: Final = {
    "moderation": (
        "The input or output was flagged as sensitive. Please try again with different inputs. (E005) (q7Xv2mKd0p)"
    ),
    # the other two are inferred
    "failed": "Generation failed: job failed",
    "unreadable": "Failed to download the input image",
}
_STATUS: Final = {
    "queued": "starting",
    "running": "processing",
    "completed": "succeeded",
    "failed": "failed",
    "cancelled": "canceled",
}
_JSON_TYPES: Final = {
    "string_type": "string",
    "bool_type": "boolean",
    "list_type": "array",
    "object_type": "object",
}
_WAIT: Final = re.compile(r"wait(?:=([1-9]|[1-5][0-9]|60))?")
_LIFETIME: Final = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?")
_DATA_URI: Final = re.compile(r"data:[\w.+-]+/[\w.+-]+;base64,(.+)", re.DOTALL)


def _among(*values: str | int) -> Rule:
    """One of these values, refused in Replicate's words."""

    def rule(value: Any, where: Where) -> Any:
        if type(value) is not type(values[0]) or value not in values:
            allowed = ", ".join(map(json.dumps, values))
            yield Problem(where, "enum", f"{where[-1]} must be one of the following: {allowed}")

    return rule


def _uri(value: Any, where: Where) -> Any:
    """A file as an http, https or data: URL."""
    if not (isinstance(value, str) and _DATA_URI.fullmatch(value)) and list(web_address(value, where)):
        yield Problem(where, "format", "Does not match format 'uri'")


def _object(value: Any, where: Where) -> Any:
    if not isinstance(value, dict):
        yield Problem(where, "object_type", "Input should be an object")


def _https(value: Any, where: Where) -> Any:
    if list(web_address(value, where)) or not value.startswith("https:"):
        yield Problem(where, "format", "Does not match format 'uri'")


_INPUT: Final = fields(
    {"prompt": text},
    {
        "start_image": _uri,
        "end_image": _uri,
        "start_image_url": _uri,  # these two are deprecated
        "end_image_url": _uri,
        "duration": _among(*DURATIONS),
        "aspect_ratio": _among(*ASPECT_RATIOS),
        "loop": flag,
        # That other names are refused here, and not by the model later, is inferred.
        "concepts": items(_among(*CONCEPTS)),
    },
)
# "Maximum video size is 100mb. Maximum video duration is 30 seconds." for modify-video; of reframe-video's two
# published versions the newer one says 10 s.
REMADE: Final = {"modify-video": ("modify", 30, 2.10), "reframe-video": ("reframe", 10, 0.90)}
"""By name: what it does, the longest film in seconds, and USD for 5 s (nobody publishes what is charged when)."""
_FILM_INPUTS: Final = {
    "modify-video": fields(
        {"video": _uri},
        {
            "prompt": text,
            "first_frame": _uri,
            "mode": _among(*MODES),
            "video_url": _uri,  # these two are deprecated
            "first_frame_url": _uri,
        },
    ),
    "reframe-video": fields(
        {"video": _uri},
        {
            "prompt": text,
            "aspect_ratio": _among(*ASPECT_RATIOS),
            "video_url": _uri,
            **dict.fromkeys(PIXELS, whole),
        },
    ),
}
_BODY: Final = fields(
    {"input": _object},
    {
        "webhook": _https,
        "webhook_events_filter": items(_among("start", "output", "logs", "completed")),
        "stream": flag,
    },
)


@dataclass
class Course:
    """What Replicate tells about a prediction and `Work` does not know; times by the emulator's clock."""

    started: float | None = None
    ended: float | None = None
    deadline: float | None = None
    aborted: bool = False
    removed: bool = False
    source: str = "api"
    """"web" for what was made on the website."""


@dataclass
class File:
    """An uploaded file."""

    id: str
    number: int
    name: str
    content_type: str
    content: bytes
    metadata: dict[str, Any]
    created: float


def problem(status: int, title: str, detail: str, **more: Any) -> Reply:
    """An error as Replicate words it."""
    return json_reply({"title": title, "detail": detail, "status": status, **more}, status)


class ReplicateEmulator(JobEmulator):
    """The API, an account and its predictions.

    A job is charged when it is created and refunded when it fails or never starts; the order, and that a failure
    is free, are inferred. The charge for a job cancelled while it ran is documented, its amount is not.
    """

    prefix = "/v1"
    default_key = "r8_TestTokenOfTheEmulator0123456789abcdef"
    create = ("POST", "/models/{owner}/{name}/predictions")
    poll = ("GET", "/predictions/{id}")
    largest_file = 100_000_000

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.files: dict[str, File] = {}
        """What was uploaded, expired files too."""
        self._uploads = 0
        self._courses: dict[str, Course] = {}

    def routes(self) -> list[Route]:
        """The endpoints for official models, predictions and files."""
        return [
            Route("POST", ("/models/{owner}/{name}/predictions",), self._create),
            Route("GET", ("/predictions",), self._list),
            Route("GET", ("/predictions/{id}",), self._get),
            Route("POST", ("/predictions/{id}/cancel",), self._cancel),
            Route("POST", ("/files",), self._upload),
            Route("GET", ("/files",), self._list_files),
            Route("GET", ("/files/{id}",), self._file),
            Route("DELETE", ("/files/{id}",), self._delete_file),
            Route("GET", ("/account",), lambda request: json_reply(ACCOUNT)),
            *self.file_routes(),
        ]

    def environment(self) -> dict[str, str]:
        """The variables that lead the pack here."""
        return {
            "REPLICATE_BASE_URL": self.base_url,
            "REPLICATE_API_TOKEN": self.key,
            "LUMA_RAY_ALLOWED_HOSTS": self.netloc,
        }

    def authorized(self, request: Request) -> bool:
        """Both schemes are in the documentation."""
        return request.headers.get("Authorization") in (f"Bearer {self.key}", f"Token {self.key}")

    def unauthorized(self) -> Reply:
        """The 401 that people published."""
        return problem(401, "Unauthenticated", "You did not pass a valid authentication token")

    def not_found(self) -> Reply:
        """Documented is the status; the title is inferred."""
        return problem(404, "Not found", "The requested resource could not be found.")

    def trouble(self, kind: Trouble) -> Reply:
        """How a create is refused."""
        match kind:
            case "unauthorized":
                return self.unauthorized()
            case "no money":
                return problem(
                    402,
                    "Insufficient credit",
                    "You have insufficient credit to run this model. Go to "
                    "https://replicate.com/account/billing#billing to purchase credit. Once you purchase credit, "
                    "please wait a few minutes before trying again.",
                )
            case "rate limit":
                detail = "Request was throttled. Your rate limit resets in ~7s."
                reply = {"detail": detail, "status": 429, "retry_after": 7}
                return json_reply(reply, 429, {"Retry-After": "7"})
            case "moderation":  # inferred: documented is only that the job fails with such an error
                return problem(422, "Content flagged", ERRORS["moderation"])
        return problem(500, "Internal server error", "An unexpected error occurred")  # inferred

    def unknown_status(self) -> Fault:
        """A status word that is in no documentation."""
        return Fault.fields(status="hibernating")

    def course(self, work: Work) -> Course:
        """The times of a prediction; a test may change them."""
        return self._courses.setdefault(work.id, Course())

    def remove_data(self) -> None:
        """Remove inputs and outputs of all jobs that have ended, as Replicate does an hour later."""
        for work in self.creates:
            self.course(work).removed = self.course(work).removed or work.done

    # -- predictions --------------------------------------------------------------------------------------

    def _create(self, request: Request, owner: str, name: str) -> Reply:
        if owner != "luma" or name not in (*CENTS_A_SECOND, *REMADE):
            raise Refusal(self.not_found())
        seconds, lifetime = _prefer(request), _cancel_after(request)
        body = _checked(request, _FILM_INPUTS.get(name, _INPUT))
        asked = body["input"]
        model, _, resolution = name.rpartition("-")
        duration = asked.get("duration", 5)
        remake, longest, usd = REMADE.get(name, ("", 0, 0.0))
        work = self.accept(
            id=_id(),
            body=body,
            model=model,
            resolution="720p" if remake else resolution,
            aspect_ratio=asked.get("aspect_ratio", "16:9"),
            seconds=duration,
            usd=usd if remake else round(CENTS_A_SECOND[name] * duration / 100, 4),
            prompt=asked.get("prompt", ""),
            remake=remake,
            media=asked.get("video"),
            longest=longest,
            loop=asked.get("loop", False),
            first=asked.get("first_frame" if remake else "start_image", asked.get("start_image_url")),
            last=asked.get("end_image", asked.get("end_image_url")),
        )
        if lifetime is not None:
            self.course(work).deadline = work.created_at + lifetime
        if seconds is None:
            return json_reply(self._view(work), 201)
        self.looked_at(work.id, wait=seconds)
        return json_reply(self._view(work), 201 if work.done else 202)

    def _get(self, request: Request, id: str) -> Reply:
        return json_reply(self._view(self.looked_at(id)))

    def _cancel(self, request: Request, id: str) -> Reply:
        work = self.known(id)
        with work.moving:
            self._stop(work)
        # What is answered about a job that has ended already is not documented: the job as it is.
        return json_reply(self._view(work))

    def _list(self, request: Request) -> Reply:
        _refuse_parameters(request, "created_after", "created_before", "source", "cursor")
        after = _moment(request, "created_after", default=0.0)
        before = _moment(request, "created_before", default=float("inf"))
        source = request.query.get("source")
        if source not in (None, "web"):
            raise _invalid([Problem(("source",), "enum", 'source must be one of the following: "web"')])
        found = [
            work
            for work in reversed(self.creates)
            if after <= work.created_at < before and (source is None or self.course(work).source == source)
        ]
        return self._page(request, "predictions", found, self._view)

    def _page(self, request: Request, path: str, found: Sequence[Any], view: Callable[[Any], Any]) -> Reply:
        """100 of *found*, which begins with the newest; what a cursor looks like inside is not documented."""
        backwards, edge = _edge(request.query.get("cursor"))
        start = 0
        if edge is not None:
            older = sum(item.number >= edge for item in found)
            start = max(sum(item.number > edge for item in found) - PAGE, 0) if backwards else older
        shown = found[start : start + PAGE]

        def link(cursor: str) -> str:
            token = base64.urlsafe_b64encode(cursor.encode()).decode()
            return f"{self.base_url}/{path}?{urlencode({**request.query, 'cursor': token})}"

        more = start + PAGE < len(found)
        return json_reply(
            {
                "next": link(f"p={shown[-1].number}") if more else None,
                "previous": link(f"r=1&p={shown[0].number}") if start and shown else None,
                "results": [view(item) for item in shown],
            }
        )

    def _view(self, work: Work) -> dict[str, Any]:
        """The prediction object."""
        course = self.course(work)
        removed = self._removed(work)
        done = work.state == "completed" and not removed
        url = f"{self.base_url}/predictions/{work.id}"
        metrics: dict[str, float] = {}
        if course.ended is not None:
            metrics["total_time"] = course.ended - work.created_at
            metrics["predict_time"] = course.ended - (course.started or course.ended)
        times = {"started_at": course.started, "completed_at": course.ended, "deadline": course.deadline}
        return {
            "id": work.id,
            "model": f"luma/{work.remake}-video" if work.remake else f"luma/{work.model}-{work.resolution}",
            "version": "hidden",
            # Whether a data: URL is echoed as it came is not documented.
            "input": {} if removed else work.body["input"],
            "logs": "",
            "output": self.link(work) if done else None,
            "data_removed": removed,
            "error": ERRORS[work.failure] if work.state == "failed" else None,
            "status": "aborted" if course.aborted else _STATUS[work.state],
            "source": course.source,
            "created_at": _time(work.created_at),
            **{name: _time(moment) for name, moment in times.items() if moment is not None},
            "metrics": metrics,
            "urls": {"web": f"https://replicate.com/p/{work.id}", "get": url, "cancel": f"{url}/cancel"},
        }

    # -- the life of a prediction -------------------------------------------------------------------------

    def _move(self, work: Work) -> None:
        course = self.course(work)
        if course.deadline is not None and self.now() >= course.deadline:
            self._stop(work)
        super()._move(work)
        if work.state in ("running", "completed", "failed") and course.started is None:
            course.started = self.now()
        if work.done and course.ended is None:
            course.ended = self.now()

    def _stop(self, work: Work) -> None:
        """By the person or by the deadline: aborted and free before it started, canceled and charged after."""
        course = self.course(work)
        never_started = work.state == "queued"
        if self.cancel(work, refund=never_started):
            course.aborted = never_started
            course.ended = self.now()

    def _removed(self, work: Work) -> bool:
        course = self.course(work)
        return course.removed or (course.ended is not None and self.now() >= course.ended + RETENTION)

    def fetched(self, address: str) -> bytes:
        """A picture as a model gets it: its own owner's files need no token there."""
        inline = _DATA_URI.fullmatch(address)
        if inline:
            return clips.unpacked(inline[1])
        if address.startswith(f"{self.base_url}/files/"):
            file = self._living(address.rpartition("/")[2])
            if file is None:
                raise clips.Unreadable("no such file")
            return file.content
        return super().fetched(address)

    def _asset(self, request: Request, name: str) -> Reply:
        work = next((item for item in self.creates if item.id == name), None)
        if work is not None and self._removed(work):
            return html_reply(404)
        return super()._asset(request, name)

    # -- files --------------------------------------------------------------------------------------------

    def _upload(self, request: Request) -> Reply:
        parts = request.form
        # All these refusals but the one for the size are inferred.
        if parts is None:
            raise Refusal(problem(415, "Unsupported media type", "multipart/form-data expected"))
        content = parts.get("content")
        if content is None or not 0 < len((content.file or "").encode()) <= 255:
            raise Refusal(problem(400, "Bad request", "content: a file with a name is required"))
        unknown = sorted(set(parts) - {"content", "metadata", "type", "filename"})
        if unknown:
            raise Refusal(problem(400, "Bad request", f"unknown fields: {', '.join(unknown)}"))
        try:
            metadata = json.loads(parts["metadata"].content) if "metadata" in parts else {}
        except ValueError:
            raise Refusal(problem(400, "Bad request", "metadata: must be valid JSON")) from None
        if len(content.content) >= self.largest_file:
            raise Refusal(_about_file(413, "Files must be less than 100MB in size"))
        with self._account:
            self._uploads += 1
            file = File(
                id=_id(),
                number=self._uploads,
                name=parts["filename"].content.decode() if "filename" in parts else content.file,
                content_type=parts["type"].content.decode() if "type" in parts else content.media_type,
                content=content.content,
                metadata=metadata,
                created=self.now(),
            )
            self.files[file.id] = file
        return json_reply(self._view_file(file), 201)

    def _list_files(self, request: Request) -> Reply:
        _refuse_parameters(request, "cursor")
        living = [file for name in reversed(self.files) if (file := self._living(name))]
        return self._page(request, "files", living, self._view_file)

    def _file(self, request: Request, id: str) -> Reply:
        return json_reply(self._view_file(self._known_file(id)))

    def _delete_file(self, request: Request, id: str) -> Reply:
        with self._account:
            del self.files[self._known_file(id).id]
        return Reply(204)

    def _known_file(self, id: str) -> File:
        file = self._living(id)
        if file is None:
            raise Refusal(_about_file(404, "File not found"))
        return file

    def _living(self, id: str) -> File | None:
        file = self.files.get(id)
        return file if file is not None and self.now() < file.created + FILE_LIFE else None

    def _view_file(self, file: File) -> dict[str, Any]:
        sha256 = hashlib.sha256(file.content).hexdigest()
        return {
            "id": file.id,
            "name": file.name,  # this and the etag are in the SDK's types only
            "content_type": file.content_type,
            "size": len(file.content),
            "etag": sha256[:32],
            "checksums": {"sha256": sha256},
            "metadata": file.metadata,
            "created_at": _time(file.created),
            "expires_at": _time(file.created + FILE_LIFE),
            "urls": {"get": f"{self.base_url}/files/{file.id}"},
        }


def _about_file(status: int, detail: str) -> Reply:
    return json_reply({"detail": detail}, status, {"Content-Type": "application/problem+json"})


def _checked(request: Request, shape: Rule) -> dict[str, Any]:
    """The body, if it has the documented shape.

    Refusing unknown fields is documented for the body. For the input it is inferred, and stricter than what
    people observed (other models of Replicate ignore them): a misspelt field shall not go unnoticed.
    """
    body = request.json
    if body is None or not request.is_json:
        raise Refusal(problem(400, "Bad request", "The request body is not JSON"))  # inferred
    problems = list(_BODY(body, ()))
    if isinstance(body, dict) and isinstance(body.get("input"), dict):
        problems += shape(body["input"], ("input",))
    if problems:
        raise _invalid(problems)
    return dict(body)


def _invalid(problems: Sequence[Problem]) -> Refusal:
    """The 422 that people published."""
    told = [_told(item) for item in problems]
    detail = "".join(
        f"- {item['field']}: {item['description']}\n" if item["field"] else f"- {item['description']}\n"
        for item in told
    )
    return Refusal(problem(422, "Input validation failed", detail, invalid_fields=told))


def _told(item: Problem) -> dict[str, str]:
    where, kind, words = item
    if kind == "missing":
        where, kind, words = where[:-1], "required", f"{where[-1]} is required"
    elif kind == "extra_forbidden":
        words = f"Additional property {where[-1]} is not allowed"
        where, kind = where[:-1], "additional_property_not_allowed"
    elif kind in _JSON_TYPES:
        kind, words = "invalid_type", f"Invalid type. Expected: {_JSON_TYPES[kind]}"
    return {"type": kind, "field": ".".join(map(str, where)), "description": words}


def _prefer(request: Request) -> int | None:
    """Seconds to hold the answer back; None where nobody asked for it."""
    told = request.headers.get("Prefer")
    if told is None:
        return None
    found = _WAIT.fullmatch(told)
    if not found:
        raise _invalid([Problem(("Prefer",), "pattern", "Does not match pattern")])  # inferred
    return int(found[1] or 60)


def _cancel_after(request: Request) -> int | None:
    """Seconds until the job is to be stopped."""
    told = request.headers.get("Cancel-After")
    if told is None:
        return None
    found = _LIFETIME.fullmatch(told)
    hours, minutes, seconds = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
    lifetime = hours * 3600 + minutes * 60 + seconds
    if lifetime < 5:
        # the minimum is documented, the refusal is inferred
        raise _invalid([Problem(("Cancel-After",), "format", "A duration of at least 5 seconds is needed")])
    return lifetime


def _refuse_parameters(request: Request, *known: str) -> None:
    """That unknown parameters of a query are refused is inferred."""
    unknown = sorted(set(request.query) - set(known))
    if unknown:
        raise Refusal(problem(400, "Bad request", f"unknown parameters: {', '.join(unknown)}"))


def _moment(request: Request, name: str, *, default: float) -> float:
    """A date-time in ISO 8601 from the query, as seconds since the epoch."""
    told = request.query.get(name)
    if told is None:
        return default
    try:
        moment = time_told(told)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise _invalid([Problem((name,), "format", "Does not match format 'date-time'")])  # inferred
    return moment.timestamp()


def _edge(cursor: str | None) -> tuple[bool, int | None]:
    """Whether a cursor leads to newer items, and the number of the item it starts at."""
    if cursor is None:
        return False, None
    try:
        told: Mapping[str, list[str]] = parse_qs(base64.urlsafe_b64decode(cursor).decode())
        return "r" in told, int(told["p"][0])
    except (ValueError, KeyError):
        raise Refusal(problem(404, "Not found", "Invalid cursor")) from None  # inferred


def _time(moment: float) -> str:
    return utc(moment, digits="microseconds")


def _id() -> str:
    """26 letters and digits, as Replicate's ids are."""
    return base64.b32encode(uuid.uuid4().bytes).decode().rstrip("=").lower()
