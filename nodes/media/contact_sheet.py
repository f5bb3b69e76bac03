"""Films at a glance: a row of frames each, as one picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from . import clips

Frame = npt.NDArray[np.uint8]

_WIDTH: Final = 320
_GAP: Final = 8
_CAPTION: Final = 26
_PAPER: Final = (24, 24, 28)
_INK: Final = (220, 220, 224)


def sample(path: Path, count: int) -> list[Frame]:
    """*count* frames of a clip, evenly spread from the first to the last, as uint8 [height, width, 3]."""
    facts = clips.inspect(path)
    wanted = {round(number * (facts.frames - 1) / (count - 1)) for number in range(count)}
    return [frame for number, frame in enumerate(clips.read(path)) if number in wanted]


def contact_sheet(rows: Sequence[tuple[str, Sequence[Frame]]], path: Path) -> Path:
    """Write a PNG with a captioned row of frames for each film."""
    strips = [(caption, [_small(frame) for frame in frames]) for caption, frames in rows]
    width = max(sum(frame.width + _GAP for frame in frames) for _, frames in strips) + _GAP
    height = sum(_CAPTION + frames[0].height + _GAP for _, frames in strips) + _GAP
    sheet = Image.new("RGB", (width, height), _PAPER)
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(15)
    top = _GAP
    for caption, frames in strips:
        pen.text((_GAP, top + 3), caption, fill=_INK, font=font)
        left = _GAP
        for frame in frames:
            sheet.paste(frame, (left, top + _CAPTION))
            left += frame.width + _GAP
        top += _CAPTION + frames[0].height + _GAP
    sheet.save(path, "PNG", optimize=True)
    return path


def _small(frame: Frame) -> Image.Image:
    height, width, _ = frame.shape
    return Image.fromarray(frame).resize((_WIDTH, round(_WIDTH * height / width)), Image.Resampling.LANCZOS)
