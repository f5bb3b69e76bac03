"""What an offer takes of a film that is made into another one, and what that costs."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from luma_ray.nodes.generation.canvas import placed
from luma_ray.nodes.generation.ray import MODES
from luma_ray.nodes.generation.remaking import Remaking, Tariff
from luma_ray.nodes.generation.request import (
    AS_THE_SOURCE,
    GenerationReference,
    GenerationRequest,
    Operation,
    SourceVideo,
)

FILM = SourceVideo(1280, 720, 121 / 24, 3_000_000, "ab" * 32, Path("/films/a.mp4"))
OWN = GenerationReference("ray-1", "luma", "job-1", width=1280, height=720, seconds=121 / 24)
MODIFY = GenerationRequest(
    operation=Operation.MODIFY_VIDEO,
    model="ray-2",
    prompt="as a painting",
    aspect_ratio=AS_THE_SOURCE,
    resolution=AS_THE_SOURCE,
    source=FILM,
    mode="flex_1",
)
TAKES = Remaking(kinds=frozenset({"video"}), longest=10, largest=100_000_000, modes=MODES)


def test_what_is_on_offer_is_not_refused():
    assert TAKES.refusals(MODIFY) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"source": None}, "a film is needed"),
        ({"source": OWN}, "it takes video files only"),
        ({"source": replace(FILM, seconds=12.34)}, "the film is 12.3 s long, at most 10 s are taken"),
        ({"source": replace(FILM, size=150_000_000)}, "the film has 150 MB, at most 100 MB are taken"),
        ({"mode": "wild"}, "no mode 'wild'"),
        ({"mode": ""}, "a mode is needed"),
        ({"negative_prompt": "voices"}, "no negative prompt"),
        ({"placement": placed((1280, 720), "1:1")}, "no place for the film in the picture but the middle"),
    ],
)
def test_what_is_not_taken_is_said_in_words(change, words):
    (said,) = TAKES.refusals(replace(MODIFY, **change))
    assert words in said


def test_everything_that_is_wrong_is_said_at_once():
    long_and_large = replace(FILM, seconds=40, size=200_000_000)
    assert len(TAKES.refusals(replace(MODIFY, source=long_and_large, mode="wild"))) == 3


def test_a_clip_of_ten_seconds_has_a_frame_more_and_is_taken_where_ten_seconds_are():
    assert TAKES.refusals(replace(MODIFY, source=replace(FILM, seconds=241 / 24))) == []
    assert TAKES.refusals(replace(MODIFY, source=replace(FILM, seconds=10.1))) != []


def test_a_clip_of_its_own_has_no_bytes_to_be_too_many():
    own = replace(TAKES, kinds=frozenset({"generation"}))
    assert own.refusals(replace(MODIFY, source=OWN)) == []
    assert own.refusals(MODIFY) == ["it takes clips that it made itself only"]


def test_a_place_has_to_be_on_the_canvas_of_the_ratio_that_is_asked_for():
    takes = Remaking(kinds=frozenset({"video"}), places=True)
    request = replace(MODIFY, mode="", aspect_ratio="1:1", placement=placed((1280, 720), "1:1", scale=0.5))
    assert takes.refusals(request) == []
    assert "not 9:16" in takes.refusals(replace(request, aspect_ratio="9:16"))[0]


def test_a_clip_is_not_upscaled_to_what_it_is():
    takes = Remaking(kinds=frozenset({"generation"}), grows=True)
    request = replace(MODIFY, operation=Operation.UPSCALE_VIDEO, mode="", source=OWN)
    assert takes.refusals(replace(request, resolution="720p")) == ["the clip has 1280x720 already"]
    assert takes.refusals(replace(request, resolution="1080p")) == []
    # Of a clip that nobody measured the provider decides.
    assert takes.refusals(replace(request, resolution="720p", source=replace(OWN, width=0, height=0))) == []


# -- prices ---------------------------------------------------------------------------------------------------


def priced(tariff: Tariff, **change: object) -> Decimal | None:
    return tariff.price(replace(MODIFY, **{"source": replace(FILM, seconds=5.0), **change}))


def test_the_price_by_pixels_is_the_one_that_luma_gives_as_an_example():
    """5 s of 1280x720 with ray-2 are "$1.75", with ray-flash-2 "$0.60" (docs, Modify)."""
    assert round(priced(Tariff(per_megapixel=Decimal("0.01582"))), 2) == Decimal("1.75")
    assert round(priced(Tariff(per_megapixel=Decimal("0.00544"))), 2) == Decimal("0.60")


def test_the_pixels_of_a_reframe_are_those_of_its_canvas():
    tariff = Tariff(per_megapixel=Decimal("0.001"), on_canvas=True)
    assert priced(tariff, aspect_ratio="1:1") == Decimal("0.2832")  # 1536 x 1536 x 120 frames
    assert priced(tariff, aspect_ratio="16:9") == Decimal("0.2832")  # 2048 x 1152: as many


def test_the_price_by_the_second_goes_by_the_resolution():
    tariff = Tariff(per_second={"720p": Decimal("0.06"), "1080p": Decimal("0.09")})
    assert priced(tariff, resolution="1080p") == Decimal("0.45")
    assert priced(tariff, resolution="4k") is None


def test_a_price_in_steps_is_that_of_the_step_that_holds_the_film():
    tariff = Tariff(steps={("720p", 5): Decimal("1.08"), ("720p", 10): Decimal("2.16")})
    assert priced(tariff, resolution="720p") == Decimal("1.08")
    assert priced(tariff, resolution="720p", source=FILM) == Decimal("1.08")
    assert priced(tariff, resolution="720p", source=replace(FILM, seconds=7)) == Decimal("2.16")
    assert priced(tariff, resolution="720p", source=replace(FILM, seconds=18)) is None


def test_a_film_counts_as_the_length_that_is_asked_for_where_that_is_more():
    tariff = Tariff(per_second={AS_THE_SOURCE: Decimal("0.10")}, lengths=(5, 10))
    told = {seconds: priced(tariff, source=replace(FILM, seconds=seconds)) for seconds in (1, 5.04, 7, 12)}
    assert told == {1: Decimal("0.5"), 5.04: Decimal("0.504"), 7: Decimal(1), 12: Decimal("1.2")}


def test_a_price_that_nobody_knows_stays_unknown():
    assert priced(Tariff()) is None
    assert priced(Tariff(per_second={AS_THE_SOURCE: Decimal("0.10")}), source=None) is None
    unmeasured = replace(OWN, seconds=0)
    assert priced(Tariff(per_second={AS_THE_SOURCE: Decimal("0.10")}), source=unmeasured) is None
