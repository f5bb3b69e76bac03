"""IMAGE tensors into the still pictures that a request carries, and back."""

from __future__ import annotations

import hashlib
import io
import math
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageOps

from ..generation.errors import InvalidInput
from ..generation.request import StillImage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SAME_SHAPE = 1.01
"""Aspect ratios that differ by no more than this factor count as the same."""

_FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    # Level 1: 4 to 15 times faster than Pillow's default for about a tenth more bytes.
    "image/png": ("PNG", {"compress_level": 1}),
    "image/jpeg": ("JPEG", {"quality": 95, "subsampling": 0}),
    "image/webp": ("WEBP", {"lossless": True, "method": 0}),
}


_DEEPEST: Final = 65535
_KEPT: Final = 256 * 2**20
"""Bytes of encoded pictures that are kept for the next shot with the same picture."""
_BAND: Final = 32
"""Rows that are converted at a time, so that they stay in the processor's cache."""


class _Files:
    """The files made last, whose pictures may be gone meanwhile; the newest is kept, however large it is."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._files: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: tuple[str, str]) -> bytes | None:
        with self._lock:
            if key in self._files:
                self._files.move_to_end(key)
            return self._files.get(key)

    def keep(self, key: tuple[str, str], content: bytes) -> None:
        with self._lock:
            self._bytes += len(content) - len(self._files.pop(key, b""))
            self._files[key] = content
            while self._bytes > self._most and len(self._files) > 1:
                self._bytes -= len(self._files.popitem(last=False)[1])


class _Encoder:
    """The pixels of a picture and what is made of them: each file and each size once, for all who ask."""

    def __init__(self, rgb: npt.NDArray[np.uint8], sha256: str) -> None:
        self.rgb = rgb
        self._sha256 = sha256
        self._sizes: dict[tuple[int, int], StillImage] = {}
        self._lock = threading.Lock()

    def __call__(self, media_type: str) -> bytes:
        if media_type not in _FORMATS:
            raise ValueError(f"{media_type!r} is none of {', '.join(_FORMATS)}")
        with self._lock:
            content = _files.get((self._sha256, media_type))
            if content is None:
                name, options = _FORMATS[media_type]
                file = io.BytesIO()
                # An image made from an array carries no EXIF, profile or text, so none is written.
                Image.fromarray(self.rgb).save(file, name, **options)
                content = file.getvalue()
                _files.keep((self._sha256, media_type), content)
            return content

    def resized(self, width: int, height: int) -> StillImage:
        """The whole picture at another size."""
        with self._lock:
            if (width, height) not in self._sizes:
                smaller = Image.fromarray(self.rgb).resize((width, height), Image.Resampling.LANCZOS)
                self._sizes[width, height] = _still_of(np.array(smaller))
            return self._sizes[width, height]


_files = _Files(_KEPT)
_encoders: WeakValueDictionary[str, _Encoder] = WeakValueDictionary()
"""By hash of the pixels, as long as a still of them is in use: ten shots with one picture share one of these."""
_sharing = threading.Lock()


def still(image: torch.Tensor, *, name: str) -> StillImage:
    """One frame of an IMAGE, checked and ready to be sent; the tensor is only read.

    Args:
        image: [1, height, width, 3] or [height, width, 3], 0..1 (or uint8, 0..255). Values outside are
            clamped, then rounded to 8 bits. A fourth channel is accepted where it is opaque.
        name: what the person knows the input by, for example `first_frame`.

    Raises:
        InvalidInput: the tensor is not one finite RGB picture.
    """
    check_shape(image, name)
    if image.ndim == 4:
        if image.shape[0] > 1:
            raise InvalidInput(
                f"{name} holds {image.shape[0]} images, and one frame is meant: pick one with "
                f"'Image From Batch' (index 0 is the first, {image.shape[0] - 1} the last)."
            )
        image = image[0]
    return _still_of(eight_bit(image, name=name))


def eight_bit(image: torch.Tensor, *, name: str) -> npt.NDArray[np.uint8]:
    """One picture [height, width, 3 or 4] as uint8 [height, width, 3]; the tensor is only read.

    Raises:
        InvalidInput: values that are no picture (NaN, infinity, integers but uint8), or transparency.
    """
    # Copied in both branches: the input belongs to the graph and may be shared with other nodes.
    if image.dtype == torch.uint8:
        levels = image.detach().cpu().numpy().copy()
    elif image.is_floating_point():
        levels = _rounded(image.detach().to("cpu", torch.float32).numpy(), name)
    else:
        raise InvalidInput(
            f"{name} holds {str(image.dtype).removeprefix('torch.')} values; an IMAGE holds floats from 0 to 1."
        )
    if levels.shape[-1] == 4:
        if levels[..., 3].min() < 255:
            raise InvalidInput(
                f"{name} has transparent parts, and video has none: put it on a background first with "
                "'ImageCompositeMasked', or drop its alpha channel with 'Split Image with Alpha'."
            )
        levels = levels[..., :3]
    return np.ascontiguousarray(levels)


def _rounded(values: npt.NDArray[np.float32], name: str) -> npt.NDArray[np.uint8]:
    """0..1 as 0..255, clamped and rounded, a band of rows at a time."""
    levels = np.empty(values.shape, np.uint8)
    band = np.empty((min(_BAND, len(values)), *values.shape[1:]), np.float32)
    for top in range(0, len(values), _BAND):
        rows = values[top : top + _BAND]
        scaled = band[: len(rows)]
        if not np.isfinite(rows).all():
            raise InvalidInput(
                f"{name} holds values that are not numbers (NaN or infinity); the node before it went wrong."
            )
        np.clip(rows, 0.0, 1.0, out=scaled)
        scaled *= 255
        np.rint(scaled, out=scaled)
        levels[top : top + _BAND] = scaled
    return levels


def check_shape(image: torch.Tensor, name: str) -> None:
    """Refuse what is not [height, width, 3 or 4] or [images, height, width, 3 or 4], in words.

    Raises:
        InvalidInput: the shape is another.
    """
    if not isinstance(image, torch.Tensor):
        raise InvalidInput(
            f"{name} is not an image but {type(image).__name__}; connect an IMAGE output to it."
        )
    shape = "x".join(str(side) for side in image.shape)
    if image.ndim not in (3, 4):
        raise InvalidInput(
            f"{name} has {image.ndim} dimensions ({shape}); an IMAGE has four: images, height, width, colours."
        )
    if 0 in image.shape:
        raise InvalidInput(f"{name} is empty ({shape}): there is no picture in it.")
    channels = image.shape[-1]
    if channels in (3, 4):
        return
    if channels == 1:
        raise InvalidInput(
            f"{name} is grayscale (one channel), and three are needed: make it RGB first, "
            "for example with 'Convert Mask to Image' if it is a mask."
        )
    if image.shape[-3] in (3, 4):
        raise InvalidInput(
            f"{name} has its colours before its rows ({shape}); an IMAGE ends with height, width, colours."
        )
    raise InvalidInput(f"{name} has {channels} channels ({shape}); an IMAGE has three: red, green and blue.")


def pixels(still: StillImage) -> npt.NDArray[np.uint8]:
    """The picture as uint8 [height, width, 3], read-only."""
    if isinstance(still.encode, _Encoder):
        return still.encode.rgb
    with Image.open(io.BytesIO(still.encode("image/png"))) as picture:
        rgb = np.array(picture.convert("RGB"))
    rgb.setflags(write=False)
    return rgb


def fit(still: StillImage, aspect_ratio: str) -> tuple[StillImage, str]:
    """The middle of the picture in another shape (`16:9`), and what was cut off: `67 of 427 rows`.

    The picture comes back unchanged, and nothing was cut off, where its shape differs by 1 % or less.
    """
    across, down = _sides(aspect_ratio)
    width, height = still.width, still.height
    if not _differ(width / height, across / down):
        return still, ""
    if width * down > height * across:
        kept = max(1, height * across // down)
        left = (width - kept) // 2
        part = pixels(still)[:, left : left + kept]
        loss = f"{width - kept} of {width} columns"
    else:
        kept = max(1, width * down // across)
        top = (height - kept) // 2
        part = pixels(still)[top : top + kept]
        loss = f"{height - kept} of {height} rows"
    return _still_of(np.ascontiguousarray(part)), loss


def shape_in_words(aspect_ratio: str) -> str:
    """`3:2`, or `1.37:1` where the exact ratio is no number that anyone knows."""
    across, down = _sides(aspect_ratio)
    if max(across, down) <= 32:
        return aspect_ratio
    divisor = math.gcd(across, down)
    exact = across // divisor, down // divisor
    return f"{exact[0]}:{exact[1]}" if max(exact) <= 32 else f"{across / down:.2f}:1"


def match(still: StillImage, width: int, height: int) -> StillImage:
    """The picture at exactly *width* x *height* pixels: its middle in that shape, resized with Lanczos."""
    if (still.width, still.height) == (width, height):
        return still
    used_width = min(float(still.width), still.height * width / height)
    used_height = min(float(still.height), still.width * height / width)
    left, top = (still.width - used_width) / 2, (still.height - used_height) / 2
    resized = Image.fromarray(pixels(still)).resize(
        (width, height), Image.Resampling.LANCZOS, box=(left, top, left + used_width, top + used_height)
    )
    return _still_of(np.array(resized))


def nearest_aspect_ratio(width: int, height: int, choices: Sequence[str]) -> str:
    """The one of *choices* (`"16:9"`) whose shape is closest to *width* x *height*; the earlier on a tie."""

    def distance(choice: str) -> float:
        across, down = _sides(choice)
        return abs(math.log((width / height) / (across / down)))

    return min(choices, key=distance)


def tensor(array: npt.NDArray[np.uint8]) -> torch.Tensor:
    """uint8 [height, width, 3] or [frames, height, width, 3] as float32 [frames, height, width, 3], 0..1."""
    frames = array[np.newaxis] if array.ndim == 3 else array
    values = np.empty(frames.shape, np.float32)
    # Divided, not multiplied by 1/255: that is off in the last digit. The type is named because numpy 1
    # would divide in float16.
    np.divide(frames, 255, out=values, dtype=np.float32)
    return torch.from_numpy(values)


def read(path: Path) -> StillImage:
    """A picture file as a still, turned as its camera noted. Raises InvalidInput."""
    try:
        with Image.open(path) as file:
            rgba = np.array(ImageOps.exif_transpose(_shallow(file, path)).convert("RGBA"))
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise InvalidInput(f"{path} cannot be read as a picture ({type(error).__name__}).") from None
    if rgba[..., 3].min() < 255:
        raise InvalidInput(f"{path} has transparent parts, and video has none: flatten it first.")
    return _still_of(np.ascontiguousarray(rgba[..., :3]))


def _shallow(file: Image.Image, path: Path) -> Image.Image:
    """*file* with 8 bits a colour. Left to itself, Pillow cuts 16 bits off at 255, or drops the lower eight."""
    numbers = np.asarray(file) if file.mode[0] in "IF" else None
    if numbers is not None and (file.mode == "F" or numbers.min() < 0 or numbers.max() > _DEEPEST):
        raise InvalidInput(
            f"{path} holds numbers that are no levels of colour: save it as PNG with 8 or 16 bits a colour."
        )
    if numbers is not None:
        return _marked(numbers, file)
    if not any("16" in str(tile[3]) for tile in getattr(file, "tile", ())):
        return file
    import av

    # As a stream: a path with a % in it would be taken for a pattern of many names.
    with path.open("rb") as stream, av.open(stream) as container:
        deep = next(container.decode(video=0)).to_ndarray(format="rgba64le")
    return _marked(deep, file)


def _marked(deep: npt.NDArray[Any], file: Image.Image) -> Image.Image:
    """0..65535 as 0..255, rounded, with the note of how the camera was held."""
    made = Image.fromarray(np.rint(deep / 257.0).astype(np.uint8))
    made.getexif().update(file.getexif())
    return made


def _still_of(rgb: npt.NDArray[np.uint8]) -> StillImage:
    rgb.setflags(write=False)
    height, width, _ = rgb.shape
    digest = hashlib.sha256(f"{height}x{width}x3:".encode())
    digest.update(rgb.data)
    sha256 = digest.hexdigest()
    with _sharing:
        encoder = _encoders.get(sha256)
        if encoder is None:
            encoder = _encoders[sha256] = _Encoder(rgb, sha256)
    return StillImage(width=width, height=height, sha256=sha256, encode=encoder, resized=encoder.resized)


def _sides(aspect_ratio: str) -> tuple[int, int]:
    across, _, down = aspect_ratio.partition(":")
    if not (across.isdecimal() and down.isdecimal() and int(across) and int(down)):
        raise InvalidInput(f"{aspect_ratio!r} is no aspect ratio; one looks like 16:9.")
    return int(across), int(down)


def _differ(ratio: float, other: float) -> bool:
    return max(ratio, other) / min(ratio, other) > SAME_SHAPE
