"""Between what codecs store (YUV) and RGB: the matrix, the range and the rounding, in both directions."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import av
import numpy as np
import numpy.typing as npt
from av.filter import Graph
from av.video.reformatter import VideoReformatter

if TYPE_CHECKING:
    from av.video.plane import VideoPlane

Plane = npt.NDArray[np.uint8]

_ACCURATE_ROUNDING = 0x40000  # without it swscale is about a level too dark
_BILINEAR = 2  # chroma between its samples; the default repeats the nearest one
_BICUBIC = 4  # for other sizes: sharper, and as free of aliases

_BT709, _FCC, _BT601, _SMPTE240M, _BT2020 = 1, 4, 5, 7, 9  # swscale's numbers
_LIMITED, _FULL = 1, 2
# PyAV before 17 knows one thread only. Conversions run side by side already, so more of them would fight.
_ONE_THREAD: Final[dict[str, Any]] = {"threads": 1} if int(av.__version__.split(".")[0]) >= 17 else {}

_SQUARE_ENOUGH: Final = 0.01
_STRETCHED_MOST: Final = 4

_MATRIX_OF_TAG = {1: _BT709, 4: _FCC, 5: _BT601, 6: _BT601, 7: _SMPTE240M, 9: _BT2020, 10: _BT2020}
"""A frame's tag (H.273) → swscale's matrix."""


class RgbReader:
    """Decoded frames as upright 8-bit RGB. Keep one for a clip; for one thread at a time.

    Matrix and range are the ones the frame is tagged with. Untagged frames are taken as players take them:
    bt709 from HD on (wider than 1279 or higher than 576 pixels), bt601 below, limited range.
    Pixels that are not square are made so: the frame becomes as wide as players show it. PyAV before 17 takes
    chroma half a pixel too far to the right; it cannot be told otherwise.
    """

    def __init__(self, size: tuple[int, int] | None = None, *, pixel_shape: Fraction = Fraction(1)) -> None:
        """Frames of *size* (width, height after rotation); None keeps the clip's.

        *pixel_shape* is the width of a stored pixel over its height. Shapes within a hundredth of a square are
        encoders' rounding, and those beyond 4:1 are damage: they are taken as squares.
        """
        self._size = size
        apart = max(pixel_shape, 1 / pixel_shape) if pixel_shape > 0 else Fraction(1)
        self._pixel_shape = pixel_shape if 1 + _SQUARE_ENOUGH < apart <= _STRETCHED_MOST else Fraction(1)
        self._swscale = VideoReformatter()
        self._pad: Graph | None = None

    def size(self, frame: av.VideoFrame) -> tuple[int, int]:
        """Width and height that `planes` gives for this frame."""
        if self._size is not None:
            return self._size
        width, height = max(round(frame.width * self._pixel_shape), 1), frame.height
        return (height, width) if _quarter_turns(frame) % 2 else (width, height)

    def planes(self, frame: av.VideoFrame) -> tuple[Plane, Plane, Plane]:
        """Red, green and blue, each [height, width]: views that live as long as the caller keeps them."""
        turns = _quarter_turns(frame)
        width, height = self.size(frame)
        if turns % 2:
            width, height = height, width
        resized = (width, height) != (frame.width, frame.height)
        if not resized:
            frame = self._even(frame)
        matrix = _matrix(frame)
        converted = self._swscale.reformat(
            frame,
            width=width if resized else frame.width,
            height=height if resized else frame.height,
            format="gbrp",
            interpolation=(_BICUBIC if resized else _BILINEAR) | _ACCURATE_ROUNDING,
            src_colorspace=matrix,
            # Means nothing for RGB, but PyAV before 17 ignores the source's matrix where both are the same.
            dst_colorspace=_FCC if matrix != _FCC else _BT709,
            src_color_range=_range(frame),
            dst_color_range=_FULL,
            **_ONE_THREAD,
        )
        green, blue, red = (np.rot90(_view(converted, index)[:height, :width], turns) for index in range(3))
        return red, green, blue

    def _even(self, frame: av.VideoFrame) -> av.VideoFrame:
        """*frame* with even sides if its chroma is halved: swscale would squeeze the last half sample in."""
        width, height = frame.width, frame.height
        wide = frame.format.chroma_width(width) * 2 if width % 2 else width
        tall = frame.format.chroma_height(height) * 2 if height % 2 else height
        if (wide, tall) not in ((width + 1, height), (width, height + 1), (width + 1, height + 1)):
            return frame
        if self._pad is None:
            # A new frame would lose where its chroma sits, and PyAV cannot tell it.
            self._pad = Graph()
            source = self._pad.add_buffer(
                width=width, height=height, format=frame.format, time_base=Fraction(1, 24)
            )
            pad, sink = self._pad.add("pad", f"{wide}:{tall}:0:0"), self._pad.add("buffersink")
            source.link_to(pad)
            pad.link_to(sink)
            self._pad.configure()
        # The filter fills up from the last even row and column on, and may do so in the frame it is given.
        stored = [_rows(plane).copy() for plane in frame.planes]
        self._pad.vpush(frame)
        even = self._pad.vpull()
        even.make_writable()
        for plane, rows in zip(even.planes, stored, strict=True):
            target = _rows(plane)
            across = min(target.shape[1], rows.shape[1])
            target[: len(rows), :across] = rows[:, :across]
        return even

    def pixels(self, frame: av.VideoFrame) -> npt.NDArray[np.uint8]:
        """The frame as a new array [height, width, 3]."""
        width, height = self.size(frame)
        rgb = np.empty((height, width, 3), np.uint8)
        for channel, plane in enumerate(self.planes(frame)):
            rgb[..., channel] = plane
        return rgb


class Bt709Writer:
    """8-bit RGB as yuv420p frames: bt709, limited range, tagged, chroma sited to the left as H.264 means it.

    swscale would put chroma half a pixel to the right of where players (and `RgbReader`) look for it, one
    more time at each pass through a file, so the halving of chroma is done here.
    """

    def __init__(self) -> None:
        self._swscale = VideoReformatter()

    def frame(self, rgb: npt.NDArray[np.uint8]) -> av.VideoFrame:
        """One frame from [height, width, 3] with even height and width."""
        height, width, _ = rgb.shape
        full = self._swscale.reformat(
            av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24"),
            format="yuv444p",
            interpolation=_BILINEAR | _ACCURATE_ROUNDING,
            src_colorspace=_FCC,
            dst_colorspace=_BT709,
            src_color_range=_FULL,
            dst_color_range=_LIMITED,
        )
        planes = np.empty(height * width * 3 // 2, np.uint8)
        luma, chroma = planes[: height * width], planes[height * width :]
        luma.reshape(height, width)[:] = _view(full, 0)
        for index, half in enumerate(chroma.reshape(2, height // 2, width // 2)):
            half[:] = _halved(_view(full, index + 1))
        frame = av.VideoFrame.from_ndarray(planes.reshape(height * 3 // 2, width), format="yuv420p")
        frame.colorspace, frame.color_range = _BT709, _LIMITED
        return frame


def _matrix(frame: av.VideoFrame) -> int:
    untagged = _BT709 if frame.width >= 1280 or frame.height > 576 else _BT601
    return _MATRIX_OF_TAG.get(int(frame.colorspace), untagged)


def _range(frame: av.VideoFrame) -> int:
    if frame.color_range in (_LIMITED, _FULL):
        return int(frame.color_range)
    return _FULL if frame.format.is_rgb or frame.format.name.startswith("yuvj") else _LIMITED


def _quarter_turns(frame: av.VideoFrame) -> int:
    """Counterclockwise turns that set the picture upright: phones store it as the sensor lies."""
    return round(frame.rotation / 90) % 4


def _rows(plane: VideoPlane) -> Plane:
    """The bytes of a plane by rows, without the padding at their ends."""
    rows: Plane = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return rows[: plane.height]


def _view(frame: av.VideoFrame, index: int) -> Plane:
    """One plane without the padding at the end of its rows."""
    plane = frame.planes[index]
    rows: Plane = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return rows[: plane.height, : plane.width]


def _halved(plane: Plane) -> Plane:
    """Chroma at half size: the two rows of each pair, and around the left column of each pair 1-2-1."""
    rows = plane[0::2].astype(np.uint16)
    rows += plane[1::2]
    left = rows[:, 0::2]
    total = left * 2
    total += rows[:, 1::2]
    total[:, 1:] += rows[:, 1:-1:2]
    total[:, 0] += left[:, 0]
    # Ties to even: always up would add a sixteenth of a level at each pass through a file.
    total += 3 + (total >> 3 & 1)
    total >>= 3
    return total.astype(np.uint8)
