"""A workflow that somebody shared, opened by people with other accounts: it runs with theirs, or says why it cannot.

The files are run as they are shared, provider "auto", with one provider's key on the machine at a time and only what
an artist with that account would have set up. What each provider sells, and why it does not, is written out here and
not read from the offers: the tables are what an artist is promised.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import comfy_host
import numpy as np
import pytest
from contracts import PAID, emulator_of
from emulators.clips import edges
from luma_ray.nodes.media import clips
from PIL import Image, ImageOps

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "example_workflows"
PICTURES = ("luma-ray-rocket.jpg", "luma-ray-deep-field.jpg")
"""First and last frame of the keyframes example."""
SMALL = (320, 180)
"""What the emulators make of 720p in 16:9: a quarter of each side."""
CLOSE = 6.0
"""Mean difference of two pictures, of 255, up to which they are the same one: both were scaled and compressed. The
photographs, and each of them mirrored, are more than 15 apart."""
NAMES = [provider.name for provider in PAID]

# provider: the price that its account is charged, or why it does not sell this
KEYFRAMES = {
    "luma": "$0.24",
    "luma_agents": "no ray-flash-2 for keyframes to video (ray-3.2 only)",
    "bedrock": "no ray-flash-2 for keyframes to video (ray-2 only)",
    "comfy_router": "$0.34",
    "fal": "$0.40",
    "llm_stats": "no keyframes to video",
    "railwail": "no keyframes to video",
    "replicate": "$0.30",
    "wavespeed": "no keyframes to video",
}
CRANE_UP = "no camera concept 'crane_up'"
TEXT = {
    "luma": "$0.24",
    "luma_agents": "no ray-flash-2 for text to video (ray-3.2 only)",
    "bedrock": "no ray-flash-2 for text to video (ray-2 only)",
    "comfy_router": CRANE_UP,
    "fal": CRANE_UP,
    "llm_stats": CRANE_UP,
    "railwail": CRANE_UP,
    "replicate": "$0.30",
    "wavespeed": CRANE_UP,
}
PLAIN_TEXT = TEXT | {
    "comfy_router": "$0.34",
    "fal": "$0.40",
    "llm_stats": "$1.00",
    "railwail": "price unknown",
    "wavespeed": "$0.20",
}
"""The same without its camera move."""
IMPOSSIBLE = {
    # Luma's own rules leave nobody who could do it, and each provider has more against it.
    "luma": ["no loop together with a last frame"],
    "luma_agents": ["no ray-2 for keyframes to video (ray-3.2 only)"],
    "bedrock": [
        "no 1080p (540p, 720p only)",
        "no loop together with a last frame",
        "no camera concept 'crane_up'",
        "no camera concept 'orbit_left'",
    ],
    "comfy_router": [
        "no loop together with a last frame",
        "no camera concept 'crane_up'",
        "no camera concept 'orbit_left'",
    ],
    "fal": [
        "no loop together with a last frame",
        "no camera concept 'crane_up'",
        "no camera concept 'orbit_left'",
    ],
    "llm_stats": ["no keyframes to video"],
    "railwail": ["no keyframes to video"],
    "replicate": ["no 1080p (540p, 720p only)", "no loop together with a last frame"],
    "wavespeed": ["no keyframes to video"],
}
OWN_STORAGE = ("fal", "wavespeed")
"""Of the providers that read pictures at a public address only, those whose key opens such a place too."""


def sells(table: dict[str, str]) -> list[Any]:
    """Provider and price, for those that have one."""
    rows = [(name, table[name]) for name in NAMES if not table[name].startswith("no ")]
    return [pytest.param(name, price, id=name) for name, price in rows]


def refuses(table: dict[str, str]) -> list[Any]:
    """Provider and reason, for the others."""
    rows = [(name, table[name]) for name in NAMES if table[name].startswith("no ")]
    return [pytest.param(name, reason, id=name) for name, reason in rows]


@pytest.fixture
def host(tmp_path, monkeypatch):
    """ComfyUI with the pack in it. Waiting for a job is a hundred times shorter: emulators count questions."""
    with comfy_host.install(tmp_path / "comfyui") as host:
        nodes = comfy_host.load_pack(ROOT)
        pack = nodes["RayTextToVideo"].__module__.removesuffix(".nodes.text_to_video")
        clock = comfy_host.module(pack, "nodes.generation.clock").Clock
        monkeypatch.setattr(clock, "sleep", lambda self, seconds: self.stop.wait(max(seconds, 0) / 100))
        yield host


@pytest.fixture
def account(monkeypatch) -> Iterator[Any]:
    """Call it with names of providers: their emulators, with the keys of all of them on this machine."""
    with ExitStack() as running:

        def opened(*names: str) -> dict[str, Any]:
            found = {}
            for provider in PAID:
                if provider.name in names:
                    found[provider.name] = running.enter_context(emulator_of(provider, polls_until_done=1))
            told = [emulator.environment() for emulator in found.values()]
            for variables in told:
                for name, value in variables.items():
                    monkeypatch.setenv(name, value)
            allowed = ",".join(variables["LUMA_RAY_ALLOWED_HOSTS"] for variables in told if variables)
            monkeypatch.setenv("LUMA_RAY_ALLOWED_HOSTS", allowed)
            return found

        yield opened
