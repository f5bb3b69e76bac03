"""Colours of scenes and of extended films: matched after the purchase, which they never change."""

from __future__ import annotations

import pickle
from dataclasses import replace

import comfy_host
import numpy as np
import opentimelineio as otio
import pytest
from conftest import ROOT
from emulators import clips as made_up
from emulators.luma import LumaEmulator
from fakes import FakeClock, Reports
from luma_ray.nodes import marks
from luma_ray.nodes.cutting import Cut, Joined, cut_of
from luma_ray.nodes.film import Settings
from luma_ray.nodes.handoff.export import export
from luma_ray.nodes.media import clips, seams
from luma_ray.nodes.screenplay import Scene
from luma_ray.nodes.sheet import read
from luma_ray.nodes.studio import Studio
from seam_clips import Drift

FOX = Settings(prompt="a fox in the snow", resolution="540p")
WARM = Drift((1.04, 0.98, 1.0), (0.95, 1.03, 1.05), (6, -3, -6))


class Drifting(LumaEmulator):
    """Each clip but the first has colours of its own."""

    def __init__(self, **options):
        super().__init__(**options)
        self.made = []

    def film(self, work):
        if work.clip is None:
            film = super().film(work)
            if self.made:
                pictures = [WARM(picture.pixels) for picture in made_up.frames(film)]
                work.clip = made_up.encode(pictures, pictures[0].shape[1::-1])
            self.made.append(work.id)
        return work.clip


@pytest.fixture
def seller(monkeypatch):
    with Drifting() as luma:
        luma.pace = type(luma.pace)(1)
        for name, value in luma.environment().items():
            monkeypatch.setenv(name, value)
        yield luma


class Place:
    def __init__(self, folder):
        self.folder = folder
        self.studio = Studio(folder / "private", folder / "clips")

    def first(self):
        return self.studio.text_to_video(FOX, clock=FakeClock(), report=Reports())

    def extend(self, first, **told):
        wish = {"length": 10, "generations": first.generations, **told}
        more = replace(FOX, prompt="it runs")
        return self.studio.extend_video(more, clock=FakeClock(), report=Reports(), **wish)

    def shoot(self, **told):
        scene = Scene(lines=read("a fox\nit runs"), keyframes={}, settings=replace(FOX, prompt=""))
        return self.studio.scene(scene, clock=FakeClock(), report=Reports(), **told)

    def exported(self, film):
        cutting, folder = self.studio.cutting, self.folder / "films"
        return export(cutting, film.generations, folder, "fox", clock=FakeClock(), report=Reports())


@pytest.fixture
def place(tmp_path, seller):
    return Place(tmp_path)


def seam(film):
    (line,) = (note for note in film.notes if note.startswith("seam "))
    return line


def colour(path, *frames):
    shown = list(clips.read(path))
    return np.mean([shown[frame].mean((0, 1)) for frame in frames], axis=0)


def test_an_extended_film_gets_the_colours_of_its_beginning_and_says_so(place, seller):
    first = place.first()
    plain, matched = (place.extend(first, match=match) for match in ("off", "auto"))
    assert len(seller.creates) == 2  # the second film is cut from the same clips
    assert plain.path != matched.path
    assert plain.generations == matched.generations
    assert seam(plain).startswith("seam 1: 1 repeated frame dropped, colour dE ")
    assert "colour matched, dE " in seam(matched)
    jumps = [
        np.abs(colour(film.path, 121, 122) - colour(film.path, 119, 120)).max() for film in (plain, matched)
    ]
    assert jumps[1] < jumps[0] / 4


def test_a_film_extended_before_its_start_keeps_the_colours_that_it_had(place):
    first = place.first()
    plain, film = (place.extend(first, direction="backward", match=match) for match in ("off", "auto"))
    assert "colour matched" in seam(film)
    own, shown = colour(first.path, 60, 120), colour(film.path, 180, 240)
    assert np.abs(own - shown).max() < 1.5
    jumps = [np.abs(colour(each.path, 119) - colour(each.path, 121)).max() for each in (plain, film)]
    assert jumps[1] < jumps[0] / 2


def test_a_saved_prompt_without_the_choice_makes_the_film_that_it_made(place):
    first = place.first()
    film = place.extend(first)
    assert cut_of(film.generations) == Cut()
    parts = [place.studio.cutting.clip_of(each).path for each in film.generations]
    assert film.path == place.studio.cutting.join(parts, clock=FakeClock(), report=Reports())


def test_a_scene_is_matched_without_another_purchase(place, seller):
    plain = place.shoot()
    matched = place.shoot(match="on")
    assert len(seller.creates) == 2
    assert plain.path != matched.path
    assert "colour matched" in seam(matched)
    assert matched.notes[0] == "shots 1, 2 from the library"


def test_the_new_part_alone_tells_of_its_own_seams_only(place):
    first = place.first()
    film = place.extend(first, part="new part", match="auto")
    assert not [note for note in film.notes if note.startswith("seam ")]


def test_ids_remember_how_their_film_is_cut_and_are_a_tuple_all_the_same():
    cut = Cut(match="auto", dissolve=3, keeps=1)
    joined = Joined(("a", "b"), cut)
    assert joined == ("a", "b")
    assert cut_of(joined) == cut
    assert cut_of(pickle.loads(pickle.dumps(joined))) == cut  # noqa: S301 - our own
    assert cut_of(("a", "b")) == Cut()


def test_the_same_film_is_found_again_from_its_ids(place):
    film = place.extend(place.first(), match="auto")
    found = place.studio.cutting.film_path(film.generations, clock=FakeClock(), report=Reports())
    assert found == film.path


def test_an_export_of_a_matched_film_holds_the_clips_as_the_film_shows_them(place):
    film = place.extend(place.first(), match="auto")
    folder = place.exported(film)
    assert (folder / "fox.mp4").read_bytes() == film.path.read_bytes()
    first, second = sorted((folder / "clips").iterdir())
    originals = [place.studio.cutting.clip_of(each).path for each in film.generations]
    assert first.read_bytes() == originals[0].read_bytes()
    assert clips.inspect(second).frames == clips.inspect(originals[1]).frames  # with its handle
    text = (folder / "fox.edl").read_text(encoding="ascii")
    assert text.count("* COMMENT: colours matched as in the film") == 1
    cuts = list(otio.adapters.read_from_string(text, "cmx_3600").find_clips())
    shown, film_frames = list(clips.read(second)), list(clips.read(film.path))
    start = cuts[1].source_range.start_time.to_frames()
    for place_in_film, place_in_clip in ((121, start), (200, start + 79), (240, start + 119)):
        assert np.abs(film_frames[place_in_film].astype(float) - shown[place_in_clip]).mean() < 2
    assert np.abs(colour(originals[1], 60) - colour(second, 60)).max() > 2


def test_an_edl_says_which_frames_a_copied_film_shows(place):
    """Copies begin on a keyframe: of a frame that is there twice, the film shows the later clip's."""
    film = place.extend(place.first())
    originals = [place.studio.cutting.clip_of(each).path for each in film.generations]
    assembly = seams.assembled(originals)
    folder = place.exported(film)
    text = (folder / "fox.edl").read_text(encoding="ascii")
    cuts = list(otio.adapters.read_from_string(text, "cmx_3600").find_clips())
    ranges = [
        (each.source_range.start_time.to_frames(), each.source_range.duration.to_frames()) for each in cuts
    ]
    assert sum(count for _, count in ranges) == clips.inspect(film.path).frames
    assert assembly.reports[0].dropped == 1
    frames, shown = [list(clips.read(path)) for path in originals], list(clips.read(film.path))
    placed = 0
    for clip, (start, count) in zip(frames, ranges, strict=True):
        for number in (0, count // 2, count - 1):
            assert np.array_equal(clip[start + number], shown[placed + number])
        placed += count


SHOT = {
    "provider": "auto",
    "model": "ray-flash-2",
    "aspect_ratio": "16:9",
    "resolution": "540p",
    "duration": "5 s",
    "take": 1,
}


def test_marks_do_not_depend_on_how_a_film_is_shown():
    def graph(**shown):
        scene = {"class_type": "RayScene", "inputs": {**SHOT, "sheet": "a fox", "render": "final", **shown}}
        more = {"class_type": "RayExtendVideo", "inputs": {**SHOT, "prompt": "x", "generation": ["1", 3]}}
        change = {"class_type": "RayModifyVideo", "inputs": {**SHOT, "prompt": "x", "video": ["1", 1]}}
        return {"1": scene, "2": more, "3": change}

    plain, matched = graph(), graph(colour_match="on")
    assert marks.mark(plain, "1") == marks.mark(matched, "1")
    assert marks.mark(plain, "2") == marks.mark(matched, "2")
    # Its pictures are others, so what is made from them is another clip.
    assert marks.mark(plain, "3") != marks.mark(matched, "3")


def test_the_nodes_match_by_themselves_and_buy_nothing_more_for_it(tmp_path, seller):
    with comfy_host.install(tmp_path / "comfyui") as host:
        nodes = comfy_host.load_pack(ROOT)
        for name in ("RayExtendVideo", "RayScene", "RayJoinClips"):
            (own,) = [each for each in nodes[name].define_schema().inputs if each.id == "colour_match"]
            assert own.default == "auto"
        scene = {**SHOT, "sheet": "a fox\nit runs", "render": "final"}
        for match in ("off", "on"):
            result = host.queue(
                {
                    "1": {"class_type": "RayScene", "inputs": {**scene, "colour_match": match}},
                    "2": {
                        "class_type": "RayExportFilm",
                        "inputs": {"generation": ["1", 3], "name": match, "bundle": False},
                    },
                }
            )
            assert result.status == "success", result.message
        assert len(seller.creates) == 2
        films = host.root / "output" / "luma-ray-films"
        assert "colours matched" not in (films / "off" / "off.edl").read_text()
        assert "colours matched" in (films / "on" / "on.edl").read_text()
