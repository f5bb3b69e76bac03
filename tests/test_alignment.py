"""How far apart two keyframes are, in words, on photographs."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from conftest import ROOT
from luma_ray.nodes.media.alignment import between
from PIL import Image

PICTURES = sorted((ROOT / "example_workflows" / "inputs").glob("*.jpg"))


def photograph(path, box=None, size=(640, 360)):
    with Image.open(path) as file:
        picture = file.convert("RGB").resize((800, 450))
    left, top, width, height = box or (80, 45, 640, 360)
    return np.array(
        picture.resize(size, Image.Resampling.LANCZOS, box=(left, top, left + width, top + height))
    )


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.stem)
def test_a_picture_and_itself_are_the_same_also_in_another_size(path):
    found = between(photograph(path), photograph(path, size=(320, 180)))
    assert found.same
    assert found.words == "nearly the same: expect little motion"


@pytest.mark.parametrize(
    "path", [path for path in PICTURES if "deep-field" not in path.stem], ids=lambda path: path.stem
)
@pytest.mark.parametrize(("right", "down"), [(-64, 0), (48, 24), (0, -36)])
def test_a_move_is_found(path, right, down):
    found = between(photograph(path), photograph(path, (80 - right, 45 - down, 640, 360)))
    assert found.likeness > 0.9
    assert found.right * 640 == pytest.approx(right, abs=12)
    assert found.down * 360 == pytest.approx(down, abs=12)
    assert found.words.startswith("of the same scene, moved")


@pytest.mark.parametrize(
    "path", [path for path in PICTURES if "deep-field" not in path.stem], ids=lambda path: path.stem
)
def test_a_camera_that_came_closer_is_found(path):
    found = between(photograph(path), photograph(path, (133, 75, 533, 300)))
    assert found.closer == pytest.approx(1.2, abs=0.11)
    assert "times closer" in found.words


@pytest.mark.parametrize(
    "pair", list(combinations(PICTURES, 2)), ids=lambda pair: f"{pair[0].stem}-{pair[1].stem}"
)
def test_different_photographs_are_called_different(pair):
    found = between(*map(photograph, pair))
    assert found.likeness < 0.55
    assert found.words.startswith("different")


def test_light_is_said():
    picture = photograph(PICTURES[0])
    darker = (picture * 0.6).astype(np.uint8)
    assert "darker by" in between(picture, darker).words
    assert "brighter" not in between(picture, picture).words


def test_plain_pictures_are_no_puzzle():
    plain = np.full((90, 160, 3), 128, np.uint8)
    assert between(plain, plain).words.startswith("different")
