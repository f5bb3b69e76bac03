from __future__ import annotations

from dataclasses import replace

import films
import numpy as np
import pytest
import seam_clips
from luma_ray.nodes.media import seams
from luma_ray.nodes.media.seams import Seam
from seam_clips import Case, Drift

LIGHTER = Drift(offset=(8, 8, 8))
TINTED = Drift((1.03, 1.0, 0.97), (0.97, 1.02, 1.04), (7, 4, -3))

CASES = [
    # A sample of what tests/bench/seams.py measures on hundreds.
    Case("coffee", "pan", 2, 0, TINTED, grain=3, crf=(21, 27)),
    Case("rocket", "push", 0.4, 1, TINTED, grain=1.5, flicker=0.015, crf=(25, 19)),
    Case("deep-field", "tilt", 8, 2, TINTED, grain=5, crf=(28, 18)),
    Case("rocket", "walker", 1, 3, TINTED, crf=(23, 25)),
    Case("coffee", "handheld", 5, 5, TINTED, flicker=0.03),
    Case("deep-field", "turn", 0.7, 8, TINTED, grain=3, crf=(19, 28)),
    Case("rocket", "ease", 3, 12, TINTED, crf=(28, 28)),
    Case("rocket", "pull", 0.4, 0, flicker=0.03, crf=(28, 24)),
    Case("deep-field", "pan", 12, 1, TINTED, grain=5, crf=(18, 28)),
    Case("coffee", "tilt", 12, 0, TINTED, flicker=0.03),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.place}-{case.move}-{case.overlap}")
def test_repeated_frames_are_counted_through_drift_grain_flicker_and_compression(tmp_path, case):
    pair = seam_clips.make(case, tmp_path)
    assert seams.find(pair.earlier, pair.later) == Seam(case.overlap, contains_earlier=False)


@pytest.mark.parametrize("place", ["coffee", "rocket"])
@pytest.mark.parametrize("speed", [0.5, 3])
def test_a_clip_that_holds_the_earlier_one_is_known_through_drift(tmp_path, place, speed):
    case = Case(place, "pan", speed, drift=TINTED, grain=2, frames=(18, 40), contains=True)
    pair = seam_clips.make(case, tmp_path)
    assert seams.find(pair.earlier, pair.later) == Seam(18, contains_earlier=True)


@pytest.mark.parametrize("repeated", [0, 1, 3])
@pytest.mark.parametrize("speed", [0, 0.02])
def test_of_a_scene_that_hardly_moves_one_frame_is_dropped_whatever_its_light_does(tmp_path, speed, repeated):
    case = Case("coffee", "pan", speed, repeated, LIGHTER, grain=1.5)
    pair = seam_clips.make(case, tmp_path)
    assert seams.find(pair.earlier, pair.later).dropped == 1


@pytest.mark.parametrize("repeated", [0, 1, 3])
def test_a_fifth_of_a_pixel_a_frame_is_motion_enough_under_a_shift_of_light(tmp_path, repeated):
    pair = seam_clips.make(Case("rocket", "pan", 0.2, repeated, LIGHTER, grain=1.5), tmp_path)
    assert seams.find(pair.earlier, pair.later).dropped == repeated


@pytest.mark.parametrize("place", ["rocket", "deep-field"])
def test_a_cut_to_another_scene_with_the_same_move_loses_nothing(tmp_path, place):
    first = seam_clips.make(Case("coffee", "pan", 3), tmp_path, "first")
    other = seam_clips.make(Case(place, "pan", 3), tmp_path, "other")
    assert seams.find(first.earlier, other.later) == Seam(0, contains_earlier=False)


def test_a_mark_in_the_corner_of_the_later_clip_hides_no_repeated_frame(tmp_path):
    """What the preview writes on its pictures, where it goes on from a film without."""
    scene = seam_clips.shots(Case("coffee", "pan", 1), 40)
    marked = [frame.copy() for frame in scene[19:]]
    for frame in marked:
        frame[168:174, 280:310] = np.random.default_rng(0).choice([40, 200], (6, 30, 1))
    pair = [films.encode(shot, tmp_path / f"{n}.mp4") for n, shot in enumerate([scene[:20], marked])]
    assert seams.find(*pair).dropped == 1


def test_a_picture_that_only_grows_lighter_is_matched_by_its_light(tmp_path):
    fade = [np.full((90, 160, 3), level, np.uint8) for level in range(60, 100)]
    pair = [films.encode(shot, tmp_path / f"{n}.mp4") for n, shot in enumerate([fade[:20], fade[17:]])]
    assert seams.find(*pair).dropped == 3


def test_a_copy_at_double_the_rate_overlaps_as_long_as_it_does(tmp_path):
    scene = seam_clips.shots(Case("rocket", "pan", 2), 60)
    earlier = films.encode(scene[:41:2], tmp_path / "earlier.mp4", rate=12)
    later = films.encode(scene[36:], tmp_path / "later.mp4", rate=24)
    assert seams.find(earlier, later).dropped == 3


def test_the_size_of_a_clip_does_not_matter_to_what_repeats(tmp_path):
    case = Case("coffee", "push", 4, 2, TINTED, size=(640, 360))
    large = seam_clips.make(case, tmp_path, "large")
    small = seam_clips.make(replace(case, size=(320, 180)), tmp_path, "small")
    assert seams.find(large.earlier, small.later).dropped == 2


@pytest.mark.parametrize("place", ["coffee", "rocket", "deep-field"])
def test_two_shots_that_come_to_rest_on_one_picture_show_it_once(tmp_path, place):
    """As shots between keyframes do: one ends on a picture, and the next one begins on it."""
    way = [40 * (1 - np.cos(np.pi * step / 40)) / 2 for step in range(41)]
    scene = seam_clips.shots(Case(place, "pan", 1), 81)
    there = [scene[round(place)] for place in way]
    pair = [
        films.encode(shot, tmp_path / f"{n}.mp4", options={"crf": "16"})
        for n, shot in enumerate([there, [scene[40 + round(place)] for place in way]])
    ]
    assert seams.find(*pair).dropped == 1
