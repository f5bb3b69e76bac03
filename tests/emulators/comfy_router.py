"""Comfy Router with Luma's two video models, and Comfy's storage for pictures, as they are documented.

Sources: spec/router-openapi.yaml in the source of `comfy-sdk` 0.5.0; of Comfy-Org/docs
development/comfy-router/{api,errors,headers,queue,billing,reference}.mdx and router-schemas/luma/ray-flash-2.json
(all read 2026-11-21); prices from the badge of ComfyUI's own Luma node, the storage from ComfyUI (2026-11-20).
What only others report is marked with where; what nobody says is marked as inferred.

Not here: the documents of schemas, other providers for the same model (`model_provider`), spending ceilings.
`callback_url` is checked and never called. What the account pays is charged when a request is accepted and given
back when it fails; Comfy charges when Luma charges Comfy.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from .jobs import MODES, Failure, JobEmulator, Trouble, Work
from .server import Fault, Refusal, Reply, Request, Route, file_reply, html_reply, json_reply, utc
from .shapes import Problem, Rule, Where, fields, flag, one_of, text, uuid_text, web_address

MODELS: Final = ("ray-2", "ray-flash-2")
FILMS: Final = "ray-3.2"
"""Of the provider `luma_2`: development/comfy-router/models/luma_2/ray-3-2/code, prices of Comfy's nodes."""
FILM_CREDITS: Final = {
    "video_edit": {"360p": 22.79, "540p": 30.38, "720p": 45.58, "1080p": 91.15},
    "video_reframe": {"360p": 6.33, "540p": 12.66, "720p": 25.32, "1080p": 75.96},
}
"""A second. Charged before the length of the source is known, so for 5 s."""
FILM_SECONDS: Final = {"video_edit": 18, "video_reframe": 30}
FILM_RATIOS: Final = ("9:16", "3:4", "1:1", "4:3", "16:9", "21:9")
ASPECT_RATIOS: Final = ("1:1", "16:9", "9:16", "4:3", "3:4", "21:9", "9:21")
RESOLUTIONS: Final = ("540p", "720p", "1080p", "4k")
DURATIONS: Final = {"5s": 5, "9s": 9}
USD: Final = {
    ("ray-2", "5s"): (0.57, 1.02, 2.27, 9.11),
    ("ray-2", "9s"): (1.03, 1.83, 4.10, 16.40),
    ("ray-flash-2", "5s"): (0.20, 0.34, 0.79, 3.13),
    ("ray-flash-2", "9s"): (0.36, 0.61, 1.42, 5.65),
}
"""540p, 720p, 1080p, 4k."""
CREDITS_A_DOLLAR: Final = 211
BUCKETS: Final = {
    "content_policy_violation": 400,
    "invalid_input": 400,
    "unauthorized": 401,
    "insufficient_credits": 402,
    "forbidden": 403,
    "not_enabled": 403,
    "model_not_found": 404,
    "request_not_found": 404,
    "cancelled": 409,
    "concurrency_limit_exceeded": 429,
    "queue_backlog_full": 429,
    "rate_limited": 429,
    "internal_error": 500,
    "provider_error": 502,
    "service_unavailable": 503,
    "deadline_exceeded": 504,
    "provider_timeout": 504,
    "queue_timeout": 504,
}
"""Every documented error type with the status it usually comes with; client_disconnected reaches nobody."""
DAY: Final = 24 * 3600.0
"""Seconds for which a finished request, and what was answered to a key, is kept."""
UPLOAD_LIFE: Final = 3600.0
DOWNLOAD_LIFE: Final = DAY
"""Seconds; both as a comment in Comfy's own frontend (workshop-url-upload.ts) tells of the storage's source."""


def _keyframe(value: Any, where: Where) -> Iterator[Problem]:
    """A picture by address or a clip by id. The prose of the schema also names a video; the schema has none."""
    kind = value.get("type") if isinstance(value, dict) else None
    shapes = {
        "image": fields({"type": text, "url": web_address}),
        "generation": fields({"type": text, "id": uuid_text}),
    }
    if not isinstance(value, dict):
        yield Problem(where, "dict_type", "Input should be an object")
    elif kind in ("image", "generation"):
        yield from shapes[kind](value, where)
    else:
        yield Problem((*where, "type"), "union_tag_invalid", "Input should be 'image' or 'generation'")


_NOT_DECLARED: Final = "extra_forbidden"
# The schema lets any text pass for duration and resolution: these two are judged by Luma alone.
INPUT: Final[Rule] = fields(
    {
        "prompt": text,
        "aspect_ratio": one_of(*ASPECT_RATIOS),
        "duration": text,
        "resolution": text,
    },
    {
        "generation_type": one_of("video"),
        "loop": flag,
        "keyframes": fields(optional={"frame0": _keyframe, "frame1": _keyframe}),
        "callback_url": web_address,
    },
)
_FILM_REFERENCE: Final = fields({"url": web_address}, {"media_type": text})


def _share(value: Any, where: Where) -> Iterator[Problem]:
    if not isinstance(value, int | float) or isinstance(value, bool):
        yield Problem(where, "float_type", "Input should be a number")


FILM_INPUT: Final[Rule] = fields(
    {
        "prompt": text,
        "type": one_of(*FILM_CREDITS),
        "source": fields({"url": web_address, "media_type": one_of("video/mp4")}),
        "video": fields(
            {"resolution": one_of(*FILM_CREDITS["video_edit"])},
            {
                "duration": one_of("5s", "10s"),
                "edit": fields({"strength": one_of(*MODES)}),
                "start_frame": _FILM_REFERENCE,
                "source_position": fields(dict.fromkeys(("x_norm", "y_norm", "w_norm", "h_norm"), _share)),
            },
        ),
    },
    {"aspect_ratio": one_of(*FILM_RATIOS)},
)
STORED: Final[Rule] = fields({"file_name": text}, {"content_type": text})


@dataclass
class Keyed:
    """What is remembered about one Idempotency-Key."""

    method: str
    target: str
    body: bytes
    at: float
    busy: bool = True
    work: Work | None = None
    answer: Reply | None = None


@dataclass
class File:
    """A place in the storage."""

    name: str
    content_type: str
    signature: str
    made: float
    content: bytes | None = None


def problem(
    bucket: str,
    detail: str,
    status: int | None = None,
    *,
    retry_after: int | None = None,
    upstream: int | None = None,
    upstream_detail: str = "",
) -> Reply:
    """An error of Router itself. *upstream* and *upstream_detail*: what Luma answered, if it was asked."""
    content = {"detail": detail, "error_type": bucket}
    headers = {"X-Comfy-Error-Type": bucket}
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    if upstream is not None:
        headers["X-Comfy-Upstream-Status"] = str(upstream)
    if upstream_detail:
        content["upstream_detail"] = headers["X-Comfy-Upstream-Detail"] = upstream_detail
    return _numbered(json_reply(content, status or BUCKETS[bucket], headers))


def refusing(bucket: str, status: int | None = None, **options: Any) -> Fault:
    """`problem` as a fault, in place of whatever would have happened: nothing is created or charged."""
    return Fault(lambda _: problem(bucket, f"Emulated {bucket}", status, **options), handled=False)


class ComfyRouterEmulator(JobEmulator):
    """The router, its queue, the storage and the account's credits.

    *enabled*: whether Router is switched on for this account at all. *quotes*: whether the estimates are.
    *renews_links*: a later read of a result holds a new link to the clip. "Returned unchanged" says that it does
    not; how long Luma's links live, nobody says. *late_cancel* is the status of a cancel that comes too late: 409,
    and 400 in the documentation of the preview.
    """

    default_key = "comfyui-test-key"
    create = ("POST", "/v2/models/{provider}/{model}/requests")
    poll = ("GET", "/v2/models/{provider}/{model}/requests/{id}/status")
    result = ("GET", "/v2/models/{provider}/{model}/requests/{id}")
    stop = ("PUT", "/v2/models/{provider}/{model}/requests/{id}/cancel")
    run = ("POST", "/v2/models/{provider}/{model}")
    estimate = ("POST", "/v2/models/{provider}/{model}/estimate")
    storage = ("POST", "/customers/storage")

    def __init__(
        self,
        *,
        enabled: bool = True,
        quotes: bool = True,
        renews_links: bool = True,
        late_cancel: int = 409,
        hold_seconds: float = 600.0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.enabled = enabled
        self.quotes = quotes
        self.renews_links = renews_links
        self.late_cancel = late_cancel
        self.hold_seconds = hold_seconds
        """How long a synchronous call is held before it ends with deadline_exceeded."""
        self.files: dict[str, File] = {}
        self._keys: dict[str, Keyed] = {}
        self._clips: dict[str, Work] = {}
        """Jobs by Luma's own id of the clip."""
        self._refused: dict[str, str] = {}
        """What Luma said to the requests that it did not take, by job."""
        self._ends: dict[str, float] = {}
        """When a job was first seen done, by the emulator's clock."""
        self._given_up: set[str] = set()
        self._bodies: dict[str, dict[str, Any]] = {}
        self._keeping = threading.Lock()

    def routes(self) -> list[Route]:
        """Catalogue, run, estimate, queue, storage."""
        return [
            Route("GET", ("/v2/models",), self._catalogue),
            Route("GET", ("/v2/models/{provider}/{model}",), self._entry),
            Route(*_route(self.run), self._hold),
            Route(*_route(self.estimate), self._quote),
            Route(*_route(self.create), self._submit),
            Route(*_route(self.poll), self._status),
            Route(*_route(self.result), self._collect),
            Route(*_route(self.stop), self._cancel),
            Route(*_route(self.storage), self._store),
            Route("PUT", ("/storage/{id}/{name}",), self._put, public=True),
            Route("GET", ("/storage/{id}/{name}",), self._file, public=True),
            *self.file_routes(),
        ]

    def environment(self) -> dict[str, str]:
        """The two variables of `comfy-sdk`, and the pack's."""
        return {
            "COMFY_ROUTER_BASE_URL": self.base_url,
            "COMFY_API_KEY": self.key,
            "LUMA_RAY_ALLOWED_HOSTS": self.netloc,
        }

    def authorized(self, request: Request) -> bool:
        """X-API-Key wins over a bearer token."""
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return bool(self.key) and request.headers.get("X-API-Key", bearer) == self.key

    def unauthorized(self) -> Reply:
        """The bucket is documented, the words are inferred."""
        return problem("unauthorized", "A valid API key or token is required")

    def not_found(self) -> Reply:
        """Also for a request of another account, and for the right id under the wrong model."""
        return problem("request_not_found", "No such request")

    def trouble(self, kind: Trouble) -> Reply:
        """Refusals of a create; the words are inferred."""
        match kind:
            case "unauthorized":
                return self.unauthorized()
            case "no money":
                return problem("insufficient_credits", "The workspace does not have enough credits")
            case "rate limit":
                return problem("rate_limited", "Too many requests this minute", retry_after=7)
            case "moderation":
                return problem(
                    "content_policy_violation", "The provider refused the request on content grounds"
                )
            case _:
                return problem("internal_error", "Router failed")

    def unknown_status(self) -> Fault:
        """`status` has three values in a closed list; this is none of them."""
        return Fault.fields(status="PAUSED")

    def time_out(self, work: Work) -> None:
        """Let a job that still waits in the queue have waited too long: it never ran and is not charged."""
        assert work.state == "queued"
        self._given_up.add(work.id)
        self.cancel(work, refund=True)

    def clip_id(self, work: Work) -> str:
        """What Luma calls the clip; another id than that of the request in Comfy's queue."""
        return str(uuid.uuid5(uuid.NAMESPACE_OID, work.id))

    # -- the catalogue ------------------------------------------------------------------------------------

    def _catalogue(self, request: Request) -> Reply:
        self._refuse_disabled()
        told = request.query.get("limit", "20")
        if not told.lstrip("-").isdecimal() or request.query.get("cursor", MODELS[-1]) not in MODELS:
            raise Refusal(problem("invalid_input", "Invalid cursor or limit"))
        limit = min(int(told), 100) if int(told) > 0 else 20
        start = MODELS.index(request.query["cursor"]) if "cursor" in request.query else 0
        shown = MODELS[start : start + limit]
        more = start + limit < len(MODELS)
        page: dict[str, Any] = {"data": [_listed(name) for name in shown], "has_more": more, "limit": limit}
        if more:
            page["next_cursor"] = MODELS[start + limit]
        return _numbered(json_reply(page))

    def _entry(self, request: Request, provider: str, model: str) -> Reply:
        self._refuse_unknown(provider, model)
        address = f"https://api.comfy.org/v2/models/luma/{model}/openapi.json"
        return _numbered(json_reply({**_listed(model), "input_schema_url": address}))

    def _refuse_disabled(self) -> None:
        if not self.enabled:
            raise Refusal(problem("not_enabled", "Comfy Router is not enabled for this workspace"))

    def _refuse_unknown(self, provider: str, model: str) -> None:
        self._refuse_disabled()
        if (provider, model) not in [*(("luma", name) for name in MODELS), ("luma_2", FILMS)]:
            known = ", ".join(f"luma/{name}" for name in MODELS)
            raise Refusal(
                problem("model_not_found", f"Unknown model {provider}/{model}. Did you mean: {known}?")
            )

    # -- what is asked for --------------------------------------------------------------------------------

    def _checked(self, request: Request, model: str) -> dict[str, Any]:
        """The body, as far as Router's own schema judges it: before anything is sent to Luma or charged."""
        for name, value in request.query.items():
            # Providers can be chosen by more parameters; using any of them by accident would be a mistake.
            if name != "reject_unknown_fields" or value not in ("true", "false"):
                raise Refusal(problem("invalid_input", f"The emulator does not serve ?{name}={value}"))
        try:
            body = json.loads(request.body)
        except ValueError:
            raise Refusal(problem("invalid_input", "The body is not JSON")) from None
        if not request.is_json:
            raise Refusal(problem("invalid_input", "Content-Type should be application/json"))  # inferred
        strict = request.query.get("reject_unknown_fields") == "true"
        found = list((FILM_INPUT if model == FILMS else INPUT)(body, ("body",)))
        problems = [
            _as_documented(item) if item.where == ("body",) else item
            for item in found
            # A field that the schema does not declare goes on to Luma, unless the caller asks otherwise.
            if item.kind != _NOT_DECLARED or (strict and len(item.where) == 2)
        ]
        if isinstance(body, dict) and "model" in body:
            # "MUST NOT be sent". Documented as a 422 is only another model than the path's.
            problems.append(Problem(("body", "model"), "value_error", "The model is named by the path"))
        if problems:
            detail = [{"loc": list(item.where), "msg": item.text, "type": item.kind} for item in problems]
            headers = {"X-Comfy-Error-Type": "invalid_input"}
            raise Refusal(_numbered(json_reply({"detail": detail}, 422, headers)))
        known: dict[str, Any] = body
        return known

    def _judged(self, body: dict[str, Any]) -> str:
        """Why Luma does not take this body, in Luma's words (see tests/emulators/luma.py); else an empty string.

        That such a body is accepted here and fails at Luma follows from the schema; how it is then told is
        documented ("the provider refused the request as malformed and said why").
        """
        stray = [item for item in INPUT(body, ("body",)) if item.kind == _NOT_DECLARED]
        if stray:
            return f"{'.'.join(map(str, stray[0].where[1:]))}: Extra inputs are not permitted"
        if body["duration"] not in DURATIONS:
            return f"Duration {body['duration']} is not supported"
        if body["resolution"] not in RESOLUTIONS:
            return f"Resolution {body['resolution']} is not supported"
        frames = body.get("keyframes", {})
        if "keyframes" in body and not frames:
            return "No keyframes provided"
        prompt = body["prompt"].strip()
        if not prompt and not any(frame["type"] == "image" for frame in frames.values()):
            return "Prompt is required"
        if prompt and len(prompt) < 3:
            return "Prompt is too short, minimum length is 3 characters"
        if len(body["prompt"]) > 5000:
            return "Prompt is too long, maximum length is 5000 characters"
        if body.get("loop") and "frame1" in frames:
            return "Loop is not supported for keyframes"
        for frame in frames.values():
            made = self._clips.get(frame["id"]) if frame["type"] == "generation" else None
            if frame["type"] == "generation" and (made is None or made.state != "completed"):
                return f"Generation {frame['id']} is not completed"  # inferred
        return ""

    def _admit(self, body: dict[str, Any], model: str, key: str) -> Work:
        job = str(uuid.uuid4())
        words = _film_trouble(body) if model == FILMS else self._judged(body)
        if words:
            self._refused[job] = words  # before the job can begin to move
        if model == FILMS:
            return self._admit_film(job, body, key)
        frames = {
            name: self._clips.get(frame["id"]) if frame["type"] == "generation" else frame["url"]
            for name, frame in body.get("keyframes", {}).items()
        }
        work = self.accept(
            id=job,
            body=body,
            model=model,
            resolution=body["resolution"],
            aspect_ratio=body["aspect_ratio"],
            seconds=DURATIONS.get(body["duration"], 0),
            usd=0.0 if words else _usd(body, model),
            prompt=body["prompt"],
            loop=body.get("loop", False),
            first=frames.get("frame0"),
            last=frames.get("frame1"),
            key=key,
        )
        self._clips[self.clip_id(work)] = work
        return work

    def _admit_film(self, job: str, body: dict[str, Any], key: str) -> Work:
        kind, video = body["type"], body["video"]
        work = self.accept(
            id=job,
            body=body,
            model=FILMS,
            resolution=video["resolution"],
            aspect_ratio=body.get("aspect_ratio", "16:9"),
            seconds=5,
            usd=0.0
            if job in self._refused
            else round(5 * FILM_CREDITS[kind][video["resolution"]] / CREDITS_A_DOLLAR, 2),
            prompt=body["prompt"],
            remake="modify" if kind == "video_edit" else "reframe",
            media=body["source"]["url"],
            longest=FILM_SECONDS[kind],
            first=(video.get("start_frame") or {}).get("url"),
            key=key,
        )
        self._clips[self.clip_id(work)] = work
        return work

    def _fetch(self, work: Work) -> Failure:
        return "failed" if work.id in self._refused else super()._fetch(work)

    # -- keys ---------------------------------------------------------------------------------------------

    def _keyed(self, request: Request) -> Keyed:
        """The record of the request's key; a new one is held until it is answered.

        That bodies are compared byte by byte is inferred.
        """
        key = request.headers.get("Idempotency-Key")
        fresh = Keyed(request.method, request.target, request.body, self.now())
        if key is None:
            return fresh
        if not 1 <= len(key) <= 255:
            raise Refusal(problem("invalid_input", "The Idempotency-Key should have 1 to 255 characters"))
        with self._keeping:
            kept = self._keys.get(key)
            if kept is None or self.now() - kept.at >= DAY:
                self._keys[key] = fresh
                return fresh
            if (kept.method, kept.target, kept.body) != (fresh.method, fresh.target, fresh.body):
                words = "This Idempotency-Key was already used for a different request"
                raise Refusal(problem("invalid_input", words, 409))
            if kept.busy:
                words = "The original call for this Idempotency-Key is still running"
                raise Refusal(problem("concurrency_limit_exceeded", words, 409, retry_after=2))
            kept.busy = True
            return kept

    def _release(self, record: Keyed) -> None:
        """A refusal before anything was sent to Luma frees the key."""
        with self._keeping:
            self._keys = {key: kept for key, kept in self._keys.items() if kept is not record}

    # -- run, estimate, queue -----------------------------------------------------------------------------

    def _hold(self, request: Request, provider: str, model: str) -> Reply:
        """The synchronous call: held until the clip is there."""
        self._refuse_unknown(provider, model)
        record = self._keyed(request)
        again = record.work is not None
        try:
            if record.answer is None:
                record.answer = self._finished(request, record, model)
        except Refusal:
            if record.work is None:
                self._release(record)
            raise
        finally:
            record.busy = False
        answer = record.answer
        if answer.status == BUCKETS["provider_error"]:
            self._release(record)  # "can still release the key for another attempt"
        return _replayed(answer) if again else answer

    def _finished(self, request: Request, record: Keyed, model: str) -> Reply:
        if record.work is None:
            body = self._checked(request, model)
            record.work = self._admit(body, model, request.headers.get("Idempotency-Key", ""))
        work = self.looked_at(record.work.id, wait=self.hold_seconds)
        if not work.done:
            words = "Comfy stopped holding the connection; the generation is still running"
            waits = 2 if request.headers.get("Idempotency-Key") else None
            raise Refusal(problem("deadline_exceeded", words, retry_after=waits))
        if work.state != "completed":
            return self._failure(work)
        told = f"{work.usd * CREDITS_A_DOLLAR:.2f}".rstrip("0").rstrip(".")
        result = json_reply(self._output(work), headers={"X-Content-Type-Options": "nosniff"})
        return _numbered(replace(result, headers={**result.headers, "X-Comfy-Credits-Used": told}))

    def _quote(self, request: Request, provider: str, model: str) -> Reply:
        self._refuse_unknown(provider, model)
        if not self.quotes:
            raise Refusal(problem("not_enabled", "Estimates are not enabled for this workspace"))
        return _numbered(json_reply(self._estimate(self._checked(request, model), model)))

    def _estimate(self, body: Mapping[str, Any], model: str) -> dict[str, Any]:
        told = {
            "currency": "USD",
            "provider": "luma",
            "model": f"luma/{model}",
            "pricing_as_of": utc(self.now()),
        }
        if model == FILMS or body["resolution"] not in RESOLUTIONS or body["duration"] not in DURATIONS:
            return {**told, "source": "unknown", "reason": "unpriced_model"}
        usd = _usd(body, model)
        return {
            **told,
            "source": "exact",
            "amount": f"{usd:.2f}",
            "amount_cents": usd * 100,
            "credits": round(usd * CREDITS_A_DOLLAR, 2),
        }

    def _submit(self, request: Request, provider: str, model: str) -> Reply:
        self._refuse_unknown(provider, model)
        record = self._keyed(request)
        try:
            if record.answer is not None:
                return _replayed(record.answer)
            body = self._checked(request, model)
            work = record.work = self._admit(body, model, request.headers.get("Idempotency-Key", ""))
        except Refusal:
            self._release(record)
            raise
        finally:
            record.busy = False
        handle = {**self._handle(work), "status": "IN_QUEUE", "queue_position": self.before(work)}
        record.answer = _numbered(json_reply(handle, 201))
        if not self.quotes:
            return record.answer
        # Not on a replay: "the original quote is not stored".
        return _numbered(json_reply({**handle, "estimate": self._estimate(body, model)}, 201))

    def _status(self, request: Request, provider: str, model: str, id: str) -> Reply:
        work = self._asked(provider, model, id)
        wait = {"IN_QUEUE": 3, "IN_PROGRESS": 2}.get(self._word(work))
        headers = {} if wait is None else {"Retry-After": str(wait)}
        return _numbered(json_reply(self._view(work), headers=headers))

    def _collect(self, request: Request, provider: str, model: str, id: str) -> Reply:
        work = self._asked(provider, model, id)
        if not work.done:
            return _numbered(json_reply(self._view(work), 202, {"Retry-After": "2"}))
        if work.state != "completed":
            return self._failure(work)
        return _numbered(json_reply(self._output(work), headers={"X-Content-Type-Options": "nosniff"}))

    def _cancel(self, request: Request, provider: str, model: str, id: str) -> Reply:
        work = self._known(provider, model, id)
        # A job that Luma has begun stays charged, which is the worst that the documentation says.
        stopped = self.cancel(work, refund=work.state == "queued")
        word = "CANCELLATION_REQUESTED" if stopped else "ALREADY_COMPLETED"
        return _numbered(
            json_reply({"request_id": work.id, "status": word}, 202 if stopped else self.late_cancel)
        )

    def _known(self, provider: str, model: str, id: str) -> Work:
        self._refuse_unknown(provider, model)
        work = self.known(id)
        if work.model != model:
            raise Refusal(self.not_found())
        return work

    def _asked(self, provider: str, model: str, id: str) -> Work:
        """The request, after one more question about it; finished ones are kept for a day."""
        self._known(provider, model, id)
        work = self.looked_at(id)
        if work.done:
            ended = self._ends.setdefault(work.id, self.now())
            if self.now() - ended >= DAY:
                # The table of errors has no type for it.
                raise Refusal(_numbered(json_reply({"detail": "The request is past its retention"}, 410)))
        return work

    def _bucket(self, work: Work) -> str:
        """The error type of a job that ended without a clip. How Luma's failures are sorted is inferred."""
        if work.state == "completed":
            return ""
        if work.state == "cancelled":
            return "queue_timeout" if work.id in self._given_up else "cancelled"
        if work.id in self._refused:
            return "invalid_input"
        return "content_policy_violation" if work.failure == "moderation" else "provider_error"

    def _failure(self, work: Work) -> Reply:
        """The error in place of a result; the words are inferred."""
        bucket = self._bucket(work)
        if bucket == "invalid_input":
            words = self._refused[work.id]
            return problem(bucket, f"luma rejected the request: {words}", upstream=400, upstream_detail=words)
        words = {
            "cancelled": "The request was cancelled",
            "queue_timeout": "The request waited too long in the queue and was never started",
            "content_policy_violation": "luma refused the request: Advanced prompt moderation failed",
            "provider_error": "luma reported a failure: "
            + ("Failed to read user input frames" if work.failure == "unreadable" else "Job failed"),
        }[bucket]
        asked = None if work.state == "cancelled" else 200
        return problem(bucket, words, upstream=asked)

    def _word(self, work: Work) -> str:
        return {"queued": "IN_QUEUE", "running": "IN_PROGRESS"}.get(work.state, "COMPLETED")

    def _handle(self, work: Work) -> dict[str, Any]:
        provider = "luma_2" if work.model == FILMS else "luma"
        address = f"{self.base_url}/v2/models/{provider}/{work.model}/requests/{work.id}"
        return {
            "request_id": work.id,
            "status_url": f"{address}/status",
            "response_url": address,
            "cancel_url": f"{address}/cancel",
        }

    def _view(self, work: Work) -> dict[str, Any]:
        view = {**self._handle(work), "status": self._word(work)}
        if work.state == "queued":
            view["queue_position"] = self.before(work)
        if work.done and self._bucket(work):
            view["error_type"] = self._bucket(work)
        return view

    def _output(self, work: Work) -> dict[str, Any]:
        """Luma's own answer about a finished generation."""
        if work.model == FILMS:
            return {
                "id": self.clip_id(work),
                "type": work.body["type"],
                "state": "completed",
                "model": FILMS,
                "created_at": utc(work.created_at),
                "output": [{"type": "video", "url": self.link(work)}],
                "failure_reason": None,
                "failure_code": None,
            }
        with self._keeping:
            if work.id not in self._bodies or self.renews_links:
                self._bodies[work.id] = {
                    "id": self.clip_id(work),
                    "generation_type": "video",
                    "state": "completed",
                    "failure_reason": None,
                    "created_at": utc(work.created_at),
                    "model": work.model,
                    "assets": {"video": self.link(work), "progress_video": None},
                    # "writing an explicit null into each one the caller did not set"
                    "request": {
                        **dict.fromkeys(("callback_url", "generation_type", "keyframes", "loop")),
                        **work.body,
                        "model": work.model,
                    },
                }
            return self._bodies[work.id]

    # -- storage ------------------------------------------------------------------------------------------

    def _store(self, request: Request) -> Reply:
        """A place for one file, with a link to put it there and one to get it. What is refused is inferred."""
        body = request.json
        problems = list(STORED(body, ("body",)))
        if problems:
            raise Refusal(problem("invalid_input", problems[0].text))
        place, signature = str(uuid.uuid4()), uuid.uuid4().hex
        name = body["file_name"].rpartition("/")[2] or "file"
        self.files[place] = File(
            name, body.get("content_type", "application/octet-stream"), signature, self.now()
        )
        address = f"{self.origin}/storage/{place}/{name}?X-Goog-Signature="
        return json_reply(
            {"upload_url": f"{address}put-{signature}", "download_url": f"{address}get-{signature}"}
        )

    def _put(self, request: Request, id: str, name: str) -> Reply:
        file = self._signed_file(request, id, name, "put", UPLOAD_LIFE)
        if request.headers.get("Content-Type") != file.content_type:
            return html_reply(403)  # the type is part of what is signed
        file.content = request.body
        return Reply(200)

    def _file(self, request: Request, id: str, name: str) -> Reply:
        file = self._signed_file(request, id, name, "get", DOWNLOAD_LIFE)
        if file.content is None:
            return html_reply(404)
        return file_reply(request, file.content, file.content_type)

    def _signed_file(self, request: Request, id: str, name: str, verb: str, life: float) -> File:
        file = self.files.get(id)
        signed = request.query.get("X-Goog-Signature")
        if (
            file is None
            or name != file.name
            or signed != f"{verb}-{file.signature}"
            or self.now() - file.made >= life
        ):
            raise Refusal(html_reply(403))
        return file


def _route(pattern: tuple[str, str]) -> tuple[str, tuple[str]]:
    return pattern[0], (pattern[1],)


def _listed(model: str) -> dict[str, Any]:
    """A line of the catalogue. What is said of Luma's refusals is inferred; "unknown" is one of the three words."""
    billing = {"charges_on_policy_rejection": "unknown"}
    return {"id": f"luma/{model}", "provider": "luma", "model": model, "billing": billing}


def _as_documented(item: Problem) -> Problem:
    """A body that is no object at all is documented as `dict_type`."""
    return item._replace(kind="dict_type") if item.kind == "object_type" else item


def _usd(body: Mapping[str, Any], model: str) -> float:
    return USD[model, body["duration"]][RESOLUTIONS.index(body["resolution"])]


def _numbered(reply: Reply) -> Reply:
    """With the id that every answer of Router carries. It is that of one HTTP call and addresses nothing."""
    return replace(reply, headers={**reply.headers, "X-Comfy-Request-Id": str(uuid.uuid4())})


def _replayed(reply: Reply) -> Reply:
    again = _numbered(reply)
    return replace(again, headers={**again.headers, "Idempotent-Replayed": "true"})


def _film_trouble(body: dict[str, Any]) -> str:
    """Why Luma's newer API does not take a film; else an empty string. The words are inferred."""
    stray = [item for item in FILM_INPUT(body, ("body",)) if item.kind == _NOT_DECLARED]
    if stray:
        return f"{'.'.join(map(str, stray[0].where[1:]))}: Extra inputs are not permitted"
    if not 1 <= len(body["prompt"].strip()) <= 6000:
        return "The prompt should have 1 to 6000 characters"
    if body["type"] == "video_reframe":
        return "" if "aspect_ratio" in body else "aspect_ratio is required"
    return "" if "duration" in body["video"] else "video.duration is required"
