from __future__ import annotations

import struct
from fractions import Fraction

import av
import films
import numpy as np
import pytest
from luma_ray.nodes.generation.errors import BrokenClip, InvalidInput
from luma_ray.nodes.media import clips

WIDTH, HEIGHT = 192, 108


@pytest.fixture(scope="module")
def frames():
    return films.scene(30, WIDTH, HEIGHT)


@pytest.fixture(scope="module")
def clip(frames, tmp_path_factory):
    """30 frames, a keyframe every 10, its index in front of its data."""
    return films.encode(
        frames,
        tmp_path_factory.mktemp("clips") / "clip.mp4",
        options={"g": "10"},
        container_options={"movflags": "+faststart"},
    )


def broken(path, look=clips.inspect):
    with pytest.raises(BrokenClip) as caught:
        look(path)
    words = str(caught.value)
    assert str(path) in words
    return words


def test_inspect_counts_frames_and_tells_size_rate_and_length(clip):
    assert clips.inspect(clip) == clips.ClipFacts(30, WIDTH, HEIGHT, Fraction(24), 1.25, has_audio=False)


def test_inspect_finds_sound(tmp_path, frames):
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as file:
        video = file.add_stream("libx264", rate=24)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        sound = file.add_stream("aac", rate=48000)
        for number, rgb in enumerate(frames[:3]):
            picture = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            picture.pts = number
            file.mux(video.encode(picture))
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        samples.sample_rate = 48000
        file.mux(sound.encode(samples))
        file.mux(video.encode(None))
        file.mux(sound.encode(None))
    facts = clips.inspect(path)
    assert facts.has_audio
    assert facts.frames == 3


@pytest.mark.parametrize(
    ("container", "codec", "pixel_format"),
    [
        ("matroska", "libx264", "yuv420p"),
        ("webm", "libvpx-vp9", "yuv420p"),
        ("mpegts", "libx264", "yuv420p"),
        ("avi", "libx264", "yuv420p"),
        ("h264", "libx264", "yuv420p"),
        ("gif", "gif", "rgb8"),
    ],
)
def test_frames_are_counted_in_every_container_even_without_a_count(
    tmp_path, frames, container, codec, pixel_format
):
    path = films.encode(
        frames[:12],
        tmp_path / "clip",
        container=container,
        codec=codec,
        pixel_format=pixel_format,
        options={"deadline": "realtime", "cpu-used": "8"} if codec == "libvpx-vp9" else {},
    )
    facts = clips.inspect(path)
    assert (facts.frames, facts.width, facts.height) == (12, WIDTH, HEIGHT)


def test_a_wrong_count_in_the_header_is_not_believed(tmp_path, frames):
    path = films.encode(frames[:12], tmp_path / "clip.avi", container="avi")
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.index(b"strh") + 40, 500)
    struct.pack_into("<I", data, data.index(b"avih") + 24, 500)
    path.write_bytes(data)
    with av.open(str(path)) as file:
        assert file.streams.video[0].frames == 500
    assert clips.inspect(path).frames == 12


def test_varying_frame_times_give_the_true_length(tmp_path, frames):
    path = films.encode(frames[:6], tmp_path / "clip.mp4", times=[0, 1, 2, 10, 11, 30])
    facts = clips.inspect(path)
    assert facts.frames == 6
    assert facts.seconds == pytest.approx(31 / 24, abs=1 / 24)


def test_a_web_page_named_mp4_is_called_that(tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_text("<!DOCTYPE html><html><body>404</body></html>")
    assert "holds text (a web page or an error message)" in broken(path)


def test_random_bytes_are_broken(tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(np.random.default_rng(0).bytes(5000))
    assert "cannot be decoded" in broken(path)


def test_an_empty_file_is_broken(tmp_path):
    path = tmp_path / "clip.mp4"
    path.touch()
    assert "it is empty" in broken(path)


def test_a_missing_file_is_broken(tmp_path):
    assert broken(tmp_path / "clip.mp4").startswith("There is no file at ")


def test_a_folder_is_broken(tmp_path):
    assert "not a file" in broken(tmp_path)


def test_a_playlist_is_not_followed(tmp_path, clip):
    path = tmp_path / "clip.mp4"
    path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{clip}\n#EXT-X-ENDLIST\n")
    broken(path)


def test_a_file_with_sound_only_is_broken_in_words(tmp_path):
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("aac", rate=48000)
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        samples.sample_rate = 48000
        file.mux(stream.encode(samples))
        file.mux(stream.encode(None))
    assert "has no pictures in it, only audio" in broken(path)


def test_a_file_with_a_video_stream_and_no_frames_is_broken(tmp_path):
    path = films.encode([], tmp_path / "clip.mp4")
    broken(path)


def test_a_clip_without_its_index_is_broken(tmp_path, frames):
    path = films.encode(frames, tmp_path / "clip.mp4")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "cannot be decoded" in broken(path)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.99])
def test_a_clip_whose_download_broke_off_is_cut_off(tmp_path, clip, share):
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip.read_bytes()[: int(clip.stat().st_size * share)])
    assert "is cut off" in broken(path)
    assert "is cut off" in broken(path, clips.timeline)


def test_a_clip_that_ends_between_two_frames_is_cut_off(tmp_path, clip):
    with av.open(str(clip)) as file:
        packets = [packet for packet in file.demux(video=0) if packet.size]
        end = packets[15].pos + packets[15].size
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip.read_bytes()[:end])
    assert "frame 16" in broken(path)


def test_damage_in_the_last_frame_alone_is_found(tmp_path, clip):
    with av.open(str(clip)) as file:
        last = [packet for packet in file.demux(video=0) if packet.size][-1]
        start, size = last.pos, last.size
    data = bytearray(clip.read_bytes())
    data[start : start + size] = b"\xff" * size
    path = tmp_path / "clip.mp4"
    path.write_bytes(data)
    assert clips.timeline(path).frames == 30
    broken(path)


def test_a_title_in_another_encoding_does_not_matter(tmp_path, frames):
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as file:
        file.metadata["title"] = "MUENCHEN"
        stream = file.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        file.mux(stream.encode(av.VideoFrame.from_ndarray(frames[0], format="rgb24")))
        file.mux(stream.encode(None))
    path.write_bytes(path.read_bytes().replace(b"MUENCHEN", b"M\xfcNCHEN\xff "))
    assert clips.inspect(path).frames == 1


def test_hdr_is_refused_in_words(tmp_path):
    path = tmp_path / "hdr.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        context = stream.codec_context
        context.colorspace, context.color_primaries, context.color_trc = 9, 9, 16
        file.mux(stream.encode(av.VideoFrame.from_ndarray(films.scene(1, 64, 64)[0], format="rgb24")))
        file.mux(stream.encode(None))
    with pytest.raises(InvalidInput, match=r"HDR video \(PQ\)"):
        next(clips.read(path))
    assert clips.inspect(path).frames == 1  # a delivered clip is kept, whatever its light


def test_read_gives_every_frame_in_order(clip, frames):
    seen = list(clips.read(clip))
    assert len(seen) == 30
    for number, rgb in enumerate(seen):
        apart = [np.abs(rgb.astype(int) - other).mean() for other in frames]
        assert int(np.argmin(apart)) == number


@pytest.mark.parametrize("start", [0, 1, 9, 10, 11, 29])
def test_read_starts_where_it_is_told(clip, start):
    everything = list(clips.read(clip))
    part = list(clips.read(clip, start=start))
    assert len(part) == 30 - start
    np.testing.assert_array_equal(part[0], everything[start])


def test_read_resizes_without_aliasing(tmp_path):
    stripes = np.zeros((128, 128, 3), np.uint8)
    stripes[::2] = 255
    path = films.encode([stripes], tmp_path / "clip.mp4", options={"qp": "0"})
    small = next(clips.read(path, size=(16, 32)))
    assert small.shape == (32, 16, 3)
    assert np.abs(small[4:-4].astype(int) - 127).max() <= 12


def test_an_abandoned_read_closes_its_file(clip):
    reading = clips.read(clip)
    next(reading)
    reading.close()
    assert list(reading) == []
