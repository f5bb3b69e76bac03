"""Several takes of one shot at the same time, side by side; the one that is chosen goes on."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from .cutting import CuttingRoom
from .film import MATCH_FIRST_FRAME, Film, Frames, Settings, film_of, framed, request_for, summary
from .generation.clock import Clock
from .generation.errors import InvalidInput
from .generation.request import GenerationRequest, Operation
from .generation.waiting import Report
from .together import Together

MOST_TAKES: Final = 9


def takes(
    cutting: CuttingRoom,
    settings: Settings,
    frames: Frames,
    *,
    count: int,
    choose: int,
    marks: tuple[str, ...],
    clock: Clock,
    report: Report,
) -> Film:
    """See `Studio.takes`."""
    if not 1 <= count <= MOST_TAKES:
        raise InvalidInput(
            f"{count} takes cannot be made at once, 1 to {MOST_TAKES} can. Nothing was billed."
        )
    if not 0 <= choose <= count:
        raise InvalidInput(
            f"Take {choose} was chosen, and there are {count}: choose one of them, or 0 to see all. Nothing was "
            "billed."
        )
    started = clock.now()
    frames, settings, notes = framed(settings, frames)
    if settings.aspect_ratio == MATCH_FIRST_FRAME:
        settings = replace(settings, aspect_ratio="16:9")
    wanted = range(1, count + 1) if choose == 0 else (choose,)
    asked = [request(replace(settings, take=settings.take + number - 1), frames) for number in wanted]
    made = Together(cutting.lifecycle, asked, settings.provider, word="take", marks=marks)
    report("; ".join((made.bill, *notes)))
    clips = made.make(clock=clock, report=report)
    if len(clips) == 1:
        return film_of(clips[0], notes=notes, seconds_waited=clock.now() - started)
    path = cutting.side_by_side([clip.path for clip in clips], clock=clock, report=report)
    of_clips = dict.fromkeys(note for clip in clips for note in clip.notes)
    return Film(
        path=path,
        generations=tuple(clip.entry.id for clip in clips),
        summary=f"{count} takes side by side: set choose to the one that goes on · "
        f"{summary(clips, clock.now() - started)}",
        notes=(made.bill, *notes, *of_clips),
        clips=tuple(clips),
    )


def request(settings: Settings, frames: Frames) -> GenerationRequest:
    """The request for one take, by which pictures there are."""
    if frames.last is not None:
        return request_for(settings, Operation.KEYFRAMES_TO_VIDEO, frames.first, frames.last)
    if frames.first is not None:
        return request_for(settings, Operation.IMAGE_TO_VIDEO, frames.first)
    return request_for(settings, Operation.TEXT_TO_VIDEO)
