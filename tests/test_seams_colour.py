from __future__ import annotations

import films
import numpy as np
import pytest
import seam_clips
from luma_ray.nodes.generation.errors import InvalidInput
from luma_ray.nodes.media import clips, difference, matching, seams
from seam_clips import Case, Drift

WARM = Drift((1.04, 0.98, 1.0), (0.95, 1.03, 1.05), (6, -3, -6))
"""A drift that anybody sees."""


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        # From the table of test data that Sharma, Wu and Dalal published with their notes (2005).
        ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
        ((50.0, 3.1571, -77.2803), (50.0, 0.0, -82.7485), 2.8615),
        ((50.0, -1.3802, -84.2814), (50.0, 0.0, -82.7485), 1.0),
        ((50.0, 2.5, 0.0), (50.0, 0.0, -2.5), 4.3065),
        ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
        ((50.0, 2.5, 0.0), (56.0, -27.0, -3.0), 31.9030),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
        ((22.7233, 20.0904, -46.6940), (23.0331, 14.9730, -42.5619), 2.0373),
        ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_colour_differences_are_those_of_the_published_table(one, other, expected):
    assert float(difference.ciede2000(one, other)) == pytest.approx(expected, abs=5e-5)
    assert float(difference.ciede2000(other, one)) == pytest.approx(expected, abs=5e-5)


def test_known_colours_have_their_lab_values():
    # sRGB red, white and black under D65.
    red, white, black = difference.lab([[255, 0, 0], [255, 255, 255], [0, 0, 0]])
    assert red == pytest.approx([53.24, 80.09, 67.20], abs=0.02)
    assert white == pytest.approx([100, 0, 0], abs=0.02)
    assert black == pytest.approx([0, 0, 0], abs=0.001)


@pytest.fixture
def pair(tmp_path):
    """The clips of a case; each call others."""
    made = iter(range(100))
    return lambda case: seam_clips.make(case, tmp_path, f"pair{next(made)}")


@pytest.fixture
def film(tmp_path):
    return tmp_path / "film.mp4"


def looks(frames):
    """Mean colours of large blocks of frames."""
    stack = np.stack([np.asarray(frame)[:176].reshape(8, 22, 10, 32, 3).mean((1, 3)) for frame in frames])
    return difference.lab(stack)


def off(frames, wanted):
    return float(np.mean(difference.ciede2000(looks(frames), looks(wanted))))


CASES = [
    Case("coffee", "pan", 2, 1, WARM, grain=2),
    Case("rocket", "push", 1, 0, WARM, grain=2, crf=(18, 22)),
    Case("coffee", "handheld", 2, 5, WARM, crf=(26, 20)),
    Case("rocket", "walker", 3, 3, Drift((0.94, 0.95, 0.97), (1.05, 1.03, 1.05), (-5, 0, 4))),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.place}-{case.move}")
def test_most_of_a_drift_is_taken_away_and_stays_away_to_the_end_of_the_clip(pair, film, case):
    made = pair(case)
    (report,) = seams.join([made.earlier, made.later], film, match="auto")
    assert report.matched
    assert report.colour_after < 0.25 * report.colour_before
    shown = list(clips.read(film))[case.frames[0] :]
    drifted, wanted = (list(clips.read(path))[case.overlap :] for path in (made.later, made.undrifted))
    assert off(shown[:3], wanted[:3]) < 0.22 * off(drifted[:3], wanted[:3])
    assert off(shown[-3:], wanted[-3:]) < 0.25 * off(drifted[-3:], wanted[-3:])


def test_nothing_pulses_after_a_matched_seam(pair, film):
    """From frame to frame the film changes as the clip does that has no drift."""
    made = pair(Case("coffee", "pan", 1, 1, WARM, crf=(18, 18), frames=(18, 40)))
    seams.join([made.earlier, made.later], film, match="auto")
    shown = np.array([frame.mean((0, 1)) for frame in clips.read(film)])[18:]
    own = np.array([frame.mean((0, 1)) for frame in clips.read(made.undrifted)])[1:]
    steps, natural = np.abs(np.diff(shown, axis=0)), np.abs(np.diff(own, axis=0))
    assert steps.max() <= natural.max() + 0.25
    assert steps.mean() <= natural.mean() * 1.15 + 0.02


def test_a_chain_keeps_the_colours_of_its_first_clip(tmp_path, film):
    """Each clip drifts from the one before it; matched to that one as it came, the film would drift too."""
    scene = seam_clips.shots(Case("coffee", "pan", 1), 97)
    step = Drift((1.03, 1.0, 0.98), (0.98, 1.02, 1.0), (3, 1, 2))
    parts = []
    for number in range(4):
        shot = scene[number * 24 : number * 24 + 25]
        for _ in range(number):
            shot = [step(frame) for frame in shot]
        parts.append(films.encode(shot, tmp_path / f"{number}.mp4", options={"crf": "18"}))
    reports = seams.join(parts, film, match="auto")
    assert [report.dropped for report in reports] == [1, 1, 1]
    assert all(report.matched for report in reports)
    shown = list(clips.read(film))
    assert len(shown) == 97
    last = list(clips.read(parts[3]))[1:]
    assert off(shown[73:], scene[73:]) < 0.2 * off(last, scene[73:])


def test_a_clip_without_drift_of_its_own_follows_the_one_before_it(tmp_path, film):
    """The third clip has the second one's colours: left alone, it would jump where the second is matched."""
    scene = seam_clips.shots(Case("rocket", "tilt", 1), 73)
    shots = [scene[:25], [WARM(frame) for frame in scene[24:49]], [WARM(frame) for frame in scene[48:]]]
    parts = [films.encode(shot, tmp_path / f"{n}.mp4", options={"crf": "18"}) for n, shot in enumerate(shots)]
    reports = seams.join(parts, film, match="auto")
    assert [report.matched for report in reports] == [True, True]
    assert reports[1].colour_after < 0.6
    assert off(list(clips.read(film))[49:], scene[49:]) < 0.25 * off(shots[2][1:], scene[49:])


def test_auto_leaves_clips_alone_whose_colours_agree(pair, film):
    made = pair(Case("coffee", "pan", 2, 1, crf=(22, 26), grain=3))
    (report,) = seams.join([made.earlier, made.later], film, match="auto")
    assert not report.matched
    assert report.colour_before == report.colour_after < 1


@pytest.mark.parametrize("other", ["rocket", "deep-field"])
def test_auto_leaves_a_cut_to_another_scene_alone(pair, film, other):
    first, second = pair(Case("coffee", "pan", 2)).earlier, pair(Case(other, "pan", 2)).later
    (report,) = seams.join([first, second], film, match="auto")
    assert not report.matched
    assert not report.same_scene
    assert "a cut" in report.line


def test_off_changes_nothing(pair, film):
    made = pair(CASES[0])
    (report,) = seams.join([made.earlier, made.later], film, match="off")
    assert not report.matched
    assert report.colour_after == report.colour_before > 2


def test_a_matched_sky_does_not_fall_into_bands():
    """A gradient over few levels keeps its mean everywhere: fractions of a level become a pattern."""
    sky = np.repeat(np.linspace(40, 60, 512)[None, :, None], 256, 0).repeat(3, 2)
    frame = np.rint(sky).astype(np.uint8)
    curve = matching.Curve(np.tile((np.arange(256.0) * 1.04 + 2.3).clip(0, 255), (3, 1)))
    painted = curve.painter()(frame)
    wanted = frame * 1.04 + 2.3
    blocks = (painted - wanted).reshape(8, 32, 16, 32, 3).mean((1, 3))
    assert np.abs(blocks).max() < 0.15
    assert np.abs(painted - wanted).max() <= 1


def test_a_curve_that_changes_nothing_changes_no_pixel():
    frame = np.random.default_rng(0).integers(0, 256, (90, 130, 3), np.uint8)
    assert np.array_equal(matching.AS_IS.painter()(frame), frame)


def test_a_dissolve_over_repeated_frames_loses_no_length_and_shows_both(tmp_path, film):
    scene = seam_clips.shots(Case("rocket", "pan", 2), 60)
    darker = [Drift(offset=(-12, -12, -12))(frame) for frame in scene[24:]]
    parts = [
        films.encode(shot, tmp_path / f"{n}.mp4", options={"crf": "18"})
        for n, shot in enumerate([scene[:30], darker])
    ]
    (report,) = seams.join(parts, film, dissolve=4)
    assert (report.dropped, report.dissolve) == (6, 4)
    shown = [frame.mean() for frame in clips.read(film)]
    assert len(shown) == 60
    fade = np.array([frame.mean() for frame in scene]) - shown
    assert fade[25] == pytest.approx(0, abs=1)
    assert fade[26:30] == pytest.approx([2.4, 4.8, 7.2, 9.6], abs=1.2)
    assert fade[30] == pytest.approx(12, abs=1.2)


def test_a_dissolve_longer_than_what_repeats_shortens_the_film_by_the_rest(tmp_path, film):
    scene = seam_clips.shots(Case("rocket", "pan", 2), 60)
    parts = [
        films.encode(shot, tmp_path / f"{n}.mp4", options={"crf": "18"})
        for n, shot in enumerate([scene[:30], scene[29:]])
    ]
    (report,) = seams.join(parts, film, dissolve=8)
    assert report.dissolve == 8
    assert clips.inspect(film).frames == 60 - 7


def test_dissolves_that_would_meet_are_shorter_and_say_so(tmp_path, film):
    scene = seam_clips.shots(Case("rocket", "pan", 2), 60)
    parts = [
        films.encode(shot, tmp_path / f"{n}.mp4", options={"crf": "18"})
        for n, shot in enumerate([scene[:24], scene[24:34], scene[34:]])
    ]
    reports = seams.join(parts, film, dissolve=8)
    assert [report.dissolve for report in reports] == [8, 2]
    assert "dissolve of 2 instead of 8 frames" in reports[1].line
    assert clips.inspect(film).frames == 60 - 10


def test_a_dissolve_without_end_is_refused(tmp_path, film):
    part = films.encode(films.scene(5), tmp_path / "part.mp4")
    with pytest.raises(InvalidInput, match="0 to 48"):
        seams.join([part, part], film, dissolve=49)


def test_another_word_for_matching_is_refused(tmp_path, film):
    part = films.encode(films.scene(5), tmp_path / "part.mp4")
    with pytest.raises(InvalidInput, match="auto, on, off"):
        seams.join([part, part], film, match="perhaps")


def test_a_clip_whose_colour_drifts_says_so_when_its_end_is_held_against_its_start(tmp_path):
    scene = seam_clips.shots(Case("rocket", "handheld", 1), 30)
    loop = [*scene, *scene[::-1]]
    steady = films.encode(loop, tmp_path / "steady.mp4", options={"crf": "18"})
    turned = [*scene, *(WARM(frame) for frame in scene[::-1])]
    drifting = films.encode(turned, tmp_path / "drifting.mp4", options={"crf": "18"})
    assert seams.measure(steady, steady).colour_before < 0.8
    assert seams.measure(drifting, drifting).colour_before > 2


def test_motion_that_jumps_at_a_seam_is_told(pair, tmp_path):
    scene = seam_clips.shots(Case("coffee", "pan", 2), 60)
    first = films.encode(scene[:20], tmp_path / "first.mp4", options={"crf": "18"})
    on, later = (
        films.encode(scene[start : start + 20], tmp_path / f"{start}.mp4", options={"crf": "18"})
        for start in (20, 26)
    )
    assert 0.8 < seams.measure(first, on).jump < 1.3
    assert seams.measure(first, later).jump > 1.8
    assert "motion jumps" in seams.measure(first, later).line


@pytest.mark.parametrize("match", ["on", "auto"])
@pytest.mark.parametrize("levels", [(0, 0), (0, 255), (90, 100)])
def test_clips_of_one_colour_are_joined_like_others(tmp_path, film, levels, match):
    parts = [
        films.encode([np.full((64, 64, 3), level, np.uint8)] * 8, tmp_path / f"{n}.mp4")
        for n, level in enumerate(levels)
    ]
    (report,) = seams.join(parts, film, match=match)
    assert clips.inspect(film).frames == 16 - report.dropped
