"""Keyframes looked at before they cost anything."""

from __future__ import annotations

import comfy_host
import numpy as np
import pytest
import torch
from conftest import ROOT
from luma_ray.nodes.film import Frames, Settings
from luma_ray.nodes.inspection import inspect
from luma_ray.nodes.media import images
from luma_ray.nodes.studio import Studio
from PIL import Image

COFFEE = ROOT / "example_workflows" / "inputs" / "luma-ray-coffee.jpg"


@pytest.fixture
def lifecycle(tmp_path):
    return Studio(tmp_path / "private", tmp_path / "clips").lifecycle


def still(width, height):
    with Image.open(COFFEE) as file:
        picture = np.array(file.convert("RGB").resize((width, height)))
    return images.still(torch.from_numpy(picture / np.float32(255)), name="first_frame")


def test_the_report_says_what_is_cropped_what_is_soft_and_who_makes_it(lifecycle):
    used, lines = inspect(
        lifecycle,
        Settings(aspect_ratio="auto", prompt="a cup"),
        Frames(first=still(640, 360), last=still(400, 400)),
    )
    report = "\n".join(lines)
    assert "first_frame: 640x360, 16:9" in report
    assert "175 of 400 rows off last_frame" in report
    assert "first_frame is enlarged 2.0 times to 1280x720" in report
    assert "last_frame is enlarged 3.2 times to 1280x720" in report
    assert "the pictures are" in report
    assert "made by animatic: free" in report
    assert used.last.height == 225


def test_pictures_that_fit_have_nothing_said_against_them(lifecycle):
    _, lines = inspect(
        lifecycle, Settings(prompt="a cup", aspect_ratio="auto"), Frames(first=still(1280, 720))
    )
    assert lines == ("first_frame: 1280x720, 16:9", "nothing is cropped", "made by animatic: free")


def test_a_provider_that_does_not_make_it_says_why_and_nothing_is_sent(lifecycle, luma):
    _, lines = inspect(
        lifecycle, Settings(prompt="a cup", aspect_ratio="auto", duration=10), Frames(first=still(1280, 720))
    )
    report = "\n".join(lines)
    assert "luma does not make it: no 10 s" in report
    assert luma.requests == []


def test_the_node_gives_the_pictures_as_they_are_used_and_its_report(tmp_path):
    with comfy_host.install(tmp_path / "comfyui") as host:
        comfy_host.load_pack(ROOT)
        Image.open(COFFEE).convert("RGB").resize((400, 400)).save(host.root / "input" / "square.png")
        inputs = {
            "provider": "auto",
            "model": "ray-flash-2",
            "aspect_ratio": "16:9",
            "resolution": "720p",
            "duration": "5 s",
            "first_frame": ["1", 0],
        }
        result = host.queue(
            {
                "1": {"class_type": "LoadImage", "inputs": {"image": "square.png"}},
                "2": {"class_type": "RayPreflight", "inputs": inputs},
                "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "used"}},
            }
        )
        assert result.status == "success", result.message
        said = [event.data for event in host.events if event.name == "progress_text" and event.node_id == "2"]
        assert "cropped to 16:9" in str(said[-1])
        (saved,) = (host.root / "output").glob("used*.png")
        with Image.open(saved) as picture:
            assert picture.size == (400, 225)
