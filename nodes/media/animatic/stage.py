"""A picture set up for a virtual camera: fitted to the frame, extended past its edges, sampled from any view."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageFilter

Rgb = npt.NDArray[np.uint8]
Plane = npt.NDArray[np.float32]
Homography = npt.NDArray[np.float64]
Bend = Callable[[Plane, Plane], tuple[Plane, Plane]]
"""A lens: where in its picture the place (x, y) of the frame is looked up, in camera units."""

MARGIN = 0.35
"""How far a stage goes on past each edge of the frame, as a part of the frame's side."""

_ROUND = 0.05  # past the edge, as a part of the canvas: where left and right have become the same
_MOST_DENSE = 1.5  # canvas pixels per frame pixel, where the photograph has that many
_TILE = (120, 640)
"""Rows and columns of a frame that are sampled at a time, one column after the other. Measured: torch looks up
places in different rows of the canvas up to twice as fast as neighbours in one row, as long as they stay near."""

_FINENESS = 2  # samples per frame pixel that a stage is kept at


def unit(width: int, height: int) -> float:
    """Pixels in one camera unit: half the side of a square with as many pixels as the frame."""
    return float((width * height) ** 0.5) / 2


def fitted(picture: Rgb, width: int, height: int) -> Rgb:
    """The middle of uint8 [any, any, 3] in the frame's shape, at exactly *width* x *height*; may be shared."""
    if picture.shape[:2] == (height, width):
        return picture
    rows, columns = picture.shape[:2]
    used_width, used_height = min(columns, rows * width / height), min(rows, columns * height / width)
    left, top = (columns - used_width) / 2, (rows - used_height) / 2
    box = (left, top, left + used_width, top + used_height)
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS, box=box))


class Stage:
    """What the camera can see: the frame in the middle, and more around it."""

    def __init__(
        self,
        canvas: Rgb,
        width: int,
        height: int,
        *,
        density: float = 1.0,
        reach: tuple[float, float] = (1 + 2 * MARGIN, 1 + 2 * MARGIN),
    ) -> None:
        """Set up a canvas.

        Args:
            canvas: uint8 [rows, columns, 3]; its middle is the frame.
            width: of the frame in pixels.
            height: of the frame in pixels.
            density: canvas pixels per frame pixel.
            reach: how much of the canvas across and down is true to the picture; 1 is the frame.
        """
        fine = _refined(canvas, _FINENESS / density)
        rows, columns = fine.shape[:2]
        planes = np.ascontiguousarray(fine.transpose(2, 0, 1), np.float32)
        planes += 0.5  # for the rounding of every frame
        self._planes = torch.from_numpy(planes)[None]
        self._size = (height, width)
        self.reach = reach
        self.half = (width / 2 / unit(width, height), height / 2 / unit(width, height))
        """Half the frame's width and height in camera units."""
        # From camera units to -1..1 over the canvas, which is how torch counts.
        span = unit(width, height) * 2
        self._to_canvas = np.diag([span * _FINENESS / columns, span * _FINENESS / rows, 1.0])
        self._x = ((np.arange(width, dtype=np.float32) + 0.5 - width / 2) / unit(width, height))[:, None]
        self._y = ((np.arange(height, dtype=np.float32) + 0.5 - height / 2) / unit(width, height))[None, :]

    @classmethod
    def around(
        cls, picture: Rgb, width: int, height: int, *, margin: float = MARGIN, wraps: bool = False
    ) -> Stage:
        """A photograph: what the frame crops off is kept, and beyond it mirrored and ever softer.

        Args:
            picture: uint8 [any, any, 3].
            width: of the frame in pixels.
            height: of the frame in pixels.
            margin: how far to go on past the frame where the photograph ends, as a part of the frame's side.
            wraps: the far left meets the far right, for lenses that look all the way round.
        """
        rows, columns = picture.shape[:2]
        scale = max(width / columns, height / rows)
        density = min(max(1.0, 1 / scale), _MOST_DENSE)
        whole = (canvas_side(width, density), canvas_side(height, density))
        # Of the same parity as the canvas, so that the frame's pixels lie on canvas pixels.
        kept_x = _same_parity(min(whole[0], int(columns * scale * density + 1e-6)), whole[0])
        kept_y = _same_parity(min(whole[1], int(rows * scale * density + 1e-6)), whole[1])
        across = max(kept_x, canvas_side(width, density, margin))
        down = max(kept_y, canvas_side(height, density, margin))
        half_x, half_y = kept_x / scale / density / 2, kept_y / scale / density / 2
        box = (
            max(0.0, columns / 2 - half_x),
            max(0.0, rows / 2 - half_y),
            min(float(columns), columns / 2 + half_x),
            min(float(rows), rows / 2 + half_y),
        )
        inner = Image.fromarray(picture).resize((kept_x, kept_y), Image.Resampling.LANCZOS, box=box)
        canvas = _extended(np.asarray(inner), across, down, whole, wraps=wraps)
        reach = (kept_x / density / width, kept_y / density / height)
        return cls(canvas, width, height, density=density, reach=reach)

    def seen(self, views: Sequence[tuple[Homography, Sequence[Bend]]]) -> Rgb:
        """The frame, uint8 [height, width, 3], averaged over *views* (more than one: motion blur).

        A view is a homography from the frame to the picture (both in camera units, origin in the middle)
        and the lenses that bend the frame before it.
        """
        if not views:
            raise ValueError("a frame needs at least one view")
        height, width = self._size
        rgb = np.empty((height, width, 3), np.uint8)
        deep, wide = _TILE
        for top, left in product(range(0, height, deep), range(0, width, wide)):
            tile = rgb[top : top + deep, left : left + wide].swapaxes(0, 1)
            x, y = self._x[left : left + wide], self._y[:, top : top + deep]
            total = self._sampled(x, y, *views[0])
            for view in views[1:]:
                total += self._sampled(x, y, *view)
            if len(views) > 1:
                total *= np.float32(1 / len(views))
            for channel in range(3):
                np.copyto(tile[..., channel], total[channel], casting="unsafe")
        return rgb

    def _sampled(self, x: Plane, y: Plane, homography: Homography, bends: Sequence[Bend]) -> Plane:
        """[3, columns, rows] of the frame, half a level too light. *x*: of the columns; *y*: of the rows."""
        matrix = (self._to_canvas @ homography).astype(np.float32)
        grid = np.empty((1, x.size, y.size, 2), np.float32)
        for bend in bends:
            x, y = bend(x, y)
        depth = matrix[2, 0] * x + (matrix[2, 1] * y + matrix[2, 2])
        for axis in (0, 1):
            across = matrix[axis, 0] * x + (matrix[axis, 1] * y + matrix[axis, 2])
            np.divide(across, depth, out=grid[0, ..., axis])
        sampled = torch.nn.functional.grid_sample(
            self._planes, torch.from_numpy(grid), mode="bilinear", padding_mode="border", align_corners=False
        )
        planes: Plane = sampled.numpy()[0]
        return planes


def canvas_side(side: int, density: float = 1.0, margin: float = MARGIN) -> int:
    """Pixels of a stage along a frame's side: the frame and *margin* at both ends."""
    return round(side * density) + 2 * round(side * density * margin)


def _same_parity(length: int, other: int) -> int:
    return length - (length - other) % 2


def _refined(canvas: Rgb, factor: float) -> Rgb:
    """*canvas* with *factor* times as many samples, one of them in its middle.

    Between samples as dense as this a straight line is as good as a curve, at a third of the time a frame.
    With an odd number of them the pixels of the frame lie on samples, and come out as they are.
    """
    rows, columns = canvas.shape[:2]
    across, down = ((int(side * factor) - 1) // 2 * 2 + 1 for side in (columns, rows))
    left, top = (columns - across / factor) / 2, (rows - down / factor) / 2
    box = (left, top, columns - left, rows - top)
    return np.asarray(Image.fromarray(canvas).resize((across, down), Image.Resampling.LANCZOS, box=box))


def _extended(inner: Rgb, across: int, down: int, whole: tuple[int, int], *, wraps: bool) -> Rgb:
    """[down, across, 3] with *inner* in its middle. *whole*: the sides of a stage with all of `MARGIN`."""
    rows, columns = inner.shape[:2]
    side, over = (across - columns) // 2, (down - rows) // 2
    if not side and not over:
        return inner
    canvas = Image.fromarray(np.pad(inner, ((over, over), (side, side), (0, 0)), mode="symmetric"))
    # The further out, the less there is to know: blurred more and more, which also hides the mirroring.
    # What is soft is made at an eighth of the size.
    size = (max(1, across // 8), max(1, down // 8))
    small = canvas.resize(size, Image.Resampling.BOX)
    away = np.hypot(
        _past(across, side, size[0])[None, :] / whole[0], _past(down, over, size[1])[:, None] / whole[1]
    )
    # Next to nothing to begin with, so that there is a colour also where nothing covers the picture.
    bare = np.full((size[1], size[0], 1), 1 - 1e-6)
    mixed = np.asarray(small) * (1 - bare)
    for radius, reach in ((1 / 400, 0.03), (1 / 120, 0.1), (1 / 50, _ROUND if wraps else 0.25)):
        soft = small.filter(ImageFilter.GaussianBlur(radius * whole[1]))
        if reach == _ROUND:
            soft = Image.blend(soft, soft.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 0.5)
        ramp = np.clip(away / reach, 0, 1)[..., None]
        opacity = ramp * ramp * (3 - 2 * ramp)
        mixed += opacity * (np.asarray(soft) - mixed)
        bare *= 1 - opacity
    cover = Image.fromarray(np.rint(255 * (1 - bare[..., 0])).astype(np.uint8))
    colours = Image.fromarray(np.rint(mixed / (1 - bare)).astype(np.uint8))
    colours, cover = (layer.resize((across, down), Image.Resampling.BILINEAR) for layer in (colours, cover))
    canvas.paste(colours, mask=cover)
    return np.asarray(canvas)


def _past(side: int, edge: int, samples: int) -> npt.NDArray[np.float64]:
    """How many pixels past the picture's edges *samples* places along a canvas side lie; 0 on the picture."""
    place = (np.arange(samples) + 0.5) * side / samples
    return np.maximum(np.maximum(edge - place, place - (side - edge)), 0)
