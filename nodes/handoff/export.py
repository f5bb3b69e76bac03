"""A film as a folder that editors open: the film, its clips with handles, cut lists, its sheet, a bundle to share."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from ..cutting import CuttingRoom, cut_of
from ..generation.clock import Clock
from ..generation.credentials import Credentials
from ..generation.errors import GenerationError, InvalidInput
from ..generation.records import Entry
from ..generation.waiting import Report
from ..media import clips, seams, splicing
from ..sheet import Line, written
from . import bundle, edl, fcpxml
from .timeline import Event, Timeline

_LONGEST: Final = 60
_STOPPED: Final = "Stopped while the film was exported; its clips are kept."
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
    and NAME.fcpxml, and sheet.txt. With *credentials* also NAME.zip to share, see `bundle`. Clips are the files that
    were made, but for those that the film shows in other colours, at another rate or size: they are as in the film.

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
            cut = cut_of(generations)
            made_of = seams.assembled(
                [clip.path for clip in made],
                match=cut.match,
                dissolve=cut.dissolve,
                keeps=cut.keeps,
                stopped=lambda: clock.stopped,
            )
            files, remarks = [], []
            for number, (clip, part) in enumerate(zip(made, made_of.parts, strict=True), 1):
                clock.check()
                files.append(whole / "clips" / f"{number:02}_{filename(_title(clip.entry), longest=30)}.mp4")
                remarks.append(_changes(part, made_of.size))
                _put(part, made_of.size, files[-1], stopped=lambda: clock.stopped, changed=bool(remarks[-1]))
            timeline = timeline_of(own, made_of, [f"clips/{file.name}" for file in files], remarks)
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


def timeline_of(
    name: str, film: seams.Assembly, files: Sequence[str], remarks: Sequence[tuple[str, ...]]
) -> Timeline:
    """How the film shows the clips in *files*: its cuts are where those of its pictures are."""
    events = []
    for each in splicing.shown(film.parts):
        part, file = film.parts[each.part], files[each.part]
        events.append(
            Event(
                name=file.rpartition("/")[2].removesuffix(".mp4"),
                file=file,
                frames=part.line.frames,
                start=each.first,
                stop=each.first + each.count,
                dissolve=each.dissolve,
                has_audio=part.line.has_audio,
                remarks=remarks[each.part],
            )
        )
    rate = film.parts[0].line.frame_rate
    return Timeline(name=name, events=events, frame_rate=rate, width=film.size[0], height=film.size[1])


def _changes(part: splicing.Part, size: tuple[int, int]) -> tuple[str, ...]:
    """What the film shows otherwise than the clip's file has it, in words."""
    changes = []
    if part.curve is not None:
        changes.append("colours matched as in the film, not those of the clip that was made")
    if part.places is not None:
        changes.append(f"at the film's {float(part.line.frame_rate):.6g} frames a second")
    if clips.shown_size(part.path) != size:
        changes.append(f"at the film's size, {size[0]}x{size[1]}")
    return tuple(changes)


def _put(
    part: splicing.Part, size: tuple[int, int], file: Path, *, changed: bool, stopped: Callable[[], bool]
) -> None:
    """The whole clip of a part as a file, as the film shows it."""
    if not changed:
        shutil.copyfile(part.path, file)
        return
    alone = replace(part, offset=0, dissolve=0)
    splicing.splice([alone], file, size=size, stopped=stopped, words=_STOPPED)


def line(entry: Entry) -> Line:
    """The line of a scene sheet that asks for such a clip from its words alone."""
    told = entry.request
    return Line(
        prompt=str(told.get("prompt") or "").strip(),
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
