"""Films from the clips that are here: found by their generations, joined once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
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
    """Whether colours are matched to the first clip's; see `seams.join`."""
    dissolve: int = 0
    """Frames in which a clip fades into the next."""


PLAIN: Final = Cut()


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
        self, generations: tuple[str, ...], *, clock: Clock, report: Report, cut: Cut = PLAIN
    ) -> Path:
        """The file of a film: its one clip, or its clips joined (once, kept in the library)."""
        if not generations:
            raise InvalidInput("There is no clip in this film: connect the generation output of a Ray node.")
        parts = [self.clip_of(generation).path for generation in generations]
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
    seen = hashlib.sha256(_MADE.encode())
    if cut != PLAIN:
        seen.update(f"{cut.match} {cut.dissolve}\n".encode())
    for part in parts:
        facts = part.stat()
        seen.update(f"{part.resolve()}\0{facts.st_size}\0{facts.st_mtime_ns}\n".encode())
    return seen.hexdigest()[:16]
