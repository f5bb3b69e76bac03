"""Where a film will stand in a reframed picture: how large the film is, and where it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from .generation.canvas import Percents, Placement, percents, placed
from .generation.errors import InvalidInput
from .generation.lifecycle import Lifecycle
from .generation.records import Entry
from .marks import Prompt, linked, mark
from .plan_films import expected
from .storyboard import place_of

NODE: Final = "RayReframeVideo"
SOURCES: Final = ("generation", "video", "frames")
"""Inputs that a film comes over."""
LARGEST: Final = 16384
"""Pixels of a side that somebody may call a film's."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """The film that a node would change."""

    width: int
    height: int
    known: bool
    """False: as the widgets before it tell, or a guess."""
    clip: Path | None = None
    """Its clip, where it is here."""
    file: dict[str, str] | None = None
    """The file of ComfyUI's that it is loaded from."""


def source(lifecycle: Lifecycle, prompt: Prompt, node_id: str) -> Source:
    """The film that leads to a node. Raises InvalidInput where the node is another one."""
    node = prompt.get(node_id)
    if node is None or node.get("class_type") != NODE:
        raise InvalidInput("That is no Ray Reframe Video.")
    given = node.get("inputs", {})
    link = next((given[name] for name in SOURCES if linked(given.get(name))), None)
    entry = _made(lifecycle, prompt, link)
    if entry is not None and entry.width and entry.height:
        return Source(width=entry.width, height=entry.height, known=True, clip=lifecycle.library.find(entry))
    film = expected(prompt, link)
    return Source(width=film.width, height=film.height, known=False, file=_loaded(prompt, link))


def place(size: tuple[int, int], aspect_ratio: str, told: Percents) -> Placement:
    """Where a film of *size* stands. Raises InvalidInput."""
    try:
        return placed(
            size, aspect_ratio, scale=told.size / 100, across=told.across / 100, down=told.down / 100
        )
    except ValueError as error:
        raise InvalidInput(f"The film has no such place: {error}.") from None


def nearest(size: tuple[int, int], aspect_ratio: str, *, left: float, top: float, width: float) -> Percents:
    """The place nearest to a rectangle that was drawn. Raises InvalidInput."""
    try:
        return percents(size, aspect_ratio, left=left, top=top, width=width)
    except ValueError as error:
        raise InvalidInput(f"The film has no such place: {error}.") from None


def _made(lifecycle: Lifecycle, prompt: Prompt, link: Any) -> Entry | None:
    """The clip that the node at the other end of *link* gives, where it was made already."""
    if not linked(link):
        return None
    node_id = str(link[0])
    node = prompt.get(node_id) or {}
    if node.get("class_type") == "RayCollectGeneration":
        wanted = node.get("inputs", {}).get("id")
        return lifecycle.journal.get(wanted.strip()) if isinstance(wanted, str) else None
    own = mark(prompt, node_id)
    return lifecycle.ledger.of_shots({own}).get(own) if own else None


def _loaded(prompt: Prompt, link: Any) -> dict[str, str] | None:
    node = (prompt.get(str(link[0])) or {}) if linked(link) else {}
    name = node.get("inputs", {}).get("file")
    return place_of(name) if isinstance(name, str) and node.get("class_type") == "LoadVideo" else None
