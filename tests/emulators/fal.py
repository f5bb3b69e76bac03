"""fal.ai's queue and storage as they are documented, for the Luma endpoints only.

Sources: the OpenAPI-generated types of `@fal-ai/client` 1.10.1, the `fal-client` 1.0.3 source and fal.ai/docs
(read 2026-11-20 and 2026-11-21: Asynchronous Inference, Request Error Types, Model Errors, FAQ, Data Retention).
What only others report is marked with where; what nobody says is marked as inferred.

fal's hosts are paths here: queue.fal.run is `/queue`, rest.fal.ai is `/rest`, v3.fal.media is `/cdn`. The queue
takes every body and a runner judges it: what is wrong with a request is in its result, as TanStack/ai#396
(2026-03-23) saw on the live service. Webhooks are checked and never called. Modify and reframe are of the same
types; that ray-2 has a modify too is what others saw, and which films are taken is Luma's own (inferred).
"""

from __future__ import annotations

import json
import secrets
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote

from . import clips
from .jobs import MODES, PIXELS, JobEmulator, Still, Trouble, Work
from .server import Fault, Refusal, Reply, Request, Route, file_reply, json_reply, utc
from .shapes import Problem, Rule, Where, fields, flag, one_of, text, web_address, whole

APP = "/queue/fal-ai/luma-dream-machine"
AGENT = "/queue/luma/agent"
"""Ray 3.2; its edit as fal.ai/models/luma/agent/ray/v3.2/video-to-video tells (2026-11-21)."""
EDIT = ("v3.2", "video-to-video")
EDIT_USD = {"540p": (0.72, 1.44), "720p": (1.08, 2.16), "1080p": (2.16, 4.32)}
EDIT_SECONDS = {"5s": 5, "10s": 10}
USD = {"ray-2": 0.50, "ray-2-flash": 0.20}
"""5 s of 540p; fal publishes the second, the first is reported by others only."""
RESOLUTIONS = {"540p": 1, "720p": 2, "1080p": 4}
"""How many times the price."""
DURATIONS = {"5s": (5, 1), "9s": (9, 2)}
"""Seconds, and how many times the price."""
ASPECT_RATIOS = ("16:9", "9:16", "4:3", "3:4", "21:9", "9:21")
ERROR_STATUS = {
    "request_timeout": 504,
    "startup_timeout": 504,
    "runner_scheduling_failure": 503,
    "runner_connection_timeout": 503,
    "runner_disconnected": 503,
    "runner_connection_refused": 503,
    "runner_connection_error": 503,
    "runner_incomplete_response": 502,
    "runner_server_error": 500,
    "client_disconnected": 499,
    "client_cancelled": 499,
    "bad_request": 400,
    "internal_error": 500,
}
"""Every documented error type of the platform itself."""


def _address(value: Any, where: Where) -> Iterator[Problem]:
    """Where a picture is: an http or https URL, or a data URI with a picture inside."""
    if not isinstance(value, str) or not value.startswith("data:"):
        yield from web_address(value, where)
        return
    try:
        _inline(value)
    except clips.Unreadable:
        yield Problem(where, "image_load_error", "Failed to load the image.")


_SHARED: dict[str, Rule] = {
    "aspect_ratio": one_of(*ASPECT_RATIOS),
    "loop": flag,
    "resolution": one_of(*RESOLUTIONS),
    "duration": one_of(*DURATIONS),
}
# That a field nobody documents is refused is inferred.
BODIES: dict[str, Rule] = {
    "": fields({"prompt": text}, _SHARED),
    "image-to-video": fields({"prompt": text}, {**_SHARED, "image_url": _address, "end_image_url": _address}),
}
BODIES["modify"] = fields(
    {"video_url": web_address}, {"prompt": text, "image_url": _address, "mode": one_of(*MODES)}
)
BODIES["reframe"] = fields(
    {"video_url": web_address, "aspect_ratio": one_of("1:1", *ASPECT_RATIOS)},
    {"prompt": text, "image_url": _address, **dict.fromkeys(PIXELS, whole)},
)
"""The body of each endpoint below a model."""
# That it takes the nine modes by these names, and no field that is not listed, is inferred.
BODIES["video-to-video"] = fields(
    {"prompt": text, "video_url": web_address},
    {
        "start_image_url": _address,
        "resolution": one_of(*EDIT_USD),
        "duration": one_of(*EDIT_SECONDS),
        "edit_strength": one_of(*MODES),
        "hdr": flag,
        "exr_export": flag,
    },
)
LONGEST = {
    (EDIT[1], EDIT[0]): 10,
    ("modify", "ray-2"): 10,
    ("modify", "ray-2-flash"): 15,
    ("reframe", "ray-2"): 10,
    ("reframe", "ray-2-flash"): 30,
}
"""Seconds of a film."""
REMADE_USD = {"modify": {"ray-2": 1.75, "ray-2-flash": 0.60}, "reframe": {"ray-2": 0.90, "ray-2-flash": 0.30}}
"""For 5 s of 720p; charged before the length of the source is known."""


@dataclass
class Upload:
    """One file of the storage."""

    content_type: str
    signature: str
    seconds: int | None
    """How long it is kept; None for ever."""
    created: float
    content: bytes | None = None


class FalEmulator(JobEmulator):
    """The queue, its runners, the storage and the account.

    A prompt with "doomed" ends with an error of the platform, in status and result, and is not charged ("Server
    errors (HTTP 500+) are never charged"). Moderation is an error of the model, in the result alone, and stays
    charged, which is the worst that the FAQ says: errors like HTTP 422 "may still be charged".
    """

    default_key = "5f1ab7c0-0000-4000-8000-000000000001:fal-test-secret"
    refunds_failures = False
    create = ("POST", "/queue/*")
    poll = ("GET", "/queue/*/requests/*/status")
    initiate = ("POST", "/rest/storage/upload/initiate")
    """Method and pattern of the requests that begin an upload."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.uploads: dict[str, Upload] = {}
        """By path below /files."""
        self._refused: dict[str, Reply] = {}
        """What a runner will say of a request that no model takes, by job."""
        self._tokens: set[str] = set()

    def routes(self) -> list[Route]:
        """Queue, storage and files."""
        requests, edits = f"{APP}/requests/{{id}}", f"{AGENT}/requests/{{id}}"
        return [
            Route("POST", (f"{AGENT}/ray/{{model}}/{{endpoint}}",), self._submit),
            Route("GET", (f"{edits}/status",), self._status),
            Route("GET", (edits,), self._result),
            Route("PUT", (f"{edits}/cancel",), self._cancel),
            Route("POST", (f"{APP}/{{model}}", f"{APP}/{{model}}/{{endpoint}}"), self._submit),
            Route("GET", (f"{requests}/status",), self._status),
            Route("GET", (requests,), self._result),
            Route("PUT", (f"{requests}/cancel",), self._cancel),
            Route("POST", ("/rest/storage/upload/initiate",), self._initiate),
            Route("POST", ("/rest/storage/auth/token",), self._token),
            Route("POST", ("/cdn/files/upload",), self._upload),
            Route("PUT", ("/uploads/{folder}/{name}",), self._put, public=True),
            Route("GET", ("/files/{folder}/{name}",), self._file, public=True),
            *self.file_routes(),
        ]

    def environment(self) -> dict[str, str]:
        """The variables that lead the pack here."""
        return {
            "FAL_BASE_URL": f"{self.origin}/queue",
            "FAL_STORAGE_URL": f"{self.origin}/rest",
            "FAL_KEY": self.key,
            "LUMA_RAY_ALLOWED_HOSTS": self.netloc,
        }

    def authorized(self, request: Request) -> bool:
        """`Key` with the key everywhere, but on the CDN the token it was exchanged for."""
        told = request.headers.get("Authorization", "")
        if request.path.startswith("/cdn/"):
            return told.removeprefix("Bearer ") in self._tokens and told.startswith("Bearer ")
        return told == f"Key {self.key}"

    def unauthorized(self) -> Reply:
        """As fal-ai/fal#1068 (2026-06-04) quotes it."""
        return json_reply({"detail": "No user found for Key ID and Secret"}, 401)

    def not_found(self) -> Reply:
        """About an unknown request; wording inferred."""
        return json_reply({"detail": "Request not found"}, 404)

    def trouble(self, kind: Trouble) -> Reply:
        """The lock as many quote it (fal-ai/fal#1147, 2026-08-15); the other bodies in the documented forms."""
        match kind:
            case "unauthorized":
                return self.unauthorized()
            case "no money":
                locked = "User is locked. Reason: Exhausted balance. Top up your balance at "
                return json_reply({"detail": f"{locked}fal.ai/dashboard/billing."}, 403)
            case "rate limit":
                # The type and X-Fal-Needs-Retry are documented; Retry-After and the wording are inferred.
                return _platform_error(
                    "concurrent_requests_limit",
                    "Concurrent requests limit reached.",
                    {"Retry-After": "7", "X-Fal-Needs-Retry": "1"},
                )
            case "moderation":
                return _moderated("prompt")
            case "server error":
                return _platform_error("internal_error", "Internal Server Error")

    def unknown_status(self) -> Fault:
        """A word that is not one of the three."""
        return Fault.fields(status="PAUSED")

    # -- the queue ----------------------------------------------------------------------------------------

    def _submit(self, request: Request, model: str, endpoint: str = "") -> Reply:
        _check(request)
        body, job_id = request.json, str(uuid.uuid4())
        refused = _refusal(model, endpoint, body)
        given = body if refused is None else {}
        if refused is not None:
            self._refused[job_id] = refused
        resolution = given.get("resolution", "540p")
        if (model, endpoint) == EDIT:
            told = given.get("duration", "5s")
            seconds, usd = EDIT_SECONDS[told], EDIT_USD[resolution][list(EDIT_SECONDS).index(told)]
        else:
            seconds, times = DURATIONS[given.get("duration", "5s")]
            usd = (
                REMADE_USD[endpoint][model]
                if endpoint in REMADE_USD and not refused
                else USD.get(model, 0.0) * RESOLUTIONS[resolution] * times
            )
        work = self.accept(
            id=job_id,
            body=body,
            model=model,
            resolution=resolution,
            aspect_ratio=given.get("aspect_ratio", "16:9"),
            seconds=seconds,
            usd=0.0 if refused else usd,
            prompt=given.get("prompt", ""),
            remake="" if "video_url" not in given else "modify" if endpoint == EDIT[1] else endpoint,
            media=given.get("video_url"),
            longest=LONGEST.get((endpoint, model), 30),
            loop=given.get("loop", False),
            first=_still(given.get("image_url", given.get("start_image_url"))),
            last=_still(given.get("end_image_url")),
        )
        return self._answer_about(work, {"status": "IN_QUEUE", "queue_position": self.before(work)})

    def _status(self, request: Request, id: str) -> Reply:
        self._own(request, id)
        work = self.looked_at(id)
        if work.state == "queued":
            told: dict[str, Any] = {"status": "IN_QUEUE", "queue_position": self.before(work)}
            return self._answer_about(work, told, status=202)
        told = {"status": "IN_PROGRESS", "logs": self._logs(work, request)}
        if work.state == "running":
            return self._answer_about(work, told, status=202)
        told |= {"status": "COMPLETED", "metrics": {"inference_time": float(work.seconds)}}
        if work.state != "completed":
            outcome = json.loads(self._outcome(work).body)
            if "error_type" in outcome:
                told |= {"error": outcome["detail"], "error_type": outcome["error_type"]}
        return self._answer_about(work, told)

    def _result(self, request: Request, id: str) -> Reply:
        self._own(request, id)
        work = self.known(id)
        with work.moving:
            if not work.done:
                raise Refusal(json_reply({"detail": "Request is still in progress"}, 400))
        outcome = self._outcome(work)
        return Reply(outcome.status, outcome.body, {**outcome.headers, "X-Fal-Request-Id": work.id})

    def _cancel(self, request: Request, id: str) -> Reply:
        """A runner that is at work gets a signal; Luma's does not heed it (inferred), so the job goes on."""
        self._own(request, id)
        work = self._jobs.get(id)
        if work is None:
            return json_reply({"status": "NOT_FOUND"}, 404)
        with work.moving:
            if work.state == "queued":
                self.cancel(work, refund=True)
            elif work.done:
                return json_reply({"status": "ALREADY_COMPLETED"}, 400)
        return json_reply({"status": "CANCELLATION_REQUESTED"}, 202)

    def _own(self, request: Request, id: str) -> None:
        """Raise Refusal about a request of the other app: an app knows its own jobs alone (inferred)."""
        work = self._jobs.get(id)
        if work is not None and not request.path.startswith(_app(work)):
            raise Refusal(self.not_found())

    def _answer_about(self, work: Work, content: dict[str, Any], status: int = 200) -> Reply:
        address = f"{self.origin}{_app(work)}/requests/{work.id}"
        return json_reply(
            {
                **content,
                "request_id": work.id,
                "response_url": address,
                "status_url": f"{address}/status",
                "cancel_url": f"{address}/cancel",
            },
            status,
            {"X-Fal-Request-Id": work.id},
        )

    def _logs(self, work: Work, request: Request) -> list[dict[str, str]]:
        if request.query.get("logs", "0").lower() not in ("1", "true"):
            return []
        started = utc(work.created_at)
        return [{"message": "Generating", "level": "INFO", "source": "USER", "timestamp": started}]

    def _outcome(self, work: Work) -> Reply:
        """The result of a job that is done."""
        if work.state == "completed":
            file = {
                "url": self.link(work),
                "content_type": "video/mp4",
                "file_name": "output.mp4",
                "file_size": len(self.film(work)),
            }
            return json_reply({"video": file})
        if work.state == "cancelled":
            # How a request that left the queue answers is inferred from the list of error types.
            return _platform_error("client_cancelled", "Request was cancelled by the client")
        if work.id in self._refused:
            return self._refused[work.id]
        if work.failure == "failed":
            return _platform_error("runner_server_error", "Runner encountered an internal server error")
        if work.failure == "moderation":
            return _moderated("prompt", work.prompt)
        name = "image_url" if isinstance(work.first, str) else "end_image_url"
        name = "video_url" if isinstance(work.media, str) else name
        words = "Failed to download the file. Please check if the URL is accessible and try again."
        return _model_error([Problem(("body", name), "file_download_error", words)])

    def _fetch(self, work: Work) -> Any:
        return "failed" if work.id in self._refused else super()._fetch(work)

    def _move(self, work: Work) -> None:
        over = work.done
        super()._move(work)
        if not over and work.state == "failed" and work.failure != "moderation":
            self.refund(work)

    # -- the storage --------------------------------------------------------------------------------------

    def _initiate(self, request: Request) -> Reply:
        if self.balance <= 0:
            raise Refusal(self.trouble("no money"))  # as fal-ai/fal#1147 tells
        problems = list(fields({"file_name": text, "content_type": text})(request.json, ("body",)))
        if request.query.get("storage_type") not in ("gcs", "fal-cdn-v3"):
            problems.append(Problem(("query", "storage_type"), "enum", "Input should be gcs or fal-cdn-v3"))
        if problems:
            raise Refusal(_model_error(problems))
        path = f"{secrets.token_hex(4)}/{quote(request.json['file_name'], safe='')}"
        upload = self._began(path, request.json["content_type"], request)
        return json_reply(
            {
                "upload_url": f"{self.origin}/uploads/{path}?signature={upload.signature}",
                "file_url": f"{self.origin}/files/{path}",
            }
        )

    def _put(self, request: Request, folder: str, name: str) -> Reply:
        """A signed URL stands for one file and one type of content."""
        upload = self.uploads.get(f"{folder}/{name}")
        signed = upload is not None and request.query.get("signature") == upload.signature
        if upload is None or not signed or request.headers.get("Content-Type") != upload.content_type:
            return Reply(403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>")
        upload.content = request.body
        return Reply(200)

    def _file(self, request: Request, folder: str, name: str) -> Reply:
        upload = self.uploads.get(f"{folder}/{name}")
        if upload is None or upload.content is None:
            return Reply(404)
        if upload.seconds is not None and self.now() > upload.created + upload.seconds:
            return Reply(404)
        return file_reply(request, upload.content, upload.content_type)

    def _token(self, request: Request) -> Reply:
        if request.query.get("storage_type") != "fal-cdn-v3":
            raise Refusal(_model_error([Problem(("query", "storage_type"), "enum", "unknown")]))
        token = secrets.token_urlsafe()
        self._tokens.add(token)
        # by the real clock, because that is what clients compare it with
        expires = datetime.now(timezone.utc) + timedelta(hours=1)
        return json_reply(
            {
                "token": token,
                "token_type": "Bearer",
                "base_url": f"{self.origin}/cdn",
                "expires_at": expires.isoformat(),
            }
        )

    def _upload(self, request: Request) -> Reply:
        name = quote(request.headers.get("X-Fal-File-Name", "upload.bin"), safe="")
        path = f"{secrets.token_hex(4)}/{name}"
        kind = request.headers.get("Content-Type", "application/octet-stream")
        self._began(path, kind, request).content = request.body
        return json_reply({"access_url": f"{self.origin}/files/{path}"})

    def _began(self, path: str, content_type: str, request: Request) -> Upload:
        wish = _lifecycle(request)
        upload = Upload(
            content_type, secrets.token_hex(8), wish.get("expiration_duration_seconds"), self.now()
        )
        self.uploads[path] = upload
        return upload


def _app(work: Work) -> str:
    return AGENT if work.model == EDIT[0] else APP


def _refusal(model: str, endpoint: str, body: Any) -> Reply | None:
    """What a runner answers to a request that no model takes; None for one that is well formed."""
    known = endpoint == EDIT[1] if model == EDIT[0] else model in USD and endpoint != EDIT[1]
    if not known or endpoint not in BODIES:
        # In these words as many quote it: the queue takes every path below an app.
        return json_reply({"detail": f"Path /{model}{endpoint and f'/{endpoint}'} not found"}, 404)
    problems = list(BODIES[endpoint](body, ("body",)))
    if problems:
        return _model_error(problems)
    if body.get("loop") and body.get("end_image_url"):
        # Luma's own refusal, "Loop is not supported for keyframes"; that fal passes it on is inferred.
        words = "Loop is not supported for keyframes"
        return _model_error([Problem(("body", "loop"), "value_error", words)])
    if (
        body.get("prompt") is not None and len(body["prompt"].strip()) < 3
    ):  # Luma's own limit; that it holds here is inferred
        words = "Prompt is too short, minimum length is 3 characters"
        return _model_error([Problem(("body", "prompt"), "string_too_short", words)])
    return None


def _still(value: str | None) -> Still | None:
    return _inline(value) if value is not None and value.startswith("data:") else value


def _inline(value: str) -> clips.Picture:
    head, _, content = value.partition(",")
    if not head.endswith(";base64"):
        raise clips.Unreadable("not base64")
    return clips.picture(clips.unpacked(content))


def _platform_error(kind: str, words: str, headers: Mapping[str, str] | None = None) -> Reply:
    """A Request Error: flat, its type also in a header."""
    content = {"detail": words, "error_type": kind}
    return json_reply(content, ERROR_STATUS.get(kind, 429), {"X-Fal-Error-Type": kind, **(headers or {})})


def _model_error(problems: list[Problem], given: Any = None) -> Reply:
    """A Model Error: a list, each with its place, its type and where that is explained."""
    detail = [
        {
            "loc": list(item.where),
            "msg": item.text,
            "type": item.kind,
            "url": f"https://docs.fal.ai/errors#{item.kind}",
            "input": given,
        }
        for item in problems
    ]
    return json_reply({"detail": detail}, 422, {"X-Fal-Retryable": "false"})


def _moderated(name: str, given: Any = None) -> Reply:
    words = "The content could not be processed because it was flagged by a content checker."
    return _model_error([Problem(("body", name), "content_policy_violation", words)], given)


def _check(request: Request) -> None:
    """Headers and query of a submit. What is answered to a wrong one is documented for the time-out alone."""
    webhook = request.query.get("fal_webhook", "https://example.test/")
    if request.query.keys() - {"fal_webhook"} or any(web_address(webhook, ())):
        raise Refusal(_platform_error("bad_request", "Invalid query"))
    timeout = request.headers.get("X-Fal-Request-Timeout", "60")
    try:
        wrong = not float(timeout) > 0.1
    except ValueError:
        wrong = True
    if wrong:
        raise Refusal(_platform_error("bad_request", "Invalid timeout header"))
    if request.headers.get("X-Fal-Queue-Priority", "normal") not in ("normal", "low"):
        raise Refusal(_platform_error("bad_request", "Invalid priority header"))
    _lifecycle(request)


def _lifecycle(request: Request) -> dict[str, Any]:
    """How long a file shall be kept and who may read it, as the headers say."""
    told = request.headers.get("X-Fal-Object-Lifecycle-Preference") or request.headers.get(
        "X-Fal-Object-Lifecycle", "{}"
    )
    try:
        wish = json.loads(told)
        seconds = wish.get("expiration_duration_seconds")
        wrong = seconds is not None and not (type(seconds) is int and seconds >= 1)
    except (ValueError, AttributeError):
        wrong, wish = True, {}
    if wrong or wish.keys() - {"expiration_duration_seconds", "initial_acl"}:
        raise Refusal(_platform_error("bad_request", "Invalid lifecycle header"))
    return dict(wish)
