"""The operations as nodes, the command line and the demo call them: pictures and films in, films out."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from . import chain, editing, shooting, variations
from .cutting import Cut, CuttingRoom
from .film import MATCH_FIRST_FRAME, Film, Frames, Settings, film_of, framed, made, request_for
from .generation.clock import Clock
from .generation.credentials import Credentials
from .generation.errors import InvalidInput
from .generation.journal import Journal
from .generation.library import Library
from .generation.lifecycle import Lifecycle
from .generation.records import Occasion
from .generation.request import GenerationRequest, Operation, StillImage
from .generation.selection import AUTO
from .generation.spending import LimitsFile
from .generation.waiting import Report
from .hosting import HOSTS
from .media import clips
from .providers import PROVIDERS
from .screenplay import Scene
from .sheet import Line

if TYPE_CHECKING:
    from .media.seams import ColourMatch


class Studio:
    """All operations over one journal and one library. Safe on any number of threads."""

    def __init__(self, private: Path, library: Path) -> None:
        self.private = private
        """The owner's folder: journal and keys."""
        self.credentials = Credentials(private)
        self.library = Library(library)
        self.limits = LimitsFile(private)
        self.lifecycle = Lifecycle(
            journal=Journal.at(private),
            library=self.library,
            credentials=self.credentials,
            providers=PROVIDERS,
            hosts=HOSTS,
            inspect=clips.arrived,
            limits=self.limits.load,
        )
        self.cutting = CuttingRoom(self.lifecycle)

    def on(self, occasion: Occasion) -> Studio:
        """This studio, for what is asked for on *occasion*."""
        other = copy.copy(self)
        other.cutting = self.cutting.on(occasion)
        other.lifecycle = other.cutting.lifecycle
        return other

    def text_to_video(self, settings: Settings, *, clock: Clock, report: Report) -> Film:
        """A clip from a prompt. Raises everything in `generation.errors`."""
        if settings.aspect_ratio == MATCH_FIRST_FRAME:
            settings = replace(settings, aspect_ratio="16:9")
        return self._one(request_for(settings, Operation.TEXT_TO_VIDEO), settings, (), clock, report)

    def image_to_video(
        self, settings: Settings, first_frame: StillImage, *, clock: Clock, report: Report
    ) -> Film:
        """A clip that starts on a picture."""
        frames, settings, notes = framed(settings, Frames(first=first_frame))
        request = request_for(settings, Operation.IMAGE_TO_VIDEO, first_frame=frames.first)
        return self._one(request, settings, notes, clock, report)

    def keyframes_to_video(self, settings: Settings, frames: Frames, *, clock: Clock, report: Report) -> Film:
        """A clip that starts on one picture, ends on another, or both, and may pass others in between."""
        if frames.leading is None:
            raise InvalidInput(
                "Keyframes to Video needs a first frame, a last frame, or both; connect one. Nothing was billed."
            )
        if frames.first is not None and frames.last is None and not frames.middle:
            return self.image_to_video(settings, frames.first, clock=clock, report=report)
        frames, settings, notes = framed(settings, frames)
        request = request_for(
            settings,
            Operation.KEYFRAMES_TO_VIDEO,
            first_frame=frames.first,
            last_frame=frames.last,
            middle_frames=frames.middle,
        )
        return self._one(request, settings, notes, clock, report)

    def extend_video(
        self,
        settings: Settings,
        *,
        generations: tuple[str, ...] = (),
        video: Path | None = None,
        direction: chain.Direction = "forward",
        length: int = 15,
        part: chain.Part = "whole film",
        lines: Sequence[Line] = (),
        match: ColourMatch = "off",
        clock: Clock,
        report: Report,
    ) -> Film:
        """Continue a film to *length* seconds, clip by clip, after its end or before its start.

        *lines* are prompts, camera moves and takes of the parts in the order in which they are made. *match* says
        whether what is added gets the colours of the film; what is bought is the same either way.
        The film is *generations* (journal ids in order of play) or any *video* file. Each added clip is a
        generation of its own: stopping keeps those that are there, and queueing again buys only the rest.
        """
        return chain.extend(
            self.cutting,
            settings,
            source=chain.Source(generations=generations, video=video),
            direction=direction,
            length=length,
            part=part,
            lines=lines,
            match=match,
            clock=clock,
            report=report,
        )

    def takes(
        self,
        settings: Settings,
        frames: Frames,
        *,
        count: int,
        choose: int = 0,
        marks: tuple[str, ...] = (),
        clock: Clock,
        report: Report,
    ) -> Film:
        """*count* takes of one shot, made at the same time and shown side by side; or the *choose*-th alone."""
        return variations.takes(
            self.cutting,
            settings,
            frames,
            count=count,
            choose=choose,
            marks=marks,
            clock=clock,
            report=report,
        )

    def scene(self, scene: Scene, *, match: ColourMatch = "off", clock: Clock, report: Report) -> Film:
        """The film of a scene: every shot of its sheet a purchase of its own, all of them made at the same time.

        What is wrong with any shot, and limits that all of them together would cross, are said before one is
        bought. A shot that fails stops no other; queueing again buys only what is missing. *match* says whether
        shots get the colours of the first; what is bought is the same either way.
        """
        return shooting.shoot(self.cutting, scene, Cut(match=match), clock=clock, report=report)

    def modify_video(
        self,
        settings: Settings,
        source: chain.Source,
        *,
        mode: str,
        first_frame: StillImage | None = None,
        clock: Clock,
        report: Report,
    ) -> Film:
        """A film made over, its moves kept; *mode* says how closely (`ray.MODES`)."""
        return editing.modify(
            *(self.cutting, settings),
            source=source,
            mode=mode,
            first_frame=first_frame,
            clock=clock,
            report=report,
        )

    def reframe_video(
        self,
        settings: Settings,
        source: chain.Source,
        *,
        place: editing.Place | None = None,
        first_frame: StillImage | None = None,
        clock: Clock,
        report: Report,
    ) -> Film:
        """A film in another ratio, nothing cut off: what is around it is generated."""
        return editing.reframe(
            *(self.cutting, settings),
            source=source,
            place=place or editing.Place(),
            first_frame=first_frame,
            clock=clock,
            report=report,
        )

    def upscale_video(
        self, settings: Settings, generations: tuple[str, ...], *, clock: Clock, report: Report
    ) -> Film:
        """A clip with more pixels, made by the provider that made it."""
        return editing.upscale(self.cutting, settings, generations=generations, clock=clock, report=report)

    def add_audio(
        self,
        settings: Settings,
        generations: tuple[str, ...],
        *,
        negative_prompt: str = "",
        clock: Clock,
        report: Report,
    ) -> Film:
        """A clip with sound, made by the provider that made it."""
        return editing.add_audio(
            *(self.cutting, settings),
            generations=generations,
            negative_prompt=negative_prompt,
            clock=clock,
            report=report,
        )

    def interpolate_video(
        self,
        settings: Settings,
        before: tuple[str, ...],
        after: tuple[str, ...],
        *,
        whole: bool = False,
        clock: Clock,
        report: Report,
    ) -> Film:
        """A clip from the end of one clip to the beginning of another, made by the provider of both."""
        return editing.interpolate(
            self.cutting, settings, before=before, after=after, whole=whole, clock=clock, report=report
        )

    def collect(self, id: str, provider: str = AUTO, *, clock: Clock, report: Report) -> Film:
        """Bring back a paid clip by journal id or by the provider's own id. Buys nothing."""
        if not id.strip():
            raise InvalidInput("Give the id of a generation: ours (ray-...) or the provider's own.")
        started = clock.now()
        clip = self.lifecycle.collect(id, provider, clock=clock, report=report)
        return film_of(clip, seconds_waited=clock.now() - started)

    def _one(
        self,
        request: GenerationRequest,
        settings: Settings,
        notes: tuple[str, ...],
        clock: Clock,
        report: Report,
    ) -> Film:
        return made(self.lifecycle, request, settings.provider, notes, clock, report)
