"""Luma's Dream Machine API v1 as it is documented, and nothing else.

Sources (read 2026-11-20): the OpenAPI file of the Dream Machine API 1.1.0, the `lumaai` SDK 1.21.0 and the
documentation of docs.lumalabs.ai. Where these say nothing, a comment marks the answer as inferred.
`callback_url` is checked and never called; the position fields of reframe are checked and not drawn.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import partial
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

import requests

from . import clips
from .clips import Picture
from .jobs import Trouble
from .server import (
    Emulator,
    Fault,
    Problem,
    Refusal,
    Reply,
    Request,
    Route,
    Rule,
    fields,
    file_reply,
    flag,
    items,
    json_reply,
    one_of,
    text,
    web_address,
    whole,
)

MODELS = ("ray-2", "ray-flash-2")
ASPECT_RATIOS = ("1:1", "16:9", "9:16", "4:3", "3:4", "21:9", "9:21")
SHORT_SIDE = {"540p": 540, "720p": 720, "1080p": 1080, "4k": 2160}
DURATIONS = {"5s": 5, "9s": 9}
CONCEPTS = [
    "truck_left", "pan_right", "pedestal_down", "low_angle", "pedestal_up", "selfie", "pan_left", "roll_right",
    "zoom_in", "over_the_shoulder", "orbit_right", "orbit_left", "static", "tiny_planet", "high_angle",
    "bolt_cam", "dolly_zoom", "overhead", "zoom_out", "handheld", "roll_left", "pov", "aerial_drone", "push_in",
    "crane_down", "truck_right", "tilt_down", "elevator_doors", "tilt_up", "ground_level", "pull_out", "aerial",
    "crane_up", "eye_level",
]  # fmt: skip
# Only "camera orbit left" is documented by name; the others are inferred.
CAMERA_MOTIONS = [
    f"camera {verb} {way}"
    for verb, ways in {
        "orbit": ("left", "right"),
        "pan": ("left", "right"),
        "move": ("left", "right", "up", "down"),
        "push": ("in",),
        "pull": ("out",),
        "zoom": ("in", "out"),
        "crane": ("up", "down"),
    }.items()
    for way in ways
]
MODES = tuple(f"{kind}_{level}" for kind in ("adhere", "flex", "reimagine") for level in (1, 2, 3))

# The server's defaults are documented for the ratio only; these two are inferred.
DEFAULT_RESOLUTION = "720p"
DEFAULT_DURATION = "5s"

CREATE_CENTS = {
    ("ray-2", "5s"): {"540p": 40, "720p": 71, "1080p": 86, "4k": 96},
    ("ray-2", "9s"): {"540p": 72, "720p": 127, "1080p": 154, "4k": 172},
    ("ray-flash-2", "5s"): {"540p": 14, "720p": 24, "1080p": 39, "4k": 49},
    ("ray-flash-2", "9s"): {"540p": 25, "720p": 44, "1080p": 71, "4k": 89},
}
# Charged before the length of the source is known, so these are the documented examples of 720p, 5 s.
MODIFY_CENTS = {"ray-2": 175, "ray-flash-2": 60}
REFRAME_CENTS = {"ray-2": 71, "ray-flash-2": 24}
UPSCALE_CENTS_A_SECOND = {"540p": 2, "720p": 6, "1080p": 9, "4k": 11}
AUDIO_CENTS_A_SECOND = 2

REFRAME_SIZE = {
    "1:1": (1536, 1536),
    "4:3": (1792, 1344),
    "3:4": (1344, 1792),
    "16:9": (2048, 1152),
    "9:16": (1152, 2048),
    "21:9": (2432, 1024),
    "9:21": (1024, 2432),
}
LONGEST_MEDIA = {
    ("modify_video", "ray-2"): 10,
    ("modify_video", "ray-flash-2"): 15,
    ("reframe_video", "ray-2"): 10,
    ("reframe_video", "ray-flash-2"): 30,
}
LARGEST_MEDIA = 100_000_000

UNREADABLE_FRAMES = "Failed to read user input frames"
FAILURES = {
    "blacklisted": "Contains blacklisted words",
    "unreadable": UNREADABLE_FRAMES,
    "indecent picture": "Frame moderation failed",
    "indecent words": "Advanced prompt moderation failed",
    "indecent result": "Advanced moderation failed",
    "suspicious host": "400: failed to moderate image",
    "incomprehensible": "Prompt processing failed",
    "undispatchable": "Error dispatching job",
    "doomed": "Job failed",
    "unanswerable": "Error processing callback",
}
"""A prompt that contains the words on the left fails, after submission, with the reason on the right."""


def _frame(value: Any, where: tuple[str | int, ...]) -> Any:
    """A keyframe: an image by address, a generation by id, or null."""
    if value is None:
        return
    kind = value.get("type") if isinstance(value, dict) else None
    shapes: dict[Any, Rule] = {
        "image": fields({"type": text, "url": web_address}),
        "generation": fields({"type": text, "id": _uuid}),
    }
    if kind in ("image", "generation"):
        yield from shapes[kind](value, where)
    else:
        yield Problem(where, "union_tag_invalid", "Input should have the type 'image' or 'generation'")


def _uuid(value: Any, where: tuple[str | int, ...]) -> Any:
    try:
        uuid.UUID(value)
    except (ValueError, AttributeError, TypeError):
        yield Problem(where, "uuid_parsing", "Input should be a valid UUID")


_PIXELS = (
    "grid_position_x", "grid_position_y", "x_start", "x_end", "y_start", "y_end", "resized_width",
    "resized_height",
)  # fmt: skip
_MEDIA = fields({"url": web_address})
SHAPES: dict[str, tuple[dict[str, Rule], dict[str, Rule]]] = {
    "video": (
        {"model": text},
        {
            "generation_type": text,
            "prompt": text,
            "aspect_ratio": one_of(*ASPECT_RATIOS),
            "loop": flag,
            "keyframes": fields(optional={"frame0": _frame, "frame1": _frame}),
            "callback_url": web_address,
            "resolution": text,
            "duration": text,
            "concepts": items(fields({"key": text})),
        },
    ),
    "upscale_video": (
        {},
        {"generation_type": text, "resolution": text, "callback_url": web_address},
    ),
    "add_audio": (
        {},
        {"generation_type": text, "prompt": text, "negative_prompt": text, "callback_url": web_address},
    ),
    "modify_video": (
        {"generation_type": text, "media": _MEDIA, "model": text, "mode": one_of(*MODES)},
        {"prompt": text, "first_frame": _MEDIA, "callback_url": web_address},
    ),
    "reframe_video": (
        {"generation_type": text, "media": _MEDIA, "model": text, "aspect_ratio": one_of(*ASPECT_RATIOS)},
        {
            "prompt": text,
            "first_frame": _MEDIA,
            "callback_url": web_address,
            **dict.fromkeys(_PIXELS, whole),
        },
    ),
}
"""Required and optional fields of each body, by its generation_type."""


class Entry(NamedTuple):
    """One movement of the account; negative when charged, positive when refunded."""

    generation_id: str
    cents: float


@dataclass
class Generation:
    """One job."""

    id: str
    number: int
    """1 for the first one of this emulator; also the seed of its pictures, so that clips can be cached."""
    kind: str
    body: dict[str, Any]
    model: str
    cents: float
    created_at: float
    parents: list[Generation]
    """Of upscale and audio the source; of a film the generations among its keyframes."""
    born: float = field(default_factory=time.monotonic)
    polls: int = 0
    state: Literal["queued", "dreaming", "completed", "failed"] = "queued"
    failure_reason: str | None = None
    pictures: dict[str, Picture] = field(default_factory=dict)
    """The fetched images, by frame0, frame1 and first_frame."""
    media: bytes = b""
    moving: threading.RLock = field(default_factory=threading.RLock)
    rendering: threading.RLock = field(default_factory=threading.RLock)
    clip: bytes | None = None

    @property
    def done(self) -> bool:
        """Whether it has reached its end, good or bad."""
        return self.state in ("completed", "failed")

    @property
    def frames(self) -> Mapping[str, Any]:
        """The keyframes that are really given, by frame0 and frame1."""
        return _given(self.body)


def _given(body: Mapping[str, Any]) -> dict[str, Any]:
    frames = body.get("keyframes") or {}
    return {name: frame for name, frame in frames.items() if frame is not None}


def refuse(detail: str, status: int = 400) -> Refusal:
    """An error as Luma words it."""
    return Refusal(json_reply({"detail": detail}, status))


class LumaEmulator(Emulator):
    """The server, its account and its generations.

    Nobody has documented whether an extended generation is the whole film or only the new part, so
    *extend_returns* offers both. It applies where exactly one keyframe is a generation; an interpolation is
    always the new part. Pictures have a quarter of the real width and height unless *full_size* is set.
    """

    prefix = "/dream-machine/v1"
    create = ("POST", "/generations/video")
    poll = ("GET", "/generations/{id}")
    asset = ("GET", "/assets/{id}.mp4")
    default_key = "luma-test-key"

    def __init__(
        self,
        *,
        extend_returns: Literal["part", "whole"] = "part",
        credit_cents: float = 10_000.0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.extend_returns = extend_returns
        self.credit_cents = credit_cents
        self.creates: list[Generation] = []
        """Every generation that was created and charged, in order; deleted ones too."""
        self.ledger: list[Entry] = []
        self._listed: dict[str, Generation] = {}
        self._account = threading.Lock()

    def routes(self) -> list[Route]:
        """All documented endpoints but those for still images."""
        return [
            Route("GET", ("/ping",), lambda request: json_reply({"message": "pong"})),
            Route("GET", ("/credits",), self._credits),
            Route("POST", ("/generations/video", "/generations"), self._create),
            Route(
                "POST", ("/generations/video/modify",), partial(self._remake, "modify_video", MODIFY_CENTS)
            ),
            Route(
                "POST", ("/generations/video/reframe",), partial(self._remake, "reframe_video", REFRAME_CENTS)
            ),
            Route("GET", ("/generations/concepts/list",), lambda request: json_reply(CONCEPTS)),
            Route("GET", ("/generations/camera_motion/list",), lambda request: json_reply(CAMERA_MOTIONS)),
            Route("GET", ("/generations",), self._list),
            Route("GET", ("/generations/{id}",), self._get),
            Route("DELETE", ("/generations/{id}",), self._delete),
            Route("POST", ("/generations/{id}/upscale",), self._upscale),
            Route("POST", ("/generations/{id}/audio",), self._audio),
            Route("GET", ("/assets/{id}.mp4",), self._video, public=True),
            Route("GET", ("/assets/{id}.jpg",), self._thumbnail, public=True),
        ]

    def environment(self) -> dict[str, str]:
        """The variables that lead the pack here."""
        return {
            "LUMAAI_BASE_URL": self.base_url,
            "LUMAAI_API_KEY": self.key,
            "LUMA_RAY_ALLOWED_HOSTS": urlsplit(self.origin).netloc,
        }

    def summary(self) -> str:
        """What happened, for a person."""
        billed = -sum(entry.cents for entry in self.ledger)
        return f"{len(self.creates)} creates, ${billed / 100:.2f} billed, {len(self.leaks)} leaks of the key"

    def unauthorized(self) -> Reply:
        """The documented 401."""
        return json_reply({"detail": "Invalid API key is provided"}, 401)

    def trouble(self, kind: Trouble) -> Reply:
        """How Luma refuses a create. Of these only the 401 is documented; the others are inferred."""
        status, detail = {
            "unauthorized": (401, "Invalid API key is provided"),
            "no money": (402, "Insufficient credits"),
            "rate limit": (429, "Rate limit exceeded"),
            "moderation": (400, "Advanced prompt moderation failed"),
            "server error": (500, "Internal server error"),
        }[kind]
        headers = {"Retry-After": "7"} if kind == "rate limit" else None
        return json_reply({"detail": detail}, status, headers)

    def refusing(self, kind: Trouble) -> Fault:
        """`trouble` as a fault: nothing is created or charged."""
        return Fault(lambda _: self.trouble(kind), handled=False)

    def unknown_status(self) -> Fault:
        """An answer to a poll with a state that is in no documentation."""
        return Fault.fields(state="meditating")

    @property
    def balance(self) -> float:
        """Cents left."""
        with self._account:
            return self.credit_cents + sum(entry.cents for entry in self.ledger)

    def film(self, generation: Generation) -> bytes:
        """The clip of a completed generation, made when it is first wanted."""
        with generation.rendering:
            if generation.clip is None:
                generation.clip = self._render(generation)
            return generation.clip

    # -- answers ------------------------------------------------------------------------------------------

    def _credits(self, request: Request) -> Reply:
        return json_reply({"credit_balance": float(self.balance)})

    def _create(self, request: Request) -> Reply:
        body = _checked(request, "video")
        _refuse_wrong_model(body["model"])
        frames = _given(body)
        if "keyframes" in body and not frames:
            raise refuse("No keyframes provided")
        _refuse_prompt(
            body.get("prompt"), required=all(frame["type"] != "image" for frame in frames.values())
        )
        if body.get("loop"):
            _refuse_loop(frames)
        resolution = body.get("resolution", DEFAULT_RESOLUTION)
        duration = body.get("duration", DEFAULT_DURATION)
        # The wording of the following four refusals is inferred.
        if resolution not in SHORT_SIDE:
            raise refuse(f"Resolution {resolution} is not supported")
        if duration not in DURATIONS:
            raise refuse(f"Duration {duration} is not supported")
        for concept in body.get("concepts", []):
            if concept["key"] not in CONCEPTS:
                raise refuse(f"Concept {concept['key']} is not supported")
        parents = [self._finished(frame["id"]) for frame in frames.values() if frame["type"] == "generation"]
        cents = CREATE_CENTS[body["model"], duration][resolution]
        return json_reply(self._view(self._accept("video", body, body["model"], cents, parents)), 201)

    def _remake(self, kind: str, prices: Mapping[str, int], request: Request) -> Reply:
        body = _checked(request, kind)
        _refuse_wrong_model(body["model"])
        if body.get("prompt"):
            _refuse_prompt(body["prompt"], required=False)
        return json_reply(self._view(self._accept(kind, body, body["model"], prices[body["model"]], [])), 201)

    def _upscale(self, request: Request, id: str) -> Reply:
        body = _checked(request, "upscale_video")
        # Which source and target go together is not documented; the default is inferred.
        resolution = body.setdefault("resolution", "1080p")
        if resolution not in SHORT_SIDE:
            raise refuse(f"Resolution {resolution} is not supported")
        source = self._finished(id, unknown=404)
        cents = UPSCALE_CENTS_A_SECOND[resolution] * self._seconds(source)
        return json_reply(self._view(self._accept("upscale_video", body, source.model, cents, [source])))

    def _audio(self, request: Request, id: str) -> Reply:
        body = _checked(request, "add_audio")
        source = self._finished(id, unknown=404)
        cents = AUDIO_CENTS_A_SECOND * self._seconds(source)
        return json_reply(self._view(self._accept("add_audio", body, source.model, cents, [source])))

    def _list(self, request: Request) -> Reply:
        limit, offset = _page(request.query)
        with self._account:
            newest = list(self._listed.values())[::-1]
        shown = newest[offset : offset + limit]
        return json_reply(
            {
                "generations": [self._view(generation) for generation in shown],
                "has_more": offset + limit < len(newest),
                "count": len(shown),
                "limit": limit,
                "offset": offset,
            }
        )

    def _get(self, request: Request, id: str) -> Reply:
        generation = self._known(id)
        with generation.moving:
            generation.polls += 1
            self._move(generation)
            return json_reply(self._view(generation))

    def _delete(self, request: Request, id: str) -> Reply:
        self._known(id)
        # What becomes of a running job and of its price is not documented: it is forgotten and stays billed.
        with self._account:
            self._listed.pop(id, None)
        return Reply(204)

    def _video(self, request: Request, id: str) -> Reply:
        return file_reply(request, self.film(self._shown(id)), "video/mp4")

    def _thumbnail(self, request: Request, id: str) -> Reply:
        first, _, _ = clips.edges(self.film(self._shown(id)))
        return file_reply(request, clips.jpeg(first), "image/jpeg")

    # -- the life of a generation -------------------------------------------------------------------------

    def _known(self, id: str, unknown: int = 404) -> Generation:
        with self._account:
            generation = self._listed.get(id)
        if generation is None:
            raise refuse("Generation not found", unknown)  # wording inferred
        return generation

    def _finished(self, id: str, unknown: int = 400) -> Generation:
        generation = self._known(id, unknown)
        if generation.state != "completed":
            raise refuse(f"Generation {id} is not completed")  # wording inferred
        return generation

    def _shown(self, id: str) -> Generation:
        generation = self._known(id)
        if generation.state != "completed":
            raise refuse("Not Found", 404)
        return generation

    def _accept(
        self, kind: str, body: dict[str, Any], model: str, cents: float, parents: list[Generation]
    ) -> Generation:
        with self._account:
            left = self.credit_cents + sum(entry.cents for entry in self.ledger)
            if left < cents:
                # Neither the status nor the text is documented; both are inferred.
                raise refuse("Insufficient credits", 402)
            generation = Generation(
                id=str(uuid.uuid4()),
                number=len(self.creates) + 1,
                kind=kind,
                body=body,
                model=model,
                cents=cents,
                created_at=self.now(),
                parents=parents,
            )
            self.ledger.append(Entry(generation.id, -cents))
            self.creates.append(generation)
            self._listed[generation.id] = generation
        if self.pace.seconds is not None:
            self.background(partial(self._dream, generation, self.pace.seconds))
        return generation

    def _dream(self, generation: Generation, seconds: float) -> None:
        """The job by the clock: a third in the queue, then the pictures, then the rest of the time."""
        for end in (seconds / 3, seconds):
            # the margin keeps rounding from waking this thread just before the step
            self.closing.wait(max(generation.born + end + 0.01 - time.monotonic(), 0))
            if self.closing.is_set():
                return
            with generation.moving:
                self._move(generation)
            if not generation.done and generation.failure_reason is None:
                self.film(generation)

    def _move(self, generation: Generation) -> None:
        """Bring the state up to date. The caller holds `moving`."""
        if generation.done:
            return
        progress = self.pace.progress(generation.polls, time.monotonic() - generation.born)
        if progress > 1 / 3 and generation.state == "queued":
            generation.state = "dreaming"
            generation.failure_reason = self._fetch(generation) or _moderate(generation.body)
        if progress < 1:
            return
        if generation.failure_reason is None:
            generation.state = "completed"
            return
        generation.state = "failed"
        with self._account:
            self.ledger.append(Entry(generation.id, generation.cents))

    def _fetch(self, generation: Generation) -> str | None:
        """Get the images and the video of the request, from where it says. Returns why that failed."""
        addresses = {
            name: frame["url"] for name, frame in generation.frames.items() if frame["type"] == "image"
        }
        if generation.body.get("first_frame"):
            addresses["first_frame"] = generation.body["first_frame"]["url"]
        try:
            for name, address in addresses.items():
                generation.pictures[name] = clips.picture(_fetched(address))
            if "media" in generation.body:
                generation.media = _fetched(generation.body["media"]["url"])
                _, _, count = clips.edges(generation.media)
                longest = LONGEST_MEDIA[generation.kind, generation.model]
                # What is answered to a source beyond the limits is not documented; the reason is inferred.
                if len(generation.media) > LARGEST_MEDIA or count > longest * clips.FRAMES_PER_SECOND + 1:
                    return UNREADABLE_FRAMES
        except (requests.RequestException, clips.Unreadable):
            return UNREADABLE_FRAMES
        return None

    def _view(self, generation: Generation) -> dict[str, Any]:
        """The Generation object of the API."""
        required, optional = SHAPES[generation.kind]
        assets = {
            "video": f"{self.origin}/assets/{generation.id}.mp4",
            "image": f"{self.origin}/assets/{generation.id}.jpg",
            "progress_video": None,
        }
        created = datetime.fromtimestamp(generation.created_at, timezone.utc)
        failed = generation.state == "failed"
        return {
            "id": generation.id,
            "generation_type": "video",
            "state": generation.state,
            "failure_reason": generation.failure_reason if failed else None,
            "created_at": created.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "assets": assets if generation.state == "completed" else None,
            "model": generation.model,
            # an echo with nulls for what was not sent, as in the documentation's example response
            "request": {
                **dict.fromkeys([*required, *optional]),
                **generation.body,
                "generation_type": generation.kind,
            },
        }

    # -- the pictures -------------------------------------------------------------------------------------

    def _seconds(self, generation: Generation) -> int:
        _, _, count = clips.edges(self.film(generation))
        return round((count - 1) / clips.FRAMES_PER_SECOND)

    def _render(self, generation: Generation) -> bytes:
        if generation.kind == "video":
            return self._render_film(generation)
        if generation.kind == "add_audio":
            return clips.with_tone(self.film(generation.parents[0]))
        if generation.kind == "upscale_video":
            source = self.film(generation.parents[0])
            first, _, _ = clips.edges(source)
            size = self._size(generation.body["resolution"], first.width / first.height)
            return clips.remade(source, size, clips.covering)
        if generation.kind == "modify_video":
            first, _, _ = clips.edges(generation.media)
            size = (first.width // 2 * 2, first.height // 2 * 2)
            return clips.remade(generation.media, size, clips.recoloured)
        width, height = REFRAME_SIZE[generation.body["aspect_ratio"]]
        size = (width, height) if self.full_size else (width // 4, height // 4)
        return clips.remade(generation.media, size, clips.within)

    def _render_film(self, generation: Generation) -> bytes:
        body = generation.body
        earlier = {parent.id: self.film(parent) for parent in generation.parents}
        before = earlier.get(generation.frames.get("frame0", {}).get("id"))
        after = earlier.get(generation.frames.get("frame1", {}).get("id"))
        start = clips.edges(before)[1] if before else generation.pictures.get("frame0")
        end = clips.edges(after)[0] if after else generation.pictures.get("frame1")
        # The ratio follows the pictures, as ComfyUI's own node reports; the field is only accepted then.
        shape = start or end
        across, down = map(int, body.get("aspect_ratio", "16:9").split(":"))
        proportion = shape.width / shape.height if shape else across / down
        size = self._size(body.get("resolution", DEFAULT_RESOLUTION), proportion)
        if body.get("loop"):
            end = clips.edges(before)[0] if before else start
        seconds = DURATIONS[body.get("duration", DEFAULT_DURATION)]
        part = clips.journey(generation.number, size, seconds, start, end, closed=bool(body.get("loop")))
        if self.extend_returns == "whole" and before and not after:
            return clips.joined(before, part, size)
        if self.extend_returns == "whole" and after and not before:
            return clips.joined(part, after, size)
        return part

    def _size(self, resolution: str, proportion: float) -> tuple[int, int]:
        """(width, height), both even. That the short side names the resolution is inferred."""
        proportion = min(max(proportion, 9 / 21), 21 / 9)
        # even before anything is derived from it, so that extensions of extensions keep their size
        short = SHORT_SIDE[resolution] if self.full_size else 2 * round(SHORT_SIDE[resolution] / 8)
        width, height = short * max(proportion, 1), short * max(1 / proportion, 1)
        return 2 * round(width / 2), 2 * round(height / 2)


def _checked(request: Request, kind: str) -> dict[str, Any]:
    """The body, if it has the documented shape."""
    # That this is a 422 with a list is inferred; that both forms occur is documented.
    problems = list(fields(*SHAPES[kind])(request.json, ("body",)))
    if not request.headers.get("Content-Type", "").startswith("application/json"):
        problems = [Problem(("header", "content-type"), "json_type", "Input should be application/json")]
    if problems:
        detail = [{"loc": list(item.where), "type": item.kind, "msg": item.text} for item in problems]
        raise Refusal(json_reply({"detail": detail}, 422))
    body: dict[str, Any] = request.json
    if body.get("generation_type", kind) != kind:
        raise refuse("Unknown request type")
    return body


def _refuse_wrong_model(model: str) -> None:
    if model not in MODELS:  # ray-1-6 too: it was taken out of Luma's own SDK
        raise refuse(f"Model {model} is not supported")  # wording inferred


def _refuse_prompt(prompt: str | None, *, required: bool) -> None:
    if not prompt and required:
        raise refuse("Prompt is required")
    if prompt is None:
        return
    if len(prompt.strip()) < 3:
        raise refuse("Prompt is too short, minimum length is 3 characters")
    if len(prompt) > 5000:
        raise refuse("Prompt is too long, maximum length is 5000 characters")


def _refuse_loop(frames: Mapping[str, Mapping[str, Any]]) -> None:
    if "frame1" not in frames:
        return
    kinds = (frames.get("frame0", {}).get("type", ""), frames["frame1"]["type"])
    what = {
        ("image", "image"): "keyframes",
        ("generation", "image"): "interpolate video to image",
        ("image", "generation"): "interpolate image to video",
        ("generation", "generation"): "interpolate between two videos",
    }
    raise refuse(f"Loop is not supported for {what.get(kinds, 'extend reverse')}")


def _page(query: Mapping[str, str]) -> tuple[int, int]:
    """limit and offset. The refusals are inferred."""
    for name, value in query.items():
        if name not in ("limit", "offset") or not value.isdecimal():
            detail = [{"loc": ["query", name], "type": "int_parsing", "msg": "Input should be an integer"}]
            raise Refusal(json_reply({"detail": detail}, 422))
    return int(query.get("limit", "100")), int(query.get("offset", "0"))


def _moderate(body: Mapping[str, Any]) -> str | None:
    prompt = (body.get("prompt") or "").lower()
    return next((reason for words, reason in FAILURES.items() if words in prompt), None)


def _fetched(address: str) -> bytes:
    with requests.Session() as session:
        # a proxy for the outside world cannot reach this machine's loopback
        session.trust_env = urlsplit(address).hostname not in ("127.0.0.1", "localhost", "::1")
        response = session.get(address, timeout=5)
        response.raise_for_status()
        return response.content
