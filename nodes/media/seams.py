"""Where one clip continues another: how many frames it repeats, and films joined without them.

Frames are compared small (128 pixels wide) by their mean absolute difference in 8-bit levels. Two files' copies
of one frame differ by compression, so what counts is how that compares with the change from frame to frame:

- An overlap of d frames is one where the last d frames of the earlier clip and the first d of the later one
  differ least, and by less than nine tenths of a natural step. Where compression changes as much as motion
  does, an overlap of several frames must be a clear lowest point of that difference, and one repeated frame is
  told from none by how far the later clip's first frame has moved along with the motion.
- Where the picture moves too little for that, any overlap would fit. One frame is dropped if the later clip
  begins with the picture that the earlier one ends with, and none otherwise. So of a still scene at most one
  frame is lost.
- The later clip contains the earlier one if it is longer, and five frames from the earlier one's start to its
  end, which differ from each other, are found at the same places of the later one. A clip of the same length
  is no continuation: a loop shown twice stays two rounds.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

import numpy as np

from ..generation.errors import InvalidInput
from . import clips, overlap, splicing
from .colour import RgbReader

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

_WIDTH = 128
_TALLEST = 1024
"""Rows compared at most; only what is no film has more."""
_SAME_SHAPE = 1.02
_SAME_RATE = 1.0001


@dataclass(frozen=True)
class Seam:
    """How a clip continues the one before it."""

    dropped: int
    """Frames at its start that repeat what came before; all of the earlier clip's where it contains that."""
    contains_earlier: bool
    """Whether it begins with the whole of the earlier clip."""


def find(earlier: Path, later: Path) -> Seam:
    """How many frames at the start of *later* repeat the end of *earlier*, by the rules of this module.

    Raises:
        BrokenClip: one of the clips does not decode.
        InvalidInput: one of the clips is HDR.
    """
    before, after = clips.timeline(earlier).frames, clips.timeline(later).frames
    width, height = clips.shown_size(earlier)
    across = min(_WIDTH, width)
    size = (across, min(max(1, round(across * height / width)), _TALLEST))
    if after > before and _contains(earlier, later, before, size):
        return Seam(before, contains_earlier=True)
    window = overlap.WINDOW
    tail = _small(earlier, range(max(before - window, 0), before), size)
    head = _small(later, range(min(window, after)), size)
    return Seam(overlap.count(tail, head), contains_earlier=False)


def join(
    parts: Sequence[Path],
    path: Path,
    *,
    stopped: Callable[[], bool] = clips.never,
    progress: Callable[[float], None] | None = None,
) -> list[Seam]:
    """One film of several clips in order of play, with their sound, without the frames that repeat.

    Frame rate and size are the first clip's; a clip of another size is resized, antialiased. Pictures are copied
    as they are where the clips and their seams allow it (see `splicing`), else decoded and encoded frame by
    frame; the memory needed does not grow with the length. Sound is cut where the clips follow each other, and
    the repeated frames take theirs with them.

    Args:
        parts: the clips, one or more.
        path: the MP4 to write; see `splicing.splice`.
        stopped: asked before each frame.
        progress: told the fraction done, 0..1, after each frame.

    Returns:
        One seam between each clip and the next.

    Raises:
        BrokenClip: a clip does not decode.
        InvalidInput: no clips, another frame rate, another shape, or an HDR clip.
        Interrupted: `stopped` said so; nothing is written.
    """
    if not parts:
        raise InvalidInput("There are no clips to join.")
    lines = [clips.timeline(part) for part in parts]
    sizes = [clips.shown_size(part) for part in parts]
    for part, line, size in zip(parts[1:], lines[1:], sizes[1:], strict=True):
        _check_fits(parts[0], lines[0], sizes[0], part, line, size)
    seams = [find(earlier, later) for earlier, later in pairwise(parts)]
    places = accumulate(
        line.frames - seam.dropped
        for line, seam in zip(lines, seams, strict=False)  # the last has no seam
    )
    together = [
        splicing.Part(part, line, place, 0, line.frames)
        for part, line, place in zip(parts, lines, [0, *places], strict=True)
    ]
    splicing.splice(together, path, size=sizes[0], stopped=stopped, progress=progress)
    return seams


def _check_fits(
    first: Path,
    first_line: clips.Timeline,
    first_size: tuple[int, int],
    part: Path,
    line: clips.Timeline,
    size: tuple[int, int],
) -> None:
    if max(line.frame_rate, first_line.frame_rate) / min(line.frame_rate, first_line.frame_rate) > _SAME_RATE:
        raise InvalidInput(
            f"{part} has {_rate(line)} frames a second, and {first}, which it follows, has {_rate(first_line)}: "
            "convert one of them first. Joined as they are, one would play at the wrong speed."
        )
    shape, first_shape = size[0] / size[1], first_size[0] / first_size[1]
    if max(shape, first_shape) / min(shape, first_shape) > _SAME_SHAPE:
        raise InvalidInput(
            f"{part} is {size[0]}x{size[1]}, and {first}, which it follows, is {first_size[0]}x{first_size[1]}: "
            "another shape. Crop one of them first; joined as they are, one would be stretched."
        )


def _rate(line: clips.Timeline) -> str:
    return f"{float(line.frame_rate):.6g}"


def _small(path: Path, places: Sequence[int], size: tuple[int, int]) -> overlap.Stack:
    """The frames at *places* (ascending), small; decoded only as far as needed."""
    reader = RgbReader(size)
    frames = []
    with closing(clips.pictures(path, places[0], clips.timeline(path))) as pictures:
        for place, picture in enumerate(pictures, places[0]):
            if place in places:
                frames.append(reader.pixels(picture).astype(np.float32))
            if place >= places[-1]:
                break
    return np.stack(frames)


def _contains(earlier: Path, later: Path, frames: int, size: tuple[int, int]) -> bool:
    """Whether *later* begins with all *frames* of *earlier*."""
    places = sorted({round(quarter * (frames - 1) / 4) for quarter in range(5)})
    if not overlap.same_picture(_small(earlier, places[:1], size), _small(later, places[:1], size)):
        return False  # the usual case, without decoding all of both
    return overlap.is_beginning(_small(earlier, places, size), _small(later, places, size))
