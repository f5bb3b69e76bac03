"""The video half of the LLM Stats gateway as it is documented, and nothing else.

Sources (read 2026-11-20): gateway/{introduction,generations,errors}.mdx of zeroeval/llm-stats-docs at 5af036a6, and
the model page of ray-flash-2 on llm-stats.com. Where these say nothing, a comment marks the answer as inferred.
The catalogue of models is on another host (api.llm-stats.com) and not here.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from . import clips
from .jobs import JobEmulator, Trouble, Work
from .server import Fault, Refusal, Reply, Request, Route, html_reply, json_reply, utc
from .shapes import Problem, Where, fields, items, text, web_address, whole

MODEL = "ray-flash-2"
USD_A_SECOND = {"720p": 0.20, "1080p": 0.30}
# The documentation of the gateway lists neither; these are Ray's own.
DURATIONS = (5, 9)
ASPECT_RATIOS = ("1:1", "16:9", "9:16", "4:3", "3:4", "21:9", "9:21")
# No default is documented; both are inferred.
DEFAULT_DURATION = 5
DEFAULT_RESOLUTION = "720p"

CODES: Final = {
    "invalid_input": 400,
    "unauthenticated": 401,
    "insufficient_quota": 402,
    "model_unavailable": 403,
    "not_found": 404,
    "content_policy": 422,
    "rate_limited": 429,
    "internal_error": 500,
    "provider_unavailable": 502,
    "provider_timeout": 504,
}
"""Every documented `error.code`, with the status it comes with."""
_ASKS_TO_WAIT: Final = (429, 502, 504)
_FAILURES: Final = {
    # Which codes a failed job carries is not documented beyond "see Error codes"; inferred.
    "moderation": ("content_policy", "The provider rejected the prompt or an input image."),
    "failed": ("provider_unavailable", "Every provider for this model returned an error."),
    "unreadable": ("invalid_input", "An input image could not be fetched."),
}
_LINK_LIFE: Final = 3600
"""Seconds; "typically one hour"."""
_REQUESTS_A_MINUTE: Final = 60
"""What the headers tell. The real number is not documented; it is not enforced here."""
_AUTO_WAIT: Final = 5
"""Seconds. That it is short for video is documented, the number is inferred."""


def error(code: str, message: str, param: str | None = None, *, retry_after: int = 7) -> Reply:
    """The one envelope for errors. *retry_after* (seconds) is told where that is documented."""
    status = CODES[code]
    headers = {"Retry-After": str(retry_after)} if status in _ASKS_TO_WAIT else {}
    return json_reply({"error": {"code": code, "message": message, "param": param}}, status, headers)


def _length(shortest: int, longest: int) -> Any:
    def rule(value: Any, where: Where) -> Iterator[Problem]:
        yield from text(value, where)
        if isinstance(value, str) and not shortest <= len(value) <= longest:
            yield Problem(where, "length", f"Must have {shortest} to {longest} characters")

    return rule


def _shaped(pattern: str, words: str) -> Any:
    def rule(value: Any, where: Where) -> Iterator[Problem]:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            yield Problem(where, "pattern", f"Must be {words}")

    return rule


def _images(value: Any, where: Where) -> Iterator[Problem]:
    # "Reference URLs": that a data: URL is refused is inferred.
    yield from items(web_address)(value, where)
    if isinstance(value, list) and len(value) > 8:
        yield Problem(where, "too_many", "Must have at most 8 items")


def _count(value: Any, where: Where) -> Iterator[Problem]:
    yield from whole(value, where)
    if isinstance(value, int) and not 1 <= value <= 10:
        yield Problem(where, "range", "Must be 1 to 10")


def _wait(value: Any, where: Where) -> Iterator[Problem]:
    if value == "auto":
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 60:
        yield Problem(where, "range", "Must be 0 to 60 or 'auto'")


def _duration(value: Any, where: Where) -> Iterator[Problem]:
    # "number | string", in seconds. That "5s" is no such string is inferred.
    if _seconds(value) is None:
        yield Problem(where, "duration", "Must be a number of seconds")
    elif _seconds(value) not in DURATIONS:
        yield Problem(where, "duration", f"{MODEL} makes 5 or 9 seconds")  # inferred


def _seconds(value: Any) -> float | None:
    if isinstance(value, str) and re.fullmatch(r"\d+(\.\d+)?", value):
        return float(value)
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _resolution(value: Any, where: Where) -> Iterator[Problem]:
    # The model's page claims 540p to 4K and has a price for these two only. That others are refused is inferred.
    if not isinstance(value, str) or value not in USD_A_SECOND:
        yield Problem(where, "resolution", f"{MODEL} makes 720p or 1080p")


SHAPE: Final = fields(
    required={
        "model": text,
        "input": fields(
            required={"prompt": _length(1, 8000)},
            optional={
                "images": _images,
                "aspect_ratio": _shaped(r"\d+:\d+", "of the form W:H"),
                "size": _shaped(r"\d+x\d+", "of the form WxH"),
                "duration": _duration,
                "resolution": _resolution,
                "seed": whole,
                "negative_prompt": text,
            },
        ),
    },
    optional={"n": _count, "wait": _wait},
)


class LlmStatsEmulator(JobEmulator):
    """The gateway, an account with prepaid credit, and its generations."""

    prefix = "/v1"
    default_key = "ze_test-0123456789abcdef"
    create = ("POST", "/generations")
    poll = ("GET", "/generations/{id}")

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._ended: dict[str, float] = {}
        """When each job was first seen at its end, by the emulator's clock."""

    def routes(self) -> list[Route]:
        """The two calls for images and video, and the finished files."""
        return [
            Route("POST", ("/generations",), self._create),
            Route("GET", ("/generations/{id}",), self._get),
            *self.file_routes(),
        ]

    def file_routes(self) -> list[Route]:
        """Finished clips, at links that also expire by the clock."""
        return [Route("GET", ("/assets/{name}.mp4",), self._signed, public=True)]

    def environment(self) -> dict[str, str]:
        """The variables that lead the pack here."""
        return {
            "LLM_STATS_BASE_URL": self.base_url,
            "LLM_STATS_API_KEY": self.key,
            "LUMA_RAY_ALLOWED_HOSTS": self.netloc,
        }

    def unauthorized(self) -> Reply:
        """The documented 401."""
        return error("unauthenticated", "Missing, malformed, or revoked API key.")

    def not_found(self) -> Reply:
        """The documented 404."""
        return error("not_found", "No generation with this id.", "id")

    def trouble(self, kind: Trouble) -> Reply:
        """How the gateway refuses a create."""
        match kind:
            case "unauthorized":
                return self.unauthorized()
            case "no money":
                return error("insufficient_quota", "Account out of credit or over plan limits.")
            case "rate limit":
                return error("rate_limited", "Slow down.")
            case "moderation":
                return error("content_policy", "Provider rejected the prompt.", "input.prompt")
            case "server error":
                return error("internal_error", "Something went wrong on our side.")

    def unknown_status(self) -> Fault:
        """A status that is in no documentation."""
        return Fault.fields(status="paused")

    def link(self, work: Work) -> str:
        """A new link to the clip, good for an hour."""
        return f"{super().link(work)}&expires={self.now() + _LINK_LIFE:.0f}"

    def exchange(self, request: Request) -> Reply:
        """The answer, with the headers that every response carries."""
        reply = super().exchange(request)
        if not request.target.startswith(f"{self.prefix}/"):
            return reply
        if reply.status in (404, 405) and not _in_envelope(reply):
            # The gateway's one shape for errors. That an unknown call gets this code is inferred.
            envelope = error("not_found", f"No {request.method} {request.path} here.")
            reply = replace(envelope, status=reply.status)
        told = {"X-Request-Id": f"req_{uuid.uuid4().hex}", **self.minute(_REQUESTS_A_MINUTE)}
        return replace(reply, headers={**told, **reply.headers})

    # -- answers ------------------------------------------------------------------------------------------

    def _create(self, request: Request) -> Reply:
        body = _checked(request)
        if body["model"] != MODEL:
            raise Refusal(error("model_unavailable", f"{body['model']} isn't enabled.", "model"))
        given = body["input"]
        resolution = given.get("resolution", DEFAULT_RESOLUTION)
        seconds = int(_seconds(given.get("duration", DEFAULT_DURATION)) or DEFAULT_DURATION)
        work = self.accept(
            id=f"gen_{uuid.uuid4().hex}",
            body=body,
            model=MODEL,
            resolution=resolution,
            aspect_ratio=_capped(given.get("aspect_ratio", "16:9")),
            seconds=seconds,
            usd=round(USD_A_SECOND[resolution] * seconds, 2),
            prompt=given["prompt"],
            # The first is the primary input; what further ones do is not documented: here nothing.
            first=(given.get("images") or [None])[0],
        )
        wait = body.get("wait", "auto")
        wait = _AUTO_WAIT if wait == "auto" else wait
        return self._answer_about(self.looked_at(work.id, wait=wait) if wait else work)

    def _get(self, request: Request, id: str) -> Reply:
        wait = request.query.get("wait", "0")
        # "auto" is documented for the create only.
        if set(request.query) - {"wait"} or not re.fullmatch(r"\d+(\.\d+)?", wait) or float(wait) > 60:
            raise Refusal(error("invalid_input", "wait must be 0 to 60.", "wait"))
        return self._answer_about(self.looked_at(id, wait=float(wait)))

    def _signed(self, request: Request, name: str) -> Reply:
        expires = request.query.get("expires", "")
        if not expires.isdecimal() or self.now() > int(expires):
            return html_reply(403)
        return self._asset(request, name)

    def _answer_about(self, work: Work) -> Reply:
        with work.moving:
            headers = {"Cache-Control": "private, max-age=60"}
            if not work.done:
                headers = {"Cache-Control": "no-store", "Retry-After": "2"}
            return json_reply(self._view(work), 200, headers)

    def _view(self, work: Work) -> dict[str, Any]:
        """The GenerationResponse."""
        completed = work.state == "completed"
        ended = self._ended.setdefault(work.id, self.now()) if work.done else None
        view: dict[str, Any] = {
            "id": work.id,
            "object": "generation",
            "status": work.state,
            "model": work.model,
            "created_at": utc(work.created_at),
            "completed_at": None if ended is None else utc(ended),
            "output": {"media": [self._artifact(work)]} if completed else None,
            # That a job that failed costs nothing is inferred.
            "usage": {"cost_usd": work.usd if completed else 0.0} if work.done else None,
            "error": None,
        }
        if work.state == "failed":
            code, message = _FAILURES[work.failure]
            view["error"] = {"code": code, "message": message}
        return view

    def _artifact(self, work: Work) -> dict[str, Any]:
        first, _, _ = clips.edges(self.film(work))
        return {
            "type": "video",
            "url": self.link(work),
            "format": "mp4",
            "width": first.width,
            "height": first.height,
            "duration_seconds": work.seconds,
        }


def _checked(request: Request) -> dict[str, Any]:
    """The body, if it has the documented shape; else a refusal of the first thing that is wrong."""
    if not request.is_json:
        raise Refusal(error("invalid_input", "The body must be application/json."))
    for problem in SHAPE(request.json, ()):
        param = ".".join(str(part) for part in problem.where) or None
        raise Refusal(error("invalid_input", f"{param or 'body'}: {problem.text}", param))
    body: dict[str, Any] = request.json
    return body


def _capped(ratio: str) -> str:
    """The nearest ratio of the model: "capped to the model's supported set"."""
    across, down = map(int, ratio.split(":"))
    if not across or not down:
        raise Refusal(error("invalid_input", "aspect_ratio has no area.", "input.aspect_ratio"))

    def distance(known: str) -> float:
        width, height = map(int, known.split(":"))
        return abs(across / down - width / height)

    return min(ASPECT_RATIOS, key=distance)


def _in_envelope(reply: Reply) -> bool:
    try:
        content: Any = json.loads(reply.body)
    except ValueError:
        return False
    return isinstance(content, Mapping) and "error" in content
