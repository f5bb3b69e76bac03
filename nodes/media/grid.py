"""Several clips side by side in one video, each with its number."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, closing
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from ..generation.errors import Interrupted, InvalidInput
from . import clips, encoding

WIDTH: Final = 1920
"""Pixels across at most."""
_GAP: Final = 4
"""Pixels between two of them."""
_GROUND: Final = 24
"""Level of what is between them."""


def write(
    parts: Sequence[Path],
    path: Path,
    *,
    stopped: Callable[[], bool] = clips.never,
    progress: Callable[[float], None] | None = None,
) -> None:
    """A video of *parts* at the same time, numbered from 1; one that ends before the others stands still.

    The shape of each is kept. Frames are decoded and encoded as they come, one of each clip in memory.

    Raises:
        BrokenClip: one does not decode.
        InvalidInput: none is given, or one is HDR.
        Interrupted: *stopped* said so; nothing is written.
    """
    if not parts:
        raise InvalidInput("There are no clips to compare.")
    facts = [clips.inspect(part) for part in parts]
    across = math.ceil(math.sqrt(len(parts)))
    down = math.ceil(len(parts) / across)
    cell = _cell(facts, across)
    width, height = across * (cell[0] + _GAP) - _GAP, down * (cell[1] + _GAP) - _GAP
    sizes = [_inside(fact, cell) for fact in facts]
    labels = [_label(number, cell[1]) for number in range(1, len(parts) + 1)]
    count = max(fact.frames for fact in facts)

    def frames() -> Generator[npt.NDArray[np.uint8], None, None]:
        canvas = np.full((height // 2 * 2, width // 2 * 2, 3), _GROUND, np.uint8)
        with ExitStack() as stack:
            shown = [
                stack.enter_context(closing(clips.read(part, size=size)))
                for part, size in zip(parts, sizes, strict=True)
            ]
            for number in range(count):
                if stopped():
                    raise Interrupted("Stopped while the takes were put side by side; they are kept.")
                for index, (reader, size, label) in enumerate(zip(shown, sizes, labels, strict=True)):
                    picture = next(reader, None)
                    if picture is None:
                        continue
                    left = index % across * (cell[0] + _GAP) + (cell[0] - size[0]) // 2
                    top = index // across * (cell[1] + _GAP) + (cell[1] - size[1]) // 2
                    place = canvas[top : top + size[1], left : left + size[0]]
                    place[:] = picture[: place.shape[0], : place.shape[1]]
                    corner = place[: label.shape[0], : label.shape[1]]
                    corner[:] = label[: corner.shape[0], : corner.shape[1]]
                yield canvas
                if progress is not None:
                    progress((number + 1) / count)

    with closing(frames()) as made:
        encoding.write(
            made,
            path,
            frame_rate=max(Fraction(fact.frame_rate) for fact in facts),
            width=width // 2 * 2,
            height=height // 2 * 2,
            crf=18,
        )


def _cell(facts: Sequence[clips.ClipFacts], across: int) -> tuple[int, int]:
    """Width and height of the place of one clip: large enough for the widest shape, even."""
    width = min(max(fact.width for fact in facts), (WIDTH + _GAP) // across - _GAP) // 2 * 2
    height = max(round(width * fact.height / fact.width) for fact in facts)
    most = max(fact.height for fact in facts)
    return max(width, 2), max(min(height, most) // 2 * 2, 2)


def _inside(fact: clips.ClipFacts, cell: tuple[int, int]) -> tuple[int, int]:
    scale = min(cell[0] / fact.width, cell[1] / fact.height)
    return max(round(fact.width * scale), 1), max(round(fact.height * scale), 1)


def _label(number: int, height: int) -> npt.NDArray[np.uint8]:
    size = max(height // 14, 12)
    font = ImageFont.load_default(size)
    left, top, right, bottom = font.getbbox(str(number))
    pad = size // 3
    label = Image.new("RGB", (round(right - left) + 2 * pad, round(bottom - top) + 2 * pad), (0, 0, 0))
    ImageDraw.Draw(label).text((pad - left, pad - top), str(number), font=font, fill=(255, 255, 255))
    return np.array(label)
