"""Railwail: what its documentation says of jobs, models and errors, and the ways it may take a video.

Sources (read 2026-11-20): railwail.com/en/docs (api/models, api/jobs, guides/error-codes, guides/rate-limits) and the
page of luma-ray-flash. No page shows how a video is asked for, so POST /videos is inferred as a whole: OpenAI's call,
from the types of the `openai` SDK 3.52.0, answered in the *dialect* chosen. No price is published; here a clip costs
50 credits, worth $0.50.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, Literal

from . import clips
from .jobs import JobEmulator, Trouble, Work
from .server import Fault, Part, Refusal, Reply, Request, Route, file_reply, json_reply
from .shapes import Problem, Where, fields, one_of, text

Dialect = Literal["openai", "job", "data", "output_url", "url", "absent"]
"""What POST /videos answers: OpenAI's video object; a job object; the finished clip's address at once, in one of
three places; or that there is no such call."""

MODEL: Final = "luma-ray-flash"
SIZES: Final = {"1280x720": "16:9", "720x1280": "9:16"}
CREDITS: Final = 50
USD: Final = 0.50
_REQUESTS_A_MINUTE: Final = 60
_OPENAI_WORDS: Final = {"running": "in_progress", "cancelled": "failed"}
_JOB_WORDS: Final = {"running": "processing"}
_FAILURES: Final = {
    "moderation": ("moderation_blocked", "The request was blocked by our moderation system"),
    "failed": ("internal_error", "The model failed"),
    "unreadable": ("bad_request", "The input reference could not be read"),
    "": ("cancelled", "The job was cancelled"),
}
_TYPES: Final = {400: "invalid_request_error", 401: "authentication_error", 402: "billing_error"}
"""`type` of an error; documented is that there is one, the words are inferred."""


def error(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Reply:
    """The documented envelope."""
    kind = _TYPES.get(status, "api_error")
    return json_reply({"error": {"message": message, "type": kind, "code": code}}, status, headers)


def _reference(value: Any, where: Where) -> Iterator[Problem]:
    """The first frame: one of a file that came along, an address or data: URL, or an uploaded file's id."""
    if isinstance(value, clips.Picture):
        return
    yield from fields(optional={"image_url": text, "file_id": text})(value, where)
    if isinstance(value, dict) and len(value) != 1:
        yield Problem(where, "one", "Either image_url or file_id")


SHAPE: Final = fields(
    required={"prompt": text},
    optional={
        "model": text,
        "seconds": one_of("5"),
        "size": one_of(*SIZES),
        "input_reference": _reference,
    },
)
"""OpenAI's fields. That the model makes clips of 5 s in these sizes and no others is inferred."""


class RailwailEmulator(JobEmulator):
    """The gateway and its jobs. *dialect* says how it answers a create."""

    prefix = "/api/v1"
    default_key = "rw_live_0123456789abcdef"
    create = ("POST", "/videos")

    def __init__(self, *, dialect: Dialect = "openai", **options: Any) -> None:
        self.dialect = dialect
        self.poll = ("GET", "/videos/{id}" if dialect == "openai" else "/jobs/{id}")
        if dialect == "openai":
            self.asset = ("GET", "/videos/{id}/content")
        super().__init__(**options)

    def routes(self) -> list[Route]:
        """What is documented, and the video calls of the dialect."""
        documented = [
            Route("GET", ("/jobs/{id}",), self._job),
            Route("GET", ("/models",), self._models),
            Route("GET", ("/models/{slug}",), self._model),
            *self.file_routes(),
        ]
        if self.dialect == "absent":
            return documented
        videos = [Route("POST", ("/videos",), self._create)]
        if self.dialect == "openai":
            videos += [
                Route("GET", ("/videos",), self._list),
                Route("GET", ("/videos/{id}",), self._video),
                Route("DELETE", ("/videos/{id}",), self._delete),
                Route("GET", ("/videos/{id}/content",), self._content),
            ]
        return [*documented, *videos]

    def environment(self) -> dict[str, str]:
        """The variables that lead the pack here."""
        return {
            "RAILWAIL_BASE_URL": self.base_url,
            "RAILWAIL_API_KEY": self.key,
            "LUMA_RAY_ALLOWED_HOSTS": self.netloc,
        }

    def unauthorized(self) -> Reply:
        """The documented 401."""
        return error(401, "invalid_api_key", "Invalid API key")

    def not_found(self) -> Reply:
        """A 404 is documented, its code is inferred."""
        return error(404, "not_found", "Not found")

    def trouble(self, kind: Trouble) -> Reply:
        """How a create is refused; all but moderation, which is inferred, as documented."""
        match kind:
            case "unauthorized":
                return self.unauthorized()
            case "no money":
                return error(402, "insufficient_credits", "Not enough credits")
            case "rate limit":
                return error(429, "rate_limit_exceeded", "Too many requests", {"Retry-After": "7"})
            case "moderation":
                return error(
                    400, "content_policy_violation", "Your request was rejected by our safety system"
                )
            case "server error":
                return error(500, "internal_error", "Internal error")

    def unknown_status(self) -> Fault:
        """A status that is in no documentation."""
        return Fault.fields(status="paused")

    def exchange(self, request: Request) -> Reply:
        """The answer, with the headers that the API's answers carry and in its one shape for errors."""
        reply = super().exchange(request)
        if not request.target.startswith(f"{self.prefix}/"):
            return reply
        if reply.status in (404, 405) and not self._serves(request):
            reply = error(reply.status, "not_found", f"No {request.method} {request.path} here")
        return replace(reply, headers={**self.minute(_REQUESTS_A_MINUTE), **reply.headers})

    def _serves(self, request: Request) -> bool:
        return any(route.method == request.method for route, _ in self._serving(request))

    # -- videos -------------------------------------------------------------------------------------------

    def _create(self, request: Request) -> Reply:
        body = _checked(request)
        if body.get("model", MODEL) != MODEL:
            raise Refusal(error(404, "model_not_found", f"The model {body['model']} does not exist"))
        reference = body.get("input_reference")
        work = self.accept(
            id=f"{'video' if self.dialect == 'openai' else 'job'}_{uuid.uuid4().hex}",
            body=body,
            model=MODEL,
            resolution="720p",
            aspect_ratio=SIZES[body.get("size", "1280x720")],
            seconds=5,
            usd=USD,
            prompt=body["prompt"],
            first=_first_frame(reference),
        )
        if self.dialect == "openai":
            return json_reply(self._video_view(work))
        if self.dialect == "job":
            return json_reply(self._job_view(work))
        return self._at_once(work)

    def _at_once(self, work: Work) -> Reply:
        """The answer of a gateway that holds the create until the clip is done."""
        work = self.looked_at(work.id, wait=3600)
        if work.state != "completed":
            code, message = _FAILURES[work.failure]
            return error(400 if work.failure != "failed" else 500, code, message)
        address = self.link(work)
        if self.dialect == "data":
            return json_reply({"created": int(work.created_at), "data": [{"url": address}]})
        return json_reply({self.dialect: address, "model": MODEL})

    def _video(self, request: Request, id: str) -> Reply:
        work = self.looked_at(id)
        with work.moving:
            return json_reply(self._video_view(work))

    def _content(self, request: Request, id: str) -> Reply:
        if request.query.get("variant", "video") != "video":
            raise Refusal(error(400, "bad_request", "There is only the video"))  # inferred
        work = self.known(id)
        if work.state != "completed":
            raise Refusal(error(404, "not_found", "The video is not ready"))  # inferred
        return file_reply(request, self.film(work), "video/mp4")

    def _delete(self, request: Request, id: str) -> Reply:
        # "Permanently delete a completed or failed video": that a running one is refused is inferred.
        if not self.known(id).done:
            raise Refusal(error(400, "bad_request", "The video is still being made"))
        with self._account:
            del self._jobs[id]
        return json_reply({"id": id, "object": "video.deleted", "deleted": True})

    def _list(self, request: Request) -> Reply:
        with self._account:
            works = list(self._jobs.values())
        if request.query.get("order", "desc") == "desc":
            works.reverse()
        after = request.query.get("after")
        if after:
            works = works[[work.id for work in works].index(self.known(after).id) + 1 :]
        limit = int(request.query.get("limit", "20"))
        shown = [self._video_view(work) for work in works[:limit]]
        return json_reply(
            {
                "object": "list",
                "data": shown,
                "first_id": shown[0]["id"] if shown else None,
                "last_id": shown[-1]["id"] if shown else None,
                "has_more": len(works) > limit,
            }
        )

    def _video_view(self, work: Work) -> dict[str, Any]:
        """OpenAI's video object."""
        failed = work.state in ("failed", "cancelled")
        code, message = _FAILURES[work.failure]
        return {
            "id": work.id,
            "object": "video",
            "created_at": int(work.created_at),
            "completed_at": int(self.now()) if work.state == "completed" else None,
            "expires_at": None,
            "model": work.model,
            "progress": {"queued": 0, "completed": 100}.get(work.state, 50),
            "prompt": work.prompt,
            "remixed_from_video_id": None,
            "seconds": str(work.seconds),
            "size": next(size for size, ratio in SIZES.items() if ratio == work.aspect_ratio),
            "status": _OPENAI_WORDS.get(work.state, work.state),
            "error": {"code": code, "message": message} if failed else None,
        }

    # -- what is documented -------------------------------------------------------------------------------

    def _job(self, request: Request, id: str) -> Reply:
        work = self.looked_at(id)
        with work.moving:
            return json_reply(self._job_view(work))

    def _job_view(self, work: Work) -> dict[str, Any]:
        """The job object. What is in `output` and `timing`, and the shape of `error`, is inferred."""
        code, message = _FAILURES[work.failure]
        address = self.link(work) if work.state == "completed" else None
        return {
            "id": work.id,
            "object": "job",
            "status": _JOB_WORDS.get(work.state, work.state),
            "model": {"slug": work.model},
            "input": {"prompt": work.prompt},
            "output": {"url": address} if address else {},
            "output_url": address,
            "cost": {"credits": 0 if work.state in ("failed", "cancelled") else CREDITS},
            "timing": {"created_at": int(work.created_at)},
            "error": {"code": code, "message": message} if work.state == "failed" else None,
        }

    def _models(self, request: Request) -> Reply:
        wanted = request.query.get("category", "video")
        return json_reply({"object": "list", "data": [_model()] if wanted == "video" else []})

    def _model(self, request: Request, slug: str) -> Reply:
        return json_reply(_model()) if slug == MODEL else self.not_found()


def _model() -> dict[str, Any]:
    """Documented of it are the slug, the category and `pricing.credit_cost_fixed`."""
    return {
        "slug": MODEL,
        "object": "model",
        "category": "video",
        "pricing": {"credit_cost_fixed": CREDITS},
    }


def _checked(request: Request) -> dict[str, Any]:
    """The body, if it has the shape of OpenAI's types; as JSON or as a form, which OpenAI's client always sends."""
    form = request.form
    if form is None and not request.is_json:
        raise Refusal(error(400, "bad_request", "The body must be JSON or a form"))
    body: Any = request.json if form is None else _unfolded(form)
    for problem in SHAPE(body, ()):
        where = ".".join(str(part) for part in problem.where) or "body"
        raise Refusal(error(400, "bad_request", f"{where}: {problem.text}"))
    if not body["prompt"].strip():
        raise Refusal(error(400, "bad_request", "prompt: must not be empty"))  # inferred
    checked: dict[str, Any] = body
    return checked


def _unfolded(form: Mapping[str, Part]) -> dict[str, Any]:
    """The body that a form stands for; `input_reference[image_url]` is a field in a field, a file is a picture."""
    body: dict[str, Any] = {}
    for name, part in form.items():
        if part.file is not None:
            try:
                body[name] = clips.picture(part.content)
            except clips.Unreadable:
                raise Refusal(error(400, "bad_request", f"{name}: not a picture")) from None
            continue
        outer, _, inner = name.partition("[")
        if inner:
            body.setdefault(outer, {})[inner.removesuffix("]")] = part.content.decode()
        else:
            body[name] = part.content.decode()
    return body


def _first_frame(reference: Any) -> clips.Picture | str | None:
    if reference is None or isinstance(reference, clips.Picture):
        return reference
    if "file_id" in reference:
        raise Refusal(error(400, "bad_request", "input_reference: no file has this id"))  # there is no upload
    address: str = reference["image_url"]
    inline = re.fullmatch(r"data:image/(?:png|jpeg|webp);base64,(.*)", address, re.DOTALL)
    if inline:
        try:
            return clips.picture(clips.unpacked(inline.group(1)))
        except clips.Unreadable:
            raise Refusal(error(400, "bad_request", "input_reference: not a picture")) from None
    if not address.startswith(("http://", "https://")):
        raise Refusal(error(400, "bad_request", "input_reference: neither a URL nor a data: URL"))
    return address
