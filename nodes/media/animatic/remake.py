"""The animatic of a film made from a film: in another ratio, larger, or in other colours. Not Ray, and marked so."""

from __future__ import annotations

import colorsys
import hashlib
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter, ImageOps

from ...generation.ray import MODES
from .. import clips, encoding, sound
from .mark import PreviewMark
from .render import RenderStopped
from .stage import Rgb, fitted
from .tone import tone

_CRF, _PRESET = 21, "superfast"  # as of other animatics: their clips are joined by copying
_DIM: Final = 0.55
"""How bright the surroundings are that Ray would have made."""
_TONES: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Remake:
    """What to render."""

    source: Path
    width: int
    """Pixels, even."""
    height: int
    """Pixels, even."""
    place: tuple[int, int, int, int] | None = None
    """Left, top, width and height of the source in the picture; None: as large as it fits, in the middle."""
    mode: str = ""
    """One of `ray.MODES`: recoloured, the more the looser the mode."""
    prompt: str = ""
    """Chooses the colours."""
    first_frame: npt.NDArray[np.uint8] | None = None
    """Chooses the colours instead."""
    sounds: bool = False
    """It gets soft notes in place of its own sound."""


def remake(
    shot: Remake, path: Path, *, progress: Callable[[float], None], stopped: Callable[[], bool]
) -> None:
    """Render *shot* to an MP4 with as many frames, at the same rate, as its source, and with its sound.

    Raises RenderStopped: *stopped* said so; BrokenClip, and InvalidInput for HDR: the source cannot be read.
    """
    line = clips.timeline(shot.source)
    heard = sound.of_clip(shot.source, line)
    if shot.sounds:
        notes = tone(shot.prompt, line.frames, line.frame_rate, sound.STANDARD)
        heard = sound.Sound(sound.STANDARD, notes)
    with closing(_frames(shot, line.frames, progress, stopped)) as frames:
        encoding.write(
            frames,
            path,
            frame_rate=line.frame_rate,
            width=shot.width,
            height=shot.height,
            crf=_CRF,
            preset=_PRESET,
            sound=heard,
        )
    progress(1.0)


def _frames(
    shot: Remake, count: int, progress: Callable[[float], None], stopped: Callable[[], bool]
) -> Generator[Rgb, None, None]:
    mark = PreviewMark(shot.width, shot.height)
    with closing(clips.read(shot.source)) as pictures:
        first = next(pictures)
        earlier = PreviewMark(first.shape[1], first.shape[0])
        marked = earlier.is_on(first)
        graded = _Grade(shot) if shot.mode else None
        for number, picture in enumerate(chain((first,), pictures)):
            if stopped():
                raise RenderStopped(f"Stopped after {number} of {count} frames.")
            bare = earlier.taken_off(picture) if marked else picture
            rgb = _placed(bare, shot)
            if graded is not None:
                rgb = graded(rgb)
            mark.put_on(rgb)
            yield rgb
            progress(min(number + 1, count) / (count + 1))


def _placed(picture: Rgb, shot: Remake) -> Rgb:
    """The picture in its place; around it what is near, soft and dark."""
    size = (shot.width, shot.height)
    left, top, width, height = shot.place or _middle(picture, size)
    scaled = Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS)
    if (left, top, width, height) == (0, 0, *size):
        return np.array(scaled)
    # Soft things need few pixels.
    small = Image.fromarray(fitted(picture, max(2, shot.width // 8), max(2, shot.height // 8)))
    around = small.filter(ImageFilter.GaussianBlur(max(1.0, min(size) / 160)))
    ground = around.resize(size, Image.Resampling.BICUBIC).point(
        [round(each * _DIM) for each in range(256)] * 3
    )
    ground.paste(scaled, (left, top))
    return np.array(ground)


def _middle(picture: Rgb, size: tuple[int, int]) -> tuple[int, int, int, int]:
    rows, columns = picture.shape[:2]
    # A pixel or two off is the same shape, rounded.
    if abs(columns * size[1] - rows * size[0]) <= 2 * (columns + rows):
        return (0, 0, *size)
    scale = min(size[0] / columns, size[1] / rows)
    width, height = max(1, round(columns * scale)), max(1, round(rows * scale))
    return ((size[0] - width) // 2, (size[1] - height) // 2, width, height)


class _Grade:
    """Other colours: those of the first frame that was given, else some that the prompt chooses."""

    def __init__(self, shot: Remake) -> None:
        self._part = 0.25 + 0.7 * MODES.index(shot.mode) / (len(MODES) - 1)
        dark, middle, light = _tones(shot)
        ramp = ImageOps.colorize(
            Image.fromarray(np.arange(256, dtype=np.uint8)[None]), black=dark, white=light, mid=middle
        )
        self._table = np.asarray(ramp)[0]

    def __call__(self, rgb: Rgb) -> Rgb:
        grey = np.asarray(ImageOps.autocontrast(Image.fromarray(rgb).convert("L"), cutoff=1))
        return np.array(Image.blend(Image.fromarray(rgb), Image.fromarray(self._table[grey]), self._part))


def _tones(shot: Remake) -> tuple[tuple[int, ...], ...]:
    """Three colours: for what is dark, in between and light."""
    if shot.first_frame is not None:
        small = np.asarray(Image.fromarray(shot.first_frame).resize((48, 48), Image.Resampling.BOX))
        pixels = small.reshape(-1, 3)
        in_order = pixels[np.argsort(pixels @ np.array([0.2126, 0.7152, 0.0722]))]
        parts = np.array_split(in_order, _TONES)
        return tuple(tuple(int(value) for value in part.mean(axis=0)) for part in parts)
    hue = hashlib.sha256(shot.prompt.encode("utf-8", "replace")).digest()[0] / 256
    shades = ((hue + 0.5, 0.7, 0.12), (hue, 0.55, 0.55), (hue + 0.08, 0.3, 1.0))
    return tuple(
        tuple(round(255 * value) for value in colorsys.hsv_to_rgb(shade % 1, full, bright))
        for shade, full, bright in shades
    )
