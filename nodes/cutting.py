"""Films from the clips that are here: found by their generations, joined once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .generation.clock import Clock
from .generation.errors import GenerationError, InvalidInput
from .generation.finishing import Clip
from .generation.lifecycle import Lifecycle
from .generation.records import Occasion
from .generation.waiting import Report
from .media import grid, seams

if TYPE_CHECKING:
    from .media.seams import ColourMatch

_MADE: Final = "with sound, copied where it can be\n"
"""How films are made, as a part of their names: one that was made in another way is made anew."""


@dataclass(frozen=True)
class Cut:
    """How clips are joined."""

    match: ColourMatch = "off"
    """Whether colours are matched; see `seams.assembled`."""
    dissolve: int = 0
    """Frames in which a clip fades into the next."""
    keeps: int = 0
    """The clip whose colours the others are matched to."""

    @property
    def words(self) -> str:
        """What tells films apart that are cut otherwise; empty for a plain one."""
        if self.match == "off" and not self.dissolve:
            return ""
        words = f"{self.match} {self.dissolve}\n"
        return f"{self.keeps} {words}" if self.keeps and self.match != "off" else words


PLAIN: Final = Cut()


class Joined(tuple[str, ...]):  # noqa: SLOT001 - no tuple subclass can have any
    """Journal ids of a film's clips in order of play, and how the film was made of them.

    A tuple like any other to whoever wants the ids alone.
    """

    cut: Cut

    def __new__(cls, ids: Iterable[str], cut: Cut = PLAIN) -> Joined:  # noqa: PYI034 - Python 3.10 has no Self
        """*ids* with their *cut*."""
        made = super().__new__(cls, ids)
        made.cut = cut
        return made


def cut_of(generations: Sequence[str]) -> Cut:
    """How the film of *generations* is cut, as far as they tell."""
    return generations.cut if isinstance(generations, Joined) else PLAIN


class CuttingRoom:
    """The clips of a lifecycle's library, as films. Safe on any number of threads."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        self.lifecycle = lifecycle
        self._library = lifecycle.library

    def on(self, occasion: Occasion) -> CuttingRoom:
        """This room, for what is asked for on *occasion*."""
        return CuttingRoom(self.lifecycle.on(occasion))

    def clip_of(self, generation: str) -> Clip:
        """The finished clip of a generation, if it is in the library. Raises InvalidInput."""
        entry = self.lifecycle.journal.get(generation)
        path = self._library.find(entry) if entry is not None else None
        if entry is None or path is None:
            raise InvalidInput(
                f"The clip of generation {generation} is not on this machine. 'Ray Collect Generation' brings a "
                "paid one back."
            )
        return Clip(path=path, entry=entry, recalled=True)

    def film_path(
        self, generations: tuple[str, ...], *, clock: Clock, report: Report, cut: Cut | None = None
    ) -> Path:
        """The file of a film: its one clip, or its clips joined (once, kept in the library).

        Cut as it says, or as its generations do where it says nothing.
        """
        if not generations:
            raise InvalidInput("There is no clip in this film: connect the generation output of a Ray node.")
        parts = [self.clip_of(generation).path for generation in generations]
        return self.one_film(parts, clock=clock, report=report, cut=cut or cut_of(generations))

    def one_film(self, parts: list[Path], *, clock: Clock, report: Report, cut: Cut = PLAIN) -> Path:
        """As `join`; one clip alone stays the file that it is."""
        return parts[0] if len(parts) == 1 else self.join(parts, clock=clock, report=report, cut=cut)

    def join(self, parts: list[Path], *, clock: Clock, report: Report, cut: Cut = PLAIN) -> Path:
        """The film of *parts* with their sound, without frames that repeat; made once for the same parts and cut."""
        name = f"films/film_{_names(parts, cut)}.mp4"

        def write(path: Path) -> None:
            found = seams.join(
                parts,
                path,
                match=cut.match,
                dissolve=cut.dissolve,
                keeps=cut.keeps,
                stopped=lambda: clock.stopped,
                progress=lambda fraction: report("joining the clips", fraction),
            )
            self._note([seam.line for seam in found], name)

        return self._once(name, write)

    def joined(self, parts: list[Path], cut: Cut = PLAIN) -> Path | None:
        """The film of *parts*, if it was joined already."""
        try:
            path = self._library.folder / f"films/film_{_names(parts, cut)}.mp4"
        except OSError:  # a clip has just gone
            return None
        return path if path.is_file() else None

    def side_by_side(self, parts: list[Path], *, clock: Clock, report: Report) -> Path:
        """A video of *parts* at the same time, numbered; made once for the same parts."""

        def write(path: Path) -> None:
            grid.write(
                parts,
                path,
                stopped=lambda: clock.stopped,
                progress=lambda fraction: report("putting the takes side by side", fraction),
            )

        return self._once(f"films/takes_{_names(parts)}.mp4", write)

    def seam_lines(self, film: Path) -> list[str]:
        """What was found at each seam of a joined film, in words; empty if it is not known."""
        try:
            return film.with_suffix(".txt").read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError):
            return []

    def seam_notes(self, film: Path, parts: Sequence[object]) -> tuple[str, ...]:
        """The same for a node, numbered; none where the film is one clip alone, whose notes are not ours."""
        lines = self.seam_lines(film) if len(parts) > 1 else []
        return tuple(f"seam {number}: {words}" for number, words in enumerate(lines, 1))

    def kept(self, name: str, write: Callable[[Path], object]) -> Path:
        """The film called *name* in the library; *write* makes it, if it is not there yet."""
        return self._once(name, write, "Nothing was sent or billed.")

    def _once(
        self,
        name: str,
        write: Callable[[Path], object],
        advice: str = "Its clips are kept: queue again to make it of them.",
    ) -> Path:
        path = self._library.folder / name
        if path.is_file():
            return path
        try:
            with self._library.arriving(name) as arriving:
                write(arriving)
                return self._library.keep(arriving, name)
        except OSError as error:
            raise GenerationError(
                f"The film could not be written to {self._library.folder} "
                f"({error.strerror or type(error).__name__}). {advice}"
            ) from None

    def _note(self, lines: list[str], film: str) -> None:
        """Keep what was found beside the film, before the film has its name: a film that is there has both."""
        name = film.removesuffix(".mp4") + ".txt"
        with self._library.arriving(name) as arriving:
            arriving.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
            self._library.keep(arriving, name)


def _names(parts: list[Path], cut: Cut = PLAIN) -> str:
    """A name for a film of *parts*: the same files, unchanged and cut alike, give the same name."""
    seen = hashlib.sha256(f"{_MADE}{cut.words}".encode())
    for part in parts:
        facts = part.stat()
        seen.update(f"{part.resolve()}\0{facts.st_size}\0{facts.st_mtime_ns}\n".encode())
    return seen.hexdigest()[:16]
