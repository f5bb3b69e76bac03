from __future__ import annotations

import struct
from fractions import Fraction

import av
import films
import numpy as np
import pytest
import torch
from luma_ray.nodes.generation.errors import InvalidInput
from luma_ray.nodes.media import clips, encoding, images

WIDTH, HEIGHT = 192, 108


@pytest.fixture(scope="module")
def frames():
    return films.scene(30, WIDTH, HEIGHT)


def write(frames, path, **options):
    height, width = frames[0].shape[:2]
    encoding.write(iter(frames), path, **{"frame_rate": 24, "width": width, "height": height} | options)
    return path


def boxes(path):
    data, place, found = path.read_bytes(), 0, []
    while place < len(data):
        size, kind = struct.unpack_from(">I4s", data, place)
        found.append(kind)
        place += size
    return found


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
        encoding.write([], tmp_path / "film.mp4", frame_rate=24, width=64, height=64)
    assert list(tmp_path.iterdir()) == []


def test_a_size_without_a_pair_of_pixels_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="1x64"):
        encoding.write([], tmp_path / "film.mp4", frame_rate=24, width=1, height=64)


def test_a_failure_halfway_leaves_the_earlier_file_as_it_was(tmp_path, frames):
    path = write(frames[:2], tmp_path / "film.mp4")
    before = path.read_bytes()

    def failing():
        yield from frames[:5]
        raise RuntimeError("the renderer stopped")

    with pytest.raises(RuntimeError, match="the renderer stopped"):
        encoding.write(failing(), path, frame_rate=24, width=WIDTH, height=HEIGHT)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_the_name_appears_only_when_the_file_is_whole(tmp_path, frames):
    path = tmp_path / "film.mp4"
    seen = []

    def watched():
        for frame in frames:
            seen.append(path.exists())
            yield frame

    encoding.write(watched(), path, frame_rate=24, width=WIDTH, height=HEIGHT)
    assert seen == [False] * 30
    assert path.exists()


def test_a_tensor_becomes_a_clip_and_stays_as_it_was(tmp_path, frames):
    tensor = images.tensor(np.stack(frames[:5]))
    before = tensor.clone()
    path = tmp_path / "film.mp4"
    encoding.write_tensor(tensor, path, Fraction(24))
    assert torch.equal(tensor, before)
    assert clips.inspect(path).frames == 5
    assert np.abs(next(clips.read(path)).astype(int) - frames[0]).mean() < 2.5


def test_a_tensor_with_values_that_are_no_numbers_is_no_clip(tmp_path, frames):
    tensor = images.tensor(np.stack(frames[:3]))
    tensor[2, 0, 0, 0] = float("nan")
    with pytest.raises(InvalidInput, match="NaN"):
        encoding.write_tensor(tensor, tmp_path / "film.mp4", 24)
    assert list(tmp_path.iterdir()) == []


def test_a_tensor_of_the_wrong_shape_is_no_clip(tmp_path):
    with pytest.raises(InvalidInput, match="has 2 dimensions"):
        encoding.write_tensor(torch.zeros(4, 4), tmp_path / "film.mp4", 24)
