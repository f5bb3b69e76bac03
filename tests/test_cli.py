"""The command line: the same operations, from a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from emulators.server import Fault
from fakes import FakeClock
from luma_ray.nodes import cli, terminal
from luma_ray.nodes.providers import PROVIDERS

COMMAND = [sys.executable, str(Path(__file__).parent / "luma_ray_command.py")]
KEY_NAME = "LUMAAI_API_KEY"


@pytest.fixture(autouse=True)
def _time_passes_at_once(monkeypatch):
    monkeypatch.setattr(terminal, "Clock", FakeClock)


def run(capsys, *arguments):
    code = cli.main([*arguments, "--json"])
    shown = capsys.readouterr()
    return code, json.loads(shown.out), shown.err


def test_a_clip_from_a_prompt_and_what_it_cost_in_the_ledger(capsys, luma, tmp_path):
    out = tmp_path / "fox.mp4"
    code, made, _ = run(
        capsys, "text-to-video", "--prompt", "a fox", "--resolution", "540p", "--out", str(out)
    )
    assert code == 0
    assert out.stat().st_size > 1000
    _, ledger, _ = run(capsys, "ledger")
    (row,) = ledger["generations"]
    assert (row["id"], row["state"], ledger["usd"]) == (made["generations"][0], "completed", "0.14")


def test_extend_by_generation_and_collect_by_the_providers_id(capsys, luma):
    _, first, _ = run(capsys, "text-to-video", "--prompt", "a fox", "--resolution", "540p")
    arguments = ["--generation", *first["generations"], "--length", "10", "--resolution", "540p"]
    code, film, _ = run(capsys, "extend-video", "--prompt", "it runs", *arguments)
    assert code == 0
    assert len(film["generations"]) == 2
    _, ledger, _ = run(capsys, "ledger")
    code, collected, _ = run(capsys, "collect", ledger["generations"][0]["job"])
    assert code == 0
    assert collected["collected"][0]["id"] == ledger["generations"][0]["id"]
    assert len(luma.creates) == 2


def test_a_scene_from_a_sheet(capsys, luma, tmp_path):
    sheet = tmp_path / "walk.txt"
    sheet.write_text("5 s | a fox\n5 s | a bear\n", encoding="utf-8")
    code, film, _ = run(capsys, "scene", str(sheet), "--prompt", "at dawn,", "--render", "draft")
    assert code == 0
    assert len(film["generations"]) == 2
    assert film["notes"][0] == "shots 1, 2 new: $0.28 (luma)"
    prompts = {request.json["prompt"] for request in luma.requests if request.method == "POST"}
    assert prompts == {"at dawn, a fox", "at dawn, a bear"}


def test_a_sheet_that_is_no_text_is_refused(capsys, luma, tmp_path):
    sheet = tmp_path / "walk.txt"
    sheet.write_bytes(b"\xff\xfe\x00")
    assert run(capsys, "scene", str(sheet))[0] == 2
    assert run(capsys, "scene", str(tmp_path / "none.txt"))[0] == 2
    assert luma.requests == []


def test_what_is_refused_has_its_own_exit_code_and_sends_nothing(capsys, luma):
    code, told, words = run(capsys, "text-to-video", "--prompt", "", "--provider", "luma")
    assert code == 2
    assert told["error"] == "UnsupportedRequest"
    assert "the prompt is empty" in words
    assert luma.requests == []


def test_an_unanswered_create_has_its_own_exit_code_and_the_person_decides(capsys, luma):
    luma.fail_next("POST", "/generations/video", Fault.lost_request())
    code, told, _ = run(capsys, "text-to-video", "--prompt", "a fox", "--resolution", "540p")
    assert code == 3
    (row,) = run(capsys, "ledger")[1]["generations"]
    assert row["state"] == "uncertain"
    assert row["id"] in told["message"]
    assert run(capsys, "resume", row["id"], "--not-created")[0] == 0
    assert run(capsys, "text-to-video", "--prompt", "a fox", "--resolution", "540p")[0] == 0
    assert len(luma.creates) == 1


def test_resume_continues_a_generation(capsys, luma):
    luma.fail_next("GET", "/assets/*", Fault.status(403, {}), times=4)
    assert cli.main(["text-to-video", "--prompt", "a fox", "--resolution", "540p"]) == 3
    capsys.readouterr()
    (row,) = run(capsys, "ledger")[1]["generations"]
    code, told, _ = run(capsys, "resume", row["id"])
    assert code == 0
    assert told["generations"] == [row["id"]]
    assert len(luma.creates) == 1


def test_the_person_says_which_job_an_unanswered_create_became(capsys, luma):
    import requests

    luma.fail_next("POST", "/generations/video", Fault.lost_request())
    assert cli.main(["text-to-video", "--prompt", "a fox", "--resolution", "540p"]) == 3
    capsys.readouterr()
    (row,) = run(capsys, "ledger")[1]["generations"]
    made = requests.post(
        f"{luma.base_url}/generations/video",
        json={"model": "ray-2", "prompt": "what it became"},
        headers={"Authorization": f"Bearer {luma.key}"},
        timeout=10,
    ).json()
    code, told, _ = run(capsys, "resume", row["id"], "--job", made["id"])
    assert code == 0
    assert told["generations"] == [row["id"]]
    assert len(luma.creates) == 1


def test_a_film_that_cannot_be_copied_is_kept_and_it_is_said_where(capsys, luma, tmp_path):
    (tmp_path / "a file").touch()
    out = tmp_path / "a file" / "fox.mp4"
    code, told, words = run(
        capsys, "text-to-video", "--prompt", "a fox", "--resolution", "540p", "--out", str(out)
    )
    assert code == 1
    assert told["error"] == "GenerationError"
    assert "is kept at" in words
    (row,) = run(capsys, "ledger")[1]["generations"]
    assert row["clip"].split("/")[-1] in words


def test_control_d_instead_of_a_key_changes_nothing(capsys, monkeypatch):
    import getpass

    def ended(prompt):
        raise EOFError

    monkeypatch.setattr(sys, "stdin", type("Terminal", (), {"isatty": lambda self: True})())
    monkeypatch.setattr(getpass, "getpass", ended)
    assert run(capsys, "key", KEY_NAME)[0] == 2


class PressedOnce(terminal.futures.Future):
    """A wait during which Ctrl-C is pressed."""

    pressed = False

    def result(self, timeout=None):
        if not self.pressed:
            self.pressed = True
            raise KeyboardInterrupt
        return super().result(timeout)


def test_a_thread_that_does_not_answer_to_control_c_ends_as_a_stop(capsys, monkeypatch):
    monkeypatch.setattr(terminal.futures, "Future", PressedOnce)
    monkeypatch.setattr(terminal, "_FAREWELL", 0.01)
    until = threading.Event()
    with pytest.raises(KeyboardInterrupt):
        terminal.run(lambda clock, report: until.wait(20))
    until.set()


def test_what_ends_just_after_a_look_is_no_timeout(capsys, monkeypatch):
    class Late(terminal.futures.Future):
        looked = False

        def result(self, timeout=None):
            if not self.looked:
                self.looked = True
                super().result(20)
                raise terminal.futures.TimeoutError
            return super().result(timeout)

    monkeypatch.setattr(terminal.futures, "Future", Late)
    assert terminal.run(lambda clock, report: "a film") == "a film"


def test_collect_without_ids_brings_back_everything_unfinished(capsys, luma):
    luma.fail_next("GET", "/assets/*", Fault.status(403, {}), times=4)
    assert cli.main(["text-to-video", "--prompt", "a fox", "--resolution", "540p"]) == 3
    capsys.readouterr()
    code, told, _ = run(capsys, "collect")
    assert code == 0
    assert len(told["collected"]) == 1
    assert run(capsys, "collect")[1]["collected"] == []
    assert len(luma.creates) == 1


def test_a_clip_that_did_not_come_shows_in_the_exit_code_although_others_came(capsys, luma):
    luma.fail_next("GET", "/assets/*", Fault.status(403, {}), times=12)
    for prompt in ("a fox", "a dog"):
        assert cli.main(["text-to-video", "--prompt", prompt, "--resolution", "540p"]) == 3
    capsys.readouterr()
    code, told, _ = run(capsys, "collect")
    assert (code, len(told["collected"]), len(told["failed"])) == (3, 1, 1)


@pytest.mark.skipif(os.name != "posix", reason="links need rights on Windows")
def test_the_folders_are_those_of_the_comfyui_that_links_to_the_pack(monkeypatch, tmp_path):
    monkeypatch.delenv("LUMA_RAY_HOME")
    (tmp_path / "checkout" / "nodes").mkdir(parents=True)
    (tmp_path / "comfyui" / "custom_nodes").mkdir(parents=True)
    pack = tmp_path / "comfyui" / "custom_nodes" / "luma-ray"
    pack.symlink_to(tmp_path / "checkout")
    monkeypatch.setattr(terminal, "__file__", str(pack / "nodes" / "terminal.py"))
    assert terminal.folders()[0] == tmp_path / "comfyui" / "user" / "__luma_ray"


def test_doctor_says_what_would_work_and_never_shows_a_key(capsys, monkeypatch):
    monkeypatch.setenv(KEY_NAME, "luma-very-secret-key-abcd")
    code, told, _ = run(capsys, "doctor")
    assert code == 0
    assert "environment (...abcd)" in told["providers"]["luma"]
    assert "very-secret" not in json.dumps(told)
    assert told["auto means"] == "the cheapest of Luma"


def test_a_key_is_saved_from_standard_input_and_forgotten_again(capsys, monkeypatch):
    import io

    monkeypatch.setattr(sys, "stdin", io.StringIO("luma-very-secret-key-abcd\n"))
    assert run(capsys, "key", KEY_NAME)[1]["state"] == "saved"
    saved = Path(os.environ["LUMA_RAY_HOME"]) / "keys.json"
    assert json.loads(saved.read_text("utf-8")) == {KEY_NAME: "luma-very-secret-key-abcd"}
    if os.name == "posix":
        assert saved.stat().st_mode & 0o777 == 0o600
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n"))
    assert run(capsys, "key", KEY_NAME)[1]["state"] == "missing"


def test_providers_names_every_price_with_its_source(capsys):
    _, told, _ = run(capsys, "providers")
    names = {offer["provider"].removesuffix(" (experimental)") for offer in told["offers"]}
    assert names == {provider.name for provider in PROVIDERS}
    assert any(offer["provider"] == "railwail (experimental)" for offer in told["offers"])
    assert "not verified" in told["prices"]["luma"][0]


def started(luma, home, *arguments):
    environment = {**os.environ, **luma.environment(), "LUMA_RAY_HOME": str(home)}
    return subprocess.Popen(
        [*COMMAND, *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.fixture
def asked(luma):
    """Set when the emulator has been asked about a job, which stays unfinished."""
    luma.pace = type(luma.pace)(10**9)
    event = threading.Event()

    def watch(request):
        if request.method == "GET" and "/generations/" in request.path:
            event.set()

    luma.watch = watch
    return event


ONE = ("text-to-video", "--prompt", "a fox", "--resolution", "540p")


def test_a_killed_process_loses_nothing_and_the_next_one_buys_nothing(luma, asked, tmp_path):
    first = started(luma, tmp_path, *ONE)
    assert asked.wait(60)
    first.kill()
    first.communicate()
    luma.pace = type(luma.pace)(1)
    second = started(luma, tmp_path, *ONE, "--json")
    out, err = second.communicate(timeout=60)
    assert second.returncode == 0, err
    assert Path(json.loads(out)["path"]).stat().st_size > 1000
    assert len(luma.creates) == 1


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is sent as a signal")
def test_control_c_ends_the_wait_and_says_what_becomes_of_the_job(luma, asked, tmp_path):
    process = started(luma, tmp_path, *ONE)
    assert asked.wait(60)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Queue again to collect it" in err


def test_films_are_changed_from_a_terminal(capsys, luma, bucket):
    _, fox, _ = run(capsys, "text-to-video", "--prompt", "a fox", "--resolution", "540p")
    (clip,) = fox["generations"]
    for arguments in (
        ("modify-video", "--generation", clip, "--prompt", "as a painting", "--mode", "adhere_1"),
        ("reframe-video", "--video", fox["path"], "--aspect-ratio", "1:1", "--size", "50", "--down", "0"),
        ("upscale-video", "--generation", clip),
        ("add-audio", "--generation", clip, "--prompt", "wind", "--negative-prompt", "voices"),
        (
            "interpolate-video",
            "--before",
            clip,
            "--after",
            clip,
            "--prompt",
            "on and on",
            "--resolution",
            "540p",
        ),
    ):
        code, made, words = run(capsys, *arguments)
        assert code == 0, words
        assert made["generations"] != [clip]
    assert [create.kind for create in luma.creates[1:]] == [
        *("modify_video", "reframe_video", "upscale_video", "add_audio", "video")
    ]
    assert luma.creates[2].body["y_start"] == 0


def test_a_film_to_change_has_to_be_named_once(capsys):
    for given in ([], ["--generation", "ray-1", "--video", "a.mp4"]):
        with pytest.raises(SystemExit):
            cli.main(["modify-video", *given])


def test_a_size_that_is_none_is_refused_before_anything_is_sent(capsys, luma, bucket):
    _, fox, _ = run(capsys, "text-to-video", "--prompt", "a fox", "--resolution", "540p")
    code, _, words = run(
        *(capsys, "reframe-video", "--video", fox["path"], "--aspect-ratio", "1:1", "--size", "500")
    )
    assert code == 2
    assert "the size is 500%" in words
    assert len(luma.creates) == 1
