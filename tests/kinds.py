"""Every kind of file that frames are read from, each with its exact colours or the words it is refused with.

`python tests/kinds.py` prints what comes of each.
"""

from __future__ import annotations

import struct
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

if __name__ == "__main__":
    import conftest  # noqa: F401 - the pack under its name
import films
from luma_ray.nodes.generation.errors import BrokenClip, InvalidInput
from luma_ray.nodes.media import frames
from PIL import Image

WIDTH, HEIGHT, FRAMES = 320, 180, 30
Pictures = list[npt.NDArray[np.float64]]


@dataclass(frozen=True)
class Kind:
    """A kind of file: how one is made, and what must come of it."""

    name: str
    codec: str = "libx264"
    pixel_format: str = "yuv420p"
    container: str = "mp4"
    options: dict[str, str] = field(default_factory=dict)
    container_options: dict[str, str] = field(default_factory=dict)
    size: tuple[int, int] = (WIDTH, HEIGHT)
    count: int = FRAMES
    matrix: str = "bt709"
    """What the colours are; a reader has to find that out from the tags, or from the size where there are none."""
    tagged: bool = True
    full_range: bool = False
    centred: bool = False
    curve: int | None = None
    times: tuple[int, ...] | None = None
    pixel_shape: Fraction | None = None
    damage: Callable[[Path], None] | None = None
    """Done to the file when it is written."""
    expected: Callable[[Pictures], Pictures] = list
    """What is shown of the pictures that are stored."""
    refusal: str | None = None
    """Words that the refusal holds, where the file cannot become frames."""

    @property
    def available(self) -> bool:
        """Whether FFmpeg's libraries can make one here."""
        with suppress(av.codec.codec.UnknownCodecError):
            return bool(av.Codec(self.codec, "w"))
        return False


@dataclass(frozen=True)
class Row:
    """What came of a kind of file."""

    kind: str
    frames: int
    mean_error: float | None = None
    """Of all values in 8-bit levels, against a conversion in floats."""
    bias: float | None = None
    """Of the channel that is furthest off, in levels."""
    refusal: str | None = None


def rows(folder: Path, kinds: Sequence[Kind] | None = None) -> Iterator[Row]:
    """Make a file of each kind in *folder* and decode it."""
    for number, kind in enumerate(KINDS if kinds is None else kinds):
        if kind.available:
            yield row(kind, folder / f"{number}.{kind.container}")


def row(kind: Kind, path: Path) -> Row:
    """Make one at *path* and decode it."""
    make(kind, path)
    try:
        decoded = frames.decode(path).numpy()
    except (BrokenClip, InvalidInput) as error:
        return Row(kind.name, 0, refusal=str(error).replace(str(path), path.name))
    exact = kind.expected(stored(kind, path))
    if decoded.shape != (len(exact), *exact[0].shape):
        raise AssertionError(f"{kind.name}: {decoded.shape} is not {len(exact)} of {exact[0].shape}")
    total, most, signed = 0.0, len(exact), np.zeros(3)
    for one, other in zip(decoded, exact, strict=True):
        apart = one * 255.0 - other
        total += float(np.abs(apart).mean())
        signed += apart.mean(axis=(0, 1))
    return Row(kind.name, len(decoded), total / most, float(np.abs(signed / most).max()))


def stored(kind: Kind, path: Path) -> Pictures:
    """The pictures in the file in floats, decoded by FFmpeg alone in the plainest way."""
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        stream.thread_type = "NONE"
        return [_exact(kind, picture) for picture in file.decode(stream)]


def make(kind: Kind, path: Path) -> Path:
    """A file of this *kind*."""
    with av.open(str(path), "w", format=kind.container, options=kind.container_options) as file:
        if kind.codec == "aac":
            _sound(file)
        else:
            _film(kind, file)
    if kind.damage is not None:
        kind.damage(path)
    return path


def _film(kind: Kind, file: Any) -> None:
    stream = file.add_stream(kind.codec, rate=24, options=_FAST.get(kind.codec, {}) | kind.options)
    (stream.width, stream.height), stream.pix_fmt = kind.size, kind.pixel_format
    context = stream.codec_context
    if kind.pixel_shape is not None:
        context.sample_aspect_ratio = kind.pixel_shape
    if kind.tagged:
        context.colorspace, context.color_primaries, context.color_trc = films.TAGS[kind.matrix]
        context.color_range = 2 if kind.full_range else 1
    if kind.curve is not None:
        context.color_trc = kind.curve
    if not kind.count:
        file.start_encoding()
        return
    for number in range(kind.count):
        picture = _picture(kind, number)
        picture.pts, picture.time_base = kind.times[number] if kind.times else number, Fraction(1, 24)
        if kind.tagged:
            picture.colorspace, picture.color_range = context.colorspace, context.color_range
        file.mux(stream.encode(picture))
    file.mux(stream.encode(None))


def _picture(kind: Kind, number: int) -> av.VideoFrame:
    """Frame *number*: a smooth picture with grain that moves to the left by four pixels a frame."""
    width, height = kind.size
    picture = av.VideoFrame(width, height, kind.pixel_format)
    if picture.format.is_rgb or picture.format.name == "pal8":
        rgb = films.scene(1, width, height, start=number)[0]
        return av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format=kind.pixel_format)
    bits = picture.format.components[0].bits
    rolled = _LAND.setdefault((width, height), films.planes(width + width % 2, height + height % 2))
    for plane, values in zip(picture.planes, rolled, strict=True):
        moved = np.roll(values, -4 * number * values.shape[1] // rolled[0].shape[1], axis=1).astype(np.uint16)
        for axis, length in enumerate((plane.height, plane.width)):
            moved = (
                moved.repeat(2, axis)[(slice(None),) * axis + (slice(length),)]
                if (length > moved.shape[axis])
                else moved[(slice(None),) * axis + (slice(length),)]
            )
        if bits > 8:
            moved = moved * 2 ** (bits - 8) + np.arange(moved.size, dtype=np.uint16).reshape(moved.shape) % 3
        _store(plane, moved, bits)
    return picture


def _store(plane: Any, values: npt.NDArray[np.uint16], bits: int) -> None:
    item = np.uint8 if bits == 8 else np.uint16
    rows = np.zeros((plane.height, plane.line_size // np.dtype(item).itemsize), item)
    rows[:, : plane.width] = values
    plane.update(rows.tobytes())


def _exact(kind: Kind, picture: av.VideoFrame) -> npt.NDArray[np.float64]:
    layout = picture.format
    if layout.is_rgb or layout.name == "pal8":
        return picture.to_ndarray(format="rgb24").astype(np.float64)
    bits = layout.components[0].bits
    item = np.uint8 if bits == 8 else np.uint16
    planes = [
        np.frombuffer(memoryview(plane), item).reshape(-1, plane.line_size // np.dtype(item).itemsize)[
            : plane.height, : plane.width
        ]
        for plane in picture.planes[:3]
    ]
    return films.exact_rgb(planes, kind.matrix, full_range=kind.full_range, bits=bits, centred=kind.centred)


def _sound(file: Any) -> None:
    stream = file.add_stream("aac", rate=48000)
    samples = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), format="fltp", layout="mono")
    samples.sample_rate = 48000
    file.mux(stream.encode(samples))
    file.mux(stream.encode(None))


def _turned(path: Path) -> None:
    """A quarter to the right, as a telephone writes it."""
    data = bytearray(path.read_bytes())
    matrix = (0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
    struct.pack_into(">9i", data, data.index(b"tkhd") + 44, *matrix)
    path.write_bytes(data)


def _first_five_cut(path: Path) -> None:
    """An edit list that begins with the sixth frame."""
    data = bytearray(path.read_bytes())
    entry = data.index(b"elst") + 12
    duration, media_time = struct.unpack_from(">Ii", data, entry)
    struct.pack_into(">Ii", data, entry, duration * (FRAMES - 5) // FRAMES, media_time + 5 * 512)
    path.write_bytes(data)


def _broken_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def _web_page(path: Path) -> None:
    path.write_text("<!DOCTYPE html><html><body>403</body></html>")


def _stretched(pictures: Pictures) -> Pictures:
    width = round(WIDTH * 4 / 3)
    return [
        np.stack(
            [
                np.asarray(
                    Image.fromarray(picture[..., channel].astype(np.float32)).resize(
                        (width, HEIGHT), Image.Resampling.BICUBIC
                    ),
                    np.float64,
                )
                for channel in range(3)
            ],
            axis=-1,
        )
        for picture in pictures
    ]


_LAND: dict[tuple[int, int], tuple[npt.NDArray[np.uint8], ...]] = {}
_FAST = {
    "libx264": {"preset": "veryfast"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=error"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "auto-alt-ref": "1", "lag-in-frames": "10"},
    "libsvtav1": {"preset": "12", "svtav1-params": "lp=1"},
}
H264 = Kind("H.264, one keyframe, B-frames", options={"g": "250", "bf": "3"})
KINDS = (
    H264,
    replace(H264, name="H.264, a keyframe every 8 frames", options={"g": "8", "bf": "2"}),
    replace(H264, name="H.264, open groups", options={"x264-params": "open-gop=1:keyint=8:bframes=3"}),
    replace(H264, name="H.264, only keyframes", options={"g": "1"}),
    replace(H264, name="H.264, bt601", matrix="bt601"),
    replace(H264, name="H.264, bt2020 in ordinary brightness", matrix="bt2020"),
    replace(H264, name="H.264, full range", full_range=True),
    replace(H264, name="H.264, bt601, full range", matrix="bt601", full_range=True),
    replace(H264, name="H.264, untagged, SD", matrix="bt601", tagged=False),
    replace(H264, name="H.264, untagged, HD", size=(1280, 720), count=6, tagged=False),
    replace(H264, name="H.264, 10 bits", pixel_format="yuv420p10le"),
    replace(H264, name="H.264, 4:4:4", pixel_format="yuv444p"),
    replace(H264, name="HEVC", codec="libx265", options={}),
    replace(
        H264,
        name="HEVC, open groups",
        codec="libx265",
        options={"x265-params": "log-level=error:keyint=8:min-keyint=8:open-gop=1:bframes=3"},
    ),
    replace(H264, name="HEVC, 10 bits", codec="libx265", pixel_format="yuv420p10le", options={}),
    Kind("VP9 in WebM, without a frame count", codec="libvpx-vp9", container="webm"),
    Kind("AV1", codec="libsvtav1"),
    Kind("AV1, 10 bits", codec="libsvtav1", pixel_format="yuv420p10le"),
    Kind("ProRes 422, 10 bits", codec="prores_ks", pixel_format="yuv422p10le", container="mov"),
    Kind("FFV1, odd size, 4:2:0", codec="ffv1", container="matroska", size=(321, 179)),
    Kind("VP9, a keyframe every 8 frames", codec="libvpx-vp9", container="webm", options={"g": "8"}),
    Kind("AV1, a keyframe every 8 frames", codec="libsvtav1", options={"g": "8"}),
    Kind("VP9, odd size", codec="libvpx-vp9", container="webm", size=(321, 179)),
    Kind("PNG in MOV", codec="png", pixel_format="rgb24", container="mov", tagged=False),
    Kind("GIF", codec="gif", pixel_format="rgb8", container="gif", tagged=False),
    Kind(
        "MJPEG",
        codec="mjpeg",
        pixel_format="yuvj420p",
        container="avi",
        matrix="bt601",
        tagged=False,
        full_range=True,
        centred=True,
    ),
    Kind("MPEG-4 in AVI", codec="mpeg4", container="avi", matrix="bt601", tagged=False),
    replace(H264, name="MPEG-TS, without a frame count", container="mpegts"),
    replace(H264, name="Matroska", container="matroska"),
    replace(
        H264,
        name="fragmented MP4, without a frame count",
        options={"g": "10"},
        container_options={"movflags": "frag_keyframe+empty_moov"},
    ),
    replace(H264, name="a rate that varies", times=tuple(n + n // 3 * 2 for n in range(FRAMES))),
    replace(H264, name="an edit list", options={"bf": "0"}, damage=_first_five_cut),
    replace(
        H264,
        name="filmed sideways",
        damage=_turned,
        expected=lambda pictures: [np.rot90(picture, -1) for picture in pictures],
    ),
    replace(H264, name="pixels of 4:3", pixel_shape=Fraction(4, 3), expected=_stretched),
    replace(
        H264, name="HDR, PQ", pixel_format="yuv420p10le", matrix="bt2020", curve=16, refusal="HDR video (PQ)"
    ),
    replace(
        H264,
        name="HDR, HLG",
        pixel_format="yuv420p10le",
        matrix="bt2020",
        curve=18,
        refusal="HDR video (HLG)",
    ),
    replace(
        H264,
        name="broken off",
        container_options={"movflags": "+faststart"},
        damage=_broken_off,
        refusal="is cut off",
    ),
    replace(H264, name="broken off before its index", damage=_broken_off, refusal="cannot be decoded"),
    replace(H264, name="no frames", count=0, refusal="has no pictures in it, nor anything else"),
    Kind("sound only", codec="aac", refusal="has no pictures in it, only audio"),
    replace(H264, name="a web page", damage=_web_page, refusal="it holds text (a web page"),
)


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        for each in rows(Path(folder)):
            told = each.refusal or f"{each.mean_error:6.3f} {each.bias:6.3f}"
            sys.stdout.write(f"{each.kind:42s} {each.frames:3d}  {told}\n")


if __name__ == "__main__":
    main()
