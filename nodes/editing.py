"""Clips made from clips: modified, reframed, upscaled, with sound, or led from one to another."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .chain import Source
from .film import MATCH_FIRST_FRAME, Film, Settings, made, request_for
from .generation import selection
from .generation.canvas import placed
from .generation.clock import Clock
from .generation.errors import GenerationError, InvalidInput
from .generation.ray import ASPECT_RATIOS, MODELS
from .generation.request import (
    AS_THE_SOURCE,
    GenerationReference,
    GenerationRequest,
    Operation,
    SourceVideo,
    StillImage,
)
from .generation.selection import AUTO
from .generation.waiting import Report
from .media import clips, images, sources

if TYPE_CHECKING:
    from .cutting import CuttingRoom
    from .generation.finishing import Clip


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a film stands in a reframed picture, as the widgets have it."""

    scale: float = 1.0
    """1 is as large as it fits."""
    across: float = 0.5
    """Of the room left over to both sides, the part on the left."""
    down: float = 0.5
    """As *across*, from the top."""


def modify(
    cutting: CuttingRoom,
    settings: Settings,
    *,
    source: Source,
    mode: str,
    first_frame: StillImage | None,
    clock: Clock,
    report: Report,
) -> Film:
    """See `Studio.modify_video`."""
    looked = _looked(cutting, source, "Modify", clock, report)
    shape = f"{looked.video.width}:{looked.video.height}"
    first, notes = _fitted(first_frame, shape)
    request = replace(
        _request(settings, Operation.MODIFY_VIDEO, looked.video),
        aspect_ratio=AS_THE_SOURCE,
        mode=mode,
        first_frame=first,
    )
    return _from_film(cutting, settings, request, source, looked, notes, clock, report)


def reframe(
    cutting: CuttingRoom,
    settings: Settings,
    *,
    source: Source,
    place: Place,
    first_frame: StillImage | None,
    clock: Clock,
    report: Report,
) -> Film:
    """See `Studio.reframe_video`."""
    looked = _looked(cutting, source, "Reframe", clock, report)
    first, notes = _fitted(first_frame, settings.aspect_ratio)
    placement = None
    if place != Place():
        try:
            placement = placed(
                (looked.video.width, looked.video.height),
                settings.aspect_ratio,
                scale=place.scale,
                across=place.across,
                down=place.down,
            )
        except ValueError as error:
            raise InvalidInput(f"The film has no such place: {error}. Nothing was billed.") from None
        wide, tall = placement.canvas
        notes += (
            f"the film is {placement.width}x{placement.height} at {placement.left}, {placement.top} of {wide}x{tall}",
        )
    request = replace(
        _request(settings, Operation.REFRAME_VIDEO, looked.video),
        aspect_ratio=settings.aspect_ratio,
        placement=placement,
        first_frame=first,
    )
    return _from_film(cutting, settings, request, source, looked, notes, clock, report)


def upscale(
    cutting: CuttingRoom, settings: Settings, *, generations: tuple[str, ...], clock: Clock, report: Report
) -> Film:
    """See `Studio.upscale_video`."""
    clip = _one_clip(cutting, generations, "Upscale")
    request = replace(
        _request(settings, Operation.UPSCALE_VIDEO, _reference(clip)),
        model=_model(clip, settings),
        prompt="",
    )
    return _from_clip(cutting, settings, request, clip, clock, report)


def add_audio(
    cutting: CuttingRoom,
    settings: Settings,
    *,
    generations: tuple[str, ...],
    negative_prompt: str,
    clock: Clock,
    report: Report,
) -> Film:
    """See `Studio.add_audio`."""
    clip = _one_clip(cutting, generations, "Add Audio")
    request = replace(
        _request(settings, Operation.ADD_AUDIO, _reference(clip)),
        model=_model(clip, settings),
        resolution=AS_THE_SOURCE,
        negative_prompt=negative_prompt,
    )
    return _from_clip(cutting, settings, request, clip, clock, report)


def interpolate(
    cutting: CuttingRoom,
    settings: Settings,
    *,
    before: tuple[str, ...],
    after: tuple[str, ...],
    whole: bool,
    clock: Clock,
    report: Report,
) -> Film:
    """See `Studio.interpolate_video`."""
    if not before or not after:
        raise InvalidInput(
            "Interpolate Video needs two clips: connect the generation output of a Ray node to both. "
            "Nothing was billed."
        )
    first, last = cutting.clip_of(before[-1]), cutting.clip_of(after[0])
    if first.entry.provider != last.entry.provider:
        raise InvalidInput(
            f"One clip was made at {first.entry.provider}, the other at {last.entry.provider}, and a provider knows "
            "only its own. Ray Keyframes to Video goes from the last frame of any clip to the first frame of any "
            "other. Nothing was billed."
        )
    if settings.aspect_ratio == MATCH_FIRST_FRAME:
        facts = _reference(first)
        settings = replace(
            settings, aspect_ratio=images.nearest_aspect_ratio(facts.width, facts.height, ASPECT_RATIOS)
        )
    request = request_for(settings, Operation.INTERPOLATE_VIDEO, _reference(first), _reference(last))
    film = _from_clip(cutting, settings, request, first, clock, report)
    if not whole:
        return film
    ids = (*before, *film.generations, *after)
    try:
        path = cutting.film_path(ids, clock=clock, report=report)
    except InvalidInput as error:
        raise GenerationError(
            f"{error} The clip between them is kept ({', '.join(film.generations)}): 'new part' gives it alone, and "
            "buys nothing that is here already."
        ) from None
    seconds = clips.inspect(path).seconds
    return replace(
        film, path=path, generations=ids, summary=f"film of {seconds:.0f} s · added: {film.summary}"
    )


def _request(
    settings: Settings, operation: Operation, source: SourceVideo | GenerationReference
) -> GenerationRequest:
    return GenerationRequest(
        operation=operation,
        model=settings.model,
        prompt=settings.prompt,
        aspect_ratio=AS_THE_SOURCE,
        resolution=settings.resolution,
        duration=max(1, round(source.seconds)),
        source=source,
        take=settings.take,
    )


def _looked(cutting: CuttingRoom, source: Source, name: str, clock: Clock, report: Report) -> sources.Looked:
    """The film to change, looked at. Raises InvalidInput where there is none, or more than one."""
    if bool(source.generations) == (source.video is not None):
        raise InvalidInput(
            f"{name} Video needs one film: connect a generation, a video or frames, and only one of them. "
            "Nothing was billed."
        )
    path = source.video or cutting.film_path(source.generations, clock=clock, report=report)
    return sources.look(path, lambda: clock.stopped)


def _from_film(
    cutting: CuttingRoom,
    settings: Settings,
    request: GenerationRequest,
    source: Source,
    looked: sources.Looked,
    notes: tuple[str, ...],
    clock: Clock,
    report: Report,
) -> Film:
    lifecycle = cutting.lifecycle
    own = _by_id(cutting, settings, request, source)
    if own is not None and lifecycle.bought(request, settings.provider) is None:
        request, provider = own
        return made(cutting.lifecycle, request, provider, notes, clock, report)
    # What is refused is refused before it is converted, and what is here already needs no file.
    if looked.change and lifecycle.bought(request, settings.provider) is None:
        chosen = lifecycle.select(request, settings.provider)
        if not chosen.provider.local:
            report(f"converting the film to MP4 (it is {looked.change})")
            path = cutting.kept(
                f"films/source_{looked.video.sha256[:16]}.mp4",
                lambda arriving: sources.convert(looked, arriving, stopped=lambda: clock.stopped),
            )
            ready = replace(looked.video, path=path, size=path.stat().st_size)
            request = replace(request, source=ready)
            notes += (f"sent as an MP4 of its own, because it is {looked.change}",)
    return made(cutting.lifecycle, request, settings.provider, notes, clock, report)


def _by_id(
    cutting: CuttingRoom, settings: Settings, request: GenerationRequest, source: Source
) -> tuple[GenerationRequest, str] | None:
    """*request* of a clip by its id, and who made it, where that one takes it so: then it is not uploaded."""
    if len(source.generations) != 1:
        return None
    clip, lifecycle = cutting.clip_of(source.generations[0]), cutting.lifecycle
    provider = lifecycle.sellers.provider(clip.entry.provider)
    if provider.local or settings.provider not in (AUTO, provider.name):
        return None
    request = replace(request, source=_reference(clip))
    if selection.refusals(provider, request)[1]:
        return None
    here = lifecycle.bought(request, provider.name) is not None
    return (request, provider.name) if here or lifecycle.sellers.configured(provider) else None


def _from_clip(
    cutting: CuttingRoom,
    settings: Settings,
    request: GenerationRequest,
    clip: Clip,
    clock: Clock,
    report: Report,
) -> Film:
    """Only who made a clip knows it by its id, so that is who is asked."""
    provider = clip.entry.provider if settings.provider == AUTO else settings.provider
    return made(cutting.lifecycle, request, provider, (), clock, report)


def _one_clip(cutting: CuttingRoom, generations: tuple[str, ...], name: str) -> Clip:
    if len(generations) == 1:
        return cutting.clip_of(generations[0])
    if not generations:
        raise InvalidInput(f"{name} needs a clip: connect the generation output of a Ray node.")
    raise InvalidInput(
        f"This film is made of {len(generations)} clips, and {name} takes one: put it behind each of them, and join "
        "what comes out. Nothing was billed."
    )


def _reference(clip: Clip) -> GenerationReference:
    """A clip as its provider knows it."""
    entry = clip.entry
    width, height, seconds = entry.width, entry.height, entry.seconds
    if not (width and height and seconds):
        facts = clips.inspect(clip.path)
        width, height, seconds = facts.width, facts.height, facts.seconds
    return GenerationReference(
        entry.id,
        entry.provider,
        entry.handle,
        clip.path,
        width=width,
        height=height,
        seconds=seconds,
    )


def _model(clip: Clip, settings: Settings) -> str:
    """The model that made a clip, where the journal knows it."""
    return clip.entry.model if clip.entry.model in MODELS else settings.model


def _fitted(still: StillImage | None, shape: str) -> tuple[StillImage | None, tuple[str, ...]]:
    """A first frame in the shape of the clip, and what was cropped off it, in words."""
    if still is None:
        return None, ()
    cropped, loss = images.fit(still, shape)
    notes = (f"cropped to {images.shape_in_words(shape)}: {loss} off first_frame",) if loss else ()
    return cropped, notes
