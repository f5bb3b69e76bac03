"""Films as providers take them: MP4 with H.264, and nothing of the artist's in it but the film."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import av
import av.error
import numpy as np
import numpy.typing as npt

from ..generation.errors import BrokenClip, Interrupted
from ..generation.request import SourceVideo
from . import clips, encoding, opening, sound
from .reading import OpenClip

_PIECE: Final = 1024 * 1024
_SOUND: Final = ("aac", "mp3")
"""What goes into an MP4 as it is."""
_HARMLESS: Final = frozenset(
    {"major_brand", "minor_version", "compatible_brands", "encoder", "creation_time"}
)
"""Tags of a file that tell nothing. ComfyUI writes the whole workflow into others, and telephones the place."""


@dataclass(frozen=True)
class Looked:
    """A film that was looked at, and what has to be done before it can be sent."""

    video: SourceVideo
    """As it is on disk."""
    change: str = ""
    """Why it cannot be sent as it is; empty where it can."""
    copies: bool = False
    """Its pictures can be taken over as they are; else they are encoded anew."""


def look(path: Path, stopped: Callable[[], bool]) -> Looked:
    """What *path* holds, and whether providers take it as it is. Raises BrokenClip, Interrupted."""
    facts = clips.inspect(path)
    content = _content_hash(path, stopped)
    change, copies = _change(path)
    # What is sent in place of a file is another file, whoever made it with which encoder.
    name = hashlib.sha256(f"sent for {content}".encode()).hexdigest() if change else content
    video = SourceVideo(
        width=facts.width,
        height=facts.height,
        seconds=facts.seconds,
        size=path.stat().st_size,
        sha256=name,
        path=path,
    )
    return Looked(video, change, copies)


def convert(looked: Looked, path: Path, *, stopped: Callable[[], bool]) -> None:
    """Write the film of *looked* to *path* as providers take it.

    Its pictures as they are where they can be taken over; else encoded anew.

    Raises BrokenClip, Interrupted, InvalidInput for HDR.
    """
    source = looked.video.path
    line = clips.timeline(source)
    if looked.copies:
        try:
            _copy(source, path, stopped)
            if clips.inspect(path).frames == line.frames:
                return
        except (BrokenClip, av.error.FFmpegError):
            pass  # an MP4 cannot hold it as it is
    with closing(clips.read(source)) as pictures:

        def going_on() -> Iterator[npt.NDArray[np.uint8]]:
            for picture in pictures:
                _check(stopped)
                yield picture

        encoding.write(
            going_on(),
            path,
            frame_rate=line.frame_rate,
            width=looked.video.width,
            height=looked.video.height,
            sound=sound.of_clip(source, line),
        )


def _change(path: Path) -> tuple[str, bool]:
    """Why a file cannot be sent as it is, and whether its pictures can."""
    with opening.opened(path) as (container, stream):
        context = stream.codec_context
        if context.name != "h264" or context.pix_fmt != "yuv420p":
            return f"{context.name} {context.pix_fmt or ''}".strip(), False
        tags = {name.lower() for name in container.metadata} - _HARMLESS
    with OpenClip(path, any_light=True) as clip:
        if clip.pixel_shape != 1:
            return "of pixels that are not square", False
        with closing(clip.pictures(count=1)) as pictures:
            if next(pictures).rotation:
                return "turned by the player", False
    if not _is_mp4(path):
        return "not an MP4", True
    return ("with the workflow or other notes in it", True) if tags else ("", True)


def _is_mp4(path: Path) -> bool:
    """By its first box: QuickTime's own files begin alike, and are not taken everywhere."""
    with path.open("rb") as file:
        head = file.read(12)
    return head[4:8] == b"ftyp" and head[8:12] != b"qt  "


def _content_hash(path: Path, stopped: Callable[[], bool]) -> str:
    content = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                _check(stopped)
                content.update(piece)
    except OSError as error:
        raise BrokenClip(f"{path} cannot be read ({error.strerror or type(error).__name__}).") from None
    return content.hexdigest()


def _copy(source: Path, path: Path, stopped: Callable[[], bool]) -> None:
    """The packets of *source* in a new MP4, without its tags."""
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    with (
        opening.opened(source) as (container, stream),
        av.open(str(path), "w", format="mp4", options=options) as copy,
    ):
        heard = [each for each in container.streams.audio if each.codec_context.name in _SOUND][:1]
        places = {each.index: copy.add_stream_from_template(each) for each in (stream, *heard)}
        for place in places.values():
            place.metadata.clear()
        for packet in _timed(container.demux(stream, *heard), stream):
            _check(stopped)
            packet.stream = places[packet.stream.index]
            copy.mux(packet)


def _timed(packets: Iterable[Any], stream: Any) -> Iterator[Any]:
    """*packets* with a decoding time each. Matroska has none, and FFmpeg's guesses miss the first pictures."""
    early: list[Any] = []
    for packet in packets:
        if not packet.size:
            continue
        if packet.stream.index != stream.index:
            yield packet
        elif packet.dts is None:
            early.append(packet)
        else:
            step = packet.duration or round(1 / (stream.average_rate * packet.time_base))
            for number, before in enumerate(early):
                before.dts = packet.dts - step * (len(early) - number)
            yield from (*early, packet)
            early = []
    if early:
        raise BrokenClip("It does not say in which order its frames are decoded.")


def _check(stopped: Callable[[], bool]) -> None:
    if stopped():
        raise Interrupted("Stopped while reading the film; nothing was sent or billed.")
