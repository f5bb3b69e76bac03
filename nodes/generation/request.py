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

from .canvas import Placement

Json = dict[str, Any]

AS_THE_SOURCE: Final = "auto"
"""The resolution or ratio of a clip made from another one, where the provider takes it from there."""
_SUFFIXES: Final = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}


class Operation(str, Enum):
    """The kinds of generation."""

    TEXT_TO_VIDEO = "text_to_video"
    IMAGE_TO_VIDEO = "image_to_video"
    KEYFRAMES_TO_VIDEO = "keyframes_to_video"
    EXTEND_VIDEO = "extend_video"
    INTERPOLATE_VIDEO = "interpolate_video"
    MODIFY_VIDEO = "modify_video"
    REFRAME_VIDEO = "reframe_video"
    UPSCALE_VIDEO = "upscale_video"
    ADD_AUDIO = "add_audio"

    @property
    def words(self) -> str:
        """The operation in words."""
        return self.value.replace("_", " ")

    @property
    def remakes(self) -> bool:
        """Whether it makes one clip into another of the same length."""
        return self in _REMAKES


_REMAKES: Final = frozenset(
    {Operation.MODIFY_VIDEO, Operation.REFRAME_VIDEO, Operation.UPSCALE_VIDEO, Operation.ADD_AUDIO}
)


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
    width: int = field(default=0, compare=False)
    """Pixels; 0 where nobody looked."""
    height: int = field(default=0, compare=False)
    """Pixels; 0 where nobody looked."""
    seconds: float = field(default=0.0, compare=False)
    """0 where nobody looked."""

    @property
    def kind(self) -> str:
        """How a keyframe of this sort is called in an offer."""
        return "generation"

    def identity(self) -> Json:
        """What makes this keyframe the same keyframe."""
        return {"generation": self.provider, "job": self.job_id}


Keyframe = StillImage | GenerationReference


@dataclass(frozen=True, slots=True)
class SourceVideo:
    """A film on its way to a provider, as a file. Made by `media.sources`, so this package needs no PyAV."""

    width: int
    """Pixels."""
    height: int
    """Pixels."""
    seconds: float
    size: int
    """Bytes."""
    sha256: str
    """Hash of the file's content."""
    path: Path = field(repr=False, compare=False)
    media_type: str = "video/mp4"

    @property
    def original(self) -> str:
        """Hash by which a job is known again: of a film there is one alone."""
        return self.sha256

    @property
    def suffix(self) -> str:
        """How the name of its file ends, without a dot."""
        return "mp4"

    @property
    def kind(self) -> str:
        """How a source of this sort is called in an offer."""
        return "video"

    def identity(self) -> Json:
        """What makes this source the same source."""
        return {"video": self.sha256, "width": self.width, "height": self.height}


Upload = StillImage | SourceVideo
"""What has to be brought to where a provider reads it."""


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
    source: SourceVideo | GenerationReference | None = None
    """The clip that is made into another one."""
    mode: str = ""
    """How far a modified clip may leave its source, see `ray.MODES`."""
    placement: Placement | None = None
    """Where the source stands in a reframed picture; None: as large as it fits, in the middle."""
    negative_prompt: str = ""
    """What added sound shall not have."""
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
    def uploads(self) -> tuple[Upload, ...]:
        """The pictures and the film that a provider must be able to read."""
        return (*self.stills, self.source) if isinstance(self.source, SourceVideo) else self.stills

    @property
    def references(self) -> tuple[GenerationReference, ...]:
        """The earlier generations in the request."""
        parts = (*self.keyframes, self.source)
        return tuple(part for part in parts if isinstance(part, GenerationReference))

    @property
    def words(self) -> dict[str, str]:
        """What the artist wrote, by the name of the input."""
        return {"prompt": self.prompt, "negative_prompt": self.negative_prompt}

    @property
    def told(self) -> str:
        """The request in a few words, for a price: `ray-2 at 720p, 5 s`."""
        size = "" if self.resolution == AS_THE_SOURCE else f" at {self.resolution}"
        what = f"{self.operation.words} with {self.model}" if self.operation.remakes else self.model
        return f"{what}{size}, {self.duration} s"

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
        if self.source is not None:
            later["source"] = self.source.identity()
        if self.mode:
            later["mode"] = self.mode
        if self.placement is not None:
            later["placement"] = self.placement.identity()
        if self.negative_prompt:
            later["negative_prompt"] = self.negative_prompt
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
