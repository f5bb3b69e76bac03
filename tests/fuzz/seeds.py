"""Small whole files that mutations begin with: every container that the pack opens, made by FFmpeg."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import films
import numpy as np


@cache
def seeds() -> dict[str, bytes]:
    """Files by name."""
    frames = films.scene(24, 96, 64)
    small = films.scene(6, 64, 48)
    reordered = {"g": "8", "bf": "2", "preset": "fast"}
    fragments = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    with TemporaryDirectory(prefix="luma-ray-seeds-") as folder:
        place = Path(folder)

        def made(name: str, *given: object, **options: object) -> bytes:
            return films.encode(*given, place / name, **options).read_bytes()  # type: ignore[arg-type]

        return {
            "mp4": made("a.mp4", frames, options=reordered, container_options={"movflags": "+faststart"}),
            "mp4, index last": made("b.mp4", frames, options=reordered),
            "mp4, fragments": made("c.mp4", frames, options=reordered, container_options=fragments),
            "mp4, edit list": made("d.mp4", frames, options=reordered, times=list(range(5, 29))),
            "mp4, sound": _with_sound(small, place / "e.mp4"),
            "mov": made("f.mov", small, container="mov"),
            "matroska": made("g.mkv", small, container="matroska"),
            "webm": made("h.webm", small, container="webm", codec="libvpx-vp9", options={"cpu-used": "8"}),
            "mpegts": made("i.ts", small, container="mpegts"),
            "avi": made("j.avi", small, container="avi"),
            "gif": made("k.gif", small, container="gif", codec="gif", pixel_format="rgb8"),
            "h264": made("l.h264", small, container="h264"),
        }


def _with_sound(frames: list[films.Rgb], path: Path) -> bytes:
    with av.open(str(path), "w") as file:
        video = file.add_stream("libx264", rate=24, options={"preset": "ultrafast"})
        video.height, video.width = frames[0].shape[:2]
        video.pix_fmt = "yuv420p"
        sound = file.add_stream("aac", rate=48000)
        for number, rgb in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            picture.pts, picture.time_base = number, Fraction(1, 24)
            file.mux(video.encode(picture))
        for number in range(8):
            samples = av.AudioFrame.from_ndarray(
                np.zeros((1, 1024), np.float32), format="fltp", layout="mono"
            )
            samples.sample_rate, samples.pts = 48000, number * 1024
            file.mux(sound.encode(samples))
        file.mux(video.encode(None))
        file.mux(sound.encode(None))
    return path.read_bytes()
