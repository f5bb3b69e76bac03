"""Files from strangers, opened so that the worst they can be is broken."""

from __future__ import annotations

import math
import os
import threading
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
# Where neither file nor codec tells, chroma sits where MPEG puts it; swscale would take it from between two pixels.
_DECODING: Final = {"chroma_sample_location": "left"}
_MP4_ONLY: Final = {"format_whitelist": "mov"}
_ANYTHING_ELSE: Final = {"format_whitelist": "matroska,avi,mpegts,mpeg,flv,ogg,gif,h264,hevc,ivf"}
"""Never both: what FFmpeg takes for an MP4 has been weighed by `claims`."""
CORES: Final = os.cpu_count() or 1
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


class _Threads:
    """The decoding threads of the process: as many as keep its cores busy, lent to the clips that are open."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lent = 0
        self._lock = threading.Lock()

    @contextmanager
    def lent(self, wish: int) -> Iterator[int]:
        """How many a clip may start: what others leave of *wish*, and always one."""
        with self._lock:
            count = max(1, min(wish, self._most - self._lent))
            self._lent += count
        try:
            yield count
        finally:
            with self._lock:
                self._lent -= count


# One more than there are cores, so that none idles while the frame is taken that is next in order.
_THREADS: Final = _Threads(CORES + 1)


def most_threads(width: int, height: int) -> int:
    """How many threads decode one clip of this size at most."""
    return min(CORES + 1, _MOST_THREADS if width * height <= _LARGE else _MOST_THREADS // 2)


@contextmanager
def threaded(stream: VideoStream) -> Iterator[None]:
    """Decode *stream* with the threads that other clips leave; to be entered before its first frame."""
    with _THREADS.lent(most_threads(stream.width, stream.height)) as count:
        # PyAV's default keeps one core busy.
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = count
        yield


@contextmanager
def opened(path: Path, bounds: Bounds = ANY) -> Iterator[tuple[InputContainer, VideoStream]]:
    """A clip and its video stream; whatever PyAV raises inside becomes a `BrokenClip`."""
    with explained(path):
        container, stream = open_clip(path, bounds)
        with container:
            yield container, stream


def open_clip(path: Path, bounds: Bounds = ANY) -> tuple[InputContainer, VideoStream]:
    """A clip and its video stream, to be closed by the caller; to be called in `explained`."""
    options = {**_options(path), "max_pixels": str(bounds.most_pixels)}
    container = av.open(
        str(path.resolve()), options=options, metadata_errors="replace", timeout=_LONGEST_READ
    )
    try:
        stream = _pictures(path, container)
        stream.codec_context.options = _DECODING | {
            name: options[name] for name in ("codec_whitelist", "max_pixels")
        }
    except BaseException:
        container.close()
        raise
    return container, stream


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Whatever PyAV raises inside becomes a `BrokenClip` that names the file."""
    try:
        yield
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


def _pictures(path: Path, container: InputContainer) -> VideoStream:
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        others = " and ".join(sorted({stream.type for stream in container.streams}))
        raise BrokenClip(
            f"{path} has no pictures in it, {f'only {others}' if others else 'nor anything else'}."
        )
    if streams[0].codec_context is None:
        raise BrokenClip(f"{path} holds its pictures in a format that FFmpeg does not know.")
    return streams[0]


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
