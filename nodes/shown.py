"""What each node showed last, known by its mark: a page that is loaded again shows it again.

ComfyUI's page forgets it with a reload. The workflow is no place for it: what is in there is shared.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

MOST: Final = 2000
"""Nodes that are remembered; those that ran longest ago are forgotten first."""
_PARTS: Final = ("filename", "subfolder", "type")
_writing = threading.Lock()


class Shown:
    """What is remembered in *folder*. Nothing depends on it: what cannot be read or written is not there."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "shown.json"

    def remember(self, mark: str, place: Mapping[str, str]) -> None:
        """The node of *mark* shows the file at *place*, as ComfyUI's page names files."""
        if not mark:  # an older ComfyUI does not tell which graph it runs
            return
        with _writing, suppress(OSError):
            kept = self._read()
            kept.pop(mark, None)
            kept[mark] = {part: place[part] for part in _PARTS}
            newest = dict(list(kept.items())[-MOST:])
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle, temporary = tempfile.mkstemp(dir=self._path.parent, prefix=".shown-")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    json.dump(newest, file)
                Path(temporary).replace(self._path)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise

    def recall(self, marks: Collection[str]) -> dict[str, dict[str, str]]:
        """What the nodes of *marks* showed last, by mark."""
        kept = self._read()
        return {mark: kept[mark] for mark in marks if mark in kept}

    def _read(self) -> dict[str, dict[str, str]]:
        try:
            content: Any = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        if not isinstance(content, dict):
            return {}
        return {mark: place for mark, place in content.items() if _is_place(place)}


def _is_place(place: Any) -> bool:
    return isinstance(place, dict) and all(isinstance(place.get(part), str) for part in _PARTS)
