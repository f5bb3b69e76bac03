"""The pack in a real ComfyUI, where COMFYUI_DIR points at a checkout and COMFYUI_PYTHON at its Python."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path

import comfy_host
import pytest
import requests

ROOT = Path(__file__).resolve().parent.parent
CHECKOUT = os.environ.get("COMFYUI_DIR", "")
PYTHON = os.environ.get("COMFYUI_PYTHON", sys.executable)
EXAMPLES = sorted((ROOT / "example_workflows").glob("*.json"))
OURS = re.compile(
    r"^(?=.*luma)(?=.*(WARN|ERROR|Traceback|FAILED|Cannot import)).*$", re.MULTILINE | re.IGNORECASE
)

pytestmark = pytest.mark.skipif(not CHECKOUT, reason="COMFYUI_DIR is not set: no real ComfyUI to try")


class ComfyUI:
    """A ComfyUI of its own folders, with this pack in it."""

    def __init__(self, folder, **environment):
        (folder / "custom_nodes").mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / "tests" / "probe_nodes.py", folder / "custom_nodes" / "probe_nodes.py")
        if not (folder / "custom_nodes" / "luma-ray").exists():
            (folder / "custom_nodes" / "luma-ray").symlink_to(ROOT)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        self.log = folder / "log.txt"
        database = folder / "comfyui.db"
        command = [PYTHON, "main.py", "--cpu", "--port", str(port), "--base-directory", str(folder)]
        command += ["--disable-auto-launch", "--database-url", f"sqlite:///{database}"]
        self._output = self.log.open("a")
        self.process = subprocess.Popen(
            command, cwd=CHECKOUT, stdout=self._output, stderr=self._output, env={**os.environ, **environment}
        )
        self.info = self._first_answer()

    def get(self, path):
        return requests.get(self.address + path, timeout=30).json()

    def queue(self, prompt, **others):
        """Queue *prompt*, with *others* in the body; what `finished` takes."""
        body = {"prompt": prompt, "client_id": "tests", "prompt_id": str(uuid.uuid4()), **others}
        reply = requests.post(self.address + "/prompt", json=body, timeout=30)
        assert reply.status_code == 200, reply.text
        return reply.json()["prompt_id"]

    def finished(self, prompt_id, seconds=240):
        """The history of a prompt, once it has one."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            history = self.get(f"/history/{prompt_id}")
            if history:
                return history[prompt_id]
            self.process.poll()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.1)
        raise AssertionError(f"not finished: {self.log.read_text()[-2000:]}")

    def ran(self, prompt, **others):
        """The history of *prompt*, which must succeed."""
        history = self.finished(self.queue(prompt, **others))
        assert history["status"]["status_str"] == "success", history["status"]["messages"]
        return history

    @contextlib.contextmanager
    def memory(self):
        """By how many bytes the process grew at most meanwhile, as a list of one."""
        process = Path("/proc") / str(self.process.pid)
        (process / "clear_refs").write_text("5")
        before, grown = self._bytes("VmRSS"), []
        yield grown
        grown.append(self._bytes("VmHWM") - before)

    def _bytes(self, name):
        status = (Path("/proc") / str(self.process.pid) / "status").read_text()
        return int(re.search(rf"^{name}:\s+(\d+) kB$", status, re.MULTILINE)[1]) * 1024

    def end(self, *, killed=False):
        (self.process.kill if killed else self.process.terminate)()
        self.process.wait(30)
        self._output.close()

    def _first_answer(self):
        until = time.monotonic() + 120
        while time.monotonic() < until and self.process.poll() is None:
            with contextlib.suppress(requests.RequestException):
                return self.get("/object_info")
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.2)
        raise AssertionError(f"ComfyUI did not start: {self.log.read_text()[-2000:]}")


@pytest.fixture(scope="module")
def comfyui(tmp_path_factory):
    running = ComfyUI(tmp_path_factory.mktemp("comfyui"))
    yield running
    running.end()


def fox(info, prompt="a fox in the snow"):
    """A graph of one Ray node and something that saves its clip."""
    values = {}
    for name, (kind, *options) in info["RayTextToVideo"]["input"]["required"].items():
        values[name] = options[0]["default"] if options else kind[0]
    save = {
        "class_type": "SaveVideo",
        "inputs": {"video": ["1", 1], "filename_prefix": "x", "format": "auto", "codec": "auto"},
    }
    node = {"class_type": "RayTextToVideo", "inputs": {**values, "prompt": prompt, "resolution": "540p"}}
    return {"1": node, "2": save}


def test_it_loads_without_a_word_of_warning(comfyui):
    assert "RayTextToVideo" in comfyui.info
    assert OURS.findall(comfyui.log.read_text()) == []


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_as_it_is(comfyui, example):
    prompt = comfy_host.to_prompt(json.loads(example.read_text("utf-8")), comfyui.info)
    history = comfyui.finished(comfyui.queue(prompt))
    assert history["status"]["status_str"] == "success", history["status"]["messages"]
    assert OURS.findall(comfyui.log.read_text()) == []


def test_four_shots_of_one_graph_take_as_long_as_one(tmp_path):
    from emulators.luma import LumaEmulator

    with LumaEmulator(job_seconds=5.0) as luma:
        comfyui = ComfyUI(tmp_path, **luma.environment())
        try:
            graph = {}
            for number in range(4):
                shot = fox(comfyui.info, f"shot {number}")
                graph[f"{number}1"] = shot["1"]
                graph[f"{number}2"] = shot["2"]
                graph[f"{number}2"]["inputs"]["video"] = [f"{number}1", 1]
            started = time.monotonic()
            history = comfyui.finished(comfyui.queue(graph))
            took = time.monotonic() - started
        finally:
            comfyui.end()
    assert history["status"]["status_str"] == "success", history["status"]["messages"]
    assert len(luma.creates) == 4
    print(f"four shots whose jobs take 5 s: {took:.1f} s")
    # A job that ends this early is seen at the second look, at 10 s; one after the other would be 40 s.
    assert took < 20


def test_a_killed_comfyui_loses_nothing_and_buys_nothing_again(tmp_path):
    from emulators.luma import LumaEmulator

    with LumaEmulator(polls_until_done=10**9) as luma:
        comfyui = ComfyUI(tmp_path, **luma.environment())
        comfyui.queue(fox(comfyui.info))
        until = time.monotonic() + 30
        while not any(request.method == "GET" for request in luma.requests) and time.monotonic() < until:
            with contextlib.suppress(subprocess.TimeoutExpired):
                comfyui.process.wait(0.05)
        comfyui.end(killed=True)
        luma.pace = type(luma.pace)(1)
        comfyui = ComfyUI(tmp_path, **luma.environment())
        try:
            history = comfyui.finished(comfyui.queue(fox(comfyui.info)))
        finally:
            comfyui.end()
    assert history["status"]["status_str"] == "success", history["status"]["messages"]
    assert len(luma.creates) == 1


def test_an_interrupt_is_a_cancel_and_not_an_error(tmp_path):
    from emulators.luma import LumaEmulator

    with LumaEmulator(polls_until_done=10**9) as luma:
        comfyui = ComfyUI(tmp_path, **luma.environment())
        try:
            prompt_id = comfyui.queue(fox(comfyui.info))
            until = time.monotonic() + 30
            while not any(request.method == "GET" for request in luma.requests) and time.monotonic() < until:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    comfyui.process.wait(0.05)
            stopped_at = time.monotonic()
            requests.post(comfyui.address + "/interrupt", json={}, timeout=10)
            history = comfyui.finished(prompt_id)
            took = time.monotonic() - stopped_at
            kinds = [message[0] for message in history["status"]["messages"]]
            luma.pace = type(luma.pace)(1)
            again = comfyui.finished(comfyui.queue(fox(comfyui.info)))
        finally:
            comfyui.end()
    assert took < 5  # its job never ends
    assert "execution_interrupted" in kinds
    assert "execution_error" not in kinds
    assert again["status"]["status_str"] == "success"
    assert len(luma.creates) == 1


# -- frames only where they are linked ----------------------------------------------------------------------

FRAMES, VIDEO, LAST = range(3)
FRAMES_OF_THE_FOX = 121 * 960 * 540 * 3 * 4
"""Bytes."""


@pytest.fixture(scope="module")
def at_luma(tmp_path_factory):
    """A ComfyUI with Luma's emulator."""
    from emulators.luma import LumaEmulator

    with LumaEmulator(polls_until_done=1) as luma:
        running = ComfyUI(tmp_path_factory.mktemp("comfyui"), **luma.environment())
        running.luma = luma
        yield running
        running.end()


def look(output, node="1"):
    return {"class_type": "ProbeLook", "inputs": {"images": [node, output]}}


def pictures(history, node):
    """What ProbeLook saw, for each time that it ran."""
    return history["outputs"].get(node, {}).get("pictures")


def ran_again(history):
    """The nodes that were not in the cache."""
    (cached,) = (told["nodes"] for name, told in history["status"]["messages"] if name == "execution_cached")
    return {"1", "2", "3"} - set(cached)


def test_memory_proves_that_frames_are_decoded_only_where_they_are_linked(at_luma):
    shot = fox(at_luma.info, "memory")
    shot["1"]["inputs"]["provider"] = "animatic"
    at_luma.ran(shot)
    shot["2"]["inputs"]["filename_prefix"] = "y"
    with at_luma.memory() as only_video:
        at_luma.ran(shot)
    with at_luma.memory() as with_frames:
        history = at_luma.ran({**shot, "3": look(FRAMES)})
    with at_luma.memory() as without_again:
        at_luma.ran(shot)
    print(f"grown by {[round(each[0] / 1e6) for each in (only_video, with_frames, without_again)]} MB")
    assert pictures(history, "3") == [121]
    assert only_video[0] < FRAMES_OF_THE_FOX / 10
    assert with_frames[0] > FRAMES_OF_THE_FOX * 0.95
    assert without_again[0] < FRAMES_OF_THE_FOX / 10


def test_linking_frames_later_and_unlinking_them_asks_nobody(at_luma):
    shot = fox(at_luma.info, "later")
    at_luma.ran(shot)
    asked = len(at_luma.luma.requests)
    assert pictures(at_luma.ran({**shot, "3": look(FRAMES)}), "3") == [121]
    at_luma.ran(shot)
    assert pictures(at_luma.ran({**shot, "3": look(LAST)}), "3") == [1]
    assert len(at_luma.luma.requests) == asked


def test_linking_a_video_beside_frames_runs_nothing_again(at_luma):
    shot = fox(at_luma.info, "beside")
    at_luma.ran({"1": shot["1"], "3": look(LAST)})
    history = at_luma.ran({**shot, "3": look(LAST)})
    assert ran_again(history) == {"2"}


def test_a_part_of_a_graph_is_queued_and_decodes_only_for_itself(at_luma):
    shot = fox(at_luma.info, "in part")
    shot["1"]["inputs"]["provider"] = "animatic"
    at_luma.ran(shot)
    shot["2"]["inputs"]["filename_prefix"] = "z"
    whole = {**shot, "3": look(FRAMES)}
    with at_luma.memory() as grown:
        history = at_luma.ran(whole, partial_execution_targets=["2"])
    assert grown[0] < FRAMES_OF_THE_FOX / 10
    assert ran_again(history) == {"2", "3"}  # the Ray node was in the cache, as the video alone had left it
    assert pictures(history, "3") is None
    assert pictures(at_luma.ran(whole, partial_execution_targets=["3"]), "3") == [121]


def test_a_part_of_a_graph_is_held_against_the_limits_as_a_part(at_luma):
    one, two = fox(at_luma.info, "one of two"), fox(at_luma.info, "two of two")
    two["2"]["inputs"]["video"] = ["4", 1]
    whole = {**one, "4": two["1"], "5": two["2"]}
    url, headers = f"{at_luma.address}/luma_ray/limits", {"X-Luma-Ray": "1"}
    assert requests.post(url, json={"per_run": "0.20"}, headers=headers, timeout=30).status_code == 200
    try:
        refused = at_luma.finished(at_luma.queue(whole))
        assert "This run would buy 2 clips" in str(refused["status"]["messages"])
        bought = len(at_luma.luma.creates)
        at_luma.ran(whole, partial_execution_targets=["5"])
        assert len(at_luma.luma.creates) == bought + 1
    finally:
        requests.post(url, json={"per_run": None}, headers=headers, timeout=30)


@pytest.mark.parametrize("stale", [None, "", "1", "0,1,2,3"])
def test_a_node_that_comes_into_the_graph_as_it_runs_decodes_everything(at_luma, stale):
    """No handler sees it; and a loop copies what stands in the original."""
    shot = fox(at_luma.info, f"expanded {stale}")["1"]
    if stale is not None:
        shot["inputs"]["_linked"] = stale
    expand = {"class_type": "ProbeExpand", "inputs": {"node": json.dumps(shot), "output": FRAMES}}
    history = at_luma.ran({"1": expand, "2": look(0)})
    assert pictures(history, "2") == [121]


def test_each_of_a_list_of_prompts_has_its_frames(at_luma):
    shot = fox(at_luma.info)
    shot["1"]["inputs"]["prompt"] = ["4", 0]
    words = {"class_type": "ProbeList", "inputs": {"words": "a red fox,a white fox"}}
    history = at_luma.ran({**shot, "3": look(FRAMES), "4": words})
    assert pictures(history, "3") == [121, 121]


@pytest.mark.parametrize("mark", ["0,1,2,3", "", "many", 7, ["1", 0]])
def test_a_mark_that_comes_with_a_prompt_changes_nothing(at_luma, mark):
    shot = fox(at_luma.info, "marked")
    shot["1"]["inputs"]["_linked"] = mark
    history = at_luma.ran({**shot, "3": look(LAST)})
    assert pictures(history, "3") == [1]
    (_, _, prompt, *_) = history["prompt"]
    assert prompt["1"]["inputs"]["_linked"] == "2"


def test_ids_of_subgraphs_are_marked_like_others(at_luma):
    shot = fox(at_luma.info, "inside")
    history = at_luma.ran({"12:5": shot["1"], "12:7:3": look(FRAMES, "12:5")})
    assert pictures(history, "12:7:3") == [121]
