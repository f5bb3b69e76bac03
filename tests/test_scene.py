"""Scenes: several shots at the same time, each bought once, joined into one film."""

from __future__ import annotations

import itertools
import re
import threading
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
import torch
from emulators.fal import FalEmulator
from emulators.replicate import ReplicateEmulator
from emulators.server import Fault
from fakes import FakeClock, Reports
from luma_ray.nodes.film import Settings, request_for
from luma_ray.nodes.generation import errors
from luma_ray.nodes.generation.ray import frame_count
from luma_ray.nodes.generation.request import Operation
from luma_ray.nodes.media import clips, images
from luma_ray.nodes.screenplay import Scene
from luma_ray.nodes.sheet import read
from luma_ray.nodes.studio import Studio
from luma_ray.nodes.together import Together

FOX = Settings(resolution="540p", aspect_ratio="auto")
THREE = "5 s | a fox wakes\n5 s | push_in | it runs\n5 s | it sleeps"


def still(seed, width=320, height=180):
    values = np.random.default_rng(seed).random((1, height // 20, width // 20, 3), dtype=np.float32)
    return images.still(torch.from_numpy(values.repeat(20, 1).repeat(20, 2)), name=f"K{seed}")


class Set:
    """A studio, and scenes shot in it."""

    def __init__(self, folder):
        self.studio = Studio(folder / "private", folder / "clips")
        self.reports = Reports()

    def shoot(self, text=THREE, keyframes=(), settings=FOX, render="final"):
        scene = Scene(
            lines=read(text), keyframes=dict(enumerate(keyframes)), settings=settings, render=render
        )
        return self.studio.scene(scene, clock=FakeClock(), report=self.reports)

    @property
    def rows(self):
        return self.studio.lifecycle.journal.entries()


@pytest.fixture
def place(tmp_path):
    return Set(tmp_path)


@pytest.fixture
def quick(luma):
    luma.pace = type(luma.pace)(1)
    return luma


def asked(luma):
    return [request.json for request in luma.requests if request.method == "POST"]


def test_a_scene_is_one_film_of_its_shots(place):
    pictures = [still(seed) for seed in range(3)]
    film = place.shoot("a fox wakes\npush_in | it runs", pictures)
    assert len(film.generations) == 2
    # Each shot begins on the picture that the one before it ends on: shown once.
    assert clips.inspect(film.path).frames == 2 * frame_count(5) - 1
    wanted = [row.request for row in sorted(place.rows, key=lambda row: film.generations.index(row.id))]
    assert [row["operation"] for row in wanted] == ["keyframes_to_video"] * 2
    names = [(row["first_frame"]["image"], row["last_frame"]["image"]) for row in wanted]
    assert names == [(a.sha256, b.sha256) for a, b in itertools.pairwise(pictures)]
    assert [row["prompt"] for row in wanted] == ["a fox wakes", "it runs"]
    assert wanted[1]["concepts"] == ["push_in"]
    assert film.summary.startswith("scene of 10.0 s, 2 shots · PREVIEW")


def test_shots_without_pictures_are_made_from_their_words(place, quick):
    film = place.shoot("5 s | a fox\n9 s | a bear | loop")
    assert {row.operation for row in place.rows} == {"text_to_video"}
    assert {(row.request["duration"], row.request["loop"]) for row in place.rows} == {(5, False), (9, True)}
    assert clips.inspect(film.path).frames == frame_count(5) + frame_count(9)


def test_style_and_camera_of_the_node_are_part_of_every_shot(place, quick):
    place.shoot("a fox | push_in", settings=replace(FOX, prompt="watercolour.", concepts=("low_angle",)))
    (row,) = place.rows
    assert (row.request["prompt"], row.request["concepts"]) == (
        "watercolour. a fox",
        ["low_angle", "push_in"],
    )


def test_all_pictures_take_the_shape_of_the_first_one_and_it_is_said(place):
    film = place.shoot("a fox", keyframes=[still(0), still(1, 240, 240)])
    assert "cropped to 16:9: 105 of 240 rows off K1" in film.notes
    facts = clips.inspect(film.path)
    assert facts.width * 9 == facts.height * 16


def test_a_picture_in_no_shot_is_named(place):
    film = place.shoot("a fox | K0 > K2", keyframes=[still(seed) for seed in range(3)])
    assert "K1 in no shot" in film.notes


def test_another_take_of_one_shot_buys_that_shot_alone(place, quick):
    place.shoot()
    assert len(quick.creates) == 3
    film = place.shoot(THREE.replace("push_in", "take 2 | push_in"))
    assert len(quick.creates) == 4
    assert film.notes[0] == "shots 1, 3 from the library; shot 2 new: $0.14 (luma)"
    assert asked(quick)[-1]["prompt"] == "it runs"
    again = place.shoot()
    assert len(quick.creates) == 4
    assert again.notes[0] == "shots 1, 2, 3 from the library"


def test_a_shot_that_is_there_twice_counts_once(place, quick):
    place.studio.limits.change({"per_day": Decimal("0.20")})
    fox = request_for(replace(FOX, prompt="a fox", aspect_ratio="16:9"), Operation.TEXT_TO_VIDEO)
    shots = Together(place.studio.lifecycle, [fox, fox], "auto", word="shot")
    assert shots.bill == "shot 1 new: $0.14 (luma); shot 2 the same as one before"


def test_each_way_of_making_a_scene_counts_a_shot_that_is_there_twice_once(place, quick):
    film = place.shoot("a fox\na fox", render="animatic")
    assert "as animatic free · draft (ray-flash-2 540p) $0.14 · final (ray-flash-2 540p) $0.14" in film.notes


def test_shots_are_made_at_the_same_time(place, luma):
    together = threading.Barrier(3, timeout=20)

    class Together(type(luma.pace)):
        """No job is done before all have been asked for. Who asks waits: time here passes as it is slept."""

        def progress(self, polls, age):
            together.wait()
            return 1.0

    luma.pace = Together()
    place.shoot()
    assert len(luma.creates) == 3


def test_the_bill_is_said_before_anything_is_bought(place, quick):
    said = []

    def report(words, fraction=None):
        said.append((words, len(quick.creates)))

    place.reports = report
    place.shoot()
    words, bought = said[0]
    assert bought == 0
    assert "shots 1, 2, 3 new: $0.42 (luma)" in words
    assert "as animatic free · draft (ray-flash-2 540p) $0.42 · final (ray-flash-2 540p) $0.42" in words


def test_a_draft_keeps_words_takes_and_pictures(place, quick):
    final = replace(FOX, model="ray-2", resolution="720p")
    draft = place.shoot("a fox | take 3", settings=final, render="draft")
    assert (asked(quick)[0]["model"], asked(quick)[0]["resolution"]) == ("ray-flash-2", "540p")
    assert "as animatic free · draft (ray-flash-2 540p) $0.14 · final (ray-2 720p) $0.71" in " ".join(
        draft.notes
    )
    made = place.shoot("a fox | take 3", settings=final)
    assert [row.take for row in place.rows] == [3, 3]
    assert (asked(quick)[1]["model"], asked(quick)[1]["resolution"]) == (
        "ray-2",
        "720p",
    )
    assert "draft (ray-flash-2 540p) from the library" in " ".join(made.notes)


def test_an_animatic_of_a_scene_buys_nothing_where_there_is_a_key(place, quick):
    film = place.shoot("a fox", render="animatic")
    assert len(quick.creates) == 0
    assert "PREVIEW" in film.summary


def test_a_shot_that_fails_stops_no_other_and_is_bought_alone_later(place, quick):
    quick.fail_next("POST", "/generations/video", Fault.status(400))
    with pytest.raises(errors.GenerationError) as told:
        place.shoot()
    words = str(told.value)
    assert len(quick.creates) == 2
    assert words.startswith("Shot ")
    assert "are made and kept. Queue again, and only the rest is made." in words
    # What it says of the bill is of one shot alone: it is no refusal of the whole.
    assert type(told.value) not in errors.REFUSALS
    place.shoot()
    assert len(quick.creates) == 3


def test_a_shot_without_an_answer_asks_its_question_first(place, quick):
    quick.fail_next("POST", "/generations/video", Fault.lost_request())
    with pytest.raises(errors.SubmissionUncertain) as told:
        place.shoot()
    (row,) = [row for row in place.rows if row.state == "uncertain"]
    # The page shows the question of the first generation that is named.
    assert re.findall(r"ray-\d{6}-[0-9a-f]{10}", str(told.value))[0] == row.id


def test_what_is_wrong_with_one_shot_is_said_before_another_is_bought(place, quick):
    with pytest.raises(errors.GenerationError, match=r"Shot 3: .*5000"):
        place.shoot(f"a fox\na bear\n{'very ' * 2000}long")
    assert len(quick.creates) == 0


def test_a_scene_over_a_limit_is_refused_as_a_whole(place, quick):
    place.studio.limits.change({"per_day": Decimal("0.30")})
    with pytest.raises(errors.LimitReached) as told:
        place.shoot()
    assert "3 clips for $0.42" in str(told.value)
    assert len(quick.creates) == 0
    assert quick.requests == []


def test_an_unknown_way_of_making_it_is_refused(place):
    with pytest.raises(errors.InvalidInput, match="final, draft, animatic"):
        place.shoot(render="imax")


@pytest.mark.parametrize("name", ["replicate", "fal"])
def test_a_scene_under_faults_comes_whole_and_every_shot_is_bought_once(tmp_path, monkeypatch, name):
    emulators = {"replicate": ReplicateEmulator, "fal": FalEmulator}
    with emulators[name](polls_until_done=2) as seller:
        for variable, value in seller.environment().items():
            monkeypatch.setenv(variable, value)
        if name == "replicate":
            create, poll = ("POST", "/models/{owner}/{name}/predictions"), "/predictions/{id}"
            seller.fail_next(*create, Fault.lost_answer(), after=1)  # found again in its list
        else:
            create, poll = seller.create, "/queue/fal-ai/*"
            seller.fail_next(*create, Fault.rate_limit(1), after=1)
        seller.fail_next(*create, Fault.status(422, {"detail": "no"}), after=1)
        seller.fail_next("GET", poll, Fault.html(502), times=3, after=2)
        seller.fail_next("GET", poll, Fault.malformed_json(), after=4)
        place = Set(tmp_path)
        pictures = [still(seed) for seed in range(4)]
        sheet = "a cat\na cup\na rocket\nK3 > K0 | stars"
        with pytest.raises(errors.GenerationError, match=r"made and kept\. Queue again"):
            place.shoot(sheet, pictures)
        film = place.shoot(sheet, pictures)
        assert len(seller.creates) == 4
        assert clips.inspect(film.path).frames == 4 * frame_count(5) - 3
        before = len(seller.creates)
        place.shoot(sheet.replace("a cup", "a cup | take 2"), pictures)
        assert len(seller.creates) == before + 1
