from __future__ import annotations

import struct
import subprocess
import sys
import textwrap
import threading
from dataclasses import replace
from pathlib import Path

import films
import numpy as np
import pytest
import torch
from luma_ray.nodes.generation.errors import BrokenClip, Interrupted, InvalidInput
from luma_ray.nodes.media import clips, colour, frames, memory, reading

TESTS = Path(__file__).parent
WIDTH, HEIGHT = 192, 108


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """30 frames, a keyframe every 10, with B-frames."""
    return films.encode(
        films.scene(30, WIDTH, HEIGHT),
        tmp_path_factory.mktemp("frames") / "clip.mp4",
        options={"g": "10", "bf": "3", "preset": "fast"},
    )


@pytest.fixture(scope="module")
def whole(clip):
    return frames.decode(clip)


def test_a_clip_becomes_float32_frames_from_0_to_1(clip, whole):
    assert whole.shape == (30, HEIGHT, WIDTH, 3)
    assert whole.dtype == torch.float32
    assert whole.is_contiguous()
    assert 0 <= whole.min() < whole.max() <= 1


def test_values_are_the_levels_divided_by_255_exactly(clip, whole):
    levels = np.stack(list(clips.read(clip)))
    np.testing.assert_array_equal(whole.numpy(), levels.astype(np.float32) / np.float32(255))


@pytest.mark.parametrize(
    ("matrix", "tag", "full_range", "width", "height"),
    [
        ("bt709", "bt709", False, 640, 360),
        ("bt709", "bt709", True, 640, 360),
        ("bt601", "bt601", False, 640, 360),
        ("bt601", "bt601", True, 640, 360),
        ("bt2020", "bt2020", False, 640, 360),
        ("bt601", None, False, 640, 360),
        ("bt709", None, False, 1280, 720),
    ],
)
def test_colours_are_those_of_an_exact_conversion(tmp_path, matrix, tag, full_range, width, height):
    pictures = [films.planes(width, height, seed) for seed in range(2)]
    path = films.encode_planes(pictures, tmp_path / "clip.mp4", tag=tag, full_range=full_range)
    levels = frames.decode(path).numpy() * 255
    errors = levels - np.stack([films.exact_rgb(p, matrix, full_range=full_range) for p in pictures])
    assert np.abs(errors).mean() <= (0.3 if films.CHROMA_SITED else 0.5)
    assert np.abs(errors.mean(axis=(0, 1, 2))).max() <= 0.05


def test_an_rgb_clip_keeps_its_exact_levels(tmp_path):
    original = films.scene(3, 64, 48)
    path = films.encode(original, tmp_path / "clip.mov", container="mov", codec="png", pixel_format="rgb24")
    np.testing.assert_array_equal(np.rint(frames.decode(path).numpy() * 255), np.stack(original))


@pytest.mark.parametrize("start", [0, 1, 9, 10, 15, 29])
@pytest.mark.parametrize("count", [None, 1, 7, 100])
@pytest.mark.parametrize("step", [1, 2, 7])
def test_start_count_and_step_give_a_part_of_the_whole(clip, whole, start, count, step):
    part = frames.decode(clip, start=start, count=count, step=step)
    assert torch.equal(part, whole[start::step][:count])


def test_a_part_of_a_clip_without_exact_times_is_the_same_part(tmp_path):
    path = films.encode(films.scene(12, WIDTH, HEIGHT), tmp_path / "clip.avi", container="avi")
    assert torch.equal(frames.decode(path, start=5, count=3), frames.decode(path)[5:8])


def test_frames_are_resized_to_the_size_asked_for(clip, whole):
    small = frames.decode(clip, size=(96, 54))
    assert small.shape == (30, 54, 96, 3)
    averaged = whole.reshape(30, 54, 2, 96, 2, 3).mean(dim=(2, 4))
    assert (small - averaged).abs().mean() < 1.5 / 255


def test_frames_made_smaller_have_no_aliases(tmp_path):
    stripes = np.zeros((128, 128, 3), np.uint8)
    stripes[::2] = 255
    path = films.encode([stripes], tmp_path / "clip.mp4", options={"qp": "0"})
    small = frames.decode(path, size=(16, 16))[0, 2:-2]
    assert (small - 0.5).abs().max() < 0.05


def test_an_odd_size_is_read_whole(tmp_path):
    original = films.scene(2, 65, 49)
    path = films.encode(original, tmp_path / "clip.mp4", pixel_format="yuv444p", options={"qp": "0"})
    decoded = frames.decode(path)
    assert decoded.shape == (2, 49, 65, 3)
    assert (decoded[0] * 255 - torch.from_numpy(original[0])).abs().mean() < 1.5


@pytest.mark.parametrize(("turn", "quarters"), [((0, 1, -1, 0), -1), ((0, -1, 1, 0), 1), ((-1, 0, 0, -1), 2)])
def test_a_clip_filmed_sideways_stands_upright(tmp_path, turn, quarters):
    path = films.encode(films.scene(3, 64, 48), tmp_path / "clip.mp4")
    lying = frames.decode(path)
    data = bytearray(path.read_bytes())
    a, b, c, d = (part * 0x10000 for part in turn)
    struct.pack_into(">9i", data, data.index(b"tkhd") + 44, a, b, 0, c, d, 0, 0, 0, 0x40000000)
    path.write_bytes(data)
    upright = torch.rot90(lying, quarters, dims=(1, 2))
    assert torch.equal(frames.decode(path), upright)
    assert torch.equal(frames.last_frame(path), upright[-1:])
    facts = clips.inspect(path)
    assert (facts.width, facts.height) == (upright.shape[2], upright.shape[1])


def test_a_clip_filmed_sideways_is_resized_as_it_is_shown(tmp_path):
    path = films.encode(films.scene(2, 64, 48), tmp_path / "clip.mp4")
    data = bytearray(path.read_bytes())
    struct.pack_into(">9i", data, data.index(b"tkhd") + 44, 0, 65536, 0, -65536, 0, 0, 0, 0, 0x40000000)
    path.write_bytes(data)
    assert frames.decode(path, size=(24, 32)).shape == (2, 32, 24, 3)


def test_frames_that_an_edit_list_cuts_away_do_not_show(tmp_path):
    path = films.encode(films.scene(20, WIDTH, HEIGHT), tmp_path / "clip.mp4", options={"bf": "0"})
    whole = frames.decode(path)
    data = bytearray(path.read_bytes())
    entry = data.index(b"elst") + 12
    duration, media_time = struct.unpack_from(">Ii", data, entry)
    struct.pack_into(">Ii", data, entry, duration * 15 // 20, media_time + 5 * 512)
    path.write_bytes(data)
    assert clips.inspect(path).frames == 15
    assert torch.equal(frames.decode(path), whole[5:])
    assert torch.equal(frames.decode(path, start=3, count=2), whole[8:10])
    assert torch.equal(frames.first_frame(path), whole[5:6])


def test_a_clip_with_more_frames_than_packets_is_decoded_whole(clip, whole, monkeypatch):
    line = replace(clips.timeline(clip), frames=4, times=(), keyframes=())
    monkeypatch.setattr(clips, "timeline", lambda path, **_: line)
    assert torch.equal(frames.decode(clip), whole)
    assert torch.equal(frames.decode(clip, count=9), whole[:9])


def test_a_clip_with_fewer_frames_than_packets_is_cut(clip, whole, monkeypatch):
    line = replace(clips.timeline(clip), frames=50, times=(), keyframes=())
    monkeypatch.setattr(clips, "timeline", lambda path, **_: line)
    assert torch.equal(frames.decode(clip), whole)


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"start": 30}, "Frame 30 was asked for, and .* has 30 frames"),
        ({"start": -1}, "cannot start at -1"),
        ({"count": 0}, "ask for 1 or more"),
        ({"step": 0}, "leads nowhere"),
        ({"size": (0, 10)}, "0x10"),
    ],
)
def test_frames_that_are_not_there_are_refused_in_words(clip, wish, words):
    with pytest.raises(InvalidInput, match=words):
        frames.decode(clip, **wish)


CONTAINERS = [
    ("mp4", "libx264", {"g": "250", "preset": "medium"}),
    ("mp4", "libx264", {"g": "5", "preset": "medium"}),
    ("mp4", "libx264", {"g": "12", "bf": "0"}),
    ("mp4", "libx264", {"x264-params": "open-gop=1:keyint=8:bframes=3", "preset": "medium"}),
    ("matroska", "libx264", {"g": "8", "bf": "2", "preset": "fast"}),
    ("webm", "libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}),
    ("mpegts", "libx264", {"g": "8", "bf": "2", "preset": "fast"}),
    ("avi", "libx264", {"g": "8", "bf": "2", "preset": "fast"}),
]


@pytest.mark.parametrize(("container", "codec", "options"), CONTAINERS)
@pytest.mark.parametrize("count", [1, 2, 29])
def test_first_and_last_frame_are_those_of_a_full_decode(tmp_path, container, codec, options, count):
    path = films.encode(
        films.scene(count, 96, 64), tmp_path / "clip", container=container, codec=codec, options=options
    )
    whole = frames.decode(path)
    assert len(whole) == count
    assert torch.equal(frames.first_frame(path), whole[:1])
    assert torch.equal(frames.last_frame(path), whole[-1:])


@pytest.mark.parametrize("single", [frames.first_frame, frames.last_frame])
def test_a_single_frame_is_the_only_one_converted(clip, monkeypatch, single):
    converted = []
    planes = colour.RgbReader.planes

    def counted(self, frame):
        converted.append(frame.pts)
        return planes(self, frame)

    monkeypatch.setattr(colour.RgbReader, "planes", counted)
    single(clip)
    assert len(converted) == 1


@pytest.mark.parametrize("look", [frames.decode, frames.first_frame, frames.last_frame])
def test_a_web_page_named_mp4_is_a_broken_clip(tmp_path, look):
    path = tmp_path / "clip.mp4"
    path.write_text("<html>Bad gateway</html>")
    with pytest.raises(BrokenClip, match=r"clip\.mp4 .*web page"):
        look(path)


@pytest.mark.parametrize("look", [frames.decode, frames.last_frame])
def test_a_clip_whose_download_broke_off_is_a_broken_clip(tmp_path, clip, look):
    path = films.encode(
        films.scene(20, WIDTH, HEIGHT), tmp_path / "clip.mp4", container_options={"movflags": "+faststart"}
    )
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(BrokenClip, match=r"clip\.mp4 is cut off"):
        look(path)


@pytest.mark.parametrize("look", [frames.decode, frames.first_frame, frames.last_frame])
def test_nothing_is_opened_for_somebody_who_has_left(tmp_path, look):
    with pytest.raises(Interrupted, match="stays at"):
        look(tmp_path / "no such clip.mp4", stopped=lambda: True)


@pytest.fixture
def stuck(monkeypatch):
    """A decoder that is busy with one frame for as long as the test takes."""
    freed, entered, left = threading.Event(), threading.Event(), threading.Event()
    packets = reading.OpenClip.packets

    def slow(self):
        for number, packet in enumerate(packets(self)):
            if number == 3:
                entered.set()
                freed.wait(30)
                left.set()
            yield packet

    monkeypatch.setattr(reading.OpenClip, "packets", slow)
    yield entered
    freed.set()
    assert left.wait(30)


@pytest.mark.parametrize("look", [frames.decode, frames.last_frame])
def test_decoding_stops_while_the_decoder_is_busy(clip, stuck, look):
    with pytest.raises(Interrupted, match="stays at"):
        look(clip, stopped=stuck.is_set)


def test_decoding_stops_at_the_next_packet_once_nobody_waits(clip):
    asked = []

    def stopped():
        asked.append(None)
        return len(asked) == 37

    # 31 packets are read to count the frames; the sixth after those is one of the frames before the start.
    with (
        reading.OpenClip(clip, stopped=stopped) as opened,
        pytest.raises(Interrupted, match="stays at"),
    ):
        list(opened.pictures(clips.timeline(clip, clip=opened), start=9))
    assert len(asked) == 37


def test_progress_grows_to_1(clip):
    told = []
    frames.decode(clip, step=3, progress=told.append)
    assert told == sorted(set(told))
    assert told[-1] == 1


def test_what_fails_while_converting_is_raised_to_the_caller(clip, monkeypatch):
    def failing(self, frame):
        raise MemoryError("no frame for you")

    monkeypatch.setattr(colour.RgbReader, "planes", failing)
    with pytest.raises(MemoryError, match="no frame for you"):
        frames.decode(clip)


def free(monkeypatch, amount):
    monkeypatch.setattr(frames, "free_memory", lambda: amount)


NEED = 30 * WIDTH * HEIGHT * 12


def test_too_many_frames_for_the_memory_are_refused_with_what_would_fit(clip, monkeypatch):
    free(monkeypatch, frames._SPARE + NEED // 2 + 1)
    with pytest.raises(InvalidInput) as caught:
        frames.decode(clip)
    words = str(caught.value)
    assert words.startswith(f"30 frames of 192x108 from {clip} need 0.0 GB of memory")
    assert "step 2 (15 frames" in words
    assert "half the size (96x54" in words
    assert "a range of up to 15 frames" in words


def test_a_choice_that_would_not_fit_either_is_not_offered(clip, monkeypatch):
    free(monkeypatch, frames._SPARE + NEED // 4)
    with pytest.raises(InvalidInput) as caught:
        frames.decode(clip)
    assert "step 2" not in str(caught.value)
    assert "half the size" in str(caught.value)


def test_no_choice_at_all_is_said(clip, monkeypatch):
    free(monkeypatch, 0)
    with pytest.raises(InvalidInput, match="free some memory first"):
        frames.decode(clip)


def test_what_is_refused_whole_is_decoded_in_the_range_that_was_offered(clip, monkeypatch):
    free(monkeypatch, frames._SPARE + NEED // 2)
    assert len(frames.decode(clip, count=15)) == 15


def test_a_system_that_does_not_tell_its_free_memory_is_trusted(clip, monkeypatch):
    free(monkeypatch, None)
    assert len(frames.decode(clip)) == 30


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_free_memory_is_less_than_there_is():
    total = int(Path("/proc/meminfo").read_text().split()[1]) * 1024
    available = frames.free_memory()
    assert available is not None
    assert 0 < available < total


@pytest.mark.skipif(sys.platform != "linux", reason="control groups")
def test_free_memory_respects_the_limit_of_a_container(tmp_path, monkeypatch):
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("700000\n")
    (tmp_path / "memory.stat").write_text("anon 1\ninactive_file 200000\n")
    monkeypatch.setattr(memory, "_CGROUP_ROOT", tmp_path)
    assert frames.free_memory() == 500000


def test_no_limit_on_a_container_is_no_limit(tmp_path, monkeypatch):
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("700000\n")
    (tmp_path / "memory.stat").write_text("inactive_file 0\n")
    monkeypatch.setattr(memory, "_CGROUP_ROOT", tmp_path)
    assert frames.free_memory() != 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_peaks_little_above_the_frames_themselves(tmp_path):
    path = films.encode(films.scene(100, 640, 360, speed=1), tmp_path / "clip.mp4")
    script = f"""
        import re, sys
        sys.path.insert(0, {str(TESTS)!r})
        import conftest
        from pathlib import Path
        from luma_ray.nodes.media import frames
        path = Path({str(path)!r})
        status = Path("/proc/self/status")
        peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1]) * 1024
        frames.decode(path, count=2)
        before = peak()
        decoded = frames.decode(path)
        print((peak() - before) / (decoded.numel() * 4))
    """
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert 0.5 < float(run.stdout) <= 1.15


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (33, 65)])
def test_filling_reaches_every_row(size):
    width, height = size
    planes = tuple(np.full((height, width), level, np.uint8) for level in (51, 102, 255))
    target = np.full((height, width, 3), -1, np.float32)
    frames._fill(target, planes)
    np.testing.assert_array_equal(target, np.broadcast_to(np.float32([0.2, 0.4, 1.0]), target.shape))
