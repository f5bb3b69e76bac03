"""Kinds of video files, and how far their frames are from an exact conversion of what their decoder gives."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from . import footage
from .plan import Bench, Column, Part, Trial
from .trial import Rows

Plane = npt.NDArray[Any]

FRAMES = 8
MATRICES = {"bt709": 1, "bt601": 5, "bt2020": 9}
"""As H.273 numbers them."""
LUMA = {"bt709": (0.2126, 0.0722), "bt601": (0.299, 0.114), "bt2020": (0.2627, 0.0593)}
"""Weight of red and blue in luma."""


@dataclass(frozen=True)
class Kind:
    """One kind of file."""

    name: str
    codec: str = "libx264"
    pixels: str = "yuv420p"
    matrix: str = "bt709"
    """By which it has to be read."""
    tagged: bool = True
    full_range: bool = False
    container: str = "mp4"
    width: int = 640
    height: int = 360
    options: dict[str, str] = field(default_factory=dict)
    times: tuple[int, ...] = tuple(range(FRAMES))
    """When each frame is shown, in 24ths of a second."""
    curve: int = 1
    """As H.273 numbers it; 16 and 18 are HDR."""


KINDS = (
    Kind("H.264, bt709"),
    Kind("H.264, bt709, full range", full_range=True),
    Kind("H.264, HD, untagged", tagged=False, width=1280, height=720),
    Kind("H.264, SD, bt601", matrix="bt601"),
    Kind("H.264, SD, untagged", matrix="bt601", tagged=False),
    Kind("H.264, SD, bt601, full range", matrix="bt601", full_range=True),
    Kind("H.264, 10 bits", pixels="yuv420p10le"),
    Kind("H.264, 4:2:2, 10 bits", pixels="yuv422p10le"),
    Kind("H.264, 4:4:4, odd size", pixels="yuv444p", width=641, height=359),
    Kind("H.264, B-frames, open GOPs", options={"x264-params": "open-gop=1:keyint=4:bframes=2"}),
    Kind("H.264, frame rate varies", times=(0, 1, 2, 5, 6, 9, 20, 21)),
    Kind("H.264, MPEG-TS", container="mpegts"),
    Kind("H.264, Matroska", container="matroska"),
    Kind("HEVC", codec="libx265", options={"x265-params": "log-level=none"}),
    Kind("HEVC, bt2020, 10 bits", codec="libx265", pixels="yuv420p10le", matrix="bt2020", curve=14),
    Kind(
        "VP9, WebM", codec="libvpx-vp9", container="webm", options={"deadline": "realtime", "cpu-used": "8"}
    ),
    Kind("AV1", codec="libsvtav1", options={"preset": "10"}),
    Kind("ProRes 422, 10 bits, MOV", codec="prores_ks", pixels="yuv422p10le", container="mov"),
    Kind("FFV1, Matroska", codec="ffv1", container="matroska"),
    Kind("MPEG-4, AVI", codec="mpeg4", matrix="bt601", tagged=False, container="avi"),
    Kind("HDR, PQ", codec="libx265", pixels="yuv420p10le", matrix="bt2020", curve=16),
    Kind("HDR, HLG", codec="libx265", pixels="yuv420p10le", matrix="bt2020", curve=18),
)


def written(kind: Kind, folder: Path) -> Path:
    """A file of this kind."""
    path = folder / "clip"
    size = footage.Size("", kind.width, kind.height, 1)
    with av.open(str(path), "w", format=kind.container) as container:
        stream = container.add_stream(kind.codec, rate=footage.FRAMES_PER_SECOND, options=kind.options)
        stream.width, stream.height, stream.pix_fmt = kind.width, kind.height, kind.pixels
        context = stream.codec_context
        if kind.tagged:
            context.colorspace = context.color_primaries = MATRICES[kind.matrix]
            context.color_trc, context.color_range = kind.curve, 1 + kind.full_range
        for time, rgb in zip(kind.times, footage.pictures(size), strict=False):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format=kind.pixels)
            frame.pts, frame.time_base = time, Fraction(1, footage.FRAMES_PER_SECOND)
            if kind.tagged:
                frame.colorspace, frame.color_range = MATRICES[kind.matrix], 1 + kind.full_range
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def exact(picture: av.VideoFrame, kind: Kind) -> npt.NDArray[np.float64]:
    """A decoded frame as RGB, 0..1, computed in floats; chroma sited to the left."""
    bits = picture.format.components[0].bits
    step = 2 ** (bits - 8)
    y, cb, cr = (_plane(picture, index, bits) for index in range(3))
    luma = y / (2**bits - 1) if kind.full_range else (y - 16 * step) / (219 * step)
    span = 2**bits - 1 if kind.full_range else 224 * step
    cb, cr = ((_fitted(plane, luma.shape) - 128 * step) / span for plane in (cb, cr))
    red, blue = LUMA[kind.matrix]
    r, b = luma + 2 * (1 - red) * cr, luma + 2 * (1 - blue) * cb
    g = (luma - red * r - blue * b) / (1 - red - blue)
    return np.stack([r, g, b], axis=-1).clip(0, 1)


def _plane(picture: av.VideoFrame, index: int, bits: int) -> Plane:
    plane = picture.planes[index]
    kind = np.dtype("<u2" if bits > 8 else "u1")
    rows = np.frombuffer(plane, kind).reshape(plane.height, plane.line_size // kind.itemsize)
    return rows[:, : plane.width].astype(np.float64)


def _fitted(chroma: Plane, shape: tuple[int, ...]) -> Plane:
    """Chroma for every pixel, in a straight line between its samples."""
    height, width = shape
    if chroma.shape[0] < height:
        chroma = _between(chroma, (np.arange(height) + 0.5) / 2 - 0.5, 0)
    return _between(chroma, np.arange(width) / 2, 1) if chroma.shape[1] < width else chroma


def _between(values: Plane, places: Plane, axis: int) -> Plane:
    low = np.floor(places).astype(int)
    part = np.expand_dims(places - low, 1 - axis)
    last = values.shape[axis] - 1
    before, after = (np.take(values, (low + more).clip(0, last), axis) for more in (0, 1))
    return before * (1 - part) + after * part


def errors(kind: Kind) -> dict[str, float] | str:
    """In levels of 255; or why there are no frames, in words."""
    from luma_ray.nodes.generation.errors import GenerationError
    from luma_ray.nodes.media import frames

    with tempfile.TemporaryDirectory(prefix="luma-ray-bench-") as folder:
        path = written(kind, Path(folder))
        try:
            decoded = frames.decode(path).numpy()
        except GenerationError as error:
            return str(error).replace(str(path), "it")
        with av.open(str(path)) as container:
            true = np.stack([exact(picture, kind) for picture in container.decode(video=0)])
    if decoded.shape != true.shape:
        raise ValueError(f"{kind.name}: {decoded.shape} instead of {true.shape}")
    off = (decoded - true) * 255
    bias = off.mean(axis=(0, 1, 2))
    return {
        "frames": float(len(decoded)),
        "mean": float(np.abs(off).mean()),
        "most": float(np.abs(off).max()),
        "bias": float(bias[np.abs(bias).argmax()]),
    }


def all_kinds(count: int) -> Callable[[], Rows]:
    """Each of the first *count*."""

    def work() -> Rows:
        rows = Rows()
        for kind in KINDS[:count]:
            found = errors(kind)
            if isinstance(found, str):
                rows[f"{kind.name}: refused. {found}"] = {"frames": [0.0]}
            else:
                rows[kind.name] = {measure: [value] for measure, value in found.items()}
        return rows

    return work


def plan(bench: Bench) -> Iterator[Trial]:
    """All in one process: nothing is timed."""
    yield Trial(way="bench.kinds:all_kinds", name="all", options={"count": 2 if bench.tiny else len(KINDS)})


PART = Part(
    name="kinds",
    title="Kinds of files",
    about=(
        f"Clips of {FRAMES} frames. Levels of 255 between the frames and an exact conversion, in floats, of what the "
        "decoder of each gives. A frame that holds whole levels alone is 0.25 off on average. Where a file does not "
        "say where its chroma sits, as VP9, AV1, ProRes and FFV1 here, the exact conversion has it to the left, and "
        "FFmpeg's converter in the middle."
    ),
    columns=(
        Column("frames", "frames", digits=0),
        Column("mean error", "mean"),
        Column("bias", "bias"),
        Column("largest error", "most", digits=1),
    ),
    plan=plan,
    rounds=1,
)
