"""What an operation is asked for and what it gives back: settings in, a film out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from .generation.budget import dollars
from .generation.finishing import Clip
from .generation.offer import keyframe_at
from .generation.ray import ASPECT_RATIOS
from .generation.request import AS_THE_SOURCE, GenerationRequest, Keyframe, MiddleFrame, Operation, StillImage
from .generation.selection import AUTO
from .media import images

if TYPE_CHECKING:
    from .generation.clock import Clock
    from .generation.lifecycle import Lifecycle
    from .generation.waiting import Report

MATCH_FIRST_FRAME = "auto"
"""The aspect ratio that follows the first picture."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What every operation asks the artist, as the widgets have it."""

    prompt: str = ""
    provider: str = AUTO
    model: str = "ray-flash-2"
    aspect_ratio: str = "16:9"
    """A ratio, or "auto": the ratio nearest to the first picture, which is then sent whole."""
    resolution: str = "720p"
    duration: int = 5
    """Seconds of one clip."""
    loop: bool = False
    take: int = 1
    concepts: tuple[str, ...] = ()
    enhance_prompt: bool = False
    """The provider rewrites the prompt before it uses it, where it documents that it can."""


@dataclass(frozen=True, kw_only=True)
class Film:
    """What an operation gives back: one clip, or several joined."""

    path: Path
    generations: tuple[str, ...]
    """Journal ids of the clips it is made of, in order of play."""
    summary: str
    """One line: model, length, size, provider, time, price."""
    notes: tuple[str, ...] = ()
    clips: tuple[Clip, ...] = ()
    """The clips this call asked for."""

    @property
    def lines(self) -> tuple[str, ...]:
        """What stands on the node, which may show three lines at a time.

        First the summary and what is to be known of the clips (that they are previews, where the pictures are),
        then how they were made.
        """
        of_clips = {note for clip in self.clips for note in clip.notes}
        return (self.summary, *sorted(self.notes, key=lambda note: note not in of_clips))


@dataclass(frozen=True, kw_only=True)
class Frames:
    """The pictures of a clip: where it starts, what it passes, where it ends."""

    first: StillImage | None = None
    last: StillImage | None = None
    middle: tuple[MiddleFrame, ...] = ()

    @property
    def leading(self) -> StillImage | None:
        """The earliest one."""
        between = (frame.still for frame in self.middle)
        return next((still for still in (self.first, *between, self.last) if still is not None), None)


def framed(settings: Settings, frames: Frames) -> tuple[Frames, Settings, tuple[str, ...]]:
    """All pictures in one shape, the settings with a ratio in place of "auto", and what was cropped, in words.

    With "auto" the leading picture is sent whole: Ray follows its shape (inferred from Luma's behaviour as
    ComfyUI's own node describes it), and the ratio named in the request is the nearest one.
    """
    leading = frames.leading
    if leading is None:
        return frames, settings, ()
    cut: dict[str, list[str]] = {}
    if settings.aspect_ratio == MATCH_FIRST_FRAME:
        nearest = images.nearest_aspect_ratio(leading.width, leading.height, ASPECT_RATIOS)
        settings = replace(settings, aspect_ratio=nearest)
        shape = f"{leading.width}:{leading.height}"
    else:
        shape = settings.aspect_ratio

    def fitted(still: StillImage | None, name: str) -> StillImage | None:
        if still is None:
            return None
        cropped, loss = images.fit(still, shape)
        if loss:
            cut.setdefault(loss, []).append(name)
        return cropped

    first = fitted(frames.first, "first_frame")
    middle = [
        replace(frame, still=fitted(frame.still, keyframe_at(frame.index)) or frame.still)
        for frame in frames.middle
    ]
    last = fitted(frames.last, "last_frame")
    losses = "; ".join(f"{loss} off {', '.join(names)}" for loss, names in cut.items())
    notes = (f"cropped to {images.shape_in_words(shape)}: {losses}",) if cut else ()
    return Frames(first=first, last=last, middle=tuple(middle)), settings, notes


def film_of(clip: Clip, *, notes: tuple[str, ...] = (), seconds_waited: float) -> Film:
    """A film of one clip."""
    return Film(
        path=clip.path,
        generations=(clip.entry.id,),
        summary=summary([clip], seconds_waited),
        notes=(*notes, *clip.notes),
        clips=(clip,),
    )


def made(
    lifecycle: Lifecycle,
    request: GenerationRequest,
    provider: str,
    notes: tuple[str, ...],
    clock: Clock,
    report: Report,
) -> Film:
    """The film of one clip, bought or recalled. Raises as `Lifecycle.generate`."""
    started = clock.now()
    for note in notes:
        report(note)
    clip = lifecycle.generate(request, provider, clock=clock, report=report)
    return film_of(clip, notes=notes, seconds_waited=clock.now() - started)


def summary(made: Sequence[Clip], seconds_waited: float) -> str:
    """One line such as "ray-flash-2 · 5 s · 720p · wavespeed · 41 s · $0.20"."""
    entry = made[-1].entry
    seconds = sum((clip.entry.seconds or 0) for clip in made)
    costs = [clip.entry.usd for clip in made if not clip.recalled]
    unknown = any(cost is None for cost in costs)
    usd = None if unknown else sum((cost for cost in costs if cost is not None), Decimal(0))
    recalled = all(clip.recalled for clip in made)
    price = "from the library" if recalled and not entry.local else dollars(usd)
    size = entry.request.get("resolution") or ""
    words = [
        "PREVIEW" if entry.local else entry.model,
        f"{seconds:.0f} s",
        f"{entry.width}x{entry.height}" if size in ("", AS_THE_SOURCE) else size,
        entry.provider,
        f"{seconds_waited:.0f} s",
        price,
    ]
    return " · ".join(words)


def request_for(
    settings: Settings,
    operation: Operation,
    first_frame: Keyframe | None = None,
    last_frame: Keyframe | None = None,
    middle_frames: tuple[MiddleFrame, ...] = (),
) -> GenerationRequest:
    """The request for one clip."""
    return GenerationRequest(
        operation=operation,
        model=settings.model,
        prompt=settings.prompt,
        aspect_ratio=settings.aspect_ratio,
        resolution=settings.resolution,
        duration=settings.duration,
        loop=settings.loop,
        concepts=settings.concepts,
        first_frame=first_frame,
        last_frame=last_frame,
        middle_frames=middle_frames,
        enhance_prompt=settings.enhance_prompt,
        take=settings.take,
    )
