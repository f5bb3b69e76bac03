"""A clip as one small picture."""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PIL import Image

from ..generation.errors import BrokenClip
from . import clips
from .colour import RgbReader
from .opening import RAY_PIXELS, Bounds
from .reading import OpenClip

if TYPE_CHECKING:
    import av

LONGEST_SIDE: Final = 384
"""Pixels."""
_LONGEST_LOOK: Final = 20.0
"""Seconds; an ordinary clip takes a tenth of one."""
_QUALITY: Final = 80


def write(clip: Path, target: Path) -> None:
    """A JPEG at *target* of the frame in the middle of *clip*, which tells takes of one picture apart.

    Where that frame does not decode the first one will do. What is at *target* is whole at any time, and as old as
    *clip*.

    Raises:
        BrokenClip: it is no video, or takes too long.
        OSError: the picture cannot be written.
    """
    bounds = Bounds(RAY_PIXELS, time.monotonic() + _LONGEST_LOOK)
    # Whatever its light: a clip in HDR is a little pale, and known again.
    with OpenClip(clip, bounds, any_light=True) as opened:
        line = clips.timeline(clip, bounds, clip=opened)
        try:
            picture = _frame(opened, line, line.frames // 2)
        except BrokenClip:
            with OpenClip(clip, bounds, any_light=True) as again:
                picture = _frame(again, None, 0)
        width, height = RgbReader(pixel_shape=opened.pixel_shape).size(picture)
        scale = min(LONGEST_SIDE / max(width, height), 1.0)
        size = (max(round(width * scale), 1), max(round(height * scale), 1))
        pixels = RgbReader(size, pixel_shape=opened.pixel_shape).pixels(picture)
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".making-", suffix=".jpg")
    unfinished = Path(name)
    facts = clip.stat()
    try:
        with os.fdopen(handle, "wb") as file:
            Image.fromarray(pixels).save(file, "JPEG", quality=_QUALITY)
        os.utime(unfinished, ns=(facts.st_atime_ns, facts.st_mtime_ns))
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


def _frame(clip: OpenClip, line: clips.Timeline | None, number: int) -> av.VideoFrame:
    with closing(clip.pictures(line, number, count=1)) as shown:
        for picture in shown:
            return picture
    raise BrokenClip(f"No frame of {clip.path} can be decoded.")
