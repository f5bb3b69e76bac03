"""What is asked for, and the fingerprint that makes two equal requests one purchase."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest
from fakes import picture, text
from luma_ray.nodes.generation.canvas import placed
from luma_ray.nodes.generation.request import (
    GenerationReference,
    GenerationRequest,
    MiddleFrame,
    Operation,
    SourceVideo,
    StillImage,
    fingerprint,
)

REFERENCE = GenerationReference(id="ray-1", provider="luma", job_id="job-1")
FULL = GenerationRequest(
    operation=Operation.KEYFRAMES_TO_VIDEO,
    model="ray-2",
    prompt="Zwei Füchse 🦊 im Schnee",
    aspect_ratio="21:9",
    resolution="1080p",
    duration=9,
    loop=True,
    concepts=("push_in", "pan_left"),
    first_frame=picture("ab" * 32, 1920, 1080),
    last_frame=REFERENCE,
    take=3,
)
CHANGED = {
    "operation": Operation.EXTEND_VIDEO,
    "model": "ray-flash-2",
    "prompt": "Zwei Füchse 🦊 im Schnee.",
    "aspect_ratio": "16:9",
    "resolution": "720p",
    "duration": 5,
    "loop": False,
    "concepts": ("push_in",),
    "first_frame": picture("cd" * 32, 1920, 1080),
    "last_frame": replace(REFERENCE, job_id="job-2"),
    "middle_frames": (MiddleFrame(60, picture("ef" * 32)),),
    "enhance_prompt": True,
    "source": SourceVideo(1280, 720, 5.0, 1000, "12" * 32, Path("/films/a.mp4")),
    "mode": "flex_1",
    "placement": placed((1280, 720), "1:1", scale=0.5),
    "negative_prompt": "voices",
}
LATER = ("middle_frames", "enhance_prompt", "source", "mode", "placement", "negative_prompt")
"""What was added after the first journals were written."""


def test_the_fingerprint_of_a_request_never_changes():
    # Every clip that was ever bought is found again by these: a change here buys them all once more.
    assert FULL.fingerprint == "530f6e65c08968bedfe2fe847486d3b6cb40ab56ec50dd8af3549f58d7200445"
    assert text().fingerprint == "41b77eec818dc238a3011a8d7fa57139110f3742a3b3af0c32dd6d285356121f"


def test_the_fingerprint_is_the_same_in_another_process():
    program = (
        "import conftest\nfrom fakes import text\n"
        "print(text('f\\u00fcchse \\U0001f98a', concepts=('static',)).fingerprint)"
    )
    other = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parent,
        env={"PYTHONHASHSEED": "7", "PYTHONIOENCODING": "ascii", "PATH": "", "SYSTEMROOT": ""},
    )
    assert other.stdout.strip() == text("füchse 🦊", concepts=("static",)).fingerprint


@pytest.mark.parametrize("field", CHANGED)
def test_every_field_changes_the_fingerprint(field):
    assert replace(FULL, **{field: CHANGED[field]}).fingerprint != FULL.fingerprint


def test_no_field_was_forgotten_above():
    assert {field.name for field in fields(GenerationRequest)} == {*CHANGED, "take"}


def test_the_place_of_a_middle_frame_is_part_of_the_request():
    at = [replace(FULL, middle_frames=(MiddleFrame(index, picture()),)).fingerprint for index in (24, 25)]
    assert at[0] != at[1]


def test_the_pictures_come_in_order_of_time():
    one, two, three = (picture(letters * 32) for letters in ("aa", "bb", "cc"))
    request = replace(FULL, first_frame=one, middle_frames=(MiddleFrame(60, two),), last_frame=three)
    assert request.stills == (one, two, three)


def test_another_take_has_the_same_fingerprint():
    assert replace(FULL, take=4).fingerprint == FULL.fingerprint


def test_the_same_pixels_from_different_objects_are_the_same_request():
    def with_picture(encode):
        still = StillImage(width=4, height=2, sha256="ef" * 32, encode=encode)
        return text(operation=Operation.IMAGE_TO_VIDEO, first_frame=still)

    one, other = with_picture(lambda media_type: b"png"), with_picture(lambda media_type: b"jpeg")
    assert one.fingerprint == other.fingerprint
    assert one == other
    assert hash(one) == hash(other)


def test_swapped_keyframes_are_another_request():
    first, last = picture("ab" * 32), picture("cd" * 32)
    there = text(operation=Operation.KEYFRAMES_TO_VIDEO, first_frame=first, last_frame=last)
    back = text(operation=Operation.KEYFRAMES_TO_VIDEO, first_frame=last, last_frame=first)
    assert there.fingerprint != back.fingerprint


def test_the_order_of_concepts_is_part_of_the_request():
    one, other = text(concepts=("push_in", "pan_left")), text(concepts=("pan_left", "push_in"))
    assert one.fingerprint != other.fingerprint


def test_where_a_referenced_clip_lies_is_not_part_of_the_request():
    here = replace(REFERENCE, clip=Path("/clips/a.mp4"), id="ray-1")
    one = text(operation=Operation.EXTEND_VIDEO, first_frame=REFERENCE)
    assert replace(one, first_frame=here).fingerprint == one.fingerprint


def test_the_same_job_id_at_another_provider_is_another_request():
    one = text(operation=Operation.EXTEND_VIDEO, first_frame=REFERENCE)
    other = replace(one, first_frame=replace(REFERENCE, provider="elsewhere"))
    assert one.fingerprint != other.fingerprint


def test_the_order_of_the_keys_does_not_matter_to_a_fingerprint():
    assert fingerprint({"a": 1, "b": [2]}) == fingerprint({"b": [2], "a": 1})


def test_a_fingerprint_of_no_number_is_refused():
    with pytest.raises(ValueError, match="not JSON compliant"):
        fingerprint({"duration": float("nan")})


def test_the_description_survives_json_unchanged():
    assert json.loads(json.dumps(FULL.describe())) == FULL.describe()


def test_the_description_holds_the_whole_request_without_the_take():
    described = replace(FULL, **{name: CHANGED[name] for name in LATER}).describe()
    assert set(described) == set(CHANGED)
    assert described["middle_frames"] == [{"index": 60, "image": "ef" * 32, "width": 1280, "height": 720}]
    assert described["concepts"] == ["push_in", "pan_left"]
    assert described["operation"] == "keyframes_to_video"


def test_the_description_holds_pictures_by_hash_and_clips_by_job_and_nothing_more():
    described = replace(FULL, last_frame=replace(REFERENCE, clip=Path("/clips/a.mp4"))).describe()
    assert described["first_frame"] == {"image": "ab" * 32, "width": 1920, "height": 1080}
    assert described["last_frame"] == {"generation": "luma", "job": "job-1"}


def test_what_was_added_later_is_named_only_where_it_is_used_so_that_old_purchases_are_found():
    assert not set(LATER) & set(FULL.describe())


def test_a_still_does_not_print_its_pixels():
    assert "encode" not in repr(picture())


def test_the_kinds_of_the_keyframes_are_told_as_offers_spell_them():
    assert FULL.keyframe_kinds == ("image", "generation")
    assert text().keyframe_kinds == ("none", "none")
    assert FULL.stills == (FULL.first_frame,)
    assert FULL.references == (REFERENCE,)
