"""Finished clips on disk, under names that say what they are; the journal finds them again."""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from .errors import InvalidInput
from .records import Entry

ABANDONED: Final = 24 * 3600.0
"""Seconds after which a file that was arriving is nobody's any more."""


class Library:
    """The folder of clips. Its owner may move or delete files: a missing one is downloaded again if it can be."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, entry: Entry) -> Path | None:
        """The clip of a completed generation, if its file is still here."""
        return None if entry.clip is None else self.path(entry.clip)

    def path(self, name: str) -> Path | None:
        """The file called *name* below the folder, if there is one."""
        path = self._inside(name)
        return path if path.is_file() else None

    def name(self, entry: Entry) -> str:
        """Where the clip of *entry* goes, below the folder: by month, name and id."""
        day = time.strftime("%Y-%m/%Y-%m-%d", time.gmtime(entry.created_at))
        model = re.sub(r"[^a-z0-9.-]", "-", entry.model.lower())
        return f"{day}_{model}_{entry.id}.mp4"

    @contextmanager
    def arriving(self, name: str) -> Iterator[Path]:
        """A temporary file on the same disk; what is left of it after a failure is removed."""
        target = self._inside(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        _clear(target.parent)
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".arriving-", suffix=".mp4")
        os.close(handle)
        path = Path(temporary)
        # mkstemp makes files that only the owner reads; a clip is an ordinary output.
        with suppress(OSError):  # exFAT and some network drives know no permissions
            path.chmod(0o644)
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def keep(self, arrived: Path, name: str) -> Path:
        """Give a whole, checked file its final name; durable when this returns."""
        target = self._inside(name)
        with arrived.open("rb+") as file:
            os.fsync(file.fileno())
        arrived.replace(target)
        _sync_folder(target.parent)
        return target

    def remove(self, entry: Entry) -> int:
        """Delete the clip of *entry*, and nothing else; how many bytes it had. Raises OSError, InvalidInput."""
        path = self.find(entry)
        if path is None:
            raise InvalidInput(f"The clip of generation {entry.id} is not here. Nothing was deleted.")
        size = path.stat().st_size
        path.unlink()
        return size

    def _inside(self, name: str) -> Path:
        root = self.folder.resolve()
        try:
            path = (root / name).resolve()
            inside = path.is_relative_to(root)
        except (OSError, ValueError):  # a name that no disk takes: too long, a zero byte
            inside = False
        if not inside:
            raise InvalidInput("A clip's name leads out of the library's folder, or is none.")
        return path


def _clear(folder: Path) -> None:
    """Remove what downloads left behind whose process was killed: longer ago than any download takes."""
    with suppress(OSError):
        for path in folder.glob(".arriving-*"):
            if time.time() - path.stat().st_mtime > ABANDONED:
                path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make a rename durable, where the system lets a folder be opened."""
    with suppress(OSError):  # some network drives and Windows cannot
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
