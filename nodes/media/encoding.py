"""New video files: an MP4 of pictures as they come, with sound beside them or without."""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import av
import av.error
import numpy as np
import numpy.typing as npt

from ..generation.errors import InvalidInput
from .colour import Bt709Writer
from .images import check_shape, eight_bit

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator
    from pathlib import Path

    import torch
    from av.container import OutputContainer

    from .sound import Samples, Sound

_FASTEST: Final = 1000
"""Frames a second that are written at most."""
_BITS: Final = 128_000
"""A second of AAC, for each channel: beyond what the ear tells apart."""
_AAC_FRAME: Final = 1024
"""Samples that AAC encodes at a time."""


def write(
    frames: Iterable[npt.NDArray[np.uint8]],
    path: Path,
    *,
    frame_rate: Fraction | float,
    width: int,
    height: int,
    crf: int = 16,
    preset: str = "veryfast",
    sound: Sound | None = None,
) -> None:
    """An MP4 from uint8 [height, width, 3] frames, encoded as they come.

    H.264, yuv420p, bt709 limited range and tagged so, a keyframe every second, playable while it loads, no
    metadata. yuv420p has only even sides: the last column or row of an odd one is cut off. The file gets
    its name when it is whole; if *frames* raises, nothing is left behind.

    Args:
        frames: any number of frames but none.
        path: where to; its folder must exist.
        frame_rate: frames a second.
        width: of each frame in pixels.
        height: of each frame in pixels.
        crf: x264's quality, 0 (lossless) to 51; 16 is beyond what the eye tells apart.
        preset: x264's; a faster one makes a larger file of the same quality. Clips of different presets cannot
            be joined by copying.
        sound: becomes AAC; taken as far as the pictures are, so that little of it waits.

    Raises:
        InvalidInput: no frames, a frame of another size, or a size or rate that H.264 does not have.
    """
    if width < 2 or height < 2:
        raise InvalidInput(f"A video of {width}x{height} cannot be made; each side needs two pixels or more.")
    rate = as_rate(frame_rate)
    try:
        with mp4(path, rate) as container:
            _encode(frames, container, path, rate, (height, width, 3), crf, preset, sound)
    except av.error.FFmpegError as error:
        if isinstance(error, OSError):
            raise
        raise InvalidInput(f"A video of {width}x{height} cannot be encoded: {error.strerror}.") from error


def write_tensor(images: torch.Tensor, path: Path, frame_rate: Fraction | float, *, crf: int = 16) -> None:
    """An MP4 from an IMAGE [frames, height, width, 3 or 4]; see `write`. The tensor is only read.

    Raises:
        InvalidInput: the tensor is no series of finite RGB pictures.
    """
    check_shape(images, "images")
    stack = images if images.ndim == 4 else images[None]
    height, width = stack.shape[1:3]
    frames = (eight_bit(image, name="images") for image in stack)
    write(frames, path, frame_rate=frame_rate, width=width, height=height, crf=crf)


def as_rate(frame_rate: Fraction | float) -> Fraction:
    """Frames a second as a file has them. Raises InvalidInput for what none has."""
    rate = Fraction(frame_rate).limit_denominator(1001)
    if not 0 < rate <= _FASTEST:
        raise InvalidInput(f"A video with {float(frame_rate):.6g} frames a second cannot be made.")
    return rate


@contextmanager
def mp4(path: Path, frame_rate: Fraction) -> Iterator[OutputContainer]:
    """An MP4 to be filled. It gets its name when it is whole; after an error nothing is left behind."""
    # Lengths are told in units of this; in FFmpeg's milliseconds the last frame would be a little too short.
    unit = frame_rate.numerator * max(1, round(48_000 / frame_rate.numerator))
    options = {"movflags": "+faststart", "movie_timescale": str(unit)}
    unfinished = path.with_name(f".{path.stem}-{uuid.uuid4().hex[:8]}.unfinished")
    try:
        with av.open(str(unfinished), "w", format="mp4", options=options) as container:
            yield container
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


class Soundtrack:
    """The sound of a film that is being written, as AAC."""

    def __init__(self, container: OutputContainer, sound: Sound) -> None:
        """To be made before anything is written to *container*."""
        self._container, self._form = container, sound.form
        self._stream = container.add_stream("aac", rate=sound.form.rate)
        self._stream.codec_context.layout = sound.form.layout
        self._stream.codec_context.bit_rate = _BITS * sound.form.channels
        self._blocks = _even(sound.blocks)
        self._written = 0

    def follow(self, seconds: Fraction) -> None:
        """Write the sound up to *seconds*: a file in which it lags would be held in memory."""
        while self._written < seconds * self._form.rate and self._next():
            pass

    def finish(self) -> None:
        """Write the rest."""
        while self._next():
            pass
        self._container.mux(self._stream.encode(None))

    def _next(self) -> bool:
        block = next(self._blocks, None)
        if block is None:
            return False
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=self._form.layout)
        frame.sample_rate = self._form.rate
        frame.pts, frame.time_base = self._written, Fraction(1, self._form.rate)
        self._container.mux(self._stream.encode(frame))
        self._written += block.shape[1]
        return True


def _even(blocks: Iterable[Samples]) -> Generator[Samples, None, None]:
    """The same sound in blocks of `_AAC_FRAME` samples; the last may be shorter."""
    waiting: list[Samples] = []
    held = 0
    for block in blocks:
        waiting.append(block)
        held += block.shape[1]
        if held >= _AAC_FRAME:
            joined = np.concatenate(waiting, axis=1)
            whole = held - held % _AAC_FRAME
            for place in range(0, whole, _AAC_FRAME):
                yield np.ascontiguousarray(joined[:, place : place + _AAC_FRAME])
            waiting, held = [joined[:, whole:]], held - whole
    if held:
        yield np.ascontiguousarray(np.concatenate(waiting, axis=1))


def _encode(
    frames: Iterable[npt.NDArray[np.uint8]],
    container: OutputContainer,
    path: Path,
    rate: Fraction,
    shape: tuple[int, int, int],
    crf: int,
    preset: str,
    sound: Sound | None,
) -> None:
    height, width = shape[0] // 2 * 2, shape[1] // 2 * 2
    writer = Bt709Writer()
    number = -1
    stream = container.add_stream(
        "libx264",
        rate=rate,
        # Without mbtree: it starves the last frame, which stands alone behind the last keyframe and is
        # what an extension begins on; and with it the same frames do not always give the same bytes.
        # Stitchable: the same headers whatever the pictures and the quality, so that films of our clips are
        # joined by copying.
        options={
            "crf": str(crf),
            "preset": preset,
            "g": str(max(1, round(rate))),
            "x264-params": "mbtree=0:stitchable=1",
        },
    )
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    context = stream.codec_context
    context.time_base = 1 / rate
    # bt709 for the matrix, the primaries and the curve; limited range.
    context.colorspace = context.color_primaries = context.color_trc = context.color_range = 1
    track = Soundtrack(container, sound) if sound is not None else None
    for number, rgb in enumerate(frames):
        if rgb.shape != shape:
            raise InvalidInput(
                f"Frame {number} of {path} is {rgb.shape[1]}x{rgb.shape[0]}, and the video {shape[1]}x{shape[0]}."
            )
        frame = writer.frame(rgb[:height, :width])
        frame.pts, frame.time_base = number, 1 / rate
        container.mux(stream.encode(frame))
        if track is not None:
            track.follow((number + 1) / rate)
    if number < 0:
        raise InvalidInput(f"There are no frames to make {path} of.")
    container.mux(stream.encode(None))
    if track is not None:
        track.finish()
