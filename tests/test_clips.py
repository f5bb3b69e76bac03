from __future__ import annotations

import struct
from fractions import Fraction

import av
import films
import numpy as np
import pytest
import torch
from luma_ray.nodes.generation.errors import BrokenClip, InvalidInput
from luma_ray.nodes.media import clips, images

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


def write(frames, path, **options):
    height, width = frames[0].shape[:2]
    clips.write(iter(frames), path, **{"frame_rate": 24, "width": width, "height": height} | options)
    return path


def boxes(path):
    data, place, found = path.read_bytes(), 0, []
    while place < len(data):
        size, kind = struct.unpack_from(">I4s", data, place)
        found.append(kind)
        place += size
    return found


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


def test_write_makes_exactly_the_frames_it_is_given(tmp_path, frames):
    facts = clips.inspect(write(frames, tmp_path / "film.mp4"))
    assert facts == clips.ClipFacts(30, WIDTH, HEIGHT, Fraction(24), 1.25, has_audio=False)


def test_written_frames_come_back_in_order_and_close(tmp_path, frames):
    path = write(frames, tmp_path / "film.mp4")
    for original, rgb in zip(frames, clips.read(path), strict=True):
        assert np.abs(original.astype(int) - rgb).mean() < 2.5


def test_a_written_file_is_tagged_bt709_limited_yuv420p(tmp_path, frames):
    with av.open(str(write(frames[:3], tmp_path / "film.mp4"))) as file:
        context = file.streams.video[0].codec_context
        assert context.name == "h264"
        assert context.pix_fmt == "yuv420p"
        tags = (context.colorspace, context.color_primaries, context.color_trc, context.color_range)
        assert [int(tag) for tag in tags] == [1, 1, 1, 1]


def test_a_written_file_has_its_index_first(tmp_path, frames):
    found = boxes(write(frames[:3], tmp_path / "film.mp4"))
    assert found.index(b"moov") < found.index(b"mdat")


def test_a_written_file_has_a_keyframe_at_least_every_second(tmp_path):
    still = [np.full((64, 64, 3), 90, np.uint8)] * 60
    line = clips.timeline(write(still, tmp_path / "film.mp4"))
    starts = [line.times.index(time) for time in line.keyframes]
    assert starts == [0, 24, 48]


def test_a_written_file_carries_no_metadata_but_the_muxers_name(tmp_path, frames):
    with av.open(str(write(frames[:2], tmp_path / "film.mp4"))) as file:
        assert set(file.metadata) <= {"major_brand", "minor_version", "compatible_brands", "encoder"}


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), 25, 29.97, Fraction(30)])
def test_the_frame_rate_is_kept(tmp_path, frames, rate):
    path = write(frames[:10], tmp_path / "film.mp4", frame_rate=rate)
    assert float(clips.inspect(path).frame_rate) == pytest.approx(float(rate), rel=1e-4)


def test_an_odd_size_loses_its_last_column_and_row(tmp_path):
    odd = films.scene(3, 65, 49)
    path = write(odd, tmp_path / "film.mp4", crf=1)
    facts = clips.inspect(path)
    assert (facts.width, facts.height) == (64, 48)
    first = next(clips.read(path))
    assert np.abs(first.astype(int) - odd[0][:48, :64]).mean() < 2


def test_colours_of_a_written_clip_have_no_bias(tmp_path):
    frames = films.scene(4, 320, 240, seed=3)
    path = write(frames, tmp_path / "film.mp4", crf=0)
    errors = np.stack(
        [rgb.astype(float) - original for original, rgb in zip(frames, clips.read(path), strict=True)]
    )
    assert np.abs(errors.mean(axis=(0, 1, 2))).max() <= 0.1


@pytest.mark.skipif(not films.CHROMA_SITED, reason="PyAV before 17 reads chroma half a pixel off")
def test_colours_do_not_wander_when_a_clip_goes_through_files_again_and_again(tmp_path):
    edge = np.zeros((64, 96, 3), np.uint8)
    edge[:, :48] = (180, 60, 60)
    edge[:, 48:] = (60, 60, 180)
    frames = [edge]
    for number in range(6):
        path = write(frames, tmp_path / f"{number}.mp4", crf=0)
        frames = list(clips.read(path))
    row = frames[0][32].astype(float)
    amount = (row[:, 0] - 60) / 120
    assert amount[24:72].sum() == pytest.approx(24, abs=0.4)


def test_a_frame_of_another_size_is_refused_and_leaves_nothing(tmp_path, frames):
    with pytest.raises(InvalidInput, match=r"Frame 1 of .* is 10x20, and the video 192x108"):
        write([frames[0], np.zeros((20, 10, 3), np.uint8)], tmp_path / "film.mp4")
    assert list(tmp_path.iterdir()) == []


def test_no_frames_are_refused_and_leave_nothing(tmp_path):
    with pytest.raises(InvalidInput, match="no frames"):
        clips.write([], tmp_path / "film.mp4", frame_rate=24, width=64, height=64)
    assert list(tmp_path.iterdir()) == []


def test_a_size_without_a_pair_of_pixels_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="1x64"):
        clips.write([], tmp_path / "film.mp4", frame_rate=24, width=1, height=64)


def test_a_failure_halfway_leaves_the_earlier_file_as_it_was(tmp_path, frames):
    path = write(frames[:2], tmp_path / "film.mp4")
    before = path.read_bytes()

    def failing():
        yield from frames[:5]
        raise RuntimeError("the renderer stopped")

    with pytest.raises(RuntimeError, match="the renderer stopped"):
        clips.write(failing(), path, frame_rate=24, width=WIDTH, height=HEIGHT)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_the_name_appears_only_when_the_file_is_whole(tmp_path, frames):
    path = tmp_path / "film.mp4"
    seen = []

    def watched():
        for frame in frames:
            seen.append(path.exists())
            yield frame

    clips.write(watched(), path, frame_rate=24, width=WIDTH, height=HEIGHT)
    assert seen == [False] * 30
    assert path.exists()


def test_a_tensor_becomes_a_clip_and_stays_as_it_was(tmp_path, frames):
    tensor = images.tensor(np.stack(frames[:5]))
    before = tensor.clone()
    path = tmp_path / "film.mp4"
    clips.write_tensor(tensor, path, Fraction(24))
    assert torch.equal(tensor, before)
    assert clips.inspect(path).frames == 5
    assert np.abs(next(clips.read(path)).astype(int) - frames[0]).mean() < 2.5


def test_a_tensor_with_values_that_are_no_numbers_is_no_clip(tmp_path, frames):
    tensor = images.tensor(np.stack(frames[:3]))
    tensor[2, 0, 0, 0] = float("nan")
    with pytest.raises(InvalidInput, match="NaN"):
        clips.write_tensor(tensor, tmp_path / "film.mp4", 24)
    assert list(tmp_path.iterdir()) == []


def test_a_tensor_of_the_wrong_shape_is_no_clip(tmp_path):
    with pytest.raises(InvalidInput, match="has 2 dimensions"):
        clips.write_tensor(torch.zeros(4, 4), tmp_path / "film.mp4", 24)
