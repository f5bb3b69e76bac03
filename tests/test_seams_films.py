from __future__ import annotations

from fractions import Fraction

import films
import pytest
import seam_clips
from fakes import FakeClock, Reports
from luma_ray.nodes.cutting import Cut
from luma_ray.nodes.generation.errors import InvalidInput
from luma_ray.nodes.media import clips, seams
from luma_ray.nodes.studio import Studio
from seam_clips import Case, Drift


@pytest.fixture
def cutting(tmp_path):
    return Studio(tmp_path / "private", tmp_path / "clips").cutting


@pytest.fixture
def parts(tmp_path):
    """Two clips of one shot; the second repeats a frame and is warmer."""
    scene = seam_clips.shots(Case("coffee", "pan", 2), 40)
    warm = [Drift((1.04, 0.98, 1.0), (0.95, 1.03, 1.05), (6, -3, -6))(frame) for frame in scene[19:]]
    return [films.encode(shot, tmp_path / f"{n}.mp4") for n, shot in enumerate([scene[:20], warm])]


@pytest.fixture
def join(cutting, parts):
    return lambda **options: cutting.join(parts, clock=FakeClock(), report=Reports(), **options)


def test_a_film_that_is_cut_otherwise_is_another_file_and_each_is_made_once(join):
    cuts = [Cut(), Cut(match="auto"), Cut(match="on"), Cut(dissolve=4), Cut(match="auto", dissolve=4)]
    made = [join(cut=cut) for cut in cuts]
    assert len(set(made)) == len(cuts)
    written = [film.stat().st_mtime_ns for film in made]
    assert [join(cut=cut) for cut in cuts] == made
    assert [film.stat().st_mtime_ns for film in made] == written
    assert clips.inspect(made[0]).frames == 40
    assert clips.inspect(made[3]).frames == 37


def test_a_film_without_options_keeps_the_name_that_it_always_had(join):
    assert join() == join(cut=Cut(match="off", dissolve=0))


def test_what_a_seam_is_like_is_told_again_when_the_film_is_there_already(cutting, join):
    film = join(cut=Cut(match="auto"))
    (line,) = cutting.seam_lines(film)
    assert line.startswith("1 repeated frame dropped, colour matched, dE ")
    assert cutting.seam_lines(join(cut=Cut(match="auto"))) == [line]


def test_a_film_from_before_seams_were_told_has_none_to_tell(cutting, join):
    film = join()
    film.with_suffix(".txt").unlink()
    assert cutting.seam_lines(film) == []


@pytest.mark.parametrize("rate", [Fraction(1, 1000), Fraction(1, 4)])
def test_a_rate_that_has_nothing_to_do_with_the_films_is_refused(tmp_path, rate):
    parts = [
        films.encode(films.scene(6, 96, 64, speed=3), tmp_path / f"{number}.mp4", rate=each)
        for number, each in enumerate((Fraction(24), rate))
    ]
    with pytest.raises(InvalidInput, match="convert it first"):
        seams.join(parts, tmp_path / "film.mp4")
    with pytest.raises(InvalidInput, match="convert it first"):
        seams.find(*reversed(parts))
