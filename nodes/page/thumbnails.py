"""Small pictures of clips: made once, when they are first asked for, a few at a time."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from concurrent.futures import Future
from pathlib import Path
from typing import Final

from ..generation.credentials import redact
from ..generation.errors import GenerationError
from ..generation.records import Entry

FOLDER: Final = "thumbnails"
"""Below the owner's private folder: nothing that people put there themselves is in it."""
AT_ONCE: Final = 2
"""Made at the same time, at most: the clips of a graph are decoded beside them."""
IN_LINE: Final = 2
"""So many more may wait; those after them are told to ask again."""
_MOST_REMEMBERED: Final = 2000
_SAME_AGE: Final = 2.5
"""Seconds, which is as much as a file system may round: a picture is as old as the clip that it was made of."""
BUSY: Final = "Other pictures are being made; ask again."


class Busy(Exception):
    """Too many pictures are asked for at once."""


class Thumbnails:
    """The small pictures of a library's clips, in a folder. Safe on any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._room = threading.BoundedSemaphore(AT_ONCE)
        self._making: dict[Path, Future[str]] = {}
        self._broken: OrderedDict[tuple[str, int, int], str] = OrderedDict()

    def path(self, private: Path, entry: Entry) -> Path:
        """Where the picture of *entry* is, or would be. Its name is a hash: no id leads anywhere."""
        name = hashlib.sha256(f"{entry.id}\n{entry.clip}".encode("utf-8", "replace")).hexdigest()[:40]
        return private / FOLDER / name[:2] / f"{name}.jpg"

    def there(self, private: Path, entry: Entry, clip: Path | None) -> bool:
        """Whether there is a picture of *entry*, or can be one."""
        return clip is not None or self.path(private, entry).is_file()

    def make(self, private: Path, entry: Entry, clip: Path | None) -> tuple[Path | None, str]:
        """The picture of *entry*, whose file is *clip*; or why there is none, in words. Raises Busy."""
        target = self.path(private, entry)
        if clip is None:
            return (target, "") if target.is_file() else (None, "Its clip is not here.")
        try:
            facts = clip.stat()
            if target.is_file() and abs(target.stat().st_mtime - facts.st_mtime) < _SAME_AGE:
                return target, ""
        except OSError as error:
            return None, f"Its clip cannot be read ({error.strerror or type(error).__name__})."
        key = (str(clip), facts.st_size, facts.st_mtime_ns)
        with self._lock:
            if key in self._broken:  # looked at before, and nothing changed
                return None, self._broken[key]
            others = self._making.get(target)
            if others is None and len(self._making) >= AT_ONCE + IN_LINE:
                raise Busy(BUSY)
            mine: Future[str] = others or Future()
            self._making[target] = mine
        words = mine.result() if others is not None else self._made(clip, target, key, mine)
        return (None, words) if words else (target, "")

    def _made(self, clip: Path, target: Path, key: tuple[str, int, int], told: Future[str]) -> str:
        """Make the picture; the words for why it could not be made."""
        from ..media import thumbnail

        words = "It could not be made."
        try:
            with self._room:
                thumbnail.write(clip, target)
            words = ""
        except GenerationError as error:
            words = redact(str(error)).replace(str(clip), "The clip")
            with self._lock:
                self._broken[key] = words
                while len(self._broken) > _MOST_REMEMBERED:
                    self._broken.popitem(last=False)
        except OSError as error:
            words = f"The picture could not be written ({error.strerror or type(error).__name__})."
        finally:
            with self._lock:
                self._making.pop(target, None)
            told.set_result(words)
        return words
