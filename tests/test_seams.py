from __future__ import annotations

import subprocess
import sys
import textwrap
from fractions import Fraction
from pathlib import Path

import films
import numpy as np
import pytest
from luma_ray.nodes.generation.errors import BrokenClip, Interrupted, InvalidInput
from luma_ray.nodes.media import clips, seams
from luma_ray.nodes.media.seams import Seam

TESTS = Path(__file__).parent
QUALITIES = [{"crf": "16"}, {"crf": "30"}]


@pytest.fixture
def clip(tmp_path):
    """A file of these frames; each call another one."""
    names = iter(range(1000))

    def make(frames, **options):
        return films.encode(frames, tmp_path / f"{next(names)}.mp4", **options)

    return make


def apart(one, other):
    return float(np.abs(one.astype(float) - other).mean())


def noisy(frames, amount, seed=0):
    rng = np.random.default_rng(seed)
    return [
        np.rint(frame + rng.normal(0, amount, frame.shape)).clip(0, 255).astype(np.uint8) for frame in frames
    ]


@pytest.mark.parametrize("options", QUALITIES)
@pytest.mark.parametrize("speed", [0.3, 1, 3, 8])
@pytest.mark.parametrize("overlap", [0, 1, 2, 5, 12])
def test_a_known_overlap_is_found_at_any_speed_and_quality(clip, overlap, speed, options):
    earlier = clip(films.scene(20, speed=speed), options=options)
    later = clip(films.scene(25, speed=speed, start=20 - overlap), options={"crf": "20", "preset": "fast"})
    assert seams.find(earlier, later) == Seam(overlap, contains_earlier=False)


@pytest.mark.parametrize("overlap", [0, 1, 5])
def test_of_a_picture_that_moves_less_than_compression_one_frame_is_dropped(clip, overlap):
    earlier = clip(films.scene(20, speed=0.01), options={"crf": "20"})
    later = clip(films.scene(25, speed=0.01, start=20 - overlap), options={"crf": "20"})
    assert seams.find(earlier, later).dropped == 1


@pytest.mark.parametrize("overlap", [0, 1, 5])
def test_grain_that_differs_between_the_clips_does_not_hide_the_overlap(clip, overlap):
    earlier = clip(noisy(films.scene(20, speed=4), 4, seed=1))
    later = clip(noisy(films.scene(25, speed=4, start=20 - overlap), 4, seed=2))
    assert seams.find(earlier, later).dropped == overlap


@pytest.mark.parametrize("overlap", [0, 1])
@pytest.mark.parametrize(("speed", "grain"), [(0.1, 0), (0.5, 8)])
def test_motion_smaller_than_the_noise_still_tells_repeating_from_following(clip, speed, grain, overlap):
    earlier = clip(noisy(films.scene(20, speed=speed), grain, seed=1), options={"crf": "16"})
    later = clip(
        noisy(films.scene(25, speed=speed, start=20 - overlap), grain, seed=2),
        options={"crf": "20", "preset": "fast"},
    )
    assert seams.find(earlier, later).dropped == overlap


@pytest.mark.parametrize("overlap", [0, 1])
def test_a_camera_that_turns_round_at_the_seam_and_goes_faster(clip, overlap):
    road = films.scene(90, speed=0.2)
    there, back = road[60:30:-1], road[31:][::3][1 - overlap :]
    assert seams.find(clip(there), clip(back, options={"preset": "fast"})).dropped == overlap


@pytest.mark.parametrize("overlap", [0, 1, 2])
def test_small_bright_stars_that_drift_are_matched(clip, overlap):
    x, y = np.random.default_rng(0).uniform(0, 1, (2, 120)) * [[640], [360]]
    rows, columns = np.mgrid[:360, :640]

    def sky(number):
        light = np.zeros((360, 640))
        for across, down in zip(x - 0.9 * number, y - 0.4 * number, strict=True):
            top, left = max(int(down) - 5, 0), max(int(across) - 5, 0)
            near = np.s_[top : top + 11, left : left + 11]
            light[near] += 200 * np.exp(-((rows[near] - down) ** 2 + (columns[near] - across) ** 2) / 4)
        return np.repeat(light.clip(16, 235).astype(np.uint8)[..., None], 3, axis=2)

    drift = [sky(number) for number in range(30)]
    earlier, later = clip(drift[:14]), clip(drift[14 - overlap :], options={"preset": "veryfast"})
    assert seams.find(earlier, later).dropped == overlap


@pytest.mark.parametrize("overlap", [0, 1])
def test_a_camera_that_comes_to_rest_at_the_seam_and_starts_again(clip, overlap):
    places = 40 * (1 - np.cos(np.linspace(0, np.pi, 24))) / 2
    road = films.scene(100, speed=1)
    earlier = [road[round(place)] for place in places]
    later = [road[min(40 + round(place), 99)] for place in places][1 - overlap :]
    found = seams.find(clip(earlier), clip(later)).dropped
    # At rest the last frames are one and the same picture: one of them may go, no more.
    assert found <= 1
    if overlap:
        assert found == 1


def test_unrelated_clips_do_not_overlap(clip):
    assert seams.find(clip(films.scene(20)), clip(films.scene(20, seed=9))) == Seam(0, contains_earlier=False)


def test_a_cut_to_a_darker_take_of_the_same_place_is_no_overlap(clip):
    frames = films.scene(20, speed=0)
    assert seams.find(clip(frames), clip([frame // 2 for frame in frames])).dropped == 0


def test_of_a_still_scene_one_repeated_frame_is_dropped_and_no_more(clip):
    still = films.scene(1) * 20
    assert seams.find(clip(still), clip(still * 2)) == Seam(1, contains_earlier=False)


def test_of_a_still_scene_that_goes_on_with_another_picture_nothing_is_dropped(clip):
    earlier, later = films.scene(1) * 20, films.scene(1, seed=4) * 20
    assert seams.find(clip(earlier), clip(later)).dropped == 0


def test_a_still_scene_that_starts_to_move_loses_the_repeated_frame_only(clip):
    frames = films.scene(20, speed=4)
    assert seams.find(clip([frames[0]] * 20), clip(frames)).dropped == 1


@pytest.mark.parametrize("options", QUALITIES)
def test_a_clip_that_begins_with_the_whole_earlier_one_contains_it(clip, options):
    frames = films.scene(50, speed=2)
    earlier, later = clip(frames[:20], options=options), clip(frames, options={"crf": "18"})
    assert seams.find(earlier, later) == Seam(20, contains_earlier=True)


def test_a_clip_of_the_same_length_is_a_second_round_not_a_continuation(clip):
    frames = films.scene(24, speed=2)
    assert not seams.find(clip(frames), clip(frames)).contains_earlier


def test_a_clip_that_begins_alike_and_goes_elsewhere_does_not_contain_the_earlier_one(clip):
    frames = films.scene(60, speed=2)
    other = films.scene(60, speed=5)
    assert apart(frames[0], other[0]) == 0
    found = seams.find(clip(frames[:20]), clip(other))
    assert not found.contains_earlier


def test_clips_of_one_frame_are_compared_too(clip):
    one = films.scene(1)
    assert seams.find(clip(one), clip(one)).dropped == 1
    assert seams.find(clip(one), clip(films.scene(1, seed=3))).dropped == 0


def test_a_smaller_copy_of_the_clip_is_recognised(clip):
    frames = films.scene(40, 256, 144, speed=4)
    later = [frame[::2, ::2] for frame in frames[15:]]
    assert seams.find(clip(frames[:20]), clip(later)).dropped == 5


def test_five_seconds_and_an_extension_that_begins_on_the_last_frame_make_241_frames(clip, tmp_path):
    road = films.scene(241, 96, 54, speed=1.5)
    film = tmp_path / "film.mp4"
    found = seams.join([clip(road[:121]), clip(road[120:])], film)
    assert [report.seam for report in found] == [Seam(1, contains_earlier=False)]
    facts = clips.inspect(film)
    assert (facts.frames, facts.frame_rate) == (241, Fraction(24))
    assert facts.seconds == pytest.approx(241 / 24)


def test_a_joined_film_shows_every_frame_once_and_in_order(clip, tmp_path):
    road = films.scene(60, speed=3)
    parts = [clip(road[:20]), clip(road[19:40]), clip(road[40:52]), clip(road[47:])]
    film = tmp_path / "film.mp4"
    found = seams.join(parts, film)
    assert [seam.dropped for seam in found] == [1, 0, 5]
    shown = list(clips.read(film))
    nearest = [int(np.argmin([apart(frame, original) for original in road])) for frame in shown]
    assert nearest == list(range(60))


def test_a_part_that_contains_the_one_before_adds_only_what_is_new(clip, tmp_path):
    road = films.scene(50, speed=2)
    film = tmp_path / "film.mp4"
    (report,) = seams.join([clip(road[:20]), clip(road)], film)
    assert report.seam == Seam(20, contains_earlier=True)
    assert clips.inspect(film).frames == 50


def test_one_part_alone_stays_what_it_is(clip, tmp_path):
    film = tmp_path / "film.mp4"
    assert seams.join([clip(films.scene(10))], film) == []
    assert clips.inspect(film).frames == 10


def test_a_part_of_another_size_takes_the_size_of_the_first(clip, tmp_path):
    road = films.scene(30, 256, 144, speed=4)
    smaller = [frame.reshape(72, 2, 128, 2, 3).mean(axis=(1, 3)).astype(np.uint8) for frame in road[14:]]
    film = tmp_path / "film.mp4"
    (report,) = seams.join([clip(road[:15]), clip(smaller)], film)
    assert report.seam == Seam(1, contains_earlier=False)
    assert "resized from 128x72 to 256x144" in report.line
    facts = clips.inspect(film)
    assert (facts.frames, facts.width, facts.height) == (30, 256, 144)


@pytest.mark.parametrize("rate", [12, 48])
def test_a_part_with_another_frame_rate_plays_at_its_own_speed_and_says_so(clip, tmp_path, rate):
    road = films.scene(100, speed=1)
    every = 24 // rate if rate < 24 else 1
    first = clip(road[:41][:: 24 // min(rate, 24)] if rate < 24 else road[:41:2])
    later = clip(road[40:80:every] if rate == 48 else road[40:80:2], rate=rate)
    film = tmp_path / "film.mp4"
    first = clip(road[:41])
    (report,) = seams.join([first, later], film)
    facts = clips.inspect(film)
    expected = 41 + round(len(range(40, 80, every if rate == 48 else 2)) * 24 / rate) - report.dropped
    assert (facts.frames, facts.frame_rate) == (expected, Fraction(24))
    assert f"{rate} to 24 frames a second" in report.line


def test_a_part_of_another_shape_is_refused(clip, tmp_path):
    with pytest.raises(InvalidInput, match=r"is 108x192, and .* is 192x108"):
        seams.join([clip(films.scene(5)), clip(films.scene(5, 108, 192))], tmp_path / "film.mp4")


def test_joining_nothing_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="no clips"):
        seams.join([], tmp_path / "film.mp4")


def test_a_broken_part_is_named(clip, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_text("<html>")
    with pytest.raises(BrokenClip, match=r"broken\.mp4"):
        seams.join([clip(films.scene(5)), broken], tmp_path / "film.mp4")


def test_a_stopped_join_leaves_nothing_behind(clip, tmp_path):
    parts = [clip(films.scene(20)), clip(films.scene(20, start=19))]
    before = set(tmp_path.iterdir())
    asked = []

    def stopped():
        asked.append(None)
        return len(asked) == 25

    with pytest.raises(Interrupted, match="stay where they are"):
        seams.join(parts, tmp_path / "film.mp4", stopped=stopped)
    assert len(asked) == 25
    assert set(tmp_path.iterdir()) == before


def test_a_join_is_stopped_before_its_first_frame_too(clip, tmp_path):
    parts = [clip(films.scene(20)), clip(films.scene(20, start=19))]
    with pytest.raises(Interrupted):
        seams.join(parts, tmp_path / "film.mp4", stopped=lambda: True)


def test_progress_of_a_join_grows_to_1(clip, tmp_path):
    told = []
    parts = [clip(films.scene(20)), clip(films.scene(21, start=19))]
    seams.join(parts, tmp_path / "film.mp4", progress=told.append)
    assert told == [pytest.approx(number / 40) for number in range(1, 41)]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_join_needs_no_more_memory_for_a_longer_film(clip, tmp_path):
    parts = [clip(films.scene(count, 320, 180, speed=1)) for count in (30, 30, 150, 150, 150)]
    script = f"""
        import re, sys
        sys.path.insert(0, {str(TESTS)!r})
        import conftest
        from pathlib import Path
        from luma_ray.nodes.media import seams
        parts = [Path(part) for part in {[str(part) for part in parts]!r}]
        status = Path("/proc/self/status")
        peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1]) / 1024
        seams.join(parts[:2], Path({str(tmp_path / "short.mp4")!r}))
        before = peak()
        seams.join(parts[2:], Path({str(tmp_path / "long.mp4")!r}))
        print(peak() - before)
    """
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    # The frames of the long film are 74 MB as bytes.
    assert float(run.stdout) < 25
