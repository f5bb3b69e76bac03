"""What a scene asks for: its sheet, its pictures and its settings, as one request for each shot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from . import sheet
from .film import MATCH_FIRST_FRAME, Settings, request_for
from .generation.errors import InvalidInput
from .generation.ray import ASPECT_RATIOS
from .generation.request import GenerationRequest, Operation, StillImage
from .media import images

RENDERS: Final[Mapping[str, Mapping[str, str]]] = {
    "final": {},
    "draft": {"model": "ray-flash-2", "resolution": "540p"},
    "animatic": {"provider": "animatic"},
}
"""How a scene is made, and what that changes of the settings."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What is asked for."""

    lines: tuple[sheet.Line, ...]
    keyframes: Mapping[int, StillImage]
    """By their number: K0, K1 and so on."""
    settings: Settings
    """Of every shot; a prompt here goes before the one of each line."""
    render: str = "final"
    """One of `RENDERS`."""
    marks: tuple[str, ...] = ()
    """For each shot a mark, see `Occasion.shot`; none where nobody knows."""


def rendered(settings: Settings, render: str) -> Settings:
    """The settings of a scene made as *render*. Raises InvalidInput."""
    if render not in RENDERS:
        raise InvalidInput(f"A scene is made as {', '.join(RENDERS)}, not {render!r}. Nothing was billed.")
    return replace(settings, **dict(RENDERS[render]))  # type: ignore[arg-type]


def requests(
    lines: Sequence[sheet.Line], settings: Settings, pictures: Mapping[int, StillImage]
) -> list[GenerationRequest]:
    """A request for each shot. Raises InvalidInput."""
    found = []
    for line, (start, end) in zip(lines, sheet.places(lines, sorted(pictures)), strict=True):
        first = pictures[start] if start is not None else None
        last = pictures[end] if end is not None else None
        own = replace(
            settings,
            prompt=" ".join(words for words in (settings.prompt.strip(), line.prompt) if words),
            duration=line.seconds if line.seconds is not None else settings.duration,
            concepts=tuple(dict.fromkeys((*settings.concepts, *line.concepts))),
            take=line.take if line.take is not None else settings.take,
            loop=line.loop,
        )
        if last is not None:
            operation = Operation.KEYFRAMES_TO_VIDEO
        elif first is not None:
            operation = Operation.IMAGE_TO_VIDEO
        else:
            operation = Operation.TEXT_TO_VIDEO
        found.append(request_for(own, operation, first, last))
    return found


def shaped(
    settings: Settings, keyframes: Mapping[int, StillImage]
) -> tuple[Settings, dict[int, StillImage], tuple[str, ...]]:
    """The pictures in the shape of the film, the one chosen or the first picture's, and what was cut off."""
    shape = settings.aspect_ratio
    if shape == MATCH_FIRST_FRAME:
        if not keyframes:
            return replace(settings, aspect_ratio="16:9"), {}, ()
        leading = keyframes[min(keyframes)]
        shape = f"{leading.width}:{leading.height}"
        nearest = images.nearest_aspect_ratio(leading.width, leading.height, ASPECT_RATIOS)
        settings = replace(settings, aspect_ratio=nearest)
    pictures, cut = {}, []
    for number, still in sorted(keyframes.items()):
        pictures[number], loss = images.fit(still, shape)
        if loss:
            cut.append(f"{loss} off K{number}")
    notes = (f"cropped to {images.shape_in_words(shape)}: {', '.join(cut)}",) if cut else ()
    return settings, pictures, notes
