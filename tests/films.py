"""Real video files for tests of the media modules, and exact colours to compare them with."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import numpy.typing as npt
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Rgb = npt.NDArray[np.uint8]
Waveform = npt.NDArray[np.float32]

TAGS = {"bt709": (1, 1, 1), "bt601": (5, 5, 6), "bt2020": (9, 9, 14)}
"""Matrix, primaries and curve as H.273 numbers them."""
CHROMA_SITED = int(av.__version__.split(".")[0]) >= 17
"""Older PyAV cannot tell swscale where chroma sits, and takes it half a pixel too far to the right."""
LUMA = {"bt709": (0.2126, 0.0722), "bt601": (0.299, 0.114), "bt2020": (0.2627, 0.0593)}
"""Weight of red and blue in luma."""


def scene(
    count: int, width: int = 192, height: int = 108, *, speed: float = 3.0, seed: int = 0, start: int = 0
) -> list[Rgb]:
    """A camera that moves over a coloured landscape by *speed* pixels a frame; *start* is a frame number."""
    # Columns first and a generator each: a longer film shows the same land as a shorter one, and more of it.
    columns, rows = (width + int((count + start) * speed)) // 10 + 4, height // 10 + 3
    light = np.random.default_rng(seed).uniform(50, 200, (columns, rows, 1))
    # Little colour: what yuv420p can hold without leaving RGB.
    tint = np.random.default_rng(seed + 1000).uniform(-20, 20, (columns, rows, 3))
    coarse = (light + tint).swapaxes(0, 1).astype(np.float32)
    full = (coarse.shape[1] * 10, coarse.shape[0] * 10)
    land = np.stack(
        [
            np.asarray(Image.fromarray(coarse[..., channel]).resize(full, Image.Resampling.BICUBIC))
            for channel in range(3)
        ],
        axis=-1,
    )
    frames = []
    for number in range(start, start + count):
        place = number * speed
        left, part = int(place), place - int(place)
        window = land[:height, left : left + width] * (1 - part)
        window = window + land[:height, left + 1 : left + 1 + width] * part
        frames.append(np.rint(window.clip(0, 255)).astype(np.uint8))
    return frames


def encode(
    frames: Sequence[Rgb],
    path: Path,
    *,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    container: str = "mp4",
    rate: int = 24,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    times: list[int] | None = None,
    sound: Waveform | None = None,
    sound_rate: int = 48000,
    sound_codec: str = "aac",
    sound_from: float = 0.0,
) -> Path:
    """A file written with PyAV alone, so that readers are not tested with our own writer.

    *sound* [channels, samples] begins *sound_from* seconds after the first picture.
    """
    fast = {"preset": "ultrafast"}
    size = frames[0].shape[1::-1] if frames else (64, 64)
    with av.open(str(path), "w", format=container, options=container_options or {}) as file:
        stream = file.add_stream(
            codec, rate=rate, options=(fast if codec == "libx264" else {}) | (options or {})
        )
        stream.width, stream.height, stream.pix_fmt = *size, pixel_format
        heard = None
        if sound is not None:
            heard = file.add_stream(sound_codec, rate=sound_rate)
            heard.codec_context.layout = "mono" if len(sound) == 1 else "stereo"
            heard.codec_context.bit_rate = 256_000
        for number, rgb in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format=pixel_format)
            frame.pts = times[number] if times else number
            frame.time_base = Fraction(1, rate)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
        if heard is not None:
            for place in range(0, sound.shape[1], 960):
                block = np.ascontiguousarray(sound[:, place : place + 960], np.float32)
                samples = av.AudioFrame.from_ndarray(
                    block, format="fltp", layout=heard.codec_context.layout.name
                )
                samples.sample_rate, samples.time_base = sound_rate, Fraction(1, sound_rate)
                samples.pts = place + round(sound_from * sound_rate)
                file.mux(heard.encode(samples))
            file.mux(heard.encode(None))
    return path


def clicks(
    count: int, at: Sequence[int], *, rate: int = 48000, channels: int = 2, frame_rate: int = 24
) -> Waveform:
    """Silence as long as *count* frames, with a click in the middle of each of the frames *at*."""
    waveform = np.zeros((channels, round(count * rate / frame_rate)), np.float32)
    for frame in at:
        place = round((frame + 0.5) * rate / frame_rate)
        waveform[:, place - 2 : place + 2] = 0.9
    return waveform


def heard_at(waveform: Waveform, rate: int, frame_rate: int = 24) -> list[float]:
    """Where clicks are, in frames: 7.5 is the middle of frame 7."""
    loud = np.abs(waveform[0])
    places = []
    while loud.size and loud.max() > 0.1:
        place = int(loud.argmax())
        near = np.s_[max(place - rate // 100, 0) : place + rate // 100]
        weight = loud[near] ** 4
        middle = float((np.arange(near.start, near.start + weight.size) + 0.5) @ weight / weight.sum())
        places.append(middle * frame_rate / rate)
        loud[near] = 0
    return sorted(places)


def planes(width: int, height: int, seed: int = 0) -> tuple[Rgb, Rgb, Rgb]:
    """Y, U and V of a smooth picture in yuv420p whose colours stay inside RGB under every matrix."""
    rng = np.random.default_rng(seed)

    def smooth(across: int, down: int, low: float, high: float) -> npt.NDArray[Any]:
        coarse = rng.uniform(low, high, (down // 16 + 2, across // 16 + 2)).astype(np.float32)
        return np.asarray(Image.fromarray(coarse).resize((across, down), Image.Resampling.BICUBIC))

    luma = smooth(width, height, 80, 170) + rng.normal(0, 2, (height, width))
    chroma = [smooth(width // 2, height // 2, 105, 150).clip(105, 150) for _ in range(2)]
    y, u, v = (np.rint(plane).astype(np.uint8) for plane in (luma.clip(70, 180), *chroma))
    return y, u, v


def encode_planes(
    pictures: Sequence[tuple[Rgb, Rgb, Rgb]], path: Path, *, tag: str | None, full_range: bool = False
) -> Path:
    """An MP4 that holds exactly these YUV values (lossless), tagged or not."""
    height, width = pictures[0][0].shape
    with av.open(str(path), "w", format="mp4") as file:
        stream = file.add_stream("libx264", rate=24, options={"qp": "0", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        if tag is not None:
            context.colorspace, context.color_primaries, context.color_trc = TAGS[tag]
            context.color_range = 2 if full_range else 1
        for number, (y, u, v) in enumerate(pictures):
            flat = np.concatenate([y.ravel(), u.ravel(), v.ravel()]).reshape(height * 3 // 2, width)
            frame = av.VideoFrame.from_ndarray(flat, format="yuv420p")
            frame.pts = number
            if tag is not None:
                frame.colorspace, frame.color_range = TAGS[tag][0], 2 if full_range else 1
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def exact_rgb(
    picture: Sequence[npt.NDArray[Any]],
    matrix: str,
    *,
    full_range: bool = False,
    bits: int = 8,
    centred: bool = False,
) -> npt.NDArray[np.float64]:
    """Y, U and V as RGB in levels (0..255), computed in floats.

    Chroma of half the width is sited to the left, as H.264 means it, or *centred* as in JPEG; chroma of half the
    height lies between two rows.
    """
    y, u, v = (plane / 2 ** (bits - 8) for plane in picture)
    red, blue = LUMA[matrix]
    most = 256 - 2 ** (8 - bits)  # 10 bits reach 255.75 of 8
    luma = y / most if full_range else (y - 16.0) / 219
    chroma = most if full_range else 224
    cb, cr = ((_grown(plane, y.shape, centred=centred) - 128) / chroma for plane in (u, v))
    r, b = luma + 2 * (1 - red) * cr, luma + 2 * (1 - blue) * cb
    g = (luma - red * r - blue * b) / (1 - red - blue)
    return np.stack([r, g, b], axis=-1).clip(0, 1) * 255


def _grown(
    plane: npt.NDArray[np.float64], shape: tuple[int, ...], *, centred: bool
) -> npt.NDArray[np.float64]:
    height, width = shape
    if plane.shape[0] < height:
        plane = _between(plane, (np.arange(height) + 0.5) / 2 - 0.5, 0)
    if plane.shape[1] < width:
        columns = np.arange(width) / 2
        plane = _between(plane, columns - 0.25 if centred else columns, 1)
    return plane


def _between(values: npt.NDArray[np.float64], places: npt.NDArray[Any], axis: int) -> npt.NDArray[np.float64]:
    low = np.floor(places).astype(int)
    part = np.expand_dims(places - low, 1 - axis)
    last = values.shape[axis] - 1
    one = np.take(values, low.clip(0, last), axis)
    other = np.take(values, (low + 1).clip(0, last), axis)
    return one * (1 - part) + other * part
