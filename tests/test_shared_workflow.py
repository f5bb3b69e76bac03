"""A workflow that somebody shared, opened by people with other accounts: it runs with theirs, or says why it cannot.

The files are run as they are shared, provider "auto", with one provider's key on the machine at a time and only what
an artist with that account would have set up. What each provider sells, and why it does not, is written out here and
not read from the offers: the tables are what an artist is promised.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import comfy_host
import numpy as np
import pytest
from contracts import PAID, emulator_of
from emulators.clips import edges
from PIL import Image, ImageOps

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "example_workflows"
PICTURES = ("luma-ray-rocket.jpg", "luma-ray-deep-field.jpg")
"""First and last frame of the keyframes example."""
SMALL = (320, 180)
"""What the emulators make of 720p in 16:9: a quarter of each side."""
CLOSE = 5.0
"""Mean difference of two pictures, of 255, up to which they are the same one, scaled and compressed: that makes 3."""
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
    "luma": ["no loop"],
    "luma_agents": ["no ray-2 for keyframes to video (ray-3.2 only)"],
    "bedrock": [
        "no 1080p (540p, 720p only)",
        "no loop",
        "no camera concept 'crane_up'",
        "no camera concept 'orbit_left'",
    ],
    "comfy_router": [
        "no loop",
        "no camera concept 'crane_up'",
        "no camera concept 'orbit_left'",
    ],
    "fal": [
        "no loop",
        "no camera concept 'crane_up'",
        "no camera concept 'orbit_left'",
    ],
    "llm_stats": ["no keyframes to video"],
    "railwail": ["no keyframes to video"],
    "replicate": ["no 1080p (540p, 720p only)", "no loop"],
    "wavespeed": ["no keyframes to video"],
}
WITHOUT_BUCKET = ("comfy_router", "fal", "replicate")
"""Of those that sell it with two pictures, who needs nothing but the key: their own storage takes the pictures."""


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
        beside = nodes["RayTextToVideo"].__module__
        clock = sys.modules[beside.replace("text_to_video", "generation.clock")].Clock
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
            variables = [item for emulator in found.values() for item in emulator.environment().items()]
            for name, value in variables:
                monkeypatch.setenv(name, value)
            allowed = [value for name, value in variables if name == "LUMA_RAY_ALLOWED_HOSTS"]
            monkeypatch.setenv("LUMA_RAY_ALLOWED_HOSTS", ",".join(allowed))
            return found

        yield opened


def shared(host: Any, example: str, changes: dict[str, Any] | None = None) -> dict[str, Any]:
    """The prompt of an example as it is shared; *changes* are what the person changed on the Ray nodes."""
    workflow = json.loads((EXAMPLES / f"{example}.json").read_text("utf-8"))
    prompt = comfy_host.to_prompt(workflow, host.object_info())
    for node in prompt.values():
        if "provider" in node["inputs"]:
            assert (node["inputs"]["provider"], node["inputs"]["resolution"]) == ("auto", "720p")
            node["inputs"].update(changes or {})
    return prompt


def ray_node(prompt: dict[str, Any]) -> str:
    """The id of the node that buys."""
    (found,) = [node_id for node_id, node in prompt.items() if "provider" in node["inputs"]]
    return found


def said(host: Any, prompt: dict[str, Any]) -> str:
    """What stands on that node at the end."""
    return [event.data for event in host.events if event[:2] == ("progress_text", ray_node(prompt))][-1]


def film(result: Any, prompt: dict[str, Any]) -> Path:
    """The file that its clip is."""
    assert result.status == "success", result.message
    return Path(result.outputs[ray_node(prompt)][1].get_stream_source())


def photographs() -> list[Any]:
    """The two pictures of the keyframes example as the clip should show them: cropped in the middle to 16:9."""
    opened = [Image.open(EXAMPLES / "inputs" / name).convert("RGB") for name in PICTURES]
    return [np.asarray(ImageOps.fit(picture, SMALL), dtype=float) for picture in opened]


def enlarge_pictures(host: Any) -> None:
    """Bedrock takes no picture with a side below 512 pixels, and the one of the rocket is smaller."""
    for name in PICTURES:
        large = ImageOps.fit(Image.open(EXAMPLES / "inputs" / name), (1280, 720))
        large.save(host.root / "input" / name, quality=95)


def apart(one: Any, other: Any) -> float:
    return float(np.abs(np.asarray(one, dtype=float) - other).mean())


def assert_it_leads_from_picture_to_picture(path: Path) -> None:
    first, last, frames = edges(path.read_bytes())
    assert (frames, (first.width, first.height)) == (121, SMALL)
    start, end = photographs()
    assert apart(first.pixels, start) < CLOSE
    assert apart(last.pixels, end) < CLOSE


def assert_bought_once(emulator: Any, host: Any, prompt: dict[str, Any], name: str, price: str) -> None:
    assert len(emulator.creates) == 1
    (charge,) = emulator.ledger
    usd = -charge.usd
    assert price in (f"${usd:.2f}", "price unknown")
    summary = said(host, prompt).split("\n")[0].rstrip()
    model = prompt[ray_node(prompt)]["inputs"]["model"]
    assert summary.startswith(f"{model} · 5 s · 720p · {name} · ")
    assert summary.endswith(f" · {price}")
    assert emulator.leaks == []


def assert_nothing_was_sent(*emulators: Any) -> None:
    assert [request for emulator in emulators for request in emulator.requests] == []


# -- the two examples, with one account -----------------------------------------------------------------------


def test_every_provider_is_in_every_table():
    for table in (KEYFRAMES, TEXT, PLAIN_TEXT, IMPOSSIBLE):
        assert set(table) == set(NAMES)


def test_the_pictures_are_further_apart_than_what_counts_as_the_same():
    start, end = photographs()
    assert apart(start, end) > 3 * CLOSE
    for picture in (start, end):
        assert apart(picture, picture[:, ::-1]) > 2.5 * CLOSE


@pytest.mark.parametrize(("name", "price"), sells(KEYFRAMES))
def test_from_picture_to_picture_with_the_account_of(host, account, request, name, price):
    if name not in WITHOUT_BUCKET:
        request.getfixturevalue("bucket")
    emulator = account(name)[name]
    prompt = shared(host, "keyframes-to-video")
    path = film(host.queue(prompt), prompt)
    assert_bought_once(emulator, host, prompt, name, price)
    assert_it_leads_from_picture_to_picture(path)


@pytest.mark.parametrize(("name", "reason"), refuses(KEYFRAMES))
def test_pictures_that_an_account_cannot_use_are_refused_before_anything_is_sent(host, account, name, reason):
    emulator = account(name)[name]
    prompt = shared(host, "keyframes-to-video")
    result = host.queue(prompt)
    assert (result.status, result.node_id) == ("error", ray_node(prompt))
    assert f"{name}: {reason}. Nothing was sent or billed." in result.message
    assert said(host, prompt) == result.message
    assert_nothing_was_sent(emulator)


@pytest.mark.parametrize(
    ("name", "model", "price"), [("luma_agents", "ray-3.2", "$0.30"), ("bedrock", "ray-2", "$7.50")]
)
def test_with_the_model_that_the_refusal_names_large_pictures_do(host, account, name, model, price):
    enlarge_pictures(host)
    emulator = account(name)[name]
    prompt = shared(host, "keyframes-to-video", {"model": model})
    path = film(host.queue(prompt), prompt)
    assert_bought_once(emulator, host, prompt, name, price)
    assert_it_leads_from_picture_to_picture(path)


@pytest.mark.parametrize(("name", "price"), sells(TEXT))
def test_from_words_and_a_camera_move_with_the_account_of(host, account, name, price):
    emulator = account(name)[name]
    prompt = shared(host, "text-to-video")
    path = film(host.queue(prompt), prompt)
    assert_bought_once(emulator, host, prompt, name, price)
    assert edges(path.read_bytes())[2] == 121


@pytest.mark.parametrize(("name", "reason"), refuses(TEXT))
def test_words_that_an_account_cannot_use_are_refused_before_anything_is_sent(host, account, name, reason):
    emulator = account(name)[name]
    prompt = shared(host, "text-to-video")
    result = host.queue(prompt)
    assert (result.status, result.node_id) == ("error", ray_node(prompt))
    assert f"{name}: {reason}. Nothing was sent or billed." in result.message
    assert_nothing_was_sent(emulator)


@pytest.mark.parametrize(("name", "price"), sells(PLAIN_TEXT))
def test_without_the_camera_move_words_do_with_the_account_of(host, account, name, price):
    emulator = account(name)[name]
    prompt = shared(host, "text-to-video")
    del prompt[ray_node(prompt)]["inputs"]["concepts"]
    path = film(host.queue(prompt), prompt)
    assert_bought_once(emulator, host, prompt, name, price)
    assert edges(path.read_bytes())[2] == 121


# -- more than one account, or half of one --------------------------------------------------------------------


def test_of_all_accounts_the_cheapest_is_charged_and_the_pictures_need_no_bucket(host, account):
    emulators = account(*NAMES)
    prompt = shared(host, "keyframes-to-video")
    path = film(host.queue(prompt), prompt)
    assert_bought_once(emulators["luma"], host, prompt, "luma", KEYFRAMES["luma"])
    assert [name for name in NAMES if emulators[name].creates] == ["luma"]
    assert len(emulators["fal"].uploads) == 2  # its storage is open to whoever has its key
    assert_it_leads_from_picture_to_picture(path)


def test_another_graph_has_another_cheapest(host, account):
    emulators = account(*NAMES)
    prompt = shared(host, "text-to-video")
    del prompt[ray_node(prompt)]["inputs"]["concepts"]
    film(host.queue(prompt), prompt)
    assert_bought_once(emulators["wavespeed"], host, prompt, "wavespeed", PLAIN_TEXT["wavespeed"])
    assert [name for name in NAMES if emulators[name].creates] == ["wavespeed"]


def test_what_nobody_sells_is_refused_with_the_reasons_of_each(host, account):
    enlarge_pictures(host)
    emulators = account(*NAMES)
    changes = {"model": "ray-2", "resolution": "1080p", "loop": True, "concepts": ["7", 0]}
    prompt = shared(host, "keyframes-to-video", changes)
    moves = {"concept_1": "crane_up", "concept_2": "orbit_left", "concept_3": "none"}
    prompt["7"] = {"class_type": "RayCameraConcepts", "inputs": moves}
    result = host.queue(prompt)
    assert (result.status, result.node_id) == ("error", ray_node(prompt))
    told = result.message.partition(" does this keyframes to video. ")[2].partition(". Nothing was sent")[0]
    assert told.split("; ") == [f"{name}: {', '.join(IMPOSSIBLE[name])}" for name in NAMES]
    assert_nothing_was_sent(*emulators.values())


def test_an_account_that_reads_pictures_elsewhere_is_told_where_they_can_be_put(host, account):
    emulator = account("luma")["luma"]
    prompt = shared(host, "keyframes-to-video")
    result = host.queue(prompt)
    assert (result.status, result.node_id) == ("error", ray_node(prompt))
    for way in ("LUMA_RAY_S3_BUCKET", "FAL_KEY", "WAVESPEED_API_KEY"):
        assert way in result.message
    assert "Nothing was sent or billed." in result.message
    assert_nothing_was_sent(emulator)


def test_an_account_that_reads_pictures_elsewhere_is_passed_over_for_one_that_takes_them(host, account):
    emulators = account("luma", "replicate")
    prompt = shared(host, "keyframes-to-video")
    path = film(host.queue(prompt), prompt)
    assert_bought_once(emulators["replicate"], host, prompt, "replicate", KEYFRAMES["replicate"])
    assert_nothing_was_sent(emulators["luma"])
    assert_it_leads_from_picture_to_picture(path)
