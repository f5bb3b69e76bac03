"""Clips to measure with: a camera that moves over a photograph, with the grain of film."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import numpy.typing as npt
from PIL import Image

Rgb = npt.NDArray[np.uint8]

PICTURES = Path(__file__).resolve().parent.parent.parent / "example_workflows" / "inputs"
FRAMES_PER_SECOND = 24
_BT709 = 1
_GRAIN = 2.5
"""Levels: its standard deviation."""


class Size(NamedTuple):
    """What a clip is like."""

    name: str
    width: int
    height: int
    seconds: int
    picture: str = "luma-ray-rocket.jpg"

    @property
    def frames(self) -> int:
        """As Ray gives them: one more than the seconds say."""
        return self.seconds * FRAMES_PER_SECOND + 1

    @property
    def output(self) -> int:
        """Bytes of its frames as float32."""
        return self.frames * self.width * self.height * 12


HD = Size("720p, 5 s", 1280, 720, 5)
FULL_HD = Size("1080p, 9 s", 1920, 1080, 9, "luma-ray-deep-field.jpg")
TINY = Size("tiny", 160, 96, 1)


def pictures(size: Size) -> Iterator[Rgb]:
    """The frames."""
    with Image.open(PICTURES / size.picture) as file:
        photograph = file.convert("RGB")
    dice = np.random.default_rng(7)
    tile = dice.normal(0, _GRAIN, (size.height + 64, size.width + 64, 1)).astype(np.float32)
    fitting = min(photograph.width / size.width, photograph.height / size.height)
    for number in range(size.frames):
        part = number / size.frames
        scale = fitting * (0.95 - 0.2 * part)
        # A push in that drifts to the side: every pixel moves, none by a whole number.
        left = (photograph.width - scale * size.width) * (0.3 + 0.4 * part)
        top = (photograph.height - scale * size.height) * 0.5
        seen = photograph.transform(
            (size.width, size.height),
            Image.Transform.AFFINE,
            (scale, 0, left, 0, scale, top),
            Image.Resampling.BICUBIC,
        )
        across, down = dice.integers(0, 64, 2)
        grain = tile[down : down + size.height, across : across + size.width]
        yield np.rint((np.asarray(seen, np.float32) + grain).clip(0, 255)).astype(np.uint8)


def clip(folder: Path, size: Size, *, every: int = 250, codec: str = "libx264") -> Path:
    """An MP4 of it, made once: x264 (fast, crf 18), bt709, a keyframe *every* so many frames at least."""
    name = f"{size.name} {every} {codec} {Path(size.picture).stem}"
    path = folder / f"{name.replace(', ', '-').replace(' ', '-')}.mp4"
    if path.is_file():
        return path
    unfinished = path.with_suffix(".unfinished")
    with av.open(str(unfinished), "w", format="mp4") as container:
        options = {"crf": "18", "preset": "fast"} if codec == "libx264" else {"qscale": "2"}
        stream = container.add_stream(codec, rate=FRAMES_PER_SECOND, options={**options, "g": str(every)})
        stream.width, stream.height, stream.pix_fmt = size.width, size.height, "yuv420p"
        context = stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = context.color_range = _BT709
        for number, rgb in enumerate(pictures(size)):
            picture = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(
                format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG"
            )
            picture.pts, picture.time_base = number, Fraction(1, FRAMES_PER_SECOND)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    unfinished.replace(path)
    return path
