"""Luma's Dream Machine API v1 as it is documented, and nothing else.

Sources (read 2026-11-20): the OpenAPI file of the Dream Machine API 1.1.0, the `lumaai` SDK 1.21.0 and the
documentation of docs.lumalabs.ai. Where these say nothing, a comment marks the answer as inferred.
`callback_url` is checked and never called; the position fields of reframe are checked and not drawn.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

import requests

from . import clips
from .clips import Picture
from .jobs import Failure, JobEmulator, Trouble, Work
from .server import Fault, Refusal, Reply, Request, Route, file_reply, json_reply, utc
from .shapes import Problem, Rule, Where, fields, flag, items, one_of, text, uuid_text, web_address, whole

MODELS = ("ray-2", "ray-flash-2")
ASPECT_RATIOS = ("1:1", "16:9", "9:16", "4:3", "3:4", "21:9", "9:21")
RESOLUTIONS = ("540p", "720p", "1080p", "4k")
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


def _frame(value: Any, where: Where) -> Iterator[Problem]:
    """A keyframe: an image by address, a generation by id, or null."""
    if value is None:
        return
    kind = value.get("type") if isinstance(value, dict) else None
    shapes: dict[Any, Rule] = {
        "image": fields({"type": text, "url": web_address}),
        "generation": fields({"type": text, "id": uuid_text}),
    }
    if kind in ("image", "generation"):
        yield from shapes[kind](value, where)
    else:
        yield Problem(where, "union_tag_invalid", "Input should have the type 'image' or 'generation'")


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


@dataclass
class Generation(Work):
    """One job; why it fails is told in Luma's words."""

    kind: str = "video"
    parents: list[Generation] = field(default_factory=list)
    """Of upscale and audio the source; of a film the generations among its keyframes."""
    pictures: dict[str, Picture] = field(default_factory=dict)
    """The fetched images, by frame0, frame1 and first_frame."""
    media: bytes = b""

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


class LumaEmulator(JobEmulator):
    """The server, its account and its generations.

    Nobody has documented whether an extended generation is the whole film or only the new part, so
    *extend_returns* offers both. It applies where exactly one keyframe is a generation; an interpolation is
    always the new part.
    """

    works = Generation
    prefix = "/dream-machine/v1"
    create = ("POST", "/generations/*")
    poll = ("GET", "/generations/{id}")
    asset = ("GET", "/assets/{id}.mp4")
    default_key = "luma-test-key"

    def __init__(self, *, extend_returns: Literal["part", "whole"] = "part", **options: Any) -> None:
        super().__init__(**options)
        self.extend_returns = extend_returns

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
            "LUMA_RAY_ALLOWED_HOSTS": self.netloc,
        }

    def unauthorized(self) -> Reply:
        """The documented 401."""
        return json_reply({"detail": "Invalid API key is provided"}, 401)

    def not_found(self) -> Reply:
        """The status is documented, the wording is inferred."""
        return json_reply({"detail": "Generation not found"}, 404)

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

    def unknown_status(self) -> Fault:
        """An answer to a poll with a state that is in no documentation."""
        return Fault.fields(state="meditating")

    # -- answers ------------------------------------------------------------------------------------------

    def _credits(self, request: Request) -> Reply:
        return json_reply({"credit_balance": round(100 * self.balance, 4)})  # cents

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
        if resolution not in RESOLUTIONS:
            raise refuse(f"Resolution {resolution} is not supported")
        if duration not in DURATIONS:
            raise refuse(f"Duration {duration} is not supported")
        for concept in body.get("concepts", []):
            if concept["key"] not in CONCEPTS:
                raise refuse(f"Concept {concept['key']} is not supported")
        parents = [self._finished(frame["id"]) for frame in frames.values() if frame["type"] == "generation"]
        cents = CREATE_CENTS[body["model"], duration][resolution]
        return self._accepted("video", body, body["model"], cents, parents, status=201)

    def _remake(self, kind: str, prices: Mapping[str, int], request: Request) -> Reply:
        body = _checked(request, kind)
        _refuse_wrong_model(body["model"])
        if body.get("prompt"):
            _refuse_prompt(body["prompt"], required=False)
        return self._accepted(kind, body, body["model"], prices[body["model"]], [], status=201)

    def _upscale(self, request: Request, id: str) -> Reply:
        body = _checked(request, "upscale_video")
        # Which source and target go together is not documented; the default is inferred.
        resolution = body.setdefault("resolution", "1080p")
        if resolution not in RESOLUTIONS:
            raise refuse(f"Resolution {resolution} is not supported")
        source = self._finished(id, unknown=404)
        cents = UPSCALE_CENTS_A_SECOND[resolution] * self._seconds(source)
        return self._accepted("upscale_video", body, source.model, cents, [source])

    def _audio(self, request: Request, id: str) -> Reply:
        body = _checked(request, "add_audio")
        source = self._finished(id, unknown=404)
        cents = AUDIO_CENTS_A_SECOND * self._seconds(source)
        return self._accepted("add_audio", body, source.model, cents, [source])

    def _accepted(
        self,
        kind: str,
        body: dict[str, Any],
        model: str,
        cents: float,
        parents: list[Generation],
        status: int = 200,
    ) -> Reply:
        generation = self.accept(
            id=str(uuid.uuid4()),
            kind=kind,
            body=body,
            model=model,
            resolution=body.get("resolution", DEFAULT_RESOLUTION),
            aspect_ratio=body.get("aspect_ratio", "16:9"),
            seconds=DURATIONS[body.get("duration", DEFAULT_DURATION)],
            usd=cents / 100,
            prompt=body.get("prompt") or "",
            loop=bool(body.get("loop")),
            parents=parents,
        )
        return json_reply(self._view(generation), status)

    def _list(self, request: Request) -> Reply:
        limit, offset = _page(request.query)
        with self._account:
            newest = list(self._jobs.values())[::-1]
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
        return json_reply(self._view(self.looked_at(id)))

    def _delete(self, request: Request, id: str) -> Reply:
        self.known(id)
        # What becomes of a running job and of its price is not documented: it is forgotten and stays billed.
        with self._account:
            self._jobs.pop(id, None)
        return Reply(204)

    def _video(self, request: Request, id: str) -> Reply:
        return file_reply(request, self.film(self._shown(id)), "video/mp4")

    def _thumbnail(self, request: Request, id: str) -> Reply:
        first, _, _ = clips.edges(self.film(self._shown(id)))
        return file_reply(request, clips.jpeg(first), "image/jpeg")

    # -- the life of a generation -------------------------------------------------------------------------

    def _finished(self, id: str, unknown: int = 400) -> Any:
        try:
            generation = self.known(id)
        except Refusal as refusal:
            raise Refusal(replace(refusal.reply, status=unknown)) from None
        if generation.state != "completed":
            raise refuse(f"Generation {id} is not completed")  # wording inferred
        return generation

    def _shown(self, id: str) -> Any:
        generation = self.known(id)
        if generation.state != "completed":
            raise refuse("Not Found", 404)
        return generation

    def _fetch(self, generation: Generation) -> Failure:
        """Get the images and the video of the request, from where it says. Returns why that failed."""
        addresses = {
            name: frame["url"] for name, frame in generation.frames.items() if frame["type"] == "image"
        }
        if generation.body.get("first_frame"):
            addresses["first_frame"] = generation.body["first_frame"]["url"]
        try:
            for name, address in addresses.items():
                generation.pictures[name] = clips.picture(self.fetched(address))
            if "media" in generation.body:
                generation.media = self.fetched(generation.body["media"]["url"])
                _, _, count = clips.edges(generation.media)
                longest = LONGEST_MEDIA[generation.kind, generation.model]
                # What is answered to a source beyond the limits is not documented; the reason is inferred.
                if len(generation.media) > LARGEST_MEDIA or count > longest * clips.FRAMES_PER_SECOND + 1:
                    return UNREADABLE_FRAMES
        except (requests.RequestException, clips.Unreadable):
            return UNREADABLE_FRAMES
        return ""

    def _moderate(self, generation: Generation) -> Failure:
        prompt = generation.prompt.lower()
        return next((reason for words, reason in FAILURES.items() if words in prompt), "")

    def _view(self, generation: Generation) -> dict[str, Any]:
        """The Generation object of the API."""
        required, optional = SHAPES[generation.kind]
        assets = {
            "video": f"{self.origin}/assets/{generation.id}.mp4",
            "image": f"{self.origin}/assets/{generation.id}.jpg",
            "progress_video": None,
        }
        return {
            "id": generation.id,
            "generation_type": "video",
            "state": "dreaming" if generation.state == "running" else generation.state,
            "failure_reason": generation.failure if generation.state == "failed" else None,
            "created_at": utc(generation.created_at, digits="microseconds"),
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
        earlier = {parent.id: self.film(parent) for parent in generation.parents}
        before = earlier.get(generation.frames.get("frame0", {}).get("id"))
        after = earlier.get(generation.frames.get("frame1", {}).get("id"))
        start = clips.edges(before)[1] if before else generation.pictures.get("frame0")
        end = clips.edges(after)[0] if after else generation.pictures.get("frame1")
        # The ratio follows the pictures, as ComfyUI's own node reports; the field is only accepted then.
        shape = start or end
        across, down = map(int, generation.aspect_ratio.split(":"))
        proportion = shape.width / shape.height if shape else across / down
        size = self._size(generation.resolution, proportion)
        if generation.loop:
            end = clips.edges(before)[0] if before else start
        part = clips.journey(generation.number, size, generation.seconds, start, end, closed=generation.loop)
        if self.extend_returns == "whole" and before and not after:
            return clips.joined(before, part, size)
        if self.extend_returns == "whole" and after and not before:
            return clips.joined(part, after, size)
        return part


def _checked(request: Request, kind: str) -> dict[str, Any]:
    """The body, if it has the documented shape."""
    # That this is a 422 with a list is inferred; that both forms occur is documented.
    problems = list(fields(*SHAPES[kind])(request.json, ("body",)))
    if not request.is_json:
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
