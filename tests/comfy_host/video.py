"""VIDEO values: `Input.Video`, `InputImpl.VideoFromFile` and `VideoFromComponents`, over real files."""

from __future__ import annotations

import io
import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch


class VideoContainer(str, Enum):
    AUTO = "auto"
    MP4 = "mp4"
    MKV = "mkv"
    WEBM = "webm"

    @classmethod
    def get_extension(cls, value: str) -> str:
        return "mp4" if value == cls.AUTO else cls(value).value


class VideoCodec(str, Enum):
    AUTO = "auto"
    H264 = "h264"
    AV1 = "av1"


@dataclass
class VideoComponents:
    """Frames [frames, height, width, 3] as float32 from 0 to 1, frames a second, and sound."""

    images: torch.Tensor
    frame_rate: Fraction
    audio: dict[str, Any] | None = None
    metadata: dict[str, str] | None = None
    alpha: torch.Tensor | None = None


class VideoInput(ABC):
    """Any VIDEO."""

    @abstractmethod
    def get_components(self) -> VideoComponents: ...

    @abstractmethod
    def save_to(self, path, format=VideoContainer.AUTO, codec=VideoCodec.AUTO, metadata=None) -> None: ...

    def get_stream_source(self) -> str | io.BytesIO:
        buffer = io.BytesIO()
        self.save_to(buffer)
        buffer.seek(0)
        return buffer

    def get_active_trim_window(self) -> tuple[float, float]:
        return 0.0, 0.0

    def get_dimensions(self) -> tuple[int, int]:
        height, width = self.get_components().images.shape[1:3]
        return width, height

    def get_frame_count(self) -> int:
        return int(self.get_components().images.shape[0])

    def get_frame_rate(self) -> Fraction:
        return self.get_components().frame_rate

    def get_duration(self) -> float:
        return float(self.get_frame_count() / self.get_frame_rate())

    def get_container_format(self) -> str:
        with av.open(self.get_stream_source()) as container:
            return container.format.name


class VideoFromComponents(VideoInput):
    """A VIDEO that is tensors in memory."""

    def __init__(self, components: VideoComponents, bit_depth: int = 8):
        self._components = components

    def get_components(self) -> VideoComponents:
        held = self._components
        return VideoComponents(images=held.images, audio=held.audio, frame_rate=held.frame_rate)

    def save_to(self, path, format=VideoContainer.AUTO, codec=VideoCodec.AUTO, metadata=None) -> None:
        tags = {name: json.dumps(value) for name, value in (metadata or {}).items()}
        _encode(self._components, path, VideoContainer(format), tags)


class VideoFromFile(VideoInput):
    """A VIDEO that is a file, or a part of one: *duration* 0 means to the end."""

    def __init__(self, file: str | io.BytesIO, *, start_time: float = 0, duration: float = 0):
        self._file = file
        self._start = start_time
        self._duration = duration

    def get_stream_source(self) -> str | io.BytesIO:
        if isinstance(self._file, io.BytesIO):
            self._file.seek(0)
        return self._file

    def get_active_trim_window(self) -> tuple[float, float]:
        start = self._start if self._start >= 0 else max(self._whole_duration() + self._start, 0.0)
        return float(start), float(self._duration)

    def get_dimensions(self) -> tuple[int, int]:
        with av.open(self.get_stream_source()) as container:
            return container.streams.video[0].width, container.streams.video[0].height

    def get_frame_rate(self) -> Fraction:
        with av.open(self.get_stream_source()) as container:
            return Fraction(container.streams.video[0].average_rate)

    def _whole_duration(self) -> float:
        with av.open(self.get_stream_source()) as container:
            return container.duration / av.time_base

    def get_duration(self) -> float:
        rest = self._whole_duration() - self.get_active_trim_window()[0]
        return min(self._duration, rest) if self._duration else rest

    def as_trimmed(self, start_time=0, duration=0, strict_duration=True) -> VideoFromFile | None:
        part = VideoFromFile(self.get_stream_source(), start_time=self._start + start_time, duration=duration)
        return None if strict_duration and part.get_duration() < duration else part

    def get_components(self) -> VideoComponents:
        start, duration = self.get_active_trim_window()
        with av.open(self.get_stream_source()) as container:
            stream = container.streams.video[0]
            frames = [
                torch.from_numpy(frame.to_ndarray(format="rgb24"))
                for frame in container.decode(stream)
                if frame.time >= start and not (duration and frame.time >= start + duration)
            ]
            rate, tags = Fraction(stream.average_rate), dict(container.metadata)
        images = torch.stack(frames).float() / 255.0 if frames else torch.zeros(0, 0, 0, 3)
        return VideoComponents(images=images, frame_rate=rate, audio=self._sound(), metadata=tags)

    def _sound(self) -> dict[str, Any] | None:
        start, duration = self.get_active_trim_window()
        with av.open(self.get_stream_source()) as container:
            if not container.streams.audio:
                return None
            stream = container.streams.audio[0]
            planar = av.AudioResampler(format="fltp")
            parts = [
                part.to_ndarray() for frame in container.decode(stream) for part in planar.resample(frame)
            ]
            rate = stream.sample_rate
        first = int(start * rate)
        last = first + int(duration * rate) if duration else None
        waveform = torch.from_numpy(np.concatenate(parts, axis=1)[:, first:last])
        return {"waveform": waveform[None], "sample_rate": rate}

    def save_to(self, path, format=VideoContainer.AUTO, codec=VideoCodec.AUTO, metadata=None) -> None:
        with av.open(self.get_stream_source()) as source:
            fits = format == VideoContainer.AUTO or VideoContainer(format).value in source.format.name.split(
                ","
            )
            same = codec in (VideoCodec.AUTO, source.streams.video[0].codec.canonical_name)
            if not (fits and same) or self._start or self._duration:
                components = self.get_components()
                _encode(components, path, VideoContainer(format), {**components.metadata, **(metadata or {})})
                return
            # What fits already is copied without encoding it again, and keeps its own tags.
            with _container(path, VideoContainer(format)) as target:
                _tag(target, {**source.metadata, **(metadata or {})})
                copies = {
                    stream: target.add_stream_from_template(stream, opaque=True)
                    for stream in (*source.streams.video, *source.streams.audio)
                }
                for packet in source.demux(*copies):
                    if packet.dts is not None:
                        packet.stream = copies[packet.stream]
                        target.mux(packet)


def _container(path: Any, format: VideoContainer) -> Any:
    if format == VideoContainer.WEBM:
        raise ValueError("The stand-in host writes mp4 and mkv; WebM needs the real ComfyUI.")
    if format == VideoContainer.MKV or (isinstance(path, str) and Path(path).suffix == ".mkv"):
        return av.open(path, mode="w", format="matroska")
    return av.open(path, mode="w", format="mp4", options={"movflags": "use_metadata_tags"})


def _tag(target: Any, metadata: dict[str, Any] | None) -> None:
    for name, value in (metadata or {}).items():
        target.metadata[name] = value if isinstance(value, str) else json.dumps(value)


def _encode(
    components: VideoComponents, path: Any, format: VideoContainer, metadata: dict[str, Any] | None
) -> None:
    with _container(path, format) as target:
        _tag(target, metadata)
        stream = target.add_stream("h264", rate=Fraction(round(components.frame_rate * 1000), 1000))
        stream.height, stream.width = components.images.shape[1:3]
        stream.pix_fmt = "yuv420p"
        sound = None
        if components.audio:
            rate = int(components.audio["sample_rate"])
            length = ceil(rate / components.frame_rate * len(components.images))
            waveform = components.audio["waveform"][0, :, :length].float().cpu().contiguous().numpy()
            layout = "mono" if len(waveform) == 1 else "stereo"
            sound = target.add_stream("aac", rate=rate, layout=layout)
        for image in components.images:
            pixels = (image[..., :3] * 255).clamp(0, 255).byte().cpu().numpy()
            target.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        target.mux(stream.encode(None))
        if sound is not None:
            frame = av.AudioFrame.from_ndarray(waveform, format="fltp", layout=layout)
            frame.sample_rate, frame.pts = rate, 0
            target.mux(sound.encode(frame))
            target.mux(sound.encode(None))
