"""A scene on the page: its shots as they are now, and its sheet changed. Buys nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import revision, storyboard
from ..generation.budget import dollars
from ..generation.errors import InvalidInput
from ..generation.ray import CONCEPTS
from ..generation.request import Operation
from ..providers import PROVIDERS
from .door import Route, text
from .graph import MOST_BYTES, asked

if TYPE_CHECKING:
    from ..studio import Studio

Shown = Callable[[Path], dict[str, str]]
"""Where the page finds a file of the library."""
_MADE_BY = (Operation.TEXT_TO_VIDEO, Operation.IMAGE_TO_VIDEO, Operation.KEYFRAMES_TO_VIDEO)
"""How shots are made."""


def routes(shown: Shown) -> tuple[Route, ...]:
    """Those of a scene; *shown* says where the page finds a clip."""

    def clip(studio: Studio, body: dict[str, Any]) -> Any:
        return shown(studio.cutting.clip_of(text(body, "id")).path)

    def scene(studio: Studio, body: dict[str, Any]) -> Any:
        try:
            board = storyboard.board(studio.lifecycle, *asked(body))
        except RecursionError:
            raise InvalidInput("The graph goes in circles, or is too deep to follow.") from None
        return {**_told(board), "film": None if board.film is None else shown(board.film)}

    return (
        Route("POST", "scene", scene, anywhere=True, most_bytes=MOST_BYTES),
        Route("POST", "scene/edit", _edited, anywhere=True, most_bytes=200_000),
        Route("POST", "scene/clip", clip, anywhere=True),
    )


def _edited(_: Studio, body: dict[str, Any]) -> Any:
    sheet, edit, known = body.get("sheet"), body.get("edit"), body.get("pictures", [])
    if not isinstance(sheet, str) or not isinstance(edit, dict):
        raise InvalidInput("A sheet and a change of it are expected.")
    if not isinstance(known, list) or not all(type(each) is int for each in known):
        raise InvalidInput("Pictures are called by their numbers.")
    revised = revision.revised(sheet, edit, known)
    return {"sheet": revised.text, "shot": revised.shot, "words": revised.words}


def _told(board: storyboard.Board) -> dict[str, Any]:
    sold = {
        seconds
        for provider in PROVIDERS
        for offer in provider.offers
        if offer.operation in _MADE_BY
        for seconds in offer.durations
    }
    return {
        "shots": [_panel(panel) for panel in board.panels],
        "pictures": [{"number": number, "place": place} for number, place in board.pictures.items()],
        "seconds": sum(panel.seconds for panel in board.panels),
        "bill": board.bill,
        "price": board.price,
        "limit": board.limit,
        "choices": {"seconds": sorted(sold), "camera": list(CONCEPTS)},
    }


def _panel(panel: storyboard.Panel) -> dict[str, Any]:
    line = panel.line
    return {
        "number": panel.number,
        "line": line.text,
        "prompt": line.prompt,
        "start": panel.start,
        "seconds": panel.seconds,
        "own_seconds": line.seconds,
        "camera": list(line.concepts),
        "keyframes": list(panel.pictures),
        "own_keyframes": line.keyframes is not None,
        "loop": line.loop,
        "seam": panel.seam,
        **_take(panel.chosen),
        "takes": [_take(take) for take in panel.takes],
    }


def _take(take: storyboard.Take) -> dict[str, Any]:
    usd = None if take.quote is None else take.quote.usd
    return {
        "take": take.number,
        "state": take.state,
        "words": take.words,
        "usd": None if usd is None else f"{usd:f}",
        "price": "" if take.quote is None else dollars(usd),
        "provider": take.quote.provider if take.quote else take.entry.provider if take.entry else "",
        "generation": take.entry.id if take.entry is not None and take.clip is not None else None,
        "preview": take.clip is not None and take.entry is not None and take.entry.local,
    }
