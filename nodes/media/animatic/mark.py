"""The PREVIEW mark on every frame of an animatic, and taking it off before such a picture is used again."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

_WORD = "PREVIEW"
_TYPE_SIZE = 1 / 25  # of the short side: read at 540p, made out in a thumbnail
_PLATE, _TYPE = 0.5, 0.88  # opacities: what is under the plate shines through
_PLATE_COLOUR, _TYPE_COLOUR = 14.0, 250.0
_SAME = 0.8  # correlation from which on a corner counts as marked; photographs stay far below


class PreviewMark:
    """The mark for one frame size, always on the same pixels: the corner at the top right.

    Because its place and opacity are fixed, the mark of an earlier animatic can be lifted from its last
    frame. The camera then moves on over the bare picture, and the new mark lands where the old one was.
    """

    def __init__(self, width: int, height: int) -> None:
        """For frames of *width* x *height* pixels."""
        type_, plate = _drawn(width, height)
        rows, columns = type_.shape
        margin = round(0.035 * min(width, height))
        left, top = max(0, width - margin - columns), min(margin, height - rows)
        self._size = (height, width)
        self._place = (slice(top, top + rows), slice(left, left + columns))
        plate_opacity, type_opacity = plate * _PLATE * (1 - type_), type_ * _TYPE
        self._through = 1 - plate_opacity - type_opacity
        self._added = plate_opacity * _PLATE_COLOUR + type_opacity * _TYPE_COLOUR

    def put_on(self, rgb: npt.NDArray[np.uint8]) -> None:
        """Draw the mark into uint8 [height, width, 3]."""
        under = rgb[self._place]
        under[:] = np.rint(under * self._through[..., None] + self._added[..., None])

    def is_on(self, rgb: npt.NDArray[np.uint8]) -> bool:
        """Whether uint8 [height, width, 3] carries the mark of an earlier animatic."""
        if rgb.shape[:2] != self._size:
            return False
        seen = rgb[self._place].mean(axis=-1)
        seen, wanted = seen - seen.mean(), self._added - self._added.mean()
        spread = float(np.sqrt((seen**2).sum() * (wanted**2).sum()))
        return spread > 0 and float((seen * wanted).sum()) > _SAME * spread

    def taken_off(self, rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """A copy of uint8 [height, width, 3] with the picture under the mark brought back.

        Under the plate it is computed from what shines through; under the type, where next to nothing
        does, it is filled in from around.
        """
        clean = np.array(rgb)
        under = clean[self._place]
        through = self._through[..., None]
        shining = np.clip((under - self._added[..., None]) / through, 0, 255)
        # Compression noise grows by 1 / through, so clear pixels speak for their neighbours.
        trust = np.where(through > 0.9 * (1 - _PLATE), through, 0.001) ** 2
        reach = max(1, round(under.shape[0] / 12))
        smooth = _blurred(shining * trust, reach) / _blurred(trust, reach)
        kept = np.clip((through - 0.4) / 0.6, 0, 1)
        under[:] = np.rint(shining * kept + smooth * (1 - kept))
        return clean


def _drawn(width: int, height: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """How much of each pixel the type covers, and the plate behind it: 0..1, [rows, columns]."""
    size = max(7.0, min(width, height) * _TYPE_SIZE)
    font = ImageFont.load_default(size)
    _, top, _, bottom = font.getbbox(_WORD)
    gap = size * 0.12
    advances = [font.getlength(letter) + gap for letter in _WORD]
    columns = round(sum(advances) - gap + size * 1.1)
    rows = round(bottom - top + size * 0.9)
    type_, plate = Image.new("L", (columns, rows)), Image.new("L", (columns * 4, rows * 4))
    draw, x = ImageDraw.Draw(type_), size * 0.55
    for letter, advance in zip(_WORD, advances, strict=True):
        draw.text((x, (rows - bottom - top) / 2), letter, fill=255, font=font)
        x += advance
    ImageDraw.Draw(plate).rounded_rectangle((0, 0, columns * 4 - 1, rows * 4 - 1), rows * 1.1, fill=255)
    # A very narrow frame gets a smaller mark.
    columns, rows = min(columns, width // 2), min(rows, max(1, rows * (width // 2) // columns))
    size_in_frame = (columns, rows)
    return (
        np.asarray(type_.resize(size_in_frame, Image.Resampling.BOX), np.float32) / np.float32(255),
        np.asarray(plate.resize(size_in_frame, Image.Resampling.BOX), np.float32) / np.float32(255),
    )


def _blurred(values: npt.NDArray[np.float32], reach: int) -> npt.NDArray[np.float32]:
    """[rows, columns, channels] smoothed over about 2 * *reach* pixels each way."""
    for axis in (0, 1, 0, 1):
        pads = [(reach, reach) if a == axis else (0, 0) for a in range(3)]
        padded = np.pad(values, pads, mode="edge")
        length = values.shape[axis]
        values = np.mean(
            [padded.take(range(k, k + length), axis=axis) for k in range(2 * reach + 1)],
            axis=0,
            dtype=np.float32,
        )
    return values
