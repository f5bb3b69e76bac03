"""The sound of clips, to the sample: as AUDIO, and in exact stretches for films.

Time is the pictures' time. Sound that begins before the first picture is cut off, sound that begins after it is
preceded by silence, and what is missing or damaged in between is silence too, so that nothing after it shifts.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import av
import av.error
import numpy as np
import numpy.typing as npt

from ..generation.errors import Interrupted, InvalidInput
from . import clips
from .opening import opened, readable

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from pathlib import Path

    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.video.stream import VideoStream

Samples = npt.NDArray[np.float32]
"""[channels, samples], -1..1."""

_RATES: Final = range(8_000, 192_001)
"""Samples a second that other nodes take."""
_FILM_RATES: Final = (44_100, 48_000)
_BLOCK: Final = 2**14
"""Samples of silence made at a time."""
_SLACK: Final = Fraction(1, 200)
"""Seconds by which a block of sound may be off before it is moved: some containers round to milliseconds."""
_WARM_UP: Final = 1
"""Seconds decoded before the sound wanted: a decoder that starts in the middle needs a moment to be right."""
_SPARE: Final = 128 * 2**20
"""Bytes that are left free beside a waveform."""


@dataclass(frozen=True)
class Form:
    """How sound is sampled."""

    rate: int
    """Samples a second."""
    channels: int
    """1 or 2; what has more is mixed to two."""

    @property
    def layout(self) -> str:
        """FFmpeg's name for the channels."""
        return "mono" if self.channels == 1 else "stereo"

    def samples(self, frames: int, frame_rate: Fraction) -> int:
        """How many samples that many pictures last."""
        return round(frames * self.rate / frame_rate)


STANDARD: Final = Form(48_000, 2)
"""What films have: for silence, and where clips differ."""


@dataclass(frozen=True)
class Sound:
    """The sound of a film that is to be written."""

    form: Form
    blocks: Iterable[Samples]
    """One after the other, of any length."""


def form_of(path: Path) -> Form | None:
    """How the clip's sound is sampled; None if it has none that can be decoded. Raises BrokenClip."""
    with opened(path) as (container, _):
        stream = _decodable(container)
        return None if stream is None else Form(stream.rate, min(stream.channels, 2))


def film_form(forms: Iterable[Form | None]) -> Form | None:
    """The form of a film of clips with these: their own if they agree, else `STANDARD`; None if all are silent."""
    found = {form for form in forms if form is not None}
    if not found:
        return None
    one = found.pop()
    return one if not found and one.rate in _FILM_RATES else STANDARD


def audio(
    path: Path, *, start: int = 0, frames: int | None = None, stopped: Callable[[], bool] = clips.never
) -> dict[str, Any]:
    """A clip's sound as AUDIO, as long as its pictures; silence if it has none.

    With *start* and *frames* that of a part: from this picture on, and for so many of them.

    Silence and not None, which is what ComfyUI's own Get Video Components gives: nearly all clips of Ray are
    silent, and nodes that save, preview or mix AUDIO fail on None.

    Raises:
        BrokenClip: the clip cannot be read.
        InvalidInput: frames that are not there, or too little memory.
        Interrupted: `stopped` said so.
    """
    import torch

    from .frames import free_memory

    line, form = clips.timeline(path), form_of(path) or STANDARD
    if form.rate not in _RATES:
        form = Form(STANDARD.rate, form.channels)
    evenly = line.frames / line.frame_rate
    # Some containers round times to milliseconds; where frames are evenly spaced, their number says more.
    exact = abs(evenly - Fraction(line.seconds)) * line.frame_rate < 1
    count = round((evenly if exact else line.seconds) * form.rate)
    if start or frames is not None:
        left = line.frames - start
        if left < 1:
            raise InvalidInput(f"Frame {start} was asked for, and {path} has {line.frames} frames.")
        count = round(min(left, left if frames is None else frames) * count / line.frames)
    needed, free = 4 * form.channels * count, free_memory()
    if free is not None and needed + _SPARE > free:
        raise InvalidInput(
            f"The sound of {path} is {line.seconds:.0f} s long and needs {needed / 1e9:.1f} GB of memory, and "
            f"{max(free - _SPARE, 0) / 1e9:.1f} GB are free: trim the video first."
        )
    waveform, place = np.zeros((1, form.channels, count), np.float32), 0
    with closing(read(path, line, start, count, form)) as blocks:
        for block in blocks:
            if stopped():
                raise Interrupted("Stopped while decoding the sound.")
            if block.any():  # the rest costs no memory until somebody else writes there
                waveform[0, :, place : place + block.shape[1]] = block
            place += block.shape[1]
    return {"waveform": torch.from_numpy(waveform), "sample_rate": form.rate}


def read(
    path: Path, line: clips.Timeline, first: int, count: int, form: Form
) -> Generator[Samples, None, None]:
    """Exactly *count* samples in *form*, from the moment of frame *first* on; silence where the clip has none.

    Close the iterator (`contextlib.closing`) to close the file. Raises BrokenClip.
    """
    left = count
    with closing(_heard(path, line, first, form)) as blocks:
        for block in blocks:
            wanted = block[:, :left]
            left -= wanted.shape[1]
            if wanted.shape[1]:
                yield wanted
            if not left:
                return
    yield from _silence(left, form.channels)


def of_clip(path: Path, line: clips.Timeline) -> Sound | None:
    """The sound of a whole clip for another film as long; None if it has none. Raises BrokenClip."""
    form = form_of(path)
    if form is None:
        return None
    return Sound(form, read(path, line, 0, form.samples(line.frames, line.frame_rate), form))


def of_audio(value: Any, frames: int, frame_rate: Fraction) -> Sound | None:
    """AUDIO {"waveform": [1, channels, samples], "sample_rate"} as the sound of that many pictures, or None.

    More than two channels have no order that AUDIO tells, so they become their mean.
    """
    if not value or value["waveform"].shape[-1] == 0:
        return None
    waveform = value["waveform"].detach()[0].float().cpu().numpy()
    if len(waveform) > 2:
        waveform = waveform.mean(axis=0, keepdims=True)
    given = Form(int(value["sample_rate"]), len(waveform))
    form = film_form([given]) or STANDARD
    count = form.samples(frames, frame_rate)

    def blocks() -> Generator[Samples, None, None]:
        whole = _silence_after(np.nan_to_num(waveform).clip(-1, 1), given)
        left = count
        for block in _in_form(whole, given, form):
            yield block[:, :left]
            left -= block[:, :left].shape[1]
            if not left:
                return

    return Sound(form, blocks())


def _silence_after(waveform: Samples, form: Form) -> Generator[Samples, None, None]:
    for place in range(0, waveform.shape[1], _BLOCK):
        yield np.ascontiguousarray(waveform[:, place : place + _BLOCK])
    while True:
        yield from _silence(_BLOCK, form.channels)


def _silence(count: int, channels: int) -> Generator[Samples, None, None]:
    while count:
        part = min(count, _BLOCK)
        yield np.zeros((channels, part), np.float32)
        count -= part


def _decodable(container: InputContainer) -> AudioStream | None:
    """The first sound that FFmpeg may decode here: phones add tracks in formats that nothing else knows."""
    for stream in container.streams.audio:
        if stream.codec_context is None:
            continue
        stream.codec_context.options = readable(container)
        try:
            stream.codec_context.open(strict=False)
        except (av.error.FFmpegError, ValueError):
            continue
        if stream.rate and stream.channels:
            return stream
    return None


def _heard(path: Path, line: clips.Timeline, first: int, form: Form) -> Generator[Samples, None, None]:
    """The clip's sound from frame *first* on in *form*, without gaps, as far as it goes."""
    with opened(path) as (container, video):
        stream = _decodable(container)
        if stream is None:
            return
        own = Form(stream.rate, min(stream.channels, 2))
        begin = _moment(video, line, first)
        if begin > 2 * _WARM_UP and container.format.name.startswith("mov") and stream.time_base:
            container.seek(int((begin - _WARM_UP) / stream.time_base), stream=stream)
        yield from _in_form(_in_place(container, stream, own, begin), own, form)


def _moment(video: VideoStream, line: clips.Timeline, frame: int) -> Fraction:
    """When a frame is shown, in seconds of the file's clock."""
    unit = video.time_base or Fraction(1)
    if line.times:
        return line.times[frame] * unit
    return (video.start_time or 0) * unit + frame / line.frame_rate


def _in_place(
    container: InputContainer, stream: AudioStream, form: Form, begin: Fraction
) -> Generator[Samples, None, None]:
    """Decoded sound from *begin* on, each block where its time says, with silence between."""
    given, started = 0, False
    mixer = _Mixer(form)
    for packet in container.demux(stream):
        for frame, block in mixer.blocks(packet):
            late = 0
            if frame.pts is not None and frame.time_base:
                late = round((frame.pts * frame.time_base - begin) * form.rate) - given
            if started and abs(late) <= _SLACK * form.rate:
                late = 0
            wanted = block[:, max(-late, 0) :]
            if not wanted.shape[1]:
                continue
            started = True
            if late > 0:
                yield from _silence(late, form.channels)
                given += late
            yield wanted
            given += wanted.shape[1]


class _Mixer:
    """Packets of sound in one form. What is damaged, or nobody knows how to mix, gives nothing."""

    def __init__(self, form: Form) -> None:
        self._form = form
        self._takes: tuple[str, str, int] | None = None

    def blocks(self, packet: av.Packet[AudioStream]) -> Generator[tuple[av.AudioFrame, Samples], None, None]:
        """Each frame of a packet, and its samples."""
        try:
            for frame in packet.decode():
                takes = (frame.format.name, frame.layout.name, frame.sample_rate)
                if takes != self._takes:
                    self._mixer = av.AudioResampler(
                        format="fltp", layout=self._form.layout, rate=self._form.rate
                    )
                    self._takes = takes
                mixed = [_values(part) for part in self._mixer.resample(frame)]
                if mixed:
                    yield frame, np.concatenate(mixed, axis=1)
        except (av.error.FFmpegError, ValueError):
            self._takes = None


def _values(frame: av.AudioFrame) -> Samples:
    return np.asarray(frame.to_ndarray(), np.float32)


def _in_form(blocks: Iterable[Samples], own: Form, form: Form) -> Generator[Samples, None, None]:
    """Sound without gaps, at another rate and from one channel to two."""
    for block in blocks if own.rate == form.rate else _at_rate(blocks, own, form.rate):
        # By hand: FFmpeg would make one channel in two quieter.
        yield np.repeat(block, 2, axis=0) if own.channels < form.channels else block


def _at_rate(blocks: Iterable[Samples], own: Form, rate: int) -> Generator[Samples, None, None]:
    changer = av.AudioResampler(format="fltp", layout=own.layout, rate=rate)
    place = 0
    for block in blocks:
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), format="fltp", layout=own.layout)
        frame.sample_rate, frame.pts, frame.time_base = own.rate, place, Fraction(1, own.rate)
        place += block.shape[1]
        for part in changer.resample(frame):
            yield _values(part)
    for part in changer.resample(None):
        yield _values(part)
