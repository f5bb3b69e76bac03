"""Real H.264 clips and JPEG pictures for the emulators, small and quickly made."""

from __future__ import annotations

import base64
import binascii
import io
import math
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import VideoReformatter

FRAMES_PER_SECOND = 24
Pixels = npt.NDArray[np.uint8]

_BT709 = 1
_LIMITED_RANGE = 1
_PICTURES = {"jpeg_pipe", "png_pipe", "webp_pipe"}
_SMALL = 640 * 360
_WAVE = (127.5 + 110 * np.sin(np.arange(256) * 2 * np.pi / 256)).astype(np.uint8)


class Unreadable(ValueError):
    """The bytes are not a picture, or not a clip."""


@dataclass(frozen=True)
class Picture:
    """One RGB image, 8 bits a channel; hashable, so that what is made from it can be cached."""

    width: int
    height: int
    rgb: bytes

    @classmethod
    def of(cls, pixels: Pixels) -> Picture:
        """From an array of shape (height, width, 3)."""
        height, width, _ = pixels.shape
        return cls(width, height, pixels.tobytes())

    @property
    def pixels(self) -> Pixels:
        """Shape (height, width, 3), read-only."""
        return np.frombuffer(self.rgb, np.uint8).reshape(self.height, self.width, 3)


def picture(data: bytes) -> Picture:
    """Decode a JPEG, PNG or WebP. Raises Unreadable for anything else."""
    try:
        with av.open(io.BytesIO(data)) as container:
            if container.format.name not in _PICTURES:
                raise Unreadable(f"a {container.format.name} is not a picture")
            for frame in container.decode(video=0):
                return _as_picture(frame)
    except (av.FFmpegError, IndexError) as error:
        raise Unreadable(str(error)) from None
    raise Unreadable("no picture inside")


def unpacked(words: str) -> bytes:
    """What is inside base64. Raises Unreadable for anything else."""
    try:
        return base64.b64decode(words, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Unreadable(str(error)) from None


def photograph(red: int, width: int = 320, height: int = 180) -> Picture:
    """A picture for tests: green grows from left to right, blue from top to bottom, *red* tells it from others."""
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[..., 0] = red
    pixels[..., 1] = np.linspace(0, 255, width, dtype=np.uint8)
    pixels[..., 2] = np.linspace(0, 255, height, dtype=np.uint8)[:, None]
    return Picture.of(pixels)


def difference(one: Picture, other: Picture) -> float:
    """Mean distance of two pictures, in steps of 255, at the size of the first."""
    other = covering(other, (one.width, one.height))
    return float(np.abs(one.pixels.astype(int) - other.pixels).mean())


def jpeg(image: Picture) -> bytes:
    """Encode as a JPEG file."""
    codec = av.CodecContext.create("mjpeg", "w")
    codec.width, codec.height = image.width, image.height
    codec.pix_fmt = "yuvj420p"
    codec.framerate = Fraction(FRAMES_PER_SECOND)
    codec.color_range = 2
    frame = av.VideoFrame.from_ndarray(image.pixels, format="rgb24").reformat(format="yuvj420p")
    return b"".join(bytes(packet) for packet in [*codec.encode(frame), *codec.encode(None)])


def frames(clip: bytes) -> Iterator[Picture]:
    """The frames of *clip* in order. Raises Unreadable when it is not a clip."""
    return map(_as_picture, _decoded(clip))


@lru_cache(maxsize=64)
def edges(clip: bytes) -> tuple[Picture, Picture, int]:
    """First frame, last frame and number of frames. Raises Unreadable."""
    first: av.VideoFrame | None = None
    last: av.VideoFrame | None = None
    count = 0
    for last in _decoded(clip):
        first = first or last
        count += 1
    if first is None or last is None:
        raise Unreadable("no frames inside")
    return _as_picture(first), _as_picture(last), count


def covering(image: Picture, size: tuple[int, int]) -> Picture:
    """Scale and crop around the centre so that *image* fills *size* (width, height)."""
    width, height = size
    if (image.width, image.height) == size:
        return image
    scale = min(image.width / width, image.height / height)
    across, down = max(1, round(width * scale)), max(1, round(height * scale))
    left, top = (image.width - across) // 2, (image.height - down) // 2
    return _scaled(image.pixels[top : top + down, left : left + across], size)


def within(image: Picture, size: tuple[int, int]) -> Picture:
    """Scale so that *image* fits in *size* (width, height), on a dark ground."""
    width, height = size
    scale = min(width / image.width, height / image.height)
    across, down = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    ground = np.full((height, width, 3), 24, np.uint8)
    left, top = (width - across) // 2, (height - down) // 2
    ground[top : top + down, left : left + across] = _scaled(image.pixels, (across, down)).pixels
    return Picture.of(ground)


@lru_cache(maxsize=32)
def journey(
    seed: int,
    size: tuple[int, int],
    seconds: int,
    start: Picture | None = None,
    end: Picture | None = None,
    *,
    closed: bool = False,
) -> bytes:
    """A clip of exactly 24 * seconds + 1 frames: a moving gradient, led from *start* and to *end*.

    The first frame is *start* and the last one *end* (both cropped to *size*) where they are given. Without
    them, *closed* makes the last frame equal to the first.
    """
    count = FRAMES_PER_SECOND * seconds + 1
    first = covering(start, size).pixels if start else None
    last = covering(end, size).pixels if end else None
    gradient = _gradient(seed, size, count, closed=closed)
    return encode(
        (_blend(ground, index / (count - 1), first, last) for index, ground in enumerate(gradient)), size
    )


def joined(first: bytes, second: bytes, size: tuple[int, int]) -> bytes:
    """*first* followed by *second*, whose first frame is the last one of *first* and is left out."""

    def both() -> Iterator[Pixels]:
        for image in frames(first):
            yield covering(image, size).pixels
        for index, image in enumerate(frames(second)):
            if index:
                yield covering(image, size).pixels

    return encode(both(), size)


def remade(
    clip: bytes, size: tuple[int, int], change: Callable[[Picture, tuple[int, int]], Picture]
) -> bytes:
    """Every frame of *clip* through *change*, at *size* (width, height)."""
    return encode((change(image, size).pixels for image in frames(clip)), size)


def recoloured(image: Picture, size: tuple[int, int]) -> Picture:
    """*image* in other colours, so that a modified clip can be told from its source."""
    return Picture.of(np.ascontiguousarray(covering(image, size).pixels[:, :, ::-1]))


def encode(images: Iterable[Pixels], size: tuple[int, int]) -> bytes:
    """An MP4 (H.264, yuv420p, bt709, 24 frames a second) of arrays of shape (height, width, 3)."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream(
            "libx264", rate=FRAMES_PER_SECOND, options={"preset": "ultrafast", "crf": "16"}
        )
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        codec = stream.codec_context
        codec.color_primaries = codec.color_trc = codec.colorspace = _BT709
        codec.color_range = _LIMITED_RANGE
        if size[0] * size[1] <= _SMALL:
            codec.thread_count = 1  # starting threads takes longer than the whole small clip
        # one for all frames: a frame's own would set up a new conversion each time, which takes longest of all
        converter = VideoReformatter()
        for index, pixels in enumerate(images):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame = converter.reformat(
                frame, format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG"
            )
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def with_tone(clip: bytes) -> bytes:
    """*clip*, its pictures untouched, with an AAC tone under it."""
    file = io.BytesIO()
    rate = 44100
    with av.open(io.BytesIO(clip)) as source, av.open(file, "w", format="mp4") as container:
        pictures = container.add_stream_from_template(source.streams.video[0])
        tone = container.add_stream("aac", rate=rate, layout="mono")
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = pictures
                container.mux(packet)
        seconds = (source.duration or 0) / av.time_base
        waves = 0.1 * np.sin(np.arange(int(seconds * rate), dtype=np.float32) * (2 * math.pi * 440 / rate))
        for begin in range(0, len(waves), 1024):
            block = av.AudioFrame.from_ndarray(
                waves[None, begin : begin + 1024], format="fltp", layout="mono"
            )
            block.sample_rate = rate
            block.pts = begin
            container.mux(tone.encode(block))
        container.mux(tone.encode(None))
    return file.getvalue()


def _decoded(clip: bytes) -> Iterator[av.VideoFrame]:
    try:
        with av.open(io.BytesIO(clip)) as container:
            if container.format.name in _PICTURES or not container.streams.video:
                raise Unreadable("no video inside")
            yield from container.decode(video=0)
    except av.FFmpegError as error:
        raise Unreadable(str(error)) from None


def _as_picture(frame: av.VideoFrame) -> Picture:
    return Picture.of(frame.to_ndarray(format="rgb24"))


def _scaled(pixels: Pixels, size: tuple[int, int]) -> Picture:
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
    return Picture.of(frame.reformat(width=size[0], height=size[1], format="rgb24").to_ndarray())


def _gradient(seed: int, size: tuple[int, int], count: int, *, closed: bool) -> Iterator[Pixels]:
    width, height = size
    dice = random.Random(seed)  # noqa: S311 - colours, not secrets
    x = np.linspace(0, 200, width)[None, :, None]
    y = np.linspace(0, 200, height)[:, None, None]
    lean = np.array([dice.uniform(-1, 1) for _ in range(6)]).reshape(2, 3)
    offset = np.array([dice.uniform(0, 256) for _ in range(3)])
    # 8-bit phases that wrap by themselves: one addition and one look-up a frame
    phase = ((x * lean[0] + y * lean[1] + offset) % 256).astype(np.uint8)
    turns = np.array([dice.choice((-1.0, 1.0)) for _ in range(3)])
    if not closed:
        turns *= 0.6
    for index in range(count):
        step = np.round(256 * turns * index / (count - 1)).astype(np.int64) % 256
        yield np.take(_WAVE, phase + step.astype(np.uint8))


def _blend(ground: Pixels, time: float, first: Pixels | None, last: Pixels | None) -> Pixels:
    """Fixed-point mix of the gradient with the pictures; at time 0 all *first*, at time 1 all *last*."""
    if first is None and last is None:
        return ground
    if first is not None and last is not None:
        strength = 1 - 0.3 * math.sin(math.pi * time)
        opening, closing = strength * (1 - time), strength * time
    else:
        opening = 1 - 0.6 * time if first is not None else 0.0
        closing = 0.4 + 0.6 * time if last is not None else 0.0
    begin, finish = round(256 * opening), round(256 * closing)
    mixed = ground.astype(np.uint16) * np.uint16(256 - begin - finish)
    if first is not None:
        mixed += first * np.uint16(begin)
    if last is not None:
        mixed += last * np.uint16(finish)
    return (mixed >> 8).astype(np.uint8)
