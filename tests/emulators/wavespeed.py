"""WaveSpeedAI's REST API v3 as it is documented, for the four models of Ray 2 and Ray 2 Flash only.

Sources: wavespeed.ai/docs (luma models, error-codes, predictions, delete-task, upload-files-api, check-billings,
account-levels) and the `wavespeed` SDK 2.0.5, read 2026-11-20 and 2026-11-21; WaveSpeedAI/mcp-server at bb1c8fb6 and
WaveSpeedAI/wavespeed-cli at 13b1cca1, the same days. Where these say nothing, a comment marks the answer as inferred.

The documented error codes (1200, 1400, ...) belong to tasks that failed. That a create is refused with the same
codes, and that nothing is created then, is inferred. Webhooks are checked and never called.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from . import clips
from .jobs import MODES, Entry, JobEmulator, Trouble, Work
from .server import Fault, Refusal, Reply, Request, Route, file_reply, html_reply, json_reply, time_told, utc
from .shapes import Problem, Rule, Where, fields, flag, items, one_of, text, web_address, whole

Ending = Literal["completed", "failed", "cancelled", "timeout", "deleted"]
"""Every word with which a task ends; the first two are documented, the others are in the SDK."""
Told = Literal["status", "envelope"]

SIZES = {"1280*720": "16:9", "720*1280": "9:16"}
DURATIONS = (5, 10)
USD = {"ray-2": 0.40, "ray-2-flash": 0.20}
"""For 5 s; 10 s cost twice that. The second is documented, the first is published by others only."""
MODELS = tuple(f"{model}-{kind}" for model in USD for kind in ("t2v", "i2v"))
MODIFY = fields(
    {"video": web_address},
    {
        "prompt": text,
        "mode": one_of(*MODES),
        "first_frame": web_address,
        "enable_sync_mode": flag,
        "enable_base64_output": flag,
    },
)
"""luma/modify-video: films of up to 100 MB and 30 s; the flags are documented for every call."""
CODES = {
    "moderation": (1200, "The content contains sensitive information."),
    "unreadable": (1402, "Failed to download image from the provided URL."),
    "failed": (1405, "The task execution failed."),
}
"""Why tasks fail: documented codes; the second text is documented, the others follow the descriptions."""
STATUSES = ("created", "processing", "completed", "failed", "cancelled", "timeout")
"""What a list can be filtered by."""
KEPT = 7 * 24 * 3600
"""Seconds for which tasks and uploads are kept."""
LARGEST_PICTURE = 20_000_000
LARGEST_UPLOAD = 200 * 1024 * 1024
PICTURES = ("image/png", "image/jpeg", "image/webp", "image/gif", "image/bmp", "image/tiff")


def altered(**values: Any) -> Fault:
    """Replace fields of `data` in the answer."""

    def change(reply: Reply) -> Reply:
        content = json.loads(reply.body)
        return replace(reply, body=json_reply({**content, "data": {**content["data"], **values}}).body)

    return Fault(change, handled=True)


@dataclass
class Upload:
    """One file of the storage."""

    name: str
    content_type: str
    created: float
    size: int
    headers: Mapping[str, str]
    """What a PUT has to bring."""
    content: bytes | None = None


def _seconds(value: Any, where: Where) -> Iterator[Problem]:
    if not isinstance(value, int) or isinstance(value, bool) or value not in DURATIONS:
        yield Problem(where, "enum", "Input should be the integer 5 or 10")


class WaveSpeedEmulator(JobEmulator):
    """The models, their tasks, the storage and the account.

    *ending* is how tasks end that nothing else stops; a prompt with "indecent" or "doomed" fails as everywhere.
    *errors*: refusals come as HTTP status or inside an answer of HTTP 200, as the MCP server expects both.
    *durations*: WaveSpeedAI's older pages have strings, the current ones integers.
    *optimizer*: the older pages have `enable_prompt_optimizer`, the current ones do not.
    *tickets* and *forms*: whether the current and the older way to upload are there.
    *shows_inputs*: the field of listed tasks with what was asked. The documentation shows none; the CLI reads either.
    *discount*: the share that this account pays less.
    """

    prefix = "/api/v3"
    default_key = "wsk_test-0123456789abcdef"
    create = ("POST", "/luma/*")
    poll = ("GET", "/predictions/{id}/result")

    def __init__(
        self,
        *,
        ending: Ending = "completed",
        errors: Told = "status",
        durations: Literal["integer", "string"] = "integer",
        optimizer: bool = True,
        tickets: bool = True,
        forms: bool = True,
        shows_inputs: Literal["", "inputs", "input"] = "",
        discount: float = 0.0,
        refunds: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.ending = ending
        self.told = errors
        self.durations = durations
        self.optimizer = optimizer
        self.tickets = tickets
        self.forms = forms
        self.shows_inputs = shows_inputs
        self.discount = discount
        # Whether failed tasks are refunded is not documented; that there are refunds is (check-billings).
        self.refunds_failures = refunds
        self.uploads: dict[str, Upload] = {}
        """By path below /media."""
        self._words: dict[str, Ending] = {}
        """How a task ends or has ended, by its id, where it is not as the others do."""
        self._forgotten: set[str] = set()
        """Ids that were taken off the history."""

    def routes(self) -> list[Route]:
        """Everything documented that has to do with these models."""
        return [
            Route("POST", ("/luma/{model}",), self._submit),
            Route("GET", ("/predictions/{id}/result", "/predictions/{id}"), self._result),
            Route("DELETE", ("/predictions/{id}",), self._delete),
            Route("POST", ("/predictions",), self._list),
            Route("POST", ("/predictions/delete",), self._delete_all),
            Route("GET", ("/balance",), lambda request: self._said({"balance": round(self.balance, 6)})),
            Route("POST", ("/model/price",), self._price),
            Route("GET", ("/models",), lambda request: self._said(self._models())),
            Route("POST", ("/billings/search",), self._billings),
            Route("POST", ("/media/uploads",), self._ticket),
            Route("POST", ("/media/upload/binary",), self._form),
            Route("PUT", ("/storage/{id}/{name}",), self._put, public=True),
            Route("GET", ("/media/{id}/{name}",), self._file, public=True),
            *self.file_routes(),
        ]

    def environment(self) -> dict[str, str]:
        """The variables that lead the pack here; the first is also that of WaveSpeedAI's CLI and MCP server."""
        return {
            "WAVESPEED_BASE_URL": self.origin,
            "WAVESPEED_API_KEY": self.key,
            "LUMA_RAY_ALLOWED_HOSTS": self.netloc,
        }

    def unauthorized(self) -> Reply:
        """The body is inferred from the envelope; WaveSpeedAI's blog says what the message is about."""
        return self._refused(401, 401, "Invalid authentication: check your API key.")

    def not_found(self) -> Reply:
        """The documented 404, "Task not found"."""
        return self._refused(404, 404, "Task not found")

    def trouble(self, kind: Trouble) -> Reply:
        """401 and 429 are documented; the other statuses, Retry-After and the wordings are inferred."""
        match kind:
            case "unauthorized":
                return self.unauthorized()
            case "no money":
                return self._refused(402, 402, "Insufficient balance, please top up your account.")
            case "rate limit":
                return self._refused(429, 429, "Too many requests.", {"Retry-After": "7"})
            case "moderation":
                return self._refused(400, *CODES["moderation"])
            case "server error":
                return self._refused(500, 5000, "An internal error occurred.")

    def unknown_status(self) -> Fault:
        """A word that is neither documented nor in the SDK."""
        return altered(status="paused")

    # -- tasks --------------------------------------------------------------------------------------------

    def _submit(self, request: Request, model: str) -> Reply:
        if model == "modify-video":
            return self._modify(request)
        if model not in MODELS:
            raise Refusal(self._refused(404, 404, f"Model luma/{model} not found"))  # wording inferred
        body = self._checked(request, self._shape(model))
        _check_webhook(self, request)
        seconds = int(body.get("duration", 5))
        size = body.get("size", "1280*720")
        task = uuid.uuid4().hex
        if self.ending != "completed":
            self._words[task] = self.ending
        work = self.accept(
            id=task,
            body=body,
            model=f"luma/{model}",
            resolution="720p",
            aspect_ratio=SIZES[size],
            seconds=seconds,
            usd=self._usd(model, seconds)[1],
            prompt=body["prompt"],
            first=body.get("image"),
        )
        if not body.get("enable_sync_mode"):
            return self._said(self._view(work))
        done = self._view(self.looked_at(work.id, wait=60))
        if not work.done:
            done |= {"code": 5004, "error": "Sync mode timed out, query the result later."}
        return self._said(done)

    def _modify(self, request: Request) -> Reply:
        """The documented fields; what it costs for how long a film is not, so this is a price of 5 s."""
        body = self._checked(request, MODIFY)
        _check_webhook(self, request)
        task = uuid.uuid4().hex
        if self.ending != "completed":
            self._words[task] = self.ending
        work = self.accept(
            id=task,
            body=body,
            model="luma/modify-video",
            resolution="720p",
            aspect_ratio="16:9",
            seconds=5,
            usd=1.00,
            prompt=body.get("prompt", ""),
            remake="modify",
            media=body["video"],
            first=body.get("first_frame"),
        )
        return self._said(self._view(work))

    def _shape(self, model: str) -> Rule:
        """The fields of one model; that a field nobody documents is refused is inferred."""
        required: dict[str, Rule] = {"prompt": text}
        optional: dict[str, Rule] = {
            "size": one_of(*SIZES),
            "duration": _seconds if self.durations == "integer" else one_of(*map(str, DURATIONS)),
            "enable_sync_mode": flag,
            "enable_base64_output": flag,
        }
        if self.optimizer:
            optional["enable_prompt_optimizer"] = flag
        if model.endswith("-i2v"):
            required["image"] = web_address
        return fields(required, optional)

    def _result(self, request: Request, id: str) -> Reply:
        if self.now() > self.known(id).created_at + KEPT:
            raise Refusal(self.not_found())
        return self._said(self._view(self.looked_at(id)))

    def _delete(self, request: Request, id: str) -> Reply:
        work = self.known(id)
        self._forget(work)
        return self._said({"id": work.id, "status": "deleted"})

    def _delete_all(self, request: Request) -> Reply:
        body = self._checked(request, fields({"ids": items(text)}))
        for work in [self.known(name) for name in body["ids"]]:
            self._forget(work)
        return self._said(None)  # what comes back is not documented

    def _forget(self, work: Work) -> None:
        """Off the history. A finished task keeps its outputs; a running one stops, half of its price refunded.

        Documented are "outputs remain accessible" and "partial refunds may apply"; the half is inferred.
        """
        self._forgotten.add(work.id)
        if self.cancel(work, refund=False):
            self._words[work.id] = "deleted"
            with self._account:
                self.ledger.append(Entry(work.id, work.usd / 2))

    def _list(self, request: Request) -> Reply:
        page = _between(1, 1_000_000)
        optional: dict[str, Rule] = {
            "model": text,
            "status": one_of(*STATUSES),
            "created_after": _moment,
            "created_before": _moment,
        }
        body = self._checked(request, fields({"page": page, "page_size": _between(1, 100)}, optional))
        after = _when(body.get("created_after"), 0.0)
        before = _when(body.get("created_before"), float("inf"))
        with self._account:
            newest = self.creates[::-1]
        found = [
            work
            for work in newest
            if max(after, self.now() - KEPT) <= work.created_at <= before
            and work.id not in self._forgotten
            and body.get("model") in (None, work.model)
            and body.get("status") in (None, self._word(work))
        ]
        begin = (body["page"] - 1) * body["page_size"]
        shown = [self._listed(work) for work in found[begin : begin + body["page_size"]]]
        return self._said({"page": body["page"], "items": shown})

    def _listed(self, work: Work) -> dict[str, Any]:
        asked = {name: value for name, value in work.body.items() if name != "enable_sync_mode"}
        return {**self._view(work), **({self.shows_inputs: asked} if self.shows_inputs else {})}

    def _word(self, work: Work) -> str:
        if not work.done:
            return {"queued": "created", "running": "processing"}[work.state]
        return self._words.get(work.id, work.state)

    def _view(self, work: Work) -> dict[str, Any]:
        """The Prediction of the API."""
        word = self._word(work)
        outputs = []
        if word == "completed":
            inline = work.body.get("enable_base64_output")
            outputs = [base64.b64encode(self.film(work)).decode() if inline else self.link(work)]
        ran = work.seconds * 10_000 if work.done else 0
        view = {
            "id": work.id,
            "model": work.model,
            "outputs": outputs,
            "urls": {"get": f"{self.base_url}/predictions/{work.id}/result"},
            "has_nsfw_contents": [False for _ in outputs],
            "status": word,
            "created_at": _nanoseconds(work.created_at),
            "error": "",
            "executionTime": ran,
            "timings": {"inference": ran},
        }
        if word == "failed":
            view["code"], view["error"] = CODES[work.failure or "failed"]
        elif word in ("cancelled", "timeout", "deleted"):
            view["error"] = f"Prediction {word}"  # not documented
        return view

    def _move(self, work: Work) -> None:
        was_done = work.done
        super()._move(work)
        word = self._words.get(work.id)
        if word is None or was_done or not work.done:
            return
        if work.state == "failed":
            del self._words[work.id]  # it failed for a reason of its own
            return
        work.state = "cancelled" if word == "cancelled" else "failed"
        if self.refunds_failures:
            self.refund(work)

    def _render(self, work: Work) -> bytes:
        """The size follows the request, also where a picture has another shape."""
        if work.remake:
            return super()._render(work)
        across, down = map(int, work.aspect_ratio.split(":"))
        first = work.first
        assert first is None or isinstance(first, clips.Picture)
        return clips.journey(work.number, self._size("720p", across / down), work.seconds, first)

    # -- the account --------------------------------------------------------------------------------------

    def _usd(self, model: str, seconds: int) -> tuple[float, float]:
        """The price for everybody and the price for this account."""
        usd = round(USD[model.rpartition("-")[0]] * seconds / 5, 4)
        return usd, round(usd * (1 - self.discount), 4)

    def _price(self, request: Request) -> Reply:
        """A partial or empty `inputs` is taken, says the MCP server; the meaning of discount_rate is inferred."""
        body = self._checked(request, fields({"model_id": text, "inputs": lambda value, where: iter(())}))
        model = body["model_id"].removeprefix("luma/")
        if model not in MODELS or not isinstance(body["inputs"], dict):
            raise Refusal(self._refused(404, 404, f"Model {body['model_id']} not found"))  # inferred
        usd, discounted = self._usd(model, int(body["inputs"].get("duration", 5)))
        return self._said(
            {
                "model_id": body["model_id"],
                "price": usd,
                "discounted_price": discounted,
                "discount_rate": self.discount,
                "currency": "USD",
            }
        )

    def _models(self) -> list[dict[str, Any]]:
        return [_described(model, self.base_url) for model in MODELS]

    def _billings(self, request: Request) -> Reply:
        page = {"page": _between(1, 1_000_000), "page_size": _between(1, 100)}
        optional: dict[str, Rule] = {
            "billing_type": text,
            "prediction_uuids": items(text),
            "sort": one_of("created_at ASC", "created_at DESC"),
            "start_time": text,
            "end_time": text,
        }
        body = self._checked(request, fields(page, optional))
        with self._account:
            entries = list(self.ledger)
        wanted = body.get("prediction_uuids")
        found = [
            record
            for entry in entries
            if wanted is None or entry.job_id in wanted
            for record in [self._record(entry)]
            if body.get("billing_type") in (None, record["billing_type"])
        ]
        begin = (body["page"] - 1) * body["page_size"]
        shown = found[begin : begin + body["page_size"]]
        return self._said({"page": body["page"], "total": len(found), "items": shown})

    def _record(self, entry: Entry) -> dict[str, Any]:
        """One billing record: the price is positive in either direction, as the example of check-billings has it."""
        work = self._jobs[entry.job_id]
        price = round(abs(entry.usd), 6)
        day = _nanoseconds(work.created_at)
        return {
            "uuid": uuid.uuid5(uuid.NAMESPACE_URL, f"{entry}").hex,
            "billing_type": "deduct" if entry.usd < 0 else "refund",
            "price": price,
            "created_at": day,
            "updated_at": day,
            "order": {"uuid": uuid.uuid4().hex, "state": "done", "price": price, "origin_price": price},
            "prediction": {"uuid": work.id, "model_uuid": work.model, "status": self._word(work)},
            "access_key_name": "",
        }

    # -- the storage --------------------------------------------------------------------------------------

    def _ticket(self, request: Request) -> Reply:
        if not self.tickets:
            raise Refusal(json_reply({"detail": "Not Found"}, 404))
        shape = fields({"filename": text, "size": _between(1, LARGEST_UPLOAD)}, {"content_type": text})
        body = self._checked(request, shape)
        media_type = body.get("content_type", "")
        self._check_size(media_type, body["size"])
        # Which headers there are is not documented: one that storages sign, and one that nobody would guess.
        headers = {"x-amz-meta-ticket": secrets.token_hex(8)}
        if media_type:
            headers["Content-Type"] = media_type
        name = re.sub(r"[^\w.-]", "_", body["filename"].rpartition("/")[2])
        folder = secrets.token_hex(8)
        self.uploads[f"{folder}/{name}"] = Upload(name, media_type, self.now(), body["size"], headers)
        return self._said(
            {
                "upload": {
                    "method": "PUT",
                    "url": f"{self.origin}/storage/{folder}/{name}?X-Amz-Signature=secret",
                    "headers": headers,
                },
                "download_url": f"{self.origin}/media/{folder}/{name}",
            }
        )

    def _put(self, request: Request, id: str, name: str) -> Reply:
        """As object stores answer: everything that was signed has to be there, and no other proof."""
        upload = self.uploads.get(f"{id}/{name}")
        if upload is None or request.query.get("X-Amz-Signature") != "secret":
            return html_reply(403)
        own = {header.lower() for header in upload.headers}
        others = {
            header.lower()
            for header in request.headers
            if header.lower().startswith(("x-amz-", "authorization", "content-type", "cookie"))
        }
        brought = {header: request.headers.get(header) for header in upload.headers}
        if brought != dict(upload.headers) or others - own or len(request.body) != upload.size:
            return html_reply(403)
        upload.content = request.body
        return Reply(200)

    def _form(self, request: Request) -> Reply:
        if not self.forms:
            raise Refusal(json_reply({"detail": "Not Found"}, 404))
        parts = request.form or {}
        if set(parts) != {"file"}:
            raise Refusal(self._refused(400, 1400, "A required parameter is missing: file"))
        name, media_type, content = parts["file"]
        name = name or ""
        if media_type not in PICTURES:
            raise Refusal(self._refused(400, 1401, f"Unsupported file type {media_type}"))  # wording inferred
        self._check_size(media_type, len(content))
        folder = secrets.token_hex(8)
        self.uploads[f"{folder}/{name}"] = Upload(name, media_type, self.now(), len(content), {}, content)
        return self._said(
            {
                "type": "image",
                "download_url": f"{self.origin}/media/{folder}/{name}",
                "filename": name,
                "size": len(content),
            }
        )

    def _check_size(self, media_type: str, size: int) -> None:
        if media_type in PICTURES and size > LARGEST_PICTURE:
            raise Refusal(self._refused(413, 413, "File too large: images up to 20 MB"))  # wording inferred

    def _file(self, request: Request, id: str, name: str) -> Reply:
        upload = self.uploads.get(f"{id}/{name}")
        if upload is None or upload.content is None or self.now() > upload.created + KEPT:
            return html_reply(404)
        return file_reply(request, upload.content, upload.content_type or "application/octet-stream")

    # -- the envelope -------------------------------------------------------------------------------------

    def _said(self, data: Any) -> Reply:
        return json_reply({"code": 200, "message": "success", "data": data})

    def _refused(
        self, status: int, code: int, message: str, headers: Mapping[str, str] | None = None
    ) -> Reply:
        content = {"code": code, "message": message}
        return json_reply(content, status if self.told == "status" else 200, headers)

    def _checked(self, request: Request, shape: Rule) -> dict[str, Any]:
        """The body, if it has the documented shape; else 1400 or 1401."""
        if not request.is_json:
            raise Refusal(self._refused(415, 1401, "The parameter value is invalid: Content-Type"))
        problems = list(shape(request.json, ()))
        if problems:
            code = 1400 if all(problem.kind == "missing" for problem in problems) else 1401
            what = "; ".join(f"{'.'.join(map(str, item.where)) or 'body'}: {item.text}" for item in problems)
            said = {1400: "A required parameter is missing", 1401: "The parameter value is invalid"}[code]
            raise Refusal(self._refused(400, code, f"{said}: {what}"))
        body: dict[str, Any] = request.json
        if body.get("prompt") == "":
            raise Refusal(self._refused(400, 1400, "A required parameter is missing: prompt"))  # inferred
        return body


def _described(model: str, base_url: str) -> dict[str, Any]:
    """One entry of GET /models, with the fields that the CLI and the MCP server read."""
    takes_picture = model.endswith("-i2v")
    properties: dict[str, Any] = {
        "prompt": {"type": "string", "description": "The positive prompt for the generation."},
        "size": {"type": "string", "default": "1280*720", "enum": list(SIZES)},
        "duration": {"type": "integer", "default": 5, "enum": list(DURATIONS)},
    }
    if takes_picture:
        properties["image"] = {"type": "string", "description": "The image for generating the output."}
    schema = {
        "type": "object",
        "properties": properties,
        "required": ["image", "prompt"] if takes_picture else ["prompt"],
    }
    return {
        "model_id": f"luma/{model}",
        "name": model,
        "description": "",
        "type": "image-to-video" if takes_picture else "text-to-video",
        "base_price": USD[model.rpartition("-")[0]],
        "formula": '{"total_price": base_price * duration / 5}',
        "api_schema": {
            "api_schemas": [
                {
                    "type": "model_run",
                    "method": "POST",
                    "server": base_url.removesuffix("/api/v3"),
                    "api_path": f"/api/v3/luma/{model}",
                    "request_schema": schema,
                }
            ]
        },
    }


def _between(least: int, most: int) -> Rule:
    def rule(value: Any, where: Where) -> Iterator[Problem]:
        problems = list(whole(value, where))
        yield from problems
        if not problems and not least <= value <= most:
            yield Problem(where, "range", f"Input should be from {least} to {most}")

    return rule


def _moment(value: Any, where: Where) -> Iterator[Problem]:
    try:
        _when(value, 0.0)
    except (ValueError, TypeError, AttributeError):
        yield Problem(where, "datetime", "Input should be an ISO 8601 datetime")


def _when(told: str | None, otherwise: float) -> float:
    if told is None:
        return otherwise
    moment = time_told(told)
    if moment.tzinfo is None:
        raise ValueError("without a zone")
    return moment.timestamp()


def _nanoseconds(moment: float) -> str:
    """A time as the documentation's examples have it, with nine digits."""
    return utc(moment, digits="microseconds").replace("Z", "268Z")


def _check_webhook(emulator: WaveSpeedEmulator, request: Request) -> None:
    for name, value in request.query.items():
        if name != "webhook" or list(web_address(value, ())):
            raise Refusal(emulator._refused(400, 1401, f"The parameter value is invalid: {name}"))
