"""What is asked for: one clip, in words that belong to no provider."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Any, Final

Json = dict[str, Any]

_SUFFIXES: Final = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}


class Operation(str, Enum):
    """The kinds of generation."""

    TEXT_TO_VIDEO = "text_to_video"
    IMAGE_TO_VIDEO = "image_to_video"
    KEYFRAMES_TO_VIDEO = "keyframes_to_video"
    EXTEND_VIDEO = "extend_video"

    @property
    def words(self) -> str:
        """The operation in words."""
        return self.value.replace("_", " ")


@dataclass(frozen=True, slots=True)
class StillImage:
    """One picture on its way to a provider. Made by `media.images`, so this package needs no torch."""

    width: int
    """Pixels."""
    height: int
    """Pixels."""
    sha256: str
    """Hash of the pixels (not of a file), so the same picture is the same request however it was made."""
    encode: Callable[[str], bytes] = field(repr=False, compare=False)
    """The picture as a file of the media type given (`image/png`, `image/jpeg`, `image/webp`)."""
    resized: Callable[[int, int], StillImage] | None = field(default=None, repr=False, compare=False)
    """The whole picture at another width and height; None where nothing here can do that."""
    media_type: str = field(default="image/png", compare=False)
    """As what it is sent: without loss, unless its provider takes no file that large."""
    reduced_from: str = field(default="", compare=False)
    """Hash of the pixels that were asked for, where these are fewer of them."""

    @property
    def original(self) -> str:
        """Hash of the picture that was asked for, by which a job is known again wherever it stands."""
        return self.reduced_from or self.sha256

    @property
    def file(self) -> bytes:
        """The picture as it is sent."""
        return self.encode(self.media_type)

    @property
    def suffix(self) -> str:
        """How the name of its file ends, without a dot."""
        return _SUFFIXES[self.media_type]

    @property
    def kind(self) -> str:
        """How a keyframe of this sort is called in an offer."""
        return "image"

    def identity(self) -> Json:
        """What makes this keyframe the same keyframe."""
        return {"image": self.sha256, "width": self.width, "height": self.height}


@dataclass(frozen=True, slots=True)
class GenerationReference:
    """An earlier generation as a keyframe: the provider continues from its own copy of the clip."""

    id: str
    """Journal id."""
    provider: str
    job_id: str
    """The provider's own id of the finished job."""
    clip: Path | None = field(default=None, compare=False)
    """Its file here, for a provider that works on this machine."""
    from_text: bool = field(default=False, compare=False)
    """It began with a prompt alone: no picture of the artist's is in it. For the same providers."""

    @property
    def kind(self) -> str:
        """How a keyframe of this sort is called in an offer."""
        return "generation"

    def identity(self) -> Json:
        """What makes this keyframe the same keyframe."""
        return {"generation": self.provider, "job": self.job_id}


Keyframe = StillImage | GenerationReference


@dataclass(frozen=True, slots=True)
class MiddleFrame:
    """A picture that the clip passes through between its first and its last frame."""

    index: int
    """Frame number at 24 frames a second, counted from 0."""
    still: StillImage

    def identity(self) -> Json:
        """What makes this keyframe the same keyframe."""
        return {"index": self.index, **self.still.identity()}


@dataclass(frozen=True, kw_only=True)
class GenerationRequest:
    """One clip, asked for. Two equal requests are the same purchase."""

    operation: Operation
    model: str
    prompt: str = ""
    aspect_ratio: str = "16:9"
    resolution: str = "720p"
    duration: int = 5
    """Seconds."""
    loop: bool = False
    concepts: tuple[str, ...] = ()
    """Camera concepts, see `ray.CONCEPTS`."""
    first_frame: Keyframe | None = None
    last_frame: Keyframe | None = None
    middle_frames: tuple[MiddleFrame, ...] = ()
    """In order of time."""
    enhance_prompt: bool = False
    """The provider rewrites the prompt before it uses it."""
    take: int = 1
    """Ray has no seed. A new take is a new purchase; an old take is the clip already bought."""

    @property
    def keyframes(self) -> tuple[Keyframe | None, Keyframe | None]:
        """First and last frame."""
        return (self.first_frame, self.last_frame)

    @property
    def stills(self) -> tuple[StillImage, ...]:
        """The pictures in the request, in order of time."""
        first, last = self.keyframes
        frames = (first, *(middle.still for middle in self.middle_frames), last)
        return tuple(frame for frame in frames if isinstance(frame, StillImage))

    @property
    def references(self) -> tuple[GenerationReference, ...]:
        """The earlier generations in the request."""
        return tuple(frame for frame in self.keyframes if isinstance(frame, GenerationReference))

    @property
    def keyframe_kinds(self) -> tuple[str, str]:
        """Which keyframes there are, as offers spell it: `("image", "none")`."""
        first, last = (frame.kind if frame is not None else "none" for frame in self.keyframes)
        return (first, last)

    def describe(self) -> Json:
        """The request as JSON for the journal: the whole of it, pictures by their hash, the take apart."""
        frames = (frame.identity() if frame is not None else None for frame in self.keyframes)
        first_frame, last_frame = frames
        # What came later than the first journals is named only where it is used: their fingerprints stay.
        later: Json = {}
        if self.middle_frames:
            later["middle_frames"] = [frame.identity() for frame in self.middle_frames]
        if self.enhance_prompt:
            later["enhance_prompt"] = True
        return {
            "operation": self.operation.value,
            "model": self.model,
            "prompt": self.prompt,
            "aspect_ratio": self.aspect_ratio,
            "resolution": self.resolution,
            "duration": self.duration,
            "loop": self.loop,
            "concepts": list(self.concepts),
            "first_frame": first_frame,
            "last_frame": last_frame,
            **later,
        }

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of what is asked for, without the take and without the provider."""
        return fingerprint(self.describe())


def fingerprint(content: Mapping[str, Any]) -> str:
    """sha256 of *content* as canonical JSON: the same in every process, on every machine."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()
