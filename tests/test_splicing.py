"""Films put together: which pictures are copied, that copies are exact, and that what comes out plays anywhere."""

from __future__ import annotations

import struct
import subprocess
import sys
import textwrap
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import films
import numpy as np
import pytest
from luma_ray.nodes.generation.errors import BrokenClip, Interrupted, InvalidInput
from luma_ray.nodes.media import clips, copying, encoding, h264, seams, splicing

TESTS = Path(__file__).parent
SIZE = (96, 64)
ROAD = films.scene(160, *SIZE, speed=3)
PLAIN = {"preset": "ultrafast", "g": "12", "sc_threshold": "0"}
"""A keyframe every 12 frames, and no picture that leans on a later one."""
LEANING = {"preset": "veryfast", "g": "12", "sc_threshold": "0"}
"""With pictures that lean on later ones (B)."""


@pytest.fixture
def clip(tmp_path):
    """A file of these frames; each call another one."""
    names = iter(range(1000))

    def make(pictures, **options):
        return films.encode(pictures, tmp_path / f"{next(names)}.mp4", **{"options": PLAIN} | options)

    return make


@pytest.fixture
def ours(tmp_path):
    """A file as we write them."""
    names = iter(range(1000))

    def make(pictures, **options):
        path = tmp_path / f"ours-{next(names)}.mp4"
        height, width = pictures[0].shape[:2]
        encoding.write(iter(pictures), path, **{"frame_rate": 24, "width": width, "height": height} | options)
        return path

    return make


def decoded(path):
    """Every picture as its YUV bytes, by a decoder that forgives nothing."""
    with av.open(str(path), options={"err_detect": "explode"}) as file:
        stream = file.streams.video[0]
        stream.codec_context.options = {"err_detect": "crccheck+bitstream+buffer+explode"}
        stream.codec_context.thread_count = 1
        shown = [(frame.pts, frame.to_ndarray().tobytes()) for frame in file.decode(stream)]
    times = [time for time, _ in shown]
    assert times == sorted(set(times))
    return [picture for _, picture in shown]


def same(path, pictures):
    """Whether *path* shows exactly these."""
    shown = decoded(path)
    assert len(shown) == len(pictures)
    return shown == pictures


def shows(path, frames):
    """Whether it shows these frames, none twice and in order, as well as compression lets one see."""
    nearest = [
        int(np.argmin([np.abs(shown.astype(int) - frame).mean() for frame in frames]))
        for shown in clips.read(path)
    ]
    assert nearest == list(range(len(frames)))


def cut(source, first, stop, path, **options):
    """The frames from *first* to before *stop* as a film; says whether they were copied."""
    part = splicing.Part(source, clips.timeline(source), -first, first, stop)
    return splicing.splice([part], path, size=clips.shown_size(source), **options)


def plays(path, frames, rate=24):
    """What every player and editor expects of a film."""
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        packets = [packet for packet in file.demux(stream) if packet.size]
        unit = stream.time_base
        assert stream.average_rate == rate
        assert stream.start_time == 0
        assert stream.duration * unit == Fraction(frames) / rate
        assert set(file.metadata) <= {"major_brand", "minor_version", "compatible_brands", "encoder"}
    assert len(packets) == frames
    assert packets[0].is_keyframe
    assert not any(packet.is_discard for packet in packets)
    assert sorted(packet.pts * unit * rate for packet in packets) == list(range(frames))
    decoding = [packet.dts for packet in packets]
    assert decoding == sorted(set(decoding))
    assert all(packet.dts <= packet.pts for packet in packets)
    data, place, boxes = path.read_bytes(), 0, {}
    while place < len(data):
        size, kind = struct.unpack_from(">I4s", data, place)
        boxes[kind] = data[place : place + size]
        place += size
    assert list(boxes).index(b"moov") < list(boxes).index(b"mdat")
    # At most one edit for each track, that says when it begins: nothing is skipped on the way.
    for edits in boxes[b"moov"].split(b"elst")[1:]:
        assert int.from_bytes(edits[4:8], "big") == 1
    line = clips.timeline(path)
    assert (line.frames, line.frame_rate) == (frames, rate)


# -- joins --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [PLAIN, LEANING])
@pytest.mark.parametrize("sound", [None, films.clicks(48, [5])])
def test_clips_that_follow_each_other_are_copied_bit_by_bit(clip, tmp_path, options, sound):
    parts = [clip(ROAD[n : n + 48], options=options, sound=sound) for n in (0, 48, 96)]
    film = tmp_path / "film.mp4"
    assert [seam.dropped for seam in seams.join(parts, film)] == [0, 0]
    assert same(film, [picture for part in parts for picture in decoded(part)])
    plays(film, 144)


def test_our_clips_of_five_seconds_with_one_repeated_frame_are_copied(ours, tmp_path):
    """The earlier clip's last frame stands alone behind its last keyframe, so it is the one that goes."""
    parts = [ours(ROAD[:49]), ours(ROAD[48:97]), ours(ROAD[96:145])]
    film = tmp_path / "film.mp4"
    assert [seam.dropped for seam in seams.join(parts, film)] == [1, 1]
    one, two, three = map(decoded, parts)
    assert same(film, [*one[:-1], *two[:-1], *three])
    plays(film, 145)


def test_our_clips_of_different_quality_are_copied_too(ours, tmp_path):
    parts = [ours(ROAD[:49], crf=16), ours(ROAD[48:97], crf=28)]
    film = tmp_path / "film.mp4"
    seams.join(parts, film)
    assert same(film, [*decoded(parts[0])[:-1], *decoded(parts[1])])


def test_an_overlap_is_crossed_wherever_both_clips_can_be_cut(clip, tmp_path):
    earlier, later = clip(ROAD[:40]), clip(ROAD[30:80])
    film = tmp_path / "film.mp4"
    assert [seam.dropped for seam in seams.join([earlier, later], film)] == [10]
    # The later clip can begin with its frame 0 alone; the earlier one, which leans on nothing later, can end there.
    assert same(film, [*decoded(earlier)[:30], *decoded(later)])
    plays(film, 80)


def test_a_clip_that_contains_the_one_before_is_entered_at_a_keyframe(clip, tmp_path):
    earlier, later = clip(ROAD[:40], options=LEANING), clip(ROAD[:100], options=LEANING)
    film = tmp_path / "film.mp4"
    assert [seam.dropped for seam in seams.join([earlier, later], film)] == [40]
    assert same(film, [*decoded(earlier)[:36], *decoded(later)[36:]])
    plays(film, 100)


def test_a_clip_that_contains_the_one_before_may_replace_it(clip, tmp_path):
    whole = LEANING | {"g": "250"}
    earlier, later = clip(ROAD[:40], options=whole), clip(ROAD[:100], options=whole)
    film = tmp_path / "film.mp4"
    seams.join([earlier, later], film)
    # The earlier one ends with its own last frame only, where the later one cannot begin.
    assert same(film, decoded(later))


def test_a_repeated_frame_that_others_lean_on_needs_encoding(clip, tmp_path):
    leaning = LEANING | {"g": "250", "x264-params": "b-adapt=0:bframes=2"}
    parts = [clip(ROAD[:42], options=leaning), clip(ROAD[41:80], options=leaning)]
    with av.open(str(parts[0])) as file:
        packets = [packet.pts for packet in file.demux(file.streams.video[0]) if packet.size]
    assert packets[-1] != max(packets)  # the last one shown is not the last one decoded
    film = tmp_path / "film.mp4"
    assert [seam.dropped for seam in seams.join(parts, film)] == [1]
    assert not same(film, [*decoded(parts[0]), *decoded(parts[1])[1:]])
    shows(film, ROAD[:80])
    plays(film, 80)


@pytest.mark.parametrize(
    "other",
    [
        {"options": PLAIN | {"preset": "medium"}},
        {"options": PLAIN | {"refs": "4"}},
        {"options": PLAIN | {"crf": "35"}},
        {"pixel_format": "yuv444p"},
        {"codec": "libx265", "options": {"preset": "ultrafast", "x265-params": "log-level=error"}},
        {"codec": "mpeg4", "options": {}},
    ],
    ids=str,
)
def test_clips_that_are_encoded_differently_are_not_copied_into_one_stream(clip, tmp_path, other):
    parts = [clip(ROAD[:30]), clip(ROAD[30:60], **other)]
    film = tmp_path / "film.mp4"
    seams.join(parts, film)
    shows(film, ROAD[:60])
    plays(film, 60)
    with av.open(str(film)) as file:
        assert file.streams.video[0].codec_context.name == "h264"


def test_a_clip_of_another_size_is_resized_and_not_copied(clip, tmp_path):
    half = [frame.reshape(32, 2, 48, 2, 3).mean(axis=(1, 3)).astype(np.uint8) for frame in ROAD[30:60]]
    film = tmp_path / "film.mp4"
    seams.join([clip(ROAD[:30]), clip(half)], film)
    plays(film, 60)
    assert clips.shown_size(film) == SIZE


def test_parts_from_mp4_and_matroska_are_copied_into_even_times(clip, tmp_path):
    parts = [clip(ROAD[:48], options=LEANING), clip(ROAD[48:96], options=LEANING, container="matroska")]
    film = tmp_path / "film.mp4"
    seams.join(parts, film)
    assert same(film, decoded(parts[0]) + decoded(parts[1]))
    plays(film, 96)


def test_the_rough_times_of_a_first_clip_are_not_those_of_the_film(clip, tmp_path):
    parts = [clip(ROAD[:48], container="matroska"), clip(ROAD[48:96])]
    film = tmp_path / "film.mp4"
    seams.join(parts, film)
    assert same(film, decoded(parts[0]) + decoded(parts[1]))
    plays(film, 96)


def test_23_976_frames_a_second_are_copied_exactly(ours, tmp_path):
    rate = Fraction(24000, 1001)
    parts = [ours(ROAD[n : n + 48], frame_rate=rate) for n in (0, 48)]
    film = tmp_path / "film.mp4"
    seams.join(parts, film)
    # Older PyAV has no exact times for a copy: then it is none.
    assert same(film, decoded(parts[0]) + decoded(parts[1])) is copying._ANY_UNIT
    plays(film, 96, rate)


def test_two_keyframes_in_a_row_never_have_the_same_id(ours, tmp_path):
    """Decoders that find pictures by their headers would take them for one."""
    # 49 frames: keyframes 0, 24 and 48, with ids 0, 1 and 0; the last one is followed by another clip's first.
    parts = [ours(ROAD[:49]), ours(ROAD[49:98])]
    film = tmp_path / "film.mp4"
    assert [seam.dropped for seam in seams.join(parts, film)] == [0]
    with av.open(str(film)) as file:
        stream = file.streams.video[0]
        headers = h264.Headers.read(bytes(stream.codec_context.extradata))
        ids = [copying._id_of(packet, headers) for packet in file.demux(stream) if packet.size]
    assert all(one is None or one != other for one, other in pairwise(ids))
    plays(film, 98)
    # With 73 frames the ids differ.
    parts = [ours(ROAD[:73]), ours(ROAD[73:98])]
    seams.join(parts, film)
    assert same(film, decoded(parts[0]) + decoded(parts[1]))


# -- cuts ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "stop", "copied"),
    [(0, 48, True), (12, 36, True), (24, 30, True), (13, 36, False), (11, 12, False)],
)
def test_a_cut_is_copied_if_it_begins_on_a_keyframe(clip, tmp_path, first, stop, copied):
    source, film = clip(ROAD[:48]), tmp_path / "film.mp4"
    assert cut(source, first, stop, film) is copied
    assert same(film, decoded(source)[first:stop]) is copied
    shows(film, ROAD[first:stop])
    plays(film, stop - first)


def test_a_cut_in_a_group_of_leaning_pictures_is_encoded_and_one_at_a_keyframe_is_copied(clip, tmp_path):
    leaning = LEANING | {"x264-params": "b-adapt=0:bframes=2:b-pyramid=0"}
    source = clip(ROAD[:48], options=leaning)
    index = copying.indexes([(source, clips.timeline(source))])[0]
    assert set(index.starts) == {0, 12, 24, 36}
    for stop in range(25, 37):
        film = tmp_path / f"{stop}.mp4"
        assert cut(source, 12, stop, film) is (stop in index.ends)
        assert same(film, decoded(source)[12:stop]) is (stop in index.ends)
        plays(film, stop - 12)
    assert 0 < sum(stop in index.ends for stop in range(25, 37)) < 12


def test_keyframes_after_which_earlier_pictures_are_shown_are_no_beginning(clip):
    """Open groups of pictures: what is shown before the keyframe leans on what came before it."""
    source = clip(
        ROAD[:96], options={"preset": "veryfast", "g": "12", "x264-params": "open-gop=1:scenecut=0"}
    )
    line = clips.timeline(source)
    index = copying.indexes([(source, line)])[0]
    assert set(index.starts) == {0}


def test_cuts_keep_the_sound_of_their_frames(clip, tmp_path):
    source = clip(ROAD[:48], sound=films.clicks(48, [2, 15, 30]))
    for first, stop in ((12, 36), (13, 35)):
        film = tmp_path / f"{first}.mp4"
        cut(source, first, stop, film)
        with av.open(str(film)) as file:
            waveform = np.concatenate([frame.to_ndarray() for frame in file.decode(audio=0)], axis=1)
        places = films.heard_at(waveform, 48000)
        assert places == pytest.approx([15.5 - first, 30.5 - first], abs=0.024)
        plays(film, stop - first)


# -- what is not certain is encoded -------------------------------------------------------------------------


def rewritten(source, path, change, **options):
    """A copy of *source* whose packets went through *change*."""
    with av.open(str(source)) as old, av.open(str(path), "w", format="mp4", options=options) as new:
        stream = old.streams.video[0]
        target = new.add_stream_from_template(stream, opaque=True)
        for number, packet in enumerate(packet for packet in old.demux(stream) if packet.size):
            changed = change(number, packet)
            changed.stream = target
            new.mux(changed)
    return path


def with_data(packet, data):
    other = av.Packet(data)
    other.pts, other.dts, other.duration, other.time_base = (
        packet.pts,
        packet.dts,
        packet.duration,
        packet.time_base,
    )
    other.is_keyframe = packet.is_keyframe
    return other


def parameters(path):
    """SPS and PPS of a clip, each with its length in front."""
    with av.open(str(path)) as file:
        content = bytes(file.streams.video[0].codec_context.extradata)
    length = int.from_bytes(content[6:8], "big")
    sps = content[8 : 8 + length]
    place = 8 + length + 1
    pps = content[place + 2 : place + 2 + int.from_bytes(content[place : place + 2], "big")]
    return [len(unit).to_bytes(4, "big") + unit for unit in (sps, pps)]


def test_parameters_that_are_repeated_in_front_of_keyframes_do_no_harm(clip, tmp_path):
    source = clip(ROAD[:48])
    repeated = b"".join(parameters(source))
    path = rewritten(
        source,
        tmp_path / "repeated.mp4",
        lambda number, packet: with_data(packet, repeated + bytes(packet)) if packet.is_keyframe else packet,
    )
    assert cut(path, 12, 36, tmp_path / "film.mp4") is True
    assert same(tmp_path / "film.mp4", decoded(source)[12:36])


def test_parameters_that_change_on_the_way_are_not_copied(clip, tmp_path):
    source, other = clip(ROAD[:48]), clip(ROAD[:48], options=PLAIN | {"crf": "40"})
    strange = parameters(other)[1]
    assert strange not in parameters(source)
    path = rewritten(
        source,
        tmp_path / "changing.mp4",
        lambda number, packet: with_data(packet, strange + bytes(packet)) if number == 30 else packet,
    )
    assert copying.indexes([(path, clips.timeline(path))]) is None


def test_what_is_not_made_of_whole_units_is_not_copied(clip, tmp_path):
    source = clip(ROAD[:48])
    path = rewritten(
        source,
        tmp_path / "odd.mp4",
        lambda number, packet: with_data(packet, bytes(packet)[:-3]) if number == 30 else packet,
    )
    assert copying.indexes([(path, clips.timeline(path))]) is None


def test_uneven_times_are_not_copied(clip, tmp_path):
    path = clip(ROAD[:30], times=[*range(20), *range(25, 35)])
    assert cut(path, 0, 30, tmp_path / "film.mp4") is False
    plays(tmp_path / "film.mp4", 30, clips.timeline(tmp_path / "film.mp4").frame_rate)


def test_what_lies_on_its_side_is_not_copied(clip, tmp_path):
    source = clip(ROAD[:24])
    data = bytearray(source.read_bytes())
    upright = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
    place = data.index(upright, data.index(b"tkhd"))
    data[place : place + 36] = struct.pack(">9i", 0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)
    source.write_bytes(data)
    assert clips.shown_size(source) == (SIZE[1], SIZE[0])
    film = tmp_path / "film.mp4"
    assert cut(source, 0, 24, film) is False
    assert clips.shown_size(film) == (SIZE[1], SIZE[0])


def test_pictures_that_an_edit_list_hides_are_not_copied(clip, tmp_path):
    source = clip(ROAD[:24], options=PLAIN | {"g": "250"})
    data = bytearray(source.read_bytes())
    place = data.index(b"elst") + 16
    start = struct.unpack_from(">I", data, place)[0]
    struct.pack_into(">I", data, place, start + 5 * 512)  # in units of 1/12288 s
    source.write_bytes(data)
    line = clips.timeline(source)
    assert line.frames == 19
    assert copying.indexes([(source, line)]) is None


def test_other_containers_are_encoded(clip, tmp_path):
    path = clip(ROAD[:24], container="mpegts")
    assert cut(path, 0, 24, tmp_path / "film.mp4") is False
    plays(tmp_path / "film.mp4", 24)


# -- how it is done -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [0, 1], ids=["copied", "encoded"])
@pytest.mark.parametrize("sound", [None, films.clicks(48, [5])], ids=["silent", "sound"])
def test_a_stop_leaves_nothing_behind(clip, tmp_path, first, sound):
    source = clip(ROAD[:48], sound=sound)
    before = set(tmp_path.iterdir())
    asked = []

    def stopped():
        asked.append(None)
        return len(asked) == 20

    with pytest.raises(Interrupted):
        cut(source, first, 48, tmp_path / "film.mp4", stopped=stopped)
    assert len(asked) == 20
    assert set(tmp_path.iterdir()) == before


def test_a_stop_is_heard_within_a_frame_that_lasts_for_minutes(clip, tmp_path):
    source = clip(ROAD[:2], times=[0, 24 * 60], sound=films.clicks(24 * 60, [5]))
    asked = []

    def stopped():
        asked.append(None)
        return len(asked) > 4

    with pytest.raises(Interrupted):
        cut(source, 0, 2, tmp_path / "film.mp4", stopped=stopped)


@pytest.mark.parametrize("first", [0, 1], ids=["copied", "encoded"])
def test_progress_is_told_for_each_frame(clip, tmp_path, first):
    told = []
    cut(clip(ROAD[:24]), first, 24, tmp_path / "film.mp4", progress=told.append)
    count = 24 - first
    assert told == pytest.approx([number / count for number in range(1, count + 1)])


def test_a_failure_leaves_the_earlier_film_as_it_was(clip, tmp_path):
    film = tmp_path / "film.mp4"
    film.write_bytes(b"the earlier one")
    with pytest.raises(Interrupted):
        cut(clip(ROAD[:24]), 0, 24, film, stopped=lambda: True)
    assert film.read_bytes() == b"the earlier one"


def test_a_clip_that_changes_while_it_is_copied_is_noticed(clip, tmp_path):
    source = clip(ROAD[:48])
    line = clips.timeline(source)
    clip(ROAD[:24]).replace(source)
    stretch = copying.Stretch(source, line, 0, 48)
    with pytest.raises(BrokenClip, match="not what it was"):
        copying.write(
            [stretch],
            tmp_path / "film.mp4",
            frame_rate=Fraction(24),
            sound=None,
            before=lambda: None,
            after=lambda: None,
        )
    assert not (tmp_path / "film.mp4").exists()


def test_a_rate_that_no_file_has_is_refused(clip, tmp_path):
    from dataclasses import replace

    source = clip(ROAD[:12])
    line = replace(clips.timeline(source), frame_rate=Fraction(5000))
    with pytest.raises(InvalidInput, match="5000 frames a second"):
        splicing.splice([splicing.Part(source, line, 0, 0, 12)], tmp_path / "film.mp4", size=SIZE)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_film_with_sound_needs_no_more_memory_for_being_longer(tmp_path):
    paths = []
    for name, count in (("short", 72), ("long", 216)):
        frames = films.scene(24, 320, 180, speed=1) * (count // 24)
        noise = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 2000 * count)).astype(np.float32)
        paths.append(str(films.encode(frames, tmp_path / f"{name}.mp4", options=PLAIN, sound=noise)))
    script = f"""
        import re, sys
        sys.path.insert(0, {str(TESTS)!r})
        import conftest
        from pathlib import Path
        from luma_ray.nodes.media import clips, splicing
        status = Path("/proc/self/status")
        peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1]) / 1024
        def cut(source, first):
            line = clips.timeline(source)
            part = splicing.Part(source, line, -first, first, line.frames)
            assert splicing.splice([part], source.with_suffix(".cut.mp4"), size=(320, 180)) is (first == 0)
        short, long = map(Path, {paths!r})
        for first in (0, 1):  # copied, encoded
            cut(short, first)
            before = peak()
            cut(long, first)
            print(peak() - before)
    """
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    # The long film has 25 MB more of frames, as bytes; encoders take buffers as they like.
    assert max(map(float, run.stdout.split())) < 8


# -- headers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options", [PLAIN, LEANING, {"x264-params": "cabac=0"}, {"x264-params": "interlaced=1"}]
)
def test_ids_of_keyframes_are_read_as_x264_writes_them(clip, options):
    """It numbers them 0, 1, 0, 1, …"""
    source = clip(ROAD[:60], options={**options, "g": "12", "keyint_min": "12", "sc_threshold": "0"})
    index = copying.indexes([(source, clips.timeline(source))])[0]
    assert index.starts == {0: 0, 12: 1, 24: 0, 36: 1, 48: 0}


@pytest.mark.parametrize("content", [b"", b"\0\0\0\1\x67", b"\1\x64\0\x0c\xff\xe1\0\x1b\x67\x64", b"\1" * 40])
def test_headers_that_are_not_understood_are_none(content):
    assert h264.Headers.read(content) is None
