"""Where a film stands in the picture that it is reframed to, and which places are none."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as some
from luma_ray.nodes.generation import luma_video
from luma_ray.nodes.generation.canvas import CANVAS, SMALLEST, Placement, placed, troubles

WIDE = (1280, 720)


def test_a_wide_film_fills_the_width_of_a_tall_picture_and_stands_in_its_middle():
    place = placed(WIDE, "9:16")
    assert (place.canvas, place.left, place.width) == ((1152, 2048), 0, 1152)
    assert (place.height, place.top) == (648, 700)
    assert (place.right, place.bottom) == (1152, 1348)


def test_a_tall_film_fills_the_height_of_a_wide_picture():
    place = placed((720, 1280), "16:9")
    assert (place.height, place.top, place.width, place.left) == (1152, 0, 648, 700)


@pytest.mark.parametrize(
    ("across", "down", "corner"), [(0, 0, (0, 0)), (1, 0, (768, 0)), (0, 1, (0, 1104)), (1, 1, (768, 1104))]
)
def test_the_four_corners(across, down, corner):
    place = placed(WIDE, "1:1", scale=0.5, across=across, down=down)
    assert (place.width, place.height) == (768, 432)
    assert (place.left, place.top) == corner


@given(
    some.tuples(some.integers(16, 4096), some.integers(16, 4096)),
    some.sampled_from(sorted(CANVAS)),
    some.floats(SMALLEST, 1),
    some.floats(0, 1),
    some.floats(0, 1),
)
def test_every_place_is_whole_on_its_canvas_and_as_large_as_was_asked(source, ratio, scale, across, down):
    place = placed(source, ratio, scale=scale, across=across, down=down)
    wide, tall = CANVAS[ratio]
    assert 0 <= place.left < place.right <= wide
    assert 0 <= place.top < place.bottom <= tall
    largest = scale * min(wide / source[0], tall / source[1])
    assert abs(place.width - source[0] * largest) <= 2
    assert abs(place.height - source[1] * largest) <= 2
    # Very flat films lose their shape to whole pixels; every ordinary one keeps it.
    if 1 / 4 < source[0] / source[1] < 4:
        assert troubles(place, source, ratio) == []


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"scale": 0.05}, "the size is 5%, and 10% to 100% are possible"),
        ({"scale": 1.2}, "the size is 120%"),
        ({"across": -0.1}, "the place across is -10%"),
        ({"down": 1.5}, "the place down is 150%"),
        ({"scale": float("nan")}, "the size is nan%"),
    ],
)
def test_a_number_outside_its_range_is_refused_in_words(asked, words):
    with pytest.raises(ValueError, match=words):
        placed(WIDE, "1:1", **asked)


def test_a_ratio_without_a_canvas_is_refused():
    with pytest.raises(ValueError, match="no canvas of 2:1"):
        placed(WIDE, "2:1")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"left": -1}, "beyond the edge"),
        ({"top": 1500}, "beyond the edge"),
        ({"width": 0}, "no room"),
        ({"width": 700}, "squeezed"),
        ({"canvas": (2048, 1152)}, "not 1:1"),
    ],
)
def test_what_is_wrong_with_a_place_is_told(change, words):
    place = replace(placed(WIDE, "1:1", scale=0.5), **change)
    assert any(words in trouble for trouble in troubles(place, WIDE, "1:1"))


def test_the_eight_numbers_of_luma_say_the_same_rectangle():
    place = Placement(canvas=(1536, 1536), left=0, top=672, width=768, height=432)
    assert luma_video.place(place) == {
        "grid_position_x": 0,
        "grid_position_y": 672,
        "x_start": 0,
        "x_end": 768,
        "y_start": 672,
        "y_end": 1104,
        "resized_width": 768,
        "resized_height": 432,
    }


def test_a_number_that_is_nothing_is_sent_all_the_same():
    numbers = luma_video.place(placed(WIDE, "1:1", scale=0.5, across=0, down=0), sized=False)
    assert numbers["x_start"] == numbers["y_start"] == numbers["grid_position_x"] == 0
    assert "resized_width" not in numbers
