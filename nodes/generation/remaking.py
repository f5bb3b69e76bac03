"""What a provider takes to make one clip into another: which sources, how long, and what that costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from .canvas import CANVAS, troubles
from .ray import FRAMES_PER_SECOND, SHORT_SIDE
from .request import GenerationRequest, SourceVideo

MEGABYTE: Final = 1_000_000
_SLACK: Final = 0.05
"""Seconds; a clip of 5 s has 121 frames, and lasts a frame longer."""


@dataclass(frozen=True, kw_only=True)
class Tariff:
    """A price by the length, or by the pixels, of what is made. USD; what is not there is not known."""

    per_second: Mapping[str, Decimal] = field(default_factory=dict)
    """By resolution."""
    per_megapixel: Decimal | None = None
    """Per million pixels, all frames counted, 24 a second."""
    on_canvas: bool = False
    """The pixels are those of the canvas of the ratio (`canvas.CANVAS`), not of the source."""
    steps: Mapping[tuple[str, int], Decimal] = field(default_factory=dict)
    """By resolution and by the seconds up to which the price holds."""
    lengths: tuple[int, ...] = ()
    """Seconds that can be asked for, ascending: a source between two may be billed as the longer one."""

    def price(self, request: GenerationRequest) -> Decimal | None:
        """USD for *request*; None where nobody says."""
        source = request.source
        if source is None or source.seconds <= 0:
            return None
        asked = (length for length in self.lengths if source.seconds <= length + _SLACK)
        seconds = max(source.seconds, next(asked, 0))
        if request.resolution in self.per_second:
            return _cents(self.per_second[request.resolution] * Decimal(str(round(seconds, 3))))
        for (resolution, upto), usd in sorted(self.steps.items(), key=lambda step: step[0][1]):
            if resolution == request.resolution and seconds <= upto + _SLACK:
                return usd
        if self.per_megapixel is None:
            return None
        canvas = CANVAS.get(request.aspect_ratio, (0, 0))
        width, height = canvas if self.on_canvas else (source.width, source.height)
        pixels = width * height * round(FRAMES_PER_SECOND * seconds)
        return _cents(self.per_megapixel * pixels / 1_000_000) if pixels else None


@dataclass(frozen=True, kw_only=True)
class Remaking:
    """The part of an offer that is about the clip that it is made from."""

    kinds: frozenset[str]
    """"video": a file. "generation": the provider's own clip, by its id."""
    longest: float | None = None
    """Seconds; None where nothing is documented."""
    largest: int | None = None
    """Bytes of a file; None where nothing is documented."""
    modes: tuple[str, ...] = ()
    places: bool = False
    """The place of the source in the picture can be said."""
    avoids: bool = False
    """It takes a negative prompt."""
    grows: bool = False
    """What is made must be larger than the source."""
    tariff: Tariff = field(default_factory=Tariff)

    def refusals(self, request: GenerationRequest) -> list[str]:
        """What of the source, and of how it shall be changed, is not covered; each as half a sentence."""
        source = request.source
        if source is None:
            return ["a film is needed to make it from"]
        reasons = []
        if source.kind not in self.kinds:
            known = "clips that it made itself" if source.kind == "video" else "video files"
            reasons.append(f"it takes {known} only")
        if self.longest is not None and source.seconds > self.longest + _SLACK:
            reasons.append(f"the film is {source.seconds:.1f} s long, at most {self.longest:g} s are taken")
        if isinstance(source, SourceVideo) and self.largest is not None and source.size > self.largest:
            reasons.append(
                f"the film has {source.size / MEGABYTE:.0f} MB, at most {self.largest / MEGABYTE:.0f} MB are taken"
            )
        if self.grows and 0 < SHORT_SIDE.get(request.resolution, 0) <= min(source.width, source.height):
            reasons.append(f"the clip has {source.width}x{source.height} already")
        if request.mode not in (self.modes or ("",)):
            reasons.append(f"no mode {request.mode!r}" if request.mode else "a mode is needed")
        if request.placement is not None:
            shape = (source.width, source.height)
            wrong = troubles(request.placement, shape, request.aspect_ratio)
            reasons += wrong if self.places else ["no place for the film in the picture but the middle"]
        if request.negative_prompt and not self.avoids:
            reasons.append("no negative prompt")
        return reasons


def _cents(usd: Decimal) -> Decimal:
    """Rounded up: a quote is no lower than the bill."""
    return usd.quantize(Decimal("0.0001"), rounding="ROUND_UP")
