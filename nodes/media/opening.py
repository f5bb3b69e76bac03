"""Files from strangers, opened so that the worst they can be is broken."""

from __future__ import annotations

import math
import os
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import av
import av.error
from av.stream import Disposition

from ..generation.errors import BrokenClip
from . import claims

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from av.container import InputContainer
    from av.video.stream import VideoStream

MOST_PIXELS: Final = 36_000_000
"""Of one frame: 8K. A decoder may be made to hold twenty of them, of up to six bytes a pixel: 4 GB."""
RAY_PIXELS: Final = 4096 * 4096
"""Of one frame of a clip that a provider gave: more than Ray makes. By the same reckoning 2 GB."""
LONGEST_LOOK: Final = 180.0
"""Seconds that looking through a clip may take; one of 30 s takes less than one."""
_LONGEST_READ: Final = 30.0
"""Seconds for FFmpeg to open a file, or to get on in it: a slow network drive."""

# Clips come from strangers. Files only, and no playlists: those can point at any file or address. What is not
# named here is not even tried: FFmpeg has hundreds of readers and decoders that nobody looks at.
_OPTIONS: Final = {
    "protocol_whitelist": "file",
    "codec_whitelist": (
        "h264,hevc,vvc,av1,libdav1d,libaom-av1,vp8,vp9,libvpx,libvpx-vp9,mpeg4,msmpeg4v2,msmpeg4,h263,flv,mpeg1video,"
        "mpeg2video,theora,gif,mjpeg,png,prores,dnxhd,cfhd,hap,dvvideo,qtrle,ffv1,huffyuv,ffvhuff,utvideo,magicyuv,"
        "rawvideo,v210,v308,v408,v410,aac,aac_fixed,mp3,mp3float,opus,vorbis,flac,alac,ac3,eac3,"
        "pcm_s16le,pcm_s16be,pcm_s24le,pcm_s24be,pcm_s32le,pcm_s32be,pcm_f32le,pcm_f32be,pcm_u8"
    ),
    "max_streams": str(claims.MOST_TRACKS),
}
_MP4_ONLY: Final = {"format_whitelist": "mov"}
_ANYTHING_ELSE: Final = {"format_whitelist": "matroska,avi,mpegts,mpeg,flv,ogg,gif,h264,hevc,ivf"}
"""Never both: what FFmpeg takes for an MP4 has been weighed by `claims`."""
_MOST_THREADS: Final = 8
"""Each decoding thread holds frames of its own; beyond this they cost memory and gain nothing."""
_LARGE: Final = 3840 * 2160
"""Pixels; beyond this a frame costs so much memory that half as many threads do."""


@dataclass(frozen=True)
class Bounds:
    """How far a file is trusted."""

    most_pixels: int = MOST_PIXELS
    until: float = math.inf
    """When it must be looked through, of the monotonic clock."""

    def in_time(self, path: Path) -> None:
        """Raise BrokenClip when it is too late."""
        if time.monotonic() > self.until:
            raise BrokenClip(f"{path} could not be looked through in {LONGEST_LOOK:.0f} s.")


ANY: Final = Bounds()


def soon(most_pixels: int = MOST_PIXELS) -> Bounds:
    """From now on for `LONGEST_LOOK` seconds."""
    return Bounds(most_pixels, time.monotonic() + LONGEST_LOOK)


@contextmanager
def opened(path: Path, bounds: Bounds = ANY) -> Iterator[tuple[InputContainer, VideoStream]]:
    """A clip and its video stream; whatever PyAV raises inside becomes a `BrokenClip`."""
    options = {**_options(path), "max_pixels": str(bounds.most_pixels)}
    try:
        with av.open(
            str(path.resolve()), options=options, metadata_errors="replace", timeout=_LONGEST_READ
        ) as container:
            streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
            if not streams:
                raise BrokenClip(f"{path} has no pictures in it, only {_other_streams(container)}.")
            stream = streams[0]
            if stream.codec_context is None:
                raise BrokenClip(f"{path} holds its pictures in a format that FFmpeg does not know.")
            stream.codec_context.options = {name: options[name] for name in ("codec_whitelist", "max_pixels")}
            # PyAV's default keeps one core busy.
            stream.thread_type = "AUTO"
            most = _MOST_THREADS if stream.width * stream.height <= _LARGE else _MOST_THREADS // 2
            stream.codec_context.thread_count = min((os.cpu_count() or 1) + 1, most)
            yield container, stream
    except av.error.FFmpegError as error:
        raise BrokenClip(f"{path} cannot be decoded: {_reason(path, error)}.") from error
    except (ArithmeticError, ValueError, MemoryError) as error:
        # What PyAV and the arithmetic here make of numbers that no film has.
        raise BrokenClip(f"{path} cannot be decoded: it is damaged ({type(error).__name__}).") from error


def readable(container: InputContainer) -> dict[str, str]:
    """Options for a decoder of an opened clip beside that of its pictures: only codecs that are looked at."""
    return {"codec_whitelist": container.options["codec_whitelist"]}


def _options(path: Path) -> dict[str, str]:
    """How FFmpeg may open a file. Raises BrokenClip for what it must not open."""
    try:
        if not path.exists():
            raise BrokenClip(f"There is no file at {path}.")
        if not path.is_file():
            # Nor does it wait for ever on a pipe.
            raise BrokenClip(f"{path} cannot be decoded: it is not a file.")
        mp4 = claims.is_mp4(path)
        if mp4:
            claims.weigh(path)
    except (OSError, ValueError, RuntimeError) as error:
        raise BrokenClip(f"{path!s:.300} cannot be read ({type(error).__name__}).") from None
    return {**_OPTIONS, **(_MP4_ONLY if mp4 else _ANYTHING_ELSE)}


def _other_streams(container: InputContainer) -> str:
    return " and ".join(sorted({stream.type for stream in container.streams})) or "nothing"


def _reason(path: Path, error: av.error.FFmpegError) -> str:
    try:
        with path.open("rb") as file:
            beginning = file.read(512).lstrip()
    except OSError:
        return str(error.strerror)
    if not beginning:
        return "it is empty"
    if beginning.startswith((b"<", b"{", b"[", b"#")):
        return "it holds text (a web page or an error message), not a video"
    return str(error.strerror)
