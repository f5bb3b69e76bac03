"""The small picture on Ray Reframe Video: where the film stands on the canvas. Buys nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import reframing
from ..generation.canvas import SMALLEST, Percents, Placement
from ..generation.errors import InvalidInput
from .door import Route, text
from .graph import MOST_BYTES, asked

if TYPE_CHECKING:
    from ..studio import Studio


def routes(shown: Callable[[Path], dict[str, str]]) -> tuple[Route, ...]:
    """Those of the picture; *shown* says where the page finds a clip."""

    def source(studio: Studio, body: dict[str, Any]) -> Any:
        try:
            film = reframing.source(studio.lifecycle, *asked(body))
        except RecursionError:
            raise InvalidInput("The graph goes in circles, or is too deep to follow.") from None
        place = film.file if film.clip is None else shown(film.clip)
        return {"width": film.width, "height": film.height, "known": film.known, "place": place}

    return (
        Route("POST", "reframe/source", source, anywhere=True, most_bytes=MOST_BYTES),
        Route("POST", "reframe/place", _place, anywhere=True),
    )


def _place(_: Studio, body: dict[str, Any]) -> Any:
    """Where a film stands: by the widgets (percents), or nearest to a rectangle that was drawn (pixels)."""
    ratio, drawn = text(body, "aspect_ratio"), body.get("drawn")
    size = _whole(body, "width"), _whole(body, "height")
    if isinstance(drawn, dict):
        left, top, width = (_number(drawn, name) for name in ("left", "top", "width"))
        percents = reframing.nearest(size, ratio, left=left, top=top, width=width)
    else:
        percents = Percents(**{name: round(_number(body, name)) for name in ("size", "across", "down")})
    placement = reframing.place(size, ratio, percents)
    return {
        **placement.identity(),
        **{name: getattr(percents, name) for name in ("size", "across", "down")},
        "smallest": round(100 * SMALLEST),
        "words": _words(placement, percents),
    }


def _words(placement: Placement, percents: Percents) -> str:
    wide, tall = placement.canvas
    where = f"{placement.width} x {placement.height} at {placement.left}, {placement.top} of {wide} x {tall}"
    return f"{where}. As large as it fits, in the middle." if percents == Percents() else f"{where}."


def _number(told: dict[str, Any], name: str) -> float:
    value = told.get(name)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1_000_000:
        return value
    raise InvalidInput(f"{name} is no number.")


def _whole(told: dict[str, Any], name: str) -> int:
    value = round(_number(told, name))
    if not 1 <= value <= reframing.LARGEST:
        raise InvalidInput(f"A film is 1 to {reframing.LARGEST} pixels on each side.")
    return value
