"""What artists connect as pictures, frames and films, as the operations take it: checked, and as files.

The files are made by our own writer, which gives the same bytes for the same frames: what is bought is found
again by its pixels, so a VIDEO that came out a little different each time would be bought each time.

They keep their sound, because a film is joined from them. A provider never hears it: what is sent to one is a
picture of the file, not the file.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from comfy_api.latest import InputImpl

from . import host
from .generation.clock import Clock
from .generation.errors import Interrupted, InvalidInput
from .generation.offer import keyframe_at
from .generation.ray import FRAMES_PER_SECOND
from .generation.request import MiddleFrame
from .generation.waiting import Report

if TYPE_CHECKING:
    from .chain import Source
    from .film import Frames
    from .generation.request import StillImage

_STOPPED: Final = "Stopped while reading the film; nothing was sent or billed."


def still(frame: Any, name: str) -> StillImage:
    """One connected picture, checked. Raises InvalidInput."""
    from .media import images

    return images.still(frame, name=name)


def frames_of(first_frame: Any, last_frame: Any, keyframes: tuple[tuple[int, Any], ...]) -> Frames:
    """The connected pictures of a clip, checked. Raises InvalidInput."""
    from .film import Frames

    return Frames(
        first=None if first_frame is None else still(first_frame, "first_frame"),
        last=None if last_frame is None else still(last_frame, "last_frame"),
        middle=tuple(MiddleFrame(index, still(image, keyframe_at(index))) for index, image in keyframes),
    )


def one_video(video: Any, frames: Any, clock: Clock) -> Path | None:
    """The file of a VIDEO or of frames, whichever is connected. Raises InvalidInput for both."""
    if video is not None and frames is not None:
        raise InvalidInput(
            "A video and frames are both connected: connect only one of them. Nothing was billed."
        )
    if frames is not None:
        return frames_file(frames, Fraction(FRAMES_PER_SECOND), clock)
    return video_file(video, clock) if video is not None else None


def source(generations: Any, video: Any, frames: Any, clock: Clock) -> Source:
    """The film to change: generations, a VIDEO, or frames. Which of them, the operation checks."""
    from .chain import Source

    return Source(generations=tuple(generations or ()), video=one_video(video, frames, clock))


def one_film(generations: tuple[str, ...], video: Any, clock: Clock, report: Report) -> Path:
    """The file of a film, given as generations or as a VIDEO. Raises InvalidInput for both or neither."""
    if bool(generations) == (video is not None):
        raise InvalidInput("Connect a generation or a video, and only one of them.")
    if generations:
        return host.studio().cutting.film_path(generations, clock=clock, report=report)
    return video_file(video, clock)


def video_file(video: Any, clock: Clock) -> Path:
    """A VIDEO as a file on disk: its own where it has one, else a copy in ComfyUI's temporary folder.

    Raises InvalidInput, BrokenClip, Interrupted.
    """
    if not isinstance(video, InputImpl.VideoFromFile):
        held = video.get_components()
        return frames_file(held.images, Fraction(held.frame_rate), clock, audio=held.audio)
    source = video.get_stream_source()
    if isinstance(source, io.BytesIO):
        content = source.getvalue()
        name = hashlib.sha256(content).hexdigest()[:16]
        path = host.temporary(name, lambda copy: copy.write_bytes(content))
    else:
        path = Path(source)
    trimmed = getattr(video, "get_active_trim_window", None)  # ComfyUI 0.8 cannot trim
    start, seconds = trimmed() if trimmed is not None and path.is_file() else (0.0, 0.0)
    return _part(path, start, seconds, clock) if start or seconds else path


def frames_file(frames: Any, frame_rate: Fraction, clock: Clock, *, audio: Any = None) -> Path:
    """An IMAGE batch [frames, height, width, 3] as a video file, with AUDIO beside it if there is any.

    Raises InvalidInput, Interrupted.
    """
    from .media import encoding, images, sound

    images.check_shape(frames, "frames")
    stack = frames if frames.ndim == 4 else frames[None]
    height, width = stack.shape[1:3]

    def pictures() -> Iterator[Any]:
        for frame in stack:
            _go_on(clock)
            yield images.eight_bit(frame, name="frames")

    def heard() -> sound.Sound | None:
        return sound.of_audio(audio, len(stack), frame_rate)

    # The shape too: black frames of two shapes are the same bytes.
    content = hashlib.sha256(f"{tuple(stack.shape)} {frame_rate}".encode())
    for picture in pictures():
        content.update(picture.data)
    voice = heard()
    if voice is not None:
        content.update(f" {voice.form}".encode())
        for block in voice.blocks:
            content.update(block.tobytes())
    return host.temporary(
        content.hexdigest()[:16],
        lambda path: encoding.write(
            pictures(), path, frame_rate=frame_rate, width=width, height=height, sound=heard()
        ),
    )


def _part(path: Path, start: float, seconds: float, clock: Clock) -> Path:
    """The part of a film from *start* on, *seconds* long (0: to its end), as a file.

    Its pictures are copied where it begins on a keyframe, and encoded anew where not.
    """
    from .media import clips, splicing

    facts = clips.inspect(path)
    first = ceil(start * facts.frame_rate - 1e-6)
    count = min(ceil(seconds * facts.frame_rate - 1e-6) or facts.frames, facts.frames - first)
    if count < 1:
        raise InvalidInput(
            f"The video is trimmed to begin at {start:.2f} s, and it is {facts.seconds:.2f} s long: nothing is left."
        )
    on_disk = path.stat()
    name = hashlib.sha256(
        f"{path.resolve()}\0{on_disk.st_size}\0{on_disk.st_mtime_ns}\0{first}\0{count}".encode()
    )
    part = splicing.Part(path, clips.timeline(path), -first, first, first + count)
    return host.temporary(
        name.hexdigest()[:16],
        lambda copy: splicing.splice(
            [part],
            copy,
            size=(facts.width, facts.height),
            stopped=lambda: clock.stopped,
            words=_STOPPED,
        ),
    )


def _go_on(clock: Clock) -> None:
    if clock.stopped:
        raise Interrupted(_STOPPED)
