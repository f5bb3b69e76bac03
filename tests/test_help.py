"""What explains a node: its help page with a picture, its strings for translators, and the words it is found by."""

from __future__ import annotations

import json
import re

import pages
import pytest
import translations
from PIL import Image

DOCS = pages.ROOT / "web" / "docs"
NODES = sorted(path.parent.name for path in pages.PAGES[1:])
EACH_NODE = pytest.mark.parametrize("node_id", NODES)
MOST_BYTES = 40_000
WORDS = {
    # what artists type, and a node that must be among what they find
    "luma": NODES,
    "ray2": NODES,
    "ray 2": NODES,
    "dream machine": NODES,
    "ray flash": ["RayTextToVideo", "RayImageToVideo", "RayKeyframesToVideo", "RayScene"],
    "ray 3.2": ["RayTextToVideo", "RayImageToVideo", "RayKeyframesToVideo"],
    "text to video": ["RayTextToVideo"],
    "text2video": ["RayTextToVideo"],
    "txt2vid": ["RayTextToVideo"],
    "t2v": ["RayTextToVideo"],
    "image to video": ["RayImageToVideo", "RayKeyframesToVideo"],
    "img2vid": ["RayImageToVideo", "RayKeyframesToVideo"],
    "i2v": ["RayImageToVideo", "RayKeyframesToVideo"],
    "animate": ["RayImageToVideo"],
    "flf2v": ["RayKeyframesToVideo"],
    "first last frame": ["RayKeyframesToVideo"],
    "start end frame": ["RayKeyframesToVideo"],
    "keyframe": ["RayKeyframe", "RayKeyframesToVideo", "RayScene"],
    "in between": ["RayKeyframe", "RayInterpolateVideo"],
    "loop": ["RayTextToVideo", "RayImageToVideo", "RayExtendVideo"],
    "seamless": ["RayTextToVideo", "RayImageToVideo"],
    "extend": ["RayExtendVideo"],
    "continue": ["RayExtendVideo"],
    "long video": ["RayExtendVideo", "RayScene"],
    "camera": ["RayCameraConcepts"],
    "camera motion": ["RayCameraConcepts"],
    "dolly": ["RayCameraConcepts"],
    "concatenate": ["RayJoinClips"],
    "merge": ["RayJoinClips"],
    "stitch": ["RayJoinClips"],
    "color match": ["RayJoinClips"],
    "last frame": ["RayFrames"],
    "extract frames": ["RayFrames"],
    "resume": ["RayCollectGeneration"],
    "generation id": ["RayCollectGeneration"],
    "storyboard": ["RayScene"],
    "multi shot": ["RayScene"],
    "variations": ["RayTakes"],
    "seed": ["RayTakes"],
    "cost": ["RayPreflight"],
    "crop": ["RayPreflight"],
    "edl": ["RayExportFilm"],
    "premiere": ["RayExportFilm"],
    "davinci": ["RayExportFilm"],
    "vid2vid": ["RayModifyVideo"],
    "v2v": ["RayModifyVideo"],
    "style transfer": ["RayModifyVideo"],
    "outpaint": ["RayReframeVideo"],
    "aspect ratio": ["RayReframeVideo"],
    "vertical": ["RayReframeVideo"],
    "upscale": ["RayUpscaleVideo"],
    "4k": ["RayUpscaleVideo"],
    "sound": ["RayAddAudio"],
    "foley": ["RayAddAudio"],
    "interpolate": ["RayInterpolateVideo"],
    "transition": ["RayInterpolateVideo"],
}


def page(node_id):
    return (DOCS / node_id / "en.md").read_text("utf-8")


def section(node_id, heading):
    """What stands on a page below a heading that begins with *heading*."""
    return re.search(rf"^## {heading}[^\n]*\n(.*?)(?=^## |\Z)", page(node_id), re.DOTALL | re.MULTILINE)


# -- help pages -----------------------------------------------------------------------------------------------


def test_every_node_has_a_page_and_no_page_is_left_of_a_node_that_is_gone():
    assert set(translations.nodes()) == set(NODES)


@EACH_NODE
def test_a_page_begins_with_the_node_and_its_picture(node_id):
    name = translations.nodes()[node_id]["display_name"]
    text = page(node_id)
    assert text.startswith(f"# {name}\n\n")
    # ComfyUI reads addresses on a page from web/docs on, not from the folder of the page.
    shown = [(f"{name} in ComfyUI", f"{node_id}/{node_id}.webp")]
    assert re.findall(r"!\[([^\]]*)\]\(([^)]*)\)", text) == shown


@EACH_NODE
def test_languages_without_a_page_are_shown_the_english_one(node_id):
    english = DOCS / node_id / "en.md"
    assert pages.for_all(english).read_text("utf-8") == english.read_text("utf-8"), "stale: run `make tables`"


@EACH_NODE
def test_a_picture_is_small_and_sharp_enough_to_read(node_id):
    path = DOCS / node_id / f"{node_id}.webp"
    assert path.stat().st_size < MOST_BYTES
    with Image.open(path) as picture:
        assert picture.format == "WEBP"
        assert 500 <= picture.width <= 1000


@EACH_NODE
def test_a_page_has_the_inputs_and_outputs_of_its_own_node(node_id):
    assert f"<!-- table: inputs_{node_id} -->" in section(node_id, "Inputs")[1]
    assert f"<!-- table: outputs_{node_id} -->" in section(node_id, "Outputs")[1]
    listed = re.findall(r"^\| \*\*(\w+)\*\* \|", section(node_id, "Inputs")[1], re.MULTILINE)
    assert listed == list(translations.declared(node_id))


@EACH_NODE
def test_a_page_says_what_it_costs_and_what_a_stop_does(node_id):
    assert section(node_id, "Price")
    assert section(node_id, "Stop") or section(node_id, "Price and stop")


@EACH_NODE
def test_a_page_names_the_examples_that_have_its_node_and_no_others(node_id):
    found = section(node_id, "Examples")
    assert (re.findall(r"`([\w-]+)`", found[1]) if found else []) == pages.examples(node_id)


def test_every_operation_that_is_sold_by_the_clip_has_its_costs_by_provider():
    costs = dict(pages.costs(pages.PROVIDERS, pages.Operation.TEXT_TO_VIDEO))
    assert costs["wavespeed"].endswith("ray-flash-2 $0.20, live ($0.20 to $0.40)")
    assert costs["railwail (experimental)"] == "ray-flash-2 price unknown"
    assert costs["animatic"] == "free"
    extend = dict(pages.costs(pages.PROVIDERS, pages.Operation.EXTEND_VIDEO))
    assert list(extend) == ["luma", "luma_agents", "comfy_router", "animatic"]


def test_who_makes_shots_from_what():
    made = dict(pages.shots(pages.PROVIDERS))
    assert made["llm_stats"] == "ray-flash-2; from words, a first picture; 5, 9 s"
    assert made["luma_agents"] == "ray-3.2; from words, a first picture, two pictures; 5, 10 s"


# -- strings for translators ----------------------------------------------------------------------------------


@pytest.mark.parametrize("file", translations.files(), ids=lambda file: file.name)
def test_strings_for_translators_are_those_of_the_nodes_and_the_page(file):
    assert file.read_text("utf-8") == translations.written(translations.files()[file]), (
        "stale: run `make tables`"
    )


def test_every_node_input_and_output_has_strings():
    strings = translations.node_strings()
    assert set(strings) == set(NODES)
    assert strings["RayExportFilm"]["inputs"]["bundle"]["tooltip"].startswith("Also a zip to share")
    assert strings["RayFrames"]["outputs"]["3"]["name"] == "audio"
    assert all(translations.texts(strings))


def test_no_string_holds_a_sign_that_the_interface_would_take_for_its_own():
    told = [text for strings in translations.files().values() for text in translations.texts(strings)]
    assert len(told) > 400
    assert [text for text in told if set(text) & set(translations.SIGNS)] == []


def test_every_setting_and_command_of_the_page_has_strings():
    keys = {*translations.setting_strings(), *translations.command_strings()}
    assert {name.replace(".", "_") for name in translations.named_in_scripts()} == keys
    assert "LumaRay_Keys" in keys


def test_no_other_language_has_strings_that_english_has_not():
    for path in sorted((pages.ROOT / "locales").glob("*/*.json")):
        english = json.loads((translations.ENGLISH / path.name).read_text("utf-8"))
        assert _paths(json.loads(path.read_text("utf-8"))) <= _paths(english), path


def _paths(strings, before=""):
    if isinstance(strings, str):
        return {before}
    return {path for key, each in strings.items() for path in _paths(each, f"{before}/{key}")}


# -- what a node is found by ----------------------------------------------------------------------------------


@pytest.mark.parametrize("typed", WORDS)
def test_an_artist_who_types_it_finds(typed):
    for node_id in WORDS[typed]:
        told = translations.nodes()[node_id]
        searched = [node_id, told["display_name"], *told["search_aliases"]]
        assert any(typed in words.lower() for words in searched), node_id


def test_search_words_are_few_enough_to_mean_something_and_none_stands_twice():
    for node_id, told in translations.nodes().items():
        aliases = told["search_aliases"]
        assert len(aliases) == len(set(aliases)) <= 26, node_id
        assert all(alias == alias.lower() for alias in aliases)


# -- what the README says of it -------------------------------------------------------------------------------


def test_the_readme_names_every_node_and_every_example():
    text = (pages.ROOT / "README.md").read_text("utf-8")
    names = [told["display_name"] for told in translations.nodes().values()]
    assert [name for name in names if f"| **{name}** |" not in text] == []
    examples = {path.stem for path in (pages.ROOT / "example_workflows").glob("*.json")}
    listed = re.search(r"^## Examples\n(.*?)^## ", text, re.DOTALL | re.MULTILINE)[1]
    assert set(re.findall(r"`([\w-]+)`", listed)) == examples
