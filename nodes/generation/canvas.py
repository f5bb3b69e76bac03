"""Where a film stands in the wider or taller picture that it is reframed to.

Canvas sizes: docs.lumalabs.ai, Reframe, read 2026-11-20. Meaning of the numbers: replicate.com/luma/reframe-video,
input schema, read 2026-11-21 ("the left boundary where your source will be placed in the output frame. The distance
between x_start and x_end determines the resized width").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

CANVAS: Final = {
    "1:1": (1536, 1536),
    "4:3": (1792, 1344),
    "3:4": (1344, 1792),
    "16:9": (2048, 1152),
    "9:16": (1152, 2048),
    "21:9": (2432, 1024),
    "9:21": (1024, 2432),
}
"""Width and height, pixels, of what Ray 2 reframes to."""
SMALLEST: Final = 0.1
"""Of the largest size that fits: below it there is nothing left to continue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """A rectangle on a canvas, pixels: the source is scaled to it, the rest is generated."""

    canvas: tuple[int, int]
    """Width and height."""
    left: int
    top: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """The first column after it."""
        return self.left + self.width

    @property
    def bottom(self) -> int:
        """The first row after it."""
        return self.top + self.height

    def identity(self) -> dict[str, Any]:
        """What makes this placement the same placement."""
        return {
            "canvas": list(self.canvas),
            **{name: getattr(self, name) for name in ("left", "top", "width", "height")},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Percents:
    """A place as the node has it, in whole percents; see `placed`."""

    size: int = 100
    across: int = 50
    down: int = 50


def placement_of(told: dict[str, Any]) -> Placement:
    """A placement out of its identity."""
    wide, tall = told["canvas"]
    return Placement(canvas=(wide, tall), **{name: told[name] for name in ("left", "top", "width", "height")})


def placed(
    source: tuple[int, int],
    aspect_ratio: str,
    *,
    scale: float = 1.0,
    across: float = 0.5,
    down: float = 0.5,
) -> Placement:
    """Where a film of *source* (width, height) stands on the canvas of *aspect_ratio*.

    Args:
        source: pixels.
        aspect_ratio: one of `CANVAS`.
        scale: 1 is as large as it fits.
        across: of the room left over to both sides, the part on the left: 0 stands at the left edge, 1 at the right.
        down: as *across*, from the top.

    Raises:
        ValueError: a number outside its range, in words for the person.
    """
    if aspect_ratio not in CANVAS:
        raise ValueError(f"there is no canvas of {aspect_ratio}")
    if not SMALLEST <= scale <= 1:
        raise ValueError(f"the size is {scale:.0%}, and {SMALLEST:.0%} to 100% are possible")
    for name, part in (("across", across), ("down", down)):
        if not 0 <= part <= 1:
            raise ValueError(f"the place {name} is {part:.0%}, and 0% to 100% are possible")
    if min(source) < 1:
        raise ValueError("the film has no size")
    wide, tall = CANVAS[aspect_ratio]
    factor = scale * min(wide / source[0], tall / source[1])
    # Even sides: a codec would otherwise round them, and not as we do.
    width, height = (max(2, 2 * round(side * factor / 2)) for side in source)
    width, height = min(width, wide), min(height, tall)
    return Placement(
        canvas=(wide, tall),
        left=round((wide - width) * across),
        top=round((tall - height) * down),
        width=width,
        height=height,
    )


def percents(
    source: tuple[int, int], aspect_ratio: str, *, left: float, top: float, width: float
) -> Percents:
    """The place nearest to a rectangle that somebody drew; where there is no room to choose, the middle.

    Raises ValueError as `placed` does.
    """
    size = round(100 * width / placed(source, aspect_ratio).width)
    size = min(max(size, round(100 * SMALLEST)), 100)
    there = placed(source, aspect_ratio, scale=size / 100)
    room = there.canvas[0] - there.width, there.canvas[1] - there.height
    across, down = (
        min(max(round(100 * at / free), 0), 100) if free else 50
        for at, free in zip((left, top), room, strict=True)
    )
    return Percents(size=size, across=across, down=down)


def troubles(placement: Placement, source: tuple[int, int], aspect_ratio: str) -> list[str]:
    """What is wrong with a placement of a film of *source* (width, height), each as half a sentence."""
    found = []
    wide, tall = placement.canvas
    if placement.canvas != CANVAS.get(aspect_ratio):
        found.append(f"the place of the film is on a canvas of {wide}x{tall}, which is not {aspect_ratio}")
    if placement.width < 1 or placement.height < 1:
        found.append("the film has no room in the picture")
    elif min(placement.left, placement.top) < 0 or placement.right > wide or placement.bottom > tall:
        found.append("the film stands beyond the edge of the picture")
    # One pixel of rounding at each end of each side.
    elif abs(placement.width * source[1] - placement.height * source[0]) > 2 * (source[0] + source[1]):
        found.append("the film would be squeezed: its place has another shape than it has")
    return found
