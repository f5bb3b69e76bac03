"""Several takes of one shot, side by side, and the one that is chosen."""

from __future__ import annotations

import numpy as np
import pytest
from fakes import FakeClock, Reports
from luma_ray.nodes.film import Frames, Settings
from luma_ray.nodes.generation import errors
from luma_ray.nodes.generation.ray import frame_count
from luma_ray.nodes.media import clips, encoding, frames, grid
from luma_ray.nodes.studio import Studio

FOX = Settings(prompt="a fox", resolution="540p", take=3)


@pytest.fixture
def choose(tmp_path, luma):
    luma.pace = type(luma.pace)(1)
    studio = Studio(tmp_path / "private", tmp_path / "clips")

    def takes(count, chosen=0, settings=FOX):
        return studio.takes(
            settings, Frames(), count=count, choose=chosen, clock=FakeClock(), report=Reports()
        )

    return takes


def test_takes_are_bought_at_once_and_shown_side_by_side(choose, luma):
    film = choose(3)
    assert len(luma.creates) == len(film.generations) == 3
    assert film.notes[0] == "takes 1, 2, 3 new: $0.42 (luma)"
    assert "set choose to the one that goes on" in film.summary
    shown, single = clips.inspect(film.path), clips.inspect(choose(3, 1).path)
    assert shown.frames == single.frames == frame_count(5)
    assert abs(shown.width / shown.height / (single.width / single.height) - 1) < 0.02


def test_the_chosen_take_is_the_one_of_that_number_and_costs_nothing(choose, luma):
    seen = choose(3)
    film = choose(3, 2)
    assert film.generations == (seen.generations[1],)
    assert "from the library" in film.summary
    assert len(luma.creates) == 3


def test_a_chosen_take_alone_buys_no_other(choose, luma):
    choose(4, 2)
    assert len(luma.creates) == 1


@pytest.mark.parametrize(("count", "chosen"), [(0, 0), (10, 0), (3, 4), (3, -1)])
def test_takes_that_are_not_there_are_refused(choose, luma, count, chosen):
    with pytest.raises(errors.InvalidInput, match=r"Nothing was billed\.$"):
        choose(count, chosen)
    assert luma.requests == []


def plain(path, level, width=64, height=36, count=5):
    picture = np.full((height, width, 3), level, np.uint8)
    encoding.write([picture] * count, path, frame_rate=24, width=width, height=height)
    return path


def test_clips_stand_in_rows_with_their_shape_and_the_short_one_waits(tmp_path):
    parts = [
        plain(tmp_path / "a.mp4", 60, count=3),
        plain(tmp_path / "b.mp4", 120, 36, 64),
        plain(tmp_path / "c.mp4", 200),
    ]
    grid.write(parts, tmp_path / "grid.mp4")
    shown = frames.decode(tmp_path / "grid.mp4").numpy() * 255
    assert len(shown) == 5
    height, width = shown.shape[1:3]
    last = shown[-1]
    # The middles of the four places: the first stands still at its end, the fourth is empty.
    middles = [last[int(height * y), int(width * x)].mean() for y in (0.25, 0.75) for x in (0.25, 0.75)]
    assert np.allclose(middles, [60, 120, 200, 24], atol=3)
    # The tall one keeps its shape: ground at its sides.
    assert abs(last[int(height * 0.25), int(width * 0.52)].mean() - 24) < 6


def test_a_stop_leaves_no_grid(tmp_path):
    part = plain(tmp_path / "a.mp4", 60)
    with pytest.raises(errors.Interrupted):
        grid.write([part], tmp_path / "grid.mp4", stopped=lambda: True)
    assert not (tmp_path / "grid.mp4").exists()
