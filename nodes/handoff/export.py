"""A film as a folder that editors open: the film, its clips with handles, cut lists, its sheet, a bundle to share."""

from __future__ import annotations

import re
import shutil
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from ..cutting import CuttingRoom
from ..generation.clock import Clock
from ..generation.credentials import Credentials
from ..generation.errors import GenerationError, InvalidInput
from ..generation.records import Entry
from ..generation.waiting import Report
from ..media import clips, seams
from ..sheet import Line, written
from . import bundle, edl, fcpxml
from .timeline import Event, Timeline

_LONGEST: Final = 60
_RESERVED: Final = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\.|$)")


def export(
    cutting: CuttingRoom,
    generations: tuple[str, ...],
    folder: Path,
    name: str,
    *,
    workflow: Any = None,
    credentials: Credentials | None = None,
    clock: Clock,
    report: Report,
) -> Path:
    """Write the film of *generations* into a new folder below *folder*, and say which.

    In it: the film (NAME.mp4), clips/ with every clip whole, so that what a seam drops is there as a handle, NAME.edl
    and NAME.fcpxml, and sheet.txt. With *credentials* also NAME.zip to share, see `bundle`.

    Raises InvalidInput, BrokenClip, Interrupted, GenerationError (it could not be written).
    """
    if not generations:
        raise InvalidInput("There is no film to export: connect the generation output of a Ray node.")
    made = [cutting.clip_of(generation) for generation in generations]
    film = cutting.film_path(generations, clock=clock, report=report)
    own = filename(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".exporting-") as place:
            whole = Path(place) / "film"
            (whole / "clips").mkdir(parents=True)
            report("exporting the clips")
            shutil.copyfile(film, whole / f"{own}.mp4")
            files = []
            for number, clip in enumerate(made, 1):
                clock.check()
                files.append(whole / "clips" / f"{number:02}_{filename(_title(clip.entry), longest=30)}.mp4")
                shutil.copyfile(clip.path, files[-1])
            timeline = cut(own, [clip.path for clip in made], [f"clips/{file.name}" for file in files])
            (whole / f"{own}.edl").write_bytes(edl.written(timeline).encode("ascii"))
            (whole / f"{own}.fcpxml").write_text(fcpxml.written(timeline), encoding="utf-8")
            sheet = written([line(clip.entry) for clip in made])
            (whole / "sheet.txt").write_text(sheet, encoding="utf-8")
            if credentials is not None:
                report("making the bundle")
                bundle.write(
                    whole / f"{own}.zip",
                    name=own,
                    film=film,
                    parts=files,
                    sheet=sheet,
                    workflow=workflow,
                    credentials=credentials,
                    stopped=lambda: clock.stopped,
                )
            return _named(whole, folder, own)
    except OSError as error:
        raise GenerationError(
            f"The film could not be exported to {folder} ({error.strerror or type(error).__name__}). It is kept as "
            "it was; nothing was billed."
        ) from None


def cut(name: str, parts: list[Path], files: list[str]) -> Timeline:
    """How *parts* make a film: each from the first frame on that the one before does not show."""
    facts = [clips.inspect(part) for part in parts]
    drops = [0, *(seams.find(earlier, later).dropped for earlier, later in pairwise(parts))]
    events = [
        Event(
            name=file.rpartition("/")[2].removesuffix(".mp4"),
            file=file,
            frames=fact.frames,
            start=drop,
            has_audio=fact.has_audio,
        )
        for file, fact, drop in zip(files, facts, drops, strict=True)
        if drop < fact.frames
    ]
    return Timeline(
        name=name, events=events, frame_rate=facts[0].frame_rate, width=facts[0].width, height=facts[0].height
    )


def line(entry: Entry) -> Line:
    """The line of a scene sheet that asks for such a clip from its words alone."""
    told = entry.request
    words = str(told.get("prompt") or "").replace("|", "/")
    return Line(
        prompt=" ".join(words.split()) or "-",
        seconds=told["duration"] if isinstance(told.get("duration"), int) else None,
        concepts=tuple(told.get("concepts") or ()),
        take=entry.take if entry.take > 1 else None,
        loop=bool(told.get("loop")),
    )


def filename(words: str, *, longest: int = _LONGEST) -> str:
    """A name that every disk takes and that leads nowhere else: letters, digits, - and _."""
    name = re.sub(r"[^A-Za-z0-9]+", "-", words).strip("-")[:longest].strip("-")
    return f"_{name}" if _RESERVED.match(name) else name or "film"


def _title(entry: Entry) -> str:
    return str(entry.request.get("prompt") or entry.operation)


def _named(whole: Path, folder: Path, name: str) -> Path:
    """Give the finished folder its name, or the next that is free: nothing that is there is overwritten."""
    for number in range(1, 10_000):
        target = folder / (name if number == 1 else f"{name}_{number}")
        if target.exists():
            continue
        try:
            return whole.rename(target)
        except OSError:
            if not target.exists():
                raise
    raise FileExistsError(f"{name} and ten thousand after it are there")
