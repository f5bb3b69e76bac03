"""A film for somebody else: its workflow, stills and a small preview, and nothing that is its maker's alone."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from ..generation import tripwire
from ..generation.credentials import Credentials
from ..generation.errors import Interrupted
from ..media import clips, encoding, frames, images

SHORT_SIDE: Final = 360
"""Pixels of the preview's shorter side at most."""
_GENERATION: Final = re.compile(r"\bray-\d{6}-[0-9a-f]{10}\b")
_PLACE: Final = re.compile(r"^(?:[A-Za-z]:[\\/]|[\\/]{1,2}|~[\\/]|file:)")
_WITHIN: Final = re.compile(
    r"(?<!\w)(?:file:/*)?(?:[A-Za-z]:\\|\\\\|~/|/(?:home|Users|root|mnt|media|Volumes|tmp|opt|var)/)[^\s\"'<>|]+"
)
"""A place in the midst of words."""
_OURS: Final = "_linked"


def write(
    path: Path,
    *,
    name: str,
    film: Path,
    parts: Sequence[Path],
    sheet: str,
    workflow: Any,
    credentials: Credentials,
    stopped: Callable[[], bool] = clips.never,
) -> None:
    """A zip at *path*: workflow.json, sheet.txt, stills and preview.mp4.

    Whoever receives it sees the film without paying, and can make it with providers of their own. Keys, ids of
    generations and places on this machine are taken out of the workflow.

    Raises BrokenClip, Interrupted.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        if workflow is not None:
            bundle.writestr("workflow.json", json.dumps(shared(workflow, credentials), indent=1))
        bundle.writestr("sheet.txt", sheet)
        for number, part in enumerate(parts, 1):
            still = images.still(frames.first_frame(part), name="still")
            bundle.writestr(f"stills/{number:02}.jpg", still.encode("image/jpeg"))
        preview = path.with_name(f".{path.stem}-preview.mp4")
        try:
            _preview(film, preview, stopped)
            bundle.write(preview, f"{name}-preview.mp4", zipfile.ZIP_STORED)
        finally:
            preview.unlink(missing_ok=True)


def shared(workflow: Any, credentials: Credentials) -> Any:
    """A workflow without what is its maker's alone: keys, ids of generations, places on this machine."""
    if isinstance(workflow, dict):
        return {
            _words(name, credentials): shared(value, credentials)
            for name, value in workflow.items()
            if name != _OURS
        }
    if isinstance(workflow, list):
        return [shared(value, credentials) for value in workflow]
    return _words(workflow, credentials) if isinstance(workflow, str) else workflow


def _words(text: str, credentials: Credentials) -> str:
    if tripwire.found(text, credentials):
        return ""
    text = _GENERATION.sub("", text)
    # Of a place on this machine the file's own name stays: the receiver's ComfyUI asks for that one.
    if _PLACE.match(text) and "\n" not in text:
        return _last(text)
    return _WITHIN.sub(lambda place: _last(place[0]), text)


def _last(place: str) -> str:
    return re.split(r"[\\/]", place)[-1]


def _preview(film: Path, path: Path, stopped: Callable[[], bool]) -> None:
    facts = clips.inspect(film)
    scale = min(SHORT_SIDE / min(facts.width, facts.height), 1)
    width, height = (max(round(side * scale / 2) * 2, 2) for side in (facts.width, facts.height))

    def pictures() -> Any:
        with closing(clips.read(film, size=(width, height))) as shown:
            for frame in shown:
                if stopped():
                    raise Interrupted("Stopped while the film was exported; its clips are kept.")
                yield frame

    with closing(pictures()) as made:
        encoding.write(made, path, frame_rate=facts.frame_rate, width=width, height=height, crf=28)
