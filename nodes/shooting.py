"""A scene: all its shots made at the same time and joined into one film."""

from __future__ import annotations

from . import sheet
from .cutting import Cut, CuttingRoom, Joined
from .film import Film, summary
from .generation.clock import Clock
from .generation.errors import GenerationError
from .generation.lifecycle import Lifecycle
from .generation.waiting import Report
from .media import clips
from .screenplay import Scene, rendered, requests, shaped
from .together import Together, total


def shoot(cutting: CuttingRoom, scene: Scene, cut: Cut, *, clock: Clock, report: Report) -> Film:
    """See `Studio.scene`."""
    lifecycle, started = cutting.lifecycle, clock.now()
    settings, pictures, notes = shaped(rendered(scene.settings, scene.render), scene.keyframes)
    idle = sheet.idle(scene.lines, sorted(pictures))
    if idle:
        notes = (*notes, f"{', '.join(f'K{each}' for each in idle)} in no shot")
    asked = requests(scene.lines, settings, pictures)
    shots = Together(lifecycle, asked, settings.provider, word="shot", marks=scene.marks)
    said = (shots.bill, ways(lifecycle, scene), *notes)
    report("; ".join(said))
    made = shots.make(clock=clock, report=report)
    path = cutting.one_film([clip.path for clip in made], clock=clock, report=report, cut=cut)
    seconds = clips.inspect(path).seconds
    of_clips = dict.fromkeys(note for clip in made for note in clip.notes)
    return Film(
        path=path,
        generations=Joined((clip.entry.id for clip in made), cut),
        summary=f"scene of {seconds:.1f} s, {len(made)} shots · {summary(made, clock.now() - started)}",
        notes=(*said, *of_clips, *cutting.seam_notes(path, made)),
        clips=tuple(made),
    )


def ways(lifecycle: Lifecycle, scene: Scene) -> str:
    """What the scene costs now in each way of making it, in words."""
    told = []
    for render in ("animatic", "draft", "final"):
        settings, pictures, _ = shaped(rendered(scene.settings, render), scene.keyframes)
        try:
            # Of shots that ask for the same, one is bought.
            asked = {
                (request.fingerprint, request.take): request
                for request in requests(scene.lines, settings, pictures)
            }
            quotes = [lifecycle.quote(request, settings.provider) for request in asked.values()]
        except GenerationError:
            told.append(f"{render} not for sale")
            continue
        new = [quote for quote in quotes if not quote.recalled]
        what = "" if render == "animatic" else f" ({settings.model} {settings.resolution})"
        told.append(f"{render}{what} {total(new) if new else 'from the library'}")
    return "as " + " · ".join(told)
