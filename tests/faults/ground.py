"""Where plays take place: a folder in memory, empty at the beginning of each, and journals that open at once."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from luma_ray.nodes.generation.journal import Journal

IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Nothing here is about disks."""


@cache
def _place() -> tempfile.TemporaryDirectory[str]:
    """The same one for all plays of this process, so that one engine serves all their journals: making one, and
    compiling its statements, takes longer than a whole play."""
    return tempfile.TemporaryDirectory(dir=IN_MEMORY, prefix="luma-ray-faults-")


@contextmanager
def empty() -> Iterator[Path]:
    """The folder, with nothing in it."""
    place = Path(_place().name) / "play"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


@cache
def _first(url: str) -> tuple[Journal, bytes]:
    """A journal there that was opened, and its file as it was then."""
    journal = Journal(url)
    journal.entries()
    return journal, Path(url.removeprefix("sqlite:///")).read_bytes()


def journal(folder: Path, now: Callable[[], float]) -> Journal:
    """The journal in *folder*; an empty one where there is none."""
    file = folder / "journal.db"
    url = f"sqlite:///{file}"
    made = Journal(url, now=now)
    if folder.parent != Path(_place().name):
        return made
    opened, content = _first(url)
    if not file.exists():
        file.write_bytes(content)
    made.database._engine = opened.database._engine
    return made
