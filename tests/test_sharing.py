from __future__ import annotations

import threading
from contextlib import ExitStack
from fractions import Fraction

import films
import pytest
import torch
from luma_ray.nodes.generation.errors import Interrupted, InvalidInput
from luma_ray.nodes.media import clips, colour, frames, memory, opening, reading

WIDTH, HEIGHT = 96, 64
NEED = 30 * WIDTH * HEIGHT * 12


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """30 frames, a keyframe every 10, with B-frames."""
    return films.encode(
        films.scene(30, WIDTH, HEIGHT),
        tmp_path_factory.mktemp("sharing") / "clip.mp4",
        options={"g": "10", "bf": "3", "preset": "fast"},
    )


# -- memory that is promised ----------------------------------------------------------------------------------------


def test_memory_is_not_promised_twice():
    promises = memory.Promises()
    with promises.one() as one, promises.one() as other:
        assert promises.extend(one, 60, 0, lambda: 100) is None
        assert promises.extend(other, 60, 0, lambda: 100) == 40
        assert promises.extend(other, 40, 0, lambda: 100) is None


def test_memory_that_is_written_to_is_counted_by_the_system_alone():
    promises = memory.Promises()
    with promises.one() as one, promises.one() as other:
        assert promises.extend(one, 60, 0, lambda: 100) is None
        one.touched(50)
        assert promises.extend(other, 45, 0, lambda: 50) == 40
        assert promises.extend(other, 40, 0, lambda: 50) is None


def test_a_promise_ends_with_its_decode():
    promises = memory.Promises()
    with promises.one() as one:
        assert promises.extend(one, 60, 0, lambda: 100) is None
    with promises.one() as other:
        assert promises.extend(other, 100, 0, lambda: 100) is None


def test_what_is_left_free_for_the_decoder_is_not_promised():
    promises = memory.Promises()
    with promises.one() as one:
        assert promises.extend(one, 60, 50, lambda: 100) == 50
        assert promises.extend(one, 60, 110, lambda: 100) == 0


def test_many_threads_together_are_promised_no_more_than_there_is():
    promises, begin, granted = memory.Promises(), threading.Barrier(8), []

    def ask():
        with promises.one() as mine:
            begin.wait(30)
            granted.append(promises.extend(mine, 30, 0, lambda: 100) is None)
            begin.wait(30)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(granted) == [False] * 5 + [True] * 3


def test_a_decode_is_refused_what_another_has_been_promised(clip, monkeypatch):
    monkeypatch.setattr(frames, "free_memory", lambda: frames._SPARE + 2 * NEED - 1)
    with memory.PROMISES.one() as other:
        assert memory.PROMISES.extend(other, NEED, 0, lambda: None) is None
        with pytest.raises(InvalidInput, match="a range of up to 29 frames"):
            frames.decode(clip)
        other.touched(NEED)
        assert len(frames.decode(clip)) == 30


def test_nothing_stays_promised_when_decoding_ends_in_any_way(clip, monkeypatch):
    before = set(memory.PROMISES._all)
    frames.decode(clip)
    monkeypatch.setattr(frames, "free_memory", lambda: 0)
    with pytest.raises(InvalidInput):
        frames.decode(clip)
    monkeypatch.setattr(colour.RgbReader, "planes", lambda *_: 1 / 0)
    monkeypatch.setattr(frames, "free_memory", lambda: None)
    with pytest.raises(ZeroDivisionError):
        frames.decode(clip)
    assert memory.PROMISES._all == before


def test_the_larger_the_frames_the_more_is_left_for_the_decoder():
    small, large = (colour.av.VideoFrame(*size, "yuv420p") for size in ((640, 360), (3840, 2160)))
    assert frames._spare(small) == frames._SPARE
    assert frames._spare(large) > (frames._REFERENCES + 2) * 3840 * 2160 * 3 // 2


# -- cores that are shared ------------------------------------------------------------------------------------------


def test_later_clips_get_the_threads_that_earlier_ones_leave():
    threads = opening._Threads(5)
    with threads.lent(3) as first, threads.lent(3) as second, threads.lent(3) as third:
        assert (first, second, third) == (3, 2, 1)
    with threads.lent(9) as all_of_them:
        assert all_of_them == 5


def test_clips_that_are_open_together_start_hardly_more_threads_than_one(clip):
    before = opening._THREADS._lent
    with ExitStack() as held:
        opened = [held.enter_context(reading.OpenClip(clip)) for _ in range(4)]
        for each in opened:
            next(each.pictures())
        counts = [each.stream.codec_context.thread_count for each in opened]
        assert sum(counts) <= opening.CORES + 1 + len(opened)
        assert opening._THREADS._lent - before == sum(counts)
    assert opening._THREADS._lent == before


def test_a_clip_that_is_only_counted_takes_no_threads(clip):
    before = opening._THREADS._lent
    with reading.OpenClip(clip) as opened:
        clips.timeline(clip, clip=opened)
        assert opening._THREADS._lent == before


def test_clips_decoded_at_once_are_those_decoded_one_by_one(clip):
    whole = frames.decode(clip)
    found: dict[int, torch.Tensor] = {}

    def part(start):
        found[start] = frames.decode(clip, start=start, step=2)

    threads = [threading.Thread(target=part, args=(start,)) for start in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(found) == list(range(6))
    assert all(torch.equal(part, whole[start::2]) for start, part in found.items())


def test_whoever_waits_for_a_turn_can_leave(clip, monkeypatch):
    begun, freed = threading.Event(), threading.Event()
    planes = colour.RgbReader.planes

    def slow(self, frame):
        begun.set()
        freed.wait(10)
        freed.set()
        return planes(self, frame)

    monkeypatch.setattr(colour.RgbReader, "planes", slow)
    others = [threading.Thread(target=frames.decode, args=(clip,)) for _ in range(frames._WHOLE._max_workers)]
    for other in others:
        other.start()
    assert begun.wait(30)
    asked = []

    def stopped():
        asked.append(None)
        return len(asked) == 3

    with pytest.raises(Interrupted, match="stays at"):
        frames.decode(clip, stopped=stopped)
    freed.set()
    for other in others:
        other.join(30)


# -- frames that need not be decoded --------------------------------------------------------------------------------

# I0 P3 B1 B2 | I4 P7 B5 B6 | I8 P11 B9 B10
CLOSED = clips.Timeline(
    12, Fraction(24), 0.5, False, tuple(range(12)), (0, 4, 8), (0, 3, 1, 2, 4, 7, 5, 6, 8, 11, 9, 10)
)
# I2 B0 B1 | I5 B3 B4 | I8 B6 B7: frames before a keyframe are stored after it.
OPEN = clips.Timeline(9, Fraction(24), 0.4, False, tuple(range(9)), (2, 5, 8), (2, 0, 1, 5, 3, 4, 8, 6, 7))


@pytest.mark.parametrize(
    ("line", "wanted", "whole", "references"),
    [
        (CLOSED, [0], [0], []),
        (CLOSED, [1], [1], [0, 3]),
        (CLOSED, [6], [6], [4, 7, 5]),
        (CLOSED, [3, 11], [3, 11], [0, 8]),
        (CLOSED, [0, 4, 8], [0, 4, 8], []),
        (CLOSED, list(range(12)), list(range(12)), []),
        (OPEN, [5], [5], []),
        (OPEN, [3], [3], [2, 0, 1, 5]),
        (OPEN, [6], [6], [5, 3, 4, 8]),
    ],
)
def test_only_what_the_frames_wanted_are_made_from_is_decoded(line, wanted, whole, references):
    effort = reading._effort(line, wanted)
    assert sorted(time for time, skip in effort.items() if skip == "DEFAULT") == whole
    assert sorted(time for time, skip in effort.items() if skip == "NONREF") == sorted(references)


def decoded(clip, monkeypatch, **wish):
    """How many packets are given to the decoder."""
    given = []
    packets = reading.OpenClip.packets

    def watched(self):
        for packet in packets(self):
            given.append(packet.pts)
            yield packet

    monkeypatch.setattr(reading.OpenClip, "packets", watched)
    frames.decode(clip, **wish)
    return len(given) - 31  # those that were counted


def test_reading_ends_with_the_last_frame_that_is_wanted(clip, monkeypatch):
    assert decoded(clip, monkeypatch, start=10, count=1) <= 2
    assert decoded(clip, monkeypatch, start=0, count=4) <= 8


def test_a_frame_left_out_is_not_converted(clip, monkeypatch):
    converted = []
    planes = colour.RgbReader.planes

    def counted(self, frame):
        converted.append(frame.pts)
        return planes(self, frame)

    monkeypatch.setattr(colour.RgbReader, "planes", counted)
    assert len(frames.decode(clip, start=4, step=9)) == len(converted) == 3
