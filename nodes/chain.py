"""Extend a film clip by clip: the provider's own extend where there is one, else from the picture at its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from .cutting import PLAIN, Cut, Joined
from .film import MATCH_FIRST_FRAME, Film, Frames, Settings, framed, request_for, summary
from .generation.clock import Clock
from .generation.errors import REFUSALS, GenerationError, InvalidInput
from .generation.finishing import Clip
from .generation.ray import ASPECT_RATIOS, FRAMES_PER_SECOND, LONGEST_EXTEND, LONGEST_FILM, proportion
from .generation.request import GenerationReference, GenerationRequest, Operation
from .generation.selection import AUTO, refusals
from .generation.waiting import Report
from .marks import numbered
from .media import clips, frames, images
from .sheet import Line

if TYPE_CHECKING:
    from .cutting import CuttingRoom
    from .generation.records import Entry
    from .media.seams import ColourMatch

SAME_SHAPE: Final = 0.02
"""Films whose width to height differs by more are not joined."""

SAME_RATE: Final = 0.0001
"""Frame rates that differ by more are not joined: 23.976 is not 24."""

Direction = Literal["forward", "backward"]
Part = Literal["whole film", "new part"]


@dataclass(frozen=True, kw_only=True)
class Source:
    """The film to extend: generations of ours in order of play, or any video file."""

    generations: tuple[str, ...] = ()
    video: Path | None = None


def extend(
    cutting: CuttingRoom,
    settings: Settings,
    *,
    source: Source,
    direction: Direction,
    length: int,
    part: Part,
    lines: Sequence[Line] = (),
    match: ColourMatch = "off",
    clock: Clock,
    report: Report,
) -> Film:
    """See `Studio.extend_video`."""
    if bool(source.generations) == (source.video is not None):
        raise InvalidInput(
            "Extend Video needs one film to extend: connect a generation, a video or frames, and only one of them."
        )
    started, occasion = clock.now(), cutting.lifecycle.occasion
    # Plain, whatever its seams are like: what is bought does not depend on how a film is shown.
    whole = source.video or cutting.film_path(source.generations, clock=clock, report=report, cut=PLAIN)
    _check_lines(lines)
    count, notes, have = _plan(settings, whole, length=length, part=part)
    if len(lines) > count:
        notes = (*notes, f"{count} of {len(lines)} lines of parts are used: so many clips are added")
    made: list[Clip] = []
    earlier = [cutting.clip_of(generation) for generation in source.generations]
    parts = [source.video] if source.video is not None else [clip.path for clip in earlier]
    edge = (earlier[-1] if direction == "forward" else earlier[0]) if earlier else None
    if settings.loop:
        _check_loop(cutting, settings, edge, edge.path if edge is not None else whole, direction)
    for number in range(1, count + 1):
        last = number == count
        step = replace(_with(settings, lines, number), loop=settings.loop and last)
        edge_path = edge.path if edge is not None else whole
        short = have + number * settings.duration < LONGEST_EXTEND + 0.5
        request, provider, said = _step(cutting, step, edge if short else None, edge_path, direction)
        notes += tuple(note for note in said if note not in notes)

        def reported(words: str, fraction: float | None = None, number: int = number) -> None:
            report(f"part {number} of {count}: {words}" if count > 1 else words, fraction)

        try:
            own = replace(occasion, shot=numbered(occasion.shot, number))
            edge = cutting.lifecycle.on(own).generate(request, provider, clock=clock, report=reported)
        except GenerationError as error:
            raise _after(made, count, error) from None
        notes += tuple(note for note in edge.notes if note not in notes)
        made.append(edge)
        if part == "whole film":
            _check_fits(whole, edge)
        parts = [*parts, edge.path] if direction == "forward" else [edge.path, *parts]
    in_order = made if direction == "forward" else made[::-1]
    if part == "new part":
        parts = [clip.path for clip in in_order]
    # Before the film's start, what is added follows the film all the same; alone, what was made of it first.
    keeps = len(made) - (part == "new part") if direction == "backward" else 0
    cut = Cut(match=match, keeps=keeps)
    try:
        path = cutting.one_film(parts, clock=clock, report=report, cut=cut)
    except InvalidInput as error:
        raise _kept(in_order, str(error)) from None
    ids = tuple(clip.entry.id for clip in in_order)
    if part == "whole film":
        ids = (*source.generations, *ids) if direction == "forward" else (*ids, *source.generations)
    seconds = clips.inspect(path).seconds
    shown = "film" if part == "whole film" else "new part"
    line = f"{shown} of {seconds:.0f} s · added: {summary(made, clock.now() - started)}"
    return Film(
        path=path,
        generations=Joined(ids, cut),
        summary=line,
        notes=(*notes, *cutting.seam_notes(path, parts)),
        clips=tuple(made),
    )


def _check_lines(lines: Sequence[Line]) -> None:
    """Raise InvalidInput for what a part that is added cannot have of its own."""
    for number, line in enumerate(lines, 1):
        wrong = [
            word
            for word, told in (
                ("a length", line.seconds is not None),
                ("keyframes", line.keyframes is not None),
                ("a loop", line.loop),
            )
            if told
        ]
        if wrong:
            raise InvalidInput(
                f"Part {number} has {' and '.join(wrong)} of its own. A part that is added has a prompt, camera "
                "moves and a take; Ray Scene has the rest. Nothing was billed."
            )


def _with(settings: Settings, lines: Sequence[Line], number: int) -> Settings:
    """The settings of the part with that number, counted from 1."""
    if number > len(lines):
        return settings
    line = lines[number - 1]
    return replace(
        settings,
        prompt=line.prompt or settings.prompt,
        concepts=line.concepts or settings.concepts,
        take=line.take if line.take is not None else settings.take,
    )


def _plan(settings: Settings, whole: Path, *, length: int, part: Part) -> tuple[int, tuple[str, ...], float]:
    """How many clips to add, what to say about it, and how long the film is. Raises InvalidInput."""
    facts = clips.inspect(whole)
    # A clip of 5 s has 121 frames: the last one is the moment at which the next clip begins.
    have = (facts.frames - 1) / float(facts.frame_rate)
    if length > LONGEST_FILM:
        raise InvalidInput(
            f"A film can be extended to {LONGEST_FILM} s, not to {length} s. Nothing was billed."
        )
    missing = length - have
    if missing < 0.5:
        raise InvalidInput(
            f"The film is {have:.1f} s long already; choose a length above that. Nothing was billed."
        )
    if part == "whole film" and abs(facts.frame_rate / FRAMES_PER_SECOND - 1) > SAME_RATE:
        raise InvalidInput(
            f"The film has {float(facts.frame_rate):.6g} frames a second and Ray makes {FRAMES_PER_SECOND}: "
            f"convert it to {FRAMES_PER_SECOND} first, or choose 'new part' and join it yourself. Nothing was billed."
        )
    if part == "whole film" and settings.aspect_ratio != MATCH_FIRST_FRAME:
        shape = facts.width / facts.height
        if abs(proportion(settings.aspect_ratio) / shape - 1) > SAME_SHAPE:
            raise InvalidInput(
                f"The film is {facts.width}x{facts.height}, and {settings.aspect_ratio} clips cannot be joined to "
                "it: choose aspect ratio 'auto', or 'new part'. Nothing was billed."
            )
    count = ceil((missing - 0.25) / settings.duration)
    reached = have + count * settings.duration
    if reached > LONGEST_FILM + 0.5:
        raise InvalidInput(
            f"{count} clips of {settings.duration} s would make a film of {reached:.0f} s, and {LONGEST_FILM} s is "
            "the most: choose a shorter length or duration. Nothing was billed."
        )
    if settings.loop and reached > LONGEST_EXTEND + 0.5:
        raise InvalidInput(
            f"A film of {reached:.0f} s cannot loop: only a provider's own extend closes a film, and it is asked for "
            f"up to {LONGEST_EXTEND} s. Switch loop off, or choose a shorter length. Nothing was billed."
        )
    notes: tuple[str, ...] = ()
    if abs(reached - length) > 0.25:
        notes = (
            f"the film will be {reached:.1f} s long, not {length} s: each clip adds {settings.duration} s",
        )
    return count, notes, have


def _check_loop(
    cutting: CuttingRoom, settings: Settings, edge: Clip | None, path: Path, direction: Direction
) -> None:
    """Only a provider's own extend can close a film: a clip made from a picture would return to that picture."""
    request, _, _ = _step(cutting, settings, edge, path, direction)
    if request.operation is not Operation.EXTEND_VIDEO:
        raise InvalidInput(
            "This film cannot loop: that needs an extension forward by the provider that made its clips. Switch "
            "loop off, or close the film with Ray Keyframes to Video, from its last frame to its first. Nothing was "
            "billed."
        )


def _check_fits(whole: Path, clip: Clip) -> None:
    """A clip that came out in another shape or at another rate ends the chain before more of them are bought."""
    film, new = clips.inspect(whole), clips.inspect(clip.path)
    same_shape = abs(new.width / new.height / (film.width / film.height) - 1) <= SAME_SHAPE
    if not same_shape or abs(new.frame_rate / film.frame_rate - 1) > SAME_RATE:
        raise _kept(
            [clip],
            f"The film is {film.width}x{film.height} with {float(film.frame_rate):.6g} frames a second, and the new "
            f"clip came as {new.width}x{new.height} with {float(new.frame_rate):.6g}.",
        )


def _kept(made: Sequence[Clip], why: str) -> GenerationError:
    """The error for clips that are there and cannot be joined."""
    ids = ", ".join(clip.entry.id for clip in made)
    return GenerationError(
        f"{why} They cannot be joined as they are. What was made is kept ({ids}): 'new part' gives it alone, and "
        "buys nothing that is here already."
    )


def _after(made: Sequence[Clip], count: int, error: GenerationError) -> GenerationError:
    """*error* with the truth about the parts before it: what it says about the bill is of one part alone."""
    if not made:
        return error
    earlier = "part 1 is" if len(made) == 1 else f"parts 1 to {len(made)} are"
    kind = GenerationError if isinstance(error, REFUSALS) else type(error)
    return kind(
        f"Part {len(made) + 1} of {count}: {error} That is about this part alone; {earlier} made and kept. Queue "
        "again, and only the rest is made."
    )


def _step(
    cutting: CuttingRoom, settings: Settings, edge: Clip | None, path: Path, direction: Direction
) -> tuple[GenerationRequest, str, tuple[str, ...]]:
    """The request for the next clip, who is asked for it, and how it continues, in words.

    With "auto", what was bought already goes before what would be bought now: a key that came or went since
    must not make the same film cost twice.
    """
    native = _native(cutting, settings, edge, direction) if edge is not None else None
    if native is None or edge is None:
        return _continued(settings, path, direction)
    lifecycle, name = cutting.lifecycle, edge.entry.provider
    extended = native, name, (f"extended by {name}'s own extend",)
    if settings.provider != AUTO or lifecycle.bought(native, name) is not None:
        return extended
    continued = _continued(settings, path, direction)
    sellers = lifecycle.sellers
    if lifecycle.bought(continued[0]) is not None or not sellers.configured(sellers.provider(name)):
        return continued
    return extended


def _continued(
    settings: Settings, path: Path, direction: Direction
) -> tuple[GenerationRequest, str, tuple[str, ...]]:
    """As `_step`, from the picture at the film's end: what every provider can do."""
    name = "the film's last frame" if direction == "forward" else "the film's first frame"
    picture = frames.last_frame(path) if direction == "forward" else frames.first_frame(path)
    still = images.still(picture, name=name)
    notes = (f"continued from {name} as a picture, and joined",)
    if direction == "forward":
        pictures, shaped, cropped = framed(settings, Frames(first=still))
        request = request_for(shaped, Operation.IMAGE_TO_VIDEO, first_frame=pictures.first)
    else:
        pictures, shaped, cropped = framed(settings, Frames(last=still))
        request = request_for(shaped, Operation.KEYFRAMES_TO_VIDEO, last_frame=pictures.last)
    return request, settings.provider, (*notes, *cropped)


def _native(
    cutting: CuttingRoom, settings: Settings, edge: Clip, direction: Direction
) -> GenerationRequest | None:
    """The request for the provider's own extend of *edge*, if it has one and another was not named."""
    entry = edge.entry
    provider = cutting.lifecycle.sellers.provider(entry.provider)
    if settings.provider not in (AUTO, provider.name) or entry.job is None:
        return None
    reference = GenerationReference(
        entry.id, entry.provider, entry.handle, edge.path, from_text=_from_text(cutting, entry)
    )
    if settings.aspect_ratio == MATCH_FIRST_FRAME:
        nearest = images.nearest_aspect_ratio(entry.width or 16, entry.height or 9, ASPECT_RATIOS)
        settings = replace(settings, aspect_ratio=nearest)
    forward = direction == "forward"
    request = request_for(
        settings,
        Operation.EXTEND_VIDEO,
        first_frame=reference if forward else None,
        last_frame=None if forward else reference,
    )
    _, reasons = refusals(provider, request)
    return None if reasons else request


def _from_text(cutting: CuttingRoom, entry: Entry | None) -> bool:
    """Whether the chain that *entry* ends began with a prompt alone."""
    while entry is not None and entry.operation == Operation.EXTEND_VIDEO.value:
        edges = [edge for edge in (entry.request["first_frame"], entry.request["last_frame"]) if edge]
        if len(edges) != 1:
            return False
        entry = next(iter(cutting.lifecycle.journal.by_handle(edges[0]["job"])), None)
    return entry is not None and entry.operation == Operation.TEXT_TO_VIDEO.value
