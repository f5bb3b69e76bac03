"""Films exported for editors and for other people."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace

import comfy_host
import opentimelineio as otio
import pytest
from conftest import ROOT
from fakes import FakeClock, Reports
from luma_ray.nodes.film import Settings
from luma_ray.nodes.generation import errors
from luma_ray.nodes.generation.credentials import Credentials
from luma_ray.nodes.handoff.bundle import shared
from luma_ray.nodes.handoff.export import export, filename
from luma_ray.nodes.media import clips
from luma_ray.nodes.sheet import read
from luma_ray.nodes.studio import Studio

FOX = Settings(prompt="a fox / in the snow", resolution="540p")
KEY = "luma-test-key-0123456789abcdef"


class Bench:
    def __init__(self, folder):
        self.folder = folder
        self.studio = Studio(folder / "private", folder / "clips")
        clock, report = FakeClock(), Reports()
        first = self.studio.text_to_video(FOX, clock=clock, report=report)
        self.film = self.studio.extend_video(
            replace(FOX, prompt="it runs"),
            generations=first.generations,
            length=10,
            clock=clock,
            report=report,
        )

    def export(self, name="my film", **told):
        return export(
            self.studio.cutting,
            self.film.generations,
            self.folder / "films",
            name,
            clock=FakeClock(),
            report=Reports(),
            **told,
        )


@pytest.fixture
def bench(tmp_path, luma):
    luma.pace = type(luma.pace)(1)
    return Bench(tmp_path)


def test_an_export_holds_the_film_its_clips_and_lists_that_agree_with_them(bench):
    folder = bench.export()
    assert folder == bench.folder / "films" / "my-film"
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    assert names == [
        "clips/01_a-fox-in-the-snow.mp4",
        "clips/02_it-runs.mp4",
        "my-film.edl",
        "my-film.fcpxml",
        "my-film.mp4",
        "sheet.txt",
    ]
    shown = clips.inspect(folder / "my-film.mp4").frames
    for name, adapter in (("my-film.edl", "cmx_3600"), ("my-film.fcpxml", "fcpx_xml")):
        text = (folder / name).read_text(encoding="utf-8")
        told = otio.adapters.read_from_string(text, adapter)
        cuts = list(told.find_children(descended_from_type=otio.schema.Clip))
        assert sum(each.source_range.duration.to_frames() for each in cuts) == shown
        # Of the picture that is there twice the film shows the later clip's: its copy begins on a keyframe.
        assert [each.source_range.duration.to_frames() for each in cuts] == [120, 121]
        assert cuts[1].source_range.start_time.to_frames() == 0
        assert "clips/02_it-runs.mp4" in text
        assert str(bench.folder) not in text
    # A clip whole: what the seam drops is a handle.
    assert clips.inspect(folder / "clips" / "02_it-runs.mp4").frames == 121
    assert [line.prompt for line in read((folder / "sheet.txt").read_text())] == [
        "a fox / in the snow",
        "it runs",
    ]


def test_an_export_overwrites_nothing_and_leaves_nothing_half_done(bench):
    assert [bench.export().name, bench.export().name] == ["my-film", "my-film_2"]
    clock = FakeClock()
    clock.stop.set()
    with pytest.raises(errors.Interrupted):
        export(
            bench.studio.cutting,
            bench.film.generations,
            bench.folder / "films",
            "x",
            clock=clock,
            report=Reports(),
        )
    assert sorted(path.name for path in (bench.folder / "films").iterdir()) == ["my-film", "my-film_2"]


def test_a_bundle_shows_the_film_and_holds_nothing_of_its_maker(bench, monkeypatch):
    monkeypatch.setenv("LUMAAI_API_KEY", KEY)
    workflow = {
        "nodes": [
            {"type": "RayCollectGeneration", "widgets_values": [bench.film.generations[0], "auto"]},
            {"type": "Note", "widgets_values": [f"my key is {KEY}", "C:\\Users\\annabelle\\stills\\fox.png"]},
            {"type": "LoadImage", "widgets_values": ["/home/annabelle/in/fox.png", "image"], "pos": [1, 2]},
        ],
        "extra": {"note": "hello"},
    }
    folder = bench.export(workflow=workflow, credentials=bench.studio.credentials)
    with zipfile.ZipFile(folder / "my-film.zip") as bundle:
        assert sorted(bundle.namelist()) == [
            "my-film-preview.mp4",
            "sheet.txt",
            "stills/01.jpg",
            "stills/02.jpg",
            "workflow.json",
        ]
        content = b"".join(bundle.read(name) for name in bundle.namelist())
        told = json.loads(bundle.read("workflow.json"))
        (folder / "preview.mp4").write_bytes(bundle.read("my-film-preview.mp4"))
    for secret in (KEY, str(bench.folder), "annabelle", *bench.film.generations):
        assert secret.encode() not in content
    assert told["nodes"][0]["widgets_values"] == ["", "auto"]
    assert told["nodes"][1]["widgets_values"] == ["", "fox.png"]
    assert told["nodes"][2] == {"type": "LoadImage", "widgets_values": ["fox.png", "image"], "pos": [1, 2]}
    preview = clips.inspect(folder / "preview.mp4")
    assert preview.frames == clips.inspect(folder / "my-film.mp4").frames
    assert min(preview.width, preview.height) <= 360


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("the cat is in /home/annabelle/in/cat.png, see there", "the cat is in cat.png, see there"),
        ("first\nC:\\Users\\annabelle\\cat.png\nlast", "first\ncat.png\nlast"),
        ("file:///Users/annabelle/cat.png", "cat.png"),
        ("(~/stills/cat.png)", "(cat.png)"),
    ],
)
def test_a_place_in_the_midst_of_words_is_taken_out(tmp_path, words, told):
    assert shared({"note": words}, Credentials(tmp_path)) == {"note": told}


def test_prose_with_slashes_stays_as_it_is(tmp_path):
    words = "a fox / a bear, either\nor /both"
    assert shared({"prompt": words}, Credentials(tmp_path)) == {"prompt": words}


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("../../etc/passwd", "etc-passwd"),
        ("C:\\Windows\\x", "C-Windows-x"),
        ("con", "_con"),
        ("LPT1.txt", "LPT1-txt"),
        ("", "film"),
        ("\u202efdp.exe", "fdp-exe"),
        ("x" * 300, "x" * 60),
        ("...", "film"),
    ],
)
def test_names_lead_nowhere_else(words, name):
    assert filename(words) == name


def test_a_film_without_clips_is_refused(tmp_path):
    studio = Studio(tmp_path / "private", tmp_path / "clips")
    with pytest.raises(errors.InvalidInput, match="no film to export"):
        export(studio.cutting, (), tmp_path / "films", "x", clock=FakeClock(), report=Reports())


def test_the_node_writes_below_the_output_folder(tmp_path, luma):
    luma.pace = type(luma.pace)(1)
    with comfy_host.install(tmp_path / "comfyui") as host:
        comfy_host.load_pack(ROOT)
        clip = {
            "prompt": "a fox",
            "provider": "auto",
            "model": "ray-flash-2",
            "aspect_ratio": "16:9",
            "resolution": "540p",
            "duration": "5 s",
            "loop": False,
            "take": 1,
        }
        result = host.queue(
            {
                "1": {"class_type": "RayTextToVideo", "inputs": clip},
                "2": {
                    "class_type": "RayExportFilm",
                    "inputs": {"generation": ["1", 3], "name": "../../fox", "bundle": True},
                },
            }
        )
        assert result.status == "success", result.message
        folder = host.root / "output" / "luma-ray-films" / "fox"
        assert (folder / "fox.zip").is_file()
        assert (folder / "fox.fcpxml").is_file()
