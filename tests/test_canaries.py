"""Keys are planted, everything goes well and wrong, and every byte that is left is searched for them."""

from __future__ import annotations

import asyncio
import base64
import faulthandler
import gzip
import io
import json
import logging
import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import quote

import av
import comfy_host
import films
import pytest
from aiohttp.test_utils import make_mocked_request
from canaries import Search, canary, needles
from contracts import PAID, emulator_of
from emulators.server import Fault, Reply
from fakes import FakeClock
from luma_ray.nodes import cli, terminal
from luma_ray.nodes.generation.hosting import WebHosting
from luma_ray.nodes.generation.spending import SCOPES
from luma_ray.nodes.hosting import HOSTS
from PIL import Image, PngImagePlugin

ROOT = Path(__file__).resolve().parent.parent
COMMAND = [sys.executable, "-X", "dev", "-W", "always", str(Path(__file__).parent / "luma_ray_command.py")]

IN_PROVIDERS = sorted(
    {name for provider in PAID for name in provider.secrets}
    | {name for hosting in HOSTS if isinstance(hosting, WebHosting) for name in hosting.settings}
)
IN_ENVIRONMENT_ONLY = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_BEARER_TOKEN_BEDROCK")
CANARIES = {name: canary(name) for name in (*IN_PROVIDERS, *IN_ENVIRONMENT_ONLY)}
SAVED = [*IN_PROVIDERS[::2], "AWS_BEARER_TOKEN_BEDROCK"]
"""Those that are in the key file; the others are in the environment."""


# -- the search itself, or it would prove nothing -------------------------------------------------------------------

SECRET = canary("a secret")
WAYS: dict[str, Callable[[str], str]] = {
    "as it is": lambda key: key,
    "in a sentence": lambda key: f"Authorization: Bearer {key}, sorry",
    "in JSON": lambda key: json.dumps({"headers": {"X-API-Key": key}}),
    "in JSON in JSON": lambda key: json.dumps({"body": json.dumps({"key": key})}),
    "in small letters": str.lower,
    "in an address": lambda key: f"https://a.test/?key={quote(key, safe='')}",
    "percent-encoded": lambda key: "".join(f"%{ord(letter):02x}" for letter in key),
    "in hexadecimal": lambda key: key.encode().hex(),
    "in hexadecimal capitals": lambda key: key.encode().hex().upper(),
    "in escapes": lambda key: "".join(f"\\u{ord(letter):04x}" for letter in key),
    "in base64": lambda key: base64.b64encode(key.encode()).decode(),
    "in base64 for addresses": lambda key: base64.urlsafe_b64encode(f"?>~{key}".encode()).decode(),
    "in base64, one further": lambda key: base64.b64encode(f"a{key}b".encode()).decode(),
    "in base64, two further": lambda key: base64.b64encode(f"ab{key}".encode()).decode(),
    "as basic authentication": lambda key: base64.b64encode(f"user:{key}".encode()).decode(),
    "backwards": lambda key: key[::-1],
    "cut off": lambda key: f"{key[:20]}...",
    "its end alone": lambda key: f"...{key[-20:]}",
}


def searched(do: Callable[[Search], None]) -> list[str]:
    search = Search({"SECRET": SECRET})
    do(search)
    return search.found


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_key_is_found_however_it_is_written(way):
    assert searched(lambda search: search.look("a place", f"before {way(SECRET)} after"))


@pytest.mark.parametrize("coding", ["utf-8", "utf-16-le", "utf-16", "latin-1"])
def test_a_key_is_found_in_any_coding(coding):
    assert searched(lambda search: search.look("a place", f"before {SECRET} after".encode(coding)))


def test_what_is_no_key_is_not_found():
    other = canary("another")
    assert searched(lambda search: search.look("a place", "".join(way(other) for way in WAYS.values()))) == []
    assert searched(lambda search: search.look("a place", f"...{SECRET[-4:]}")) == []  # what `doctor` shows


def png(path: Path, *, packed: bool) -> None:
    tags = PngImagePlugin.PngInfo()
    tags.add_text("prompt", f"a {SECRET} b", zip=packed)
    Image.new("RGB", (8, 8)).save(path, pnginfo=tags)


def mp4(path: Path) -> None:
    with av.open(str(path), "w", format="mp4", options={"movflags": "use_metadata_tags"}) as file:
        file.metadata["workflow"] = f"a {SECRET} b"
        stream = file.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for rgb in films.scene(2, 64, 48):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        file.mux(stream.encode(None))


def database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as journal:
        journal.execute("create table a (b text)")
        # So long that it lies on several pages, the key across the end of one of them.
        for before in range(3800, 4200, 20):
            journal.execute("insert into a values (?)", ("x" * before + SECRET + "y" * 5000,))
        journal.commit()


def log_of_database(path: Path) -> None:
    keeping = sqlite3.connect(path)
    keeping.execute("pragma journal_mode = wal")
    keeping.execute("create table a (b text)")
    keeping.commit()
    keeping.execute("insert into a values (?)", (SECRET,))
    keeping.commit()
    copies = {each: each.read_bytes() for each in path.parent.glob(f"{path.name}-wal")}
    keeping.close()
    for each, data in copies.items():
        each.with_name(f"old-{each.name}").write_bytes(data)
    path.unlink()


FILES: dict[str, Callable[[Path], object]] = {
    "a text": lambda folder: (folder / "a.txt").write_text(SECRET),
    "a text far below": lambda folder: (
        (folder / "a" / "b").mkdir(parents=True),
        (folder / "a/b/.c").write_text(SECRET),
    ),
    "the name of a file": lambda folder: (folder / f"a-{SECRET}.txt").touch(),
    "the name of a folder": lambda folder: (folder / f"a-{SECRET}").mkdir(),
    "the tags of a PNG": lambda folder: png(folder / "a.png", packed=False),
    "the packed tags of a PNG": lambda folder: png(folder / "a.png", packed=True),
    "the tags of an MP4": lambda folder: mp4(folder / "a.mp4"),
    "a row of a database": lambda folder: database(folder / "journal.db"),
    "the log of a database": lambda folder: log_of_database(folder / "journal.db"),
    "a packed log": lambda folder: (folder / "a.gz").write_bytes(gzip.compress(SECRET.encode())),
}


@pytest.mark.parametrize("plant", FILES.values(), ids=FILES)
def test_a_key_is_found_wherever_it_lies(tmp_path, plant):
    plant(tmp_path)
    assert searched(lambda search: search.folder("a folder", tmp_path))


def test_files_that_are_left_out_are_left_out_and_no_others(tmp_path):
    for name in ("keys.json", "keys.json.bak"):
        (tmp_path / name).write_text(SECRET)
    found = searched(lambda search: search.folder("a folder", tmp_path, but=[tmp_path / "keys.json"]))
    assert {line.rpartition("/")[2] for line in found} == {"keys.json.bak"}


def test_the_table_counts_and_shows_no_key():
    search = Search({"SECRET": SECRET})
    search.look("a place", f"12345{SECRET}")
    search.things("another", [("a", b"1"), ("b", b"22")])
    assert "a place       1           45" in search.table()
    assert "another       2            3" in search.table()
    assert not any(needle.decode("latin-1") in search.table() for _, needle in needles(SECRET))


# -- everything that can go well and wrong, in ComfyUI ---------------------------------------------------------------


def echoing(fault: Fault | None = None, *, status: int = 200) -> Fault:
    """What a server answers that repeats what it was sent: in its sentences, and in a field of its own."""
    keys = "; ".join(
        f"{key} Authorization: Bearer {key} {base64.b64encode(f'user:{key}'.encode()).decode()} {quote(key)} "
        f"{key.encode().hex()} https://user:{key}@a.test/b?X-Amz-Signature={key}"
        for key in CANARIES.values()
    )

    def change(reply: Reply) -> Reply:
        answered = fault.change(reply) if fault is not None else reply
        try:
            content = json.loads(answered.body)
        except ValueError:
            return replace(
                answered, body=f"<html>{keys}</html>".encode(), status=max(status, answered.status)
            )
        if isinstance(content, dict):
            content = {**content, "request_headers": keys}
        body = json.dumps(sentences(content, keys)).encode()
        return replace(answered, body=body, headers={**answered.headers, "X-Echo": keys[:2000]})

    return Fault(change, handled=fault.handled if fault is not None else True)


def sentences(content: Any, more: str) -> Any:
    """*content* with *more* at the end of every text that is no code, no address and no id."""
    if isinstance(content, dict):
        return {name: sentences(value, more) for name, value in content.items()}
    if isinstance(content, list):
        return [sentences(value, more) for value in content]
    return f"{content} {more}" if isinstance(content, str) and " " in content else content


def planted(environment: dict[str, str], private: Path) -> None:
    """Half of the keys in the file, the others in *environment*, in which they all are so far."""
    private.mkdir(parents=True, exist_ok=True)
    (private / "limits.json").write_text(json.dumps(dict.fromkeys(SCOPES)))  # a hundred clips are bought here
    (private / "keys.json").write_text(json.dumps({name: CANARIES[name] for name in SAVED}))
    environment.update({name: value for name, value in CANARIES.items() if name not in SAVED})


class Log(logging.Handler):
    """Everything that anybody logs, as a file would have it."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s %(threadName)s %(message)s"))
        self.text = io.StringIO()

    def emit(self, record: logging.LogRecord) -> None:
        self.text.write(f"{self.format(record)}\n")


class Stage:
    """A ComfyUI with the pack, all providers on loopback, and everything that is said kept."""

    def __init__(self, host: Any, emulators: dict[str, Any]) -> None:
        self.host, self.emulators = host, emulators
        comfy_host.load_pack(ROOT)
        self.info = host.object_info()
        self.results: list[Any] = []
        self.take = 0

    def run(self, provider: Any, prompt: str = "a fox", **inputs: Any) -> Any:
        """Ask *provider* for a new clip."""
        self.take += 1
        offer = next(offer for offer in provider.offers if offer.operation.value == "text_to_video")
        chosen = {
            "provider": provider.name,
            "model": offer.model,
            "resolution": offer.resolutions[0],
            "duration": f"{offer.durations[0]} s",
            "aspect_ratio": "16:9",
            "take": self.take,
        }
        return self.queue("RayTextToVideo", prompt=prompt, **{**chosen, **inputs})

    def queue(self, class_type: str, **inputs: Any) -> Any:
        widgets = {
            name: options[0]["default"] if options and "default" in options[0] else kind[0]
            for group in ("required", "optional")
            for name, (kind, *options) in self.info[class_type]["input"].get(group, {}).items()
            if (options and "default" in options[0]) or isinstance(kind, list)
        }
        graph = {
            "1": {"class_type": class_type, "inputs": {**widgets, **inputs}},
            "2": {
                "class_type": "SaveVideo",
                "inputs": {"video": ["1", 1], "filename_prefix": "x", "format": "auto"},
            },
            "3": {"class_type": "SaveImage", "inputs": {"images": ["1", 2], "filename_prefix": "y"}},
            "4": {"class_type": "PreviewImage", "inputs": {"images": ["1", 2]}},
        }
        self.results.append(
            self.host.queue(graph, extra_data={"extra_pnginfo": {"workflow": {"nodes": graph}}})
        )
        return self.results[-1]


@pytest.fixture
def log() -> Iterator[Log]:
    """All loggers at their most talkative."""
    kept, root = Log(), logging.getLogger()
    level, others = root.level, {name: logging.getLogger(name).level for name in root.manager.loggerDict}
    root.addHandler(kept)
    root.setLevel(logging.DEBUG)
    for name in others:
        logging.getLogger(name).setLevel(logging.NOTSET)
    logging.captureWarnings(True)
    yield kept
    logging.captureWarnings(False)
    root.removeHandler(kept)
    root.setLevel(level)
    for name, before in others.items():
        logging.getLogger(name).setLevel(before)


@pytest.fixture
def stage(tmp_path, monkeypatch, log) -> Iterator[Stage]:
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    with ExitStack() as running:
        emulators, allowed = {}, []
        for provider in PAID:
            key = next(iter(provider.secrets), "AWS_SECRET_ACCESS_KEY")
            emulator = emulator_of(provider, polls_until_done=1, key=CANARIES[key])
            emulators[provider.name] = running.enter_context(emulator)
            for name, value in emulator.environment().items():
                monkeypatch.setenv(name, value)
            allowed.append(os.environ["LUMA_RAY_ALLOWED_HOSTS"])
            for limit in ("CONCURRENT", "PER_MINUTE"):
                monkeypatch.setenv(f"LUMA_RAY_{provider.name.upper()}_{limit}", "1000")
        monkeypatch.setenv("LUMA_RAY_ALLOWED_HOSTS", ",".join(allowed))
        for name in CANARIES:
            monkeypatch.delenv(name, raising=False)
        environment: dict[str, str] = {}
        planted(environment, tmp_path / "comfyui" / "user" / "__luma_ray")
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        host = running.enter_context(comfy_host.install(tmp_path / "comfyui"))
        stage = Stage(host, emulators)
        module = host.nodes["RayTextToVideo"].__module__.replace("text_to_video", "generation.clock")
        monkeypatch.setattr(
            sys.modules[module].Clock, "sleep", lambda self, seconds: self.stop.wait(max(seconds, 0) / 200)
        )
        yield stage


def text_of(result: Any) -> str:
    """A result as ComfyUI's history, its log and a crash reporter would have it."""
    told = [
        repr(result.prompt),
        repr(result.ui),
        repr(result.node_errors),
        result.message,
        repr(result.outputs),
    ]
    if result.exception is not None:
        crash = traceback.TracebackException.from_exception(result.exception, capture_locals=True)
        told += ["".join(traceback.format_exception(result.exception)), "".join(crash.format())]
    return "\n".join(told)


def everything_goes_wrong(stage: Stage, provider: Any, crashes: io.StringIO | Any) -> None:
    """All kinds of trouble with one provider; each is a purchase of its own."""
    emulator = stage.emulators[provider.name]
    create, poll, asset = emulator.create, emulator.poll, emulator.asset
    assert stage.run(provider).status == "success", stage.results[-1].message

    def failing(where: tuple[str, str], fault: Fault, *, times: int | None = 1, prompt: str = "a fox") -> Any:
        emulator.fail_next(*where, fault, times=times)
        result = stage.run(provider, prompt)
        emulator.faults.clear()
        return result

    assert failing(create, echoing(emulator.refusing("unauthorized"))).status == "error"
    failing(create, echoing(emulator.refusing("server error")))
    failing(create, echoing(Fault.html(502, handled=True)))
    failing(create, echoing(Fault.malformed_json()))
    failing(create, Fault.lost_answer())
    assert failing(poll, echoing(Fault.status(403)), times=None).status == "error"
    assert failing(poll, echoing(Fault.html(200)), times=None).status == "error"
    assert failing(asset, echoing(Fault.status(403)), times=None).status == "error"
    failing(poll, echoing(), times=None, prompt="a doomed fox")
    dump = Fault(
        lambda reply: (faulthandler.dump_traceback(crashes, all_threads=True), reply)[1], handled=True
    )
    failing(poll, dump)


def routes_tell(stage: Stage) -> Iterator[tuple[str, str]]:
    """The answers to everything that ComfyUI's own page can ask; what is about one generation, of all of them."""

    def answer(path: str, handler: Any) -> Any:
        here = mock.Mock()
        here.get_extra_info = {"peername": ("127.0.0.1", 50000)}.get
        headers = {"X-Luma-Ray": "1", "Host": "127.0.0.1:8188"}
        return stage.host.server.run(
            handler(make_mocked_request("GET", path, headers=headers, transport=here))
        )

    ids: list[str] = []
    of_one = []
    for (method, path), handler in stage.host.server.routes.items():
        if method != "GET":
            continue
        told = answer(path, handler)
        if told.status == 400 and "id is missing" in told.text:
            of_one.append((path, handler))
            continue
        assert told.status == 200, told.text
        if path.endswith("/library"):
            ids = [row["id"] for row in json.loads(told.text)["rows"]]
        yield path, f"{dict(told.headers)} {told.text}"
    assert len(ids) > 50
    for path, handler in of_one:
        for each in ids:
            told = answer(f"{path}?id={each}", handler)
            # A file of the library was searched where it lies.
            yield path, f"{dict(told.headers)} {getattr(told, 'text', '')}"


def running_processes() -> Iterator[tuple[str, bytes]]:
    """The command lines of all processes."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield str(path), path.read_bytes()
        except OSError:
            continue


def changed_since(folder: Path, begun: float) -> list[Path]:
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and ".git" not in path.parts and path.stat().st_mtime > begun
    ]


def test_no_key_is_left_anywhere_whatever_happens_in_comfyui(stage, log, tmp_path, capfd, monkeypatch):
    begun = time.time()
    private = tmp_path / "comfyui" / "user" / "__luma_ray"
    stage.run(PAID[0])
    # As long as somebody reads an old state of the journal, its log keeps everything that was written since.
    reading = sqlite3.connect(private / "journal.db", isolation_level=None)
    reading.execute("begin")
    reading.execute("select count(*) from generations").fetchone()
    with (tmp_path / "crashes.txt").open("w") as crashes:
        for provider in PAID:
            everything_goes_wrong(stage, provider, crashes)
    interrupted(stage)
    crashed(stage, monkeypatch)
    unreachable(stage, monkeypatch)
    # From the environment boto3 takes it, and asks over TLS alone, which the emulator does not speak.
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", CANARIES["AWS_BEARER_TOKEN_BEDROCK"])
    stage.run(next(provider for provider in PAID if provider.name == "bedrock"))
    stage.queue("RayCollectGeneration", id="nobody-knows-this-one")
    hosted(stage)

    out, err = capfd.readouterr()
    search = Search(CANARIES)
    for name in ("output", "temp", "input", "user"):
        search.folder(f"ComfyUI's {name} folder", tmp_path / "comfyui" / name, but=[private / "keys.json"])
    search.folder("temporary folder", tmp_path / "tmp")
    search.folder("home folder", tmp_path / "home")
    search.things(
        "files of the pack that changed", ((str(p), p.read_bytes()) for p in changed_since(ROOT, begun))
    )
    search.look("log, everything at DEBUG", log.text.getvalue())
    search.look("standard output", out)
    search.look("standard error", err)
    search.things("events", ((event.name, repr(event)) for event in stage.host.events))
    search.things(
        "history, errors, tracebacks with variables", (("a result", text_of(r)) for r in stage.results)
    )
    search.look("what nodes tell of themselves", json.dumps(stage.info))
    monkeypatch.setenv("LUMA_RAY_REMOTE_SETTINGS", "1")
    search.things("what routes tell", routes_tell(stage))
    search.look("tracebacks of all threads", (tmp_path / "crashes.txt").read_text())
    search.things("command lines of processes", running_processes())
    search.things("core dumps", ((str(p), p.read_bytes()) for p in Path.cwd().glob("core*") if p.is_file()))
    with capfd.disabled():
        print(f"\n{len(stage.results)} runs, {len(stage.host.events)} events\n{search.table()}")
    assert (private / "journal.db-wal").stat().st_size > 100_000
    reading.close()
    assert search.found == []

    # The keys were really there, really used, and the servers really repeated them.
    there = Search({name: CANARIES[name] for name in SAVED})
    there.folder("the key file", private)
    assert {line.split()[0] for line in there.found} == set(SAVED)
    used = Search(CANARIES)
    requests = [request for emulator in stage.emulators.values() for request in emulator.requests]
    used.things("requests", ((r.target, f"{r.target} {dict(r.headers)}") for r in requests))
    assert {line.split()[0] for line in used.found} == {*IN_PROVIDERS, "AWS_SESSION_TOKEN"}
    assert not any(emulator.leaks for emulator in stage.emulators.values())
    assert sum("<key>" in event.data for event in stage.host.events if event.name == "progress_text") > 5
    assert len(log.text.getvalue()) > 100_000


def interrupted(stage: Stage) -> None:
    """A stop in the middle, and a sibling that fails."""
    luma = stage.emulators["luma"]
    asked = threading.Event()
    luma.pace, pace = type(luma.pace)(10**9), luma.pace
    luma.watch = lambda request: asked.set() if request.method == "GET" else None
    stopping = threading.Thread(target=lambda: (asked.wait(20), stage.host.interrupt()))
    stopping.start()
    assert stage.run(next(p for p in PAID if p.name == "luma")).status == "interrupted"
    stopping.join()
    luma.pace, luma.watch = pace, lambda request: None


def crashed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors of the pack itself, in the middle of a request and beside it: with a whole traceback in the log."""
    client = sys.modules[
        stage.host.nodes["RayTextToVideo"].__module__.replace("text_to_video", "generation.client")
    ]
    luma = next(provider for provider in PAID if provider.name == "luma")
    for name, error in (
        ("_limited", RuntimeError("an error of ours")),
        ("certificates", asyncio.CancelledError()),
    ):

        def broken(*_: object, error: BaseException = error) -> Any:
            raise error

        with monkeypatch.context() as patched:
            patched.setattr(client, name, broken)
            assert stage.run(luma).status == "error"


def unreachable(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address with a password in it, where nobody listens; and one that is none."""
    luma = next(provider for provider in PAID if provider.name == "luma")
    for address in (f"http://user:{CANARIES['FAL_KEY']}@127.0.0.1:9/v1", f"http://[{CANARIES['FAL_KEY']}"):
        with monkeypatch.context() as patched:
            patched.setenv("LUMAAI_BASE_URL", address)
            assert stage.run(luma).status == "error"


def hosted(stage: Stage) -> None:
    """A picture that goes to a public storage, whose server repeats what it was sent."""
    picture = stage.host.root / "input" / "picture.png"
    Image.new("RGB", (640, 360)).save(picture)
    shot = {"prompt": "a fox", "provider": "luma", "model": "ray-flash-2", "resolution": "540p", "take": 99}
    for trouble in (True, False):
        fal = stage.emulators["fal"]
        if trouble:
            fal.fail_next("POST", "/rest/storage/upload/initiate", echoing(Fault.status(401)), times=None)
        graph = {"image": "picture.png"}
        loaded = {"1": {"class_type": "LoadImage", "inputs": graph}}
        stage.results.append(
            stage.host.queue(
                {
                    **loaded,
                    "2": {
                        "class_type": "RayImageToVideo",
                        "inputs": {
                            "aspect_ratio": "auto",
                            "duration": "5 s",
                            "loop": False,
                            "first_frame": ["1", 0],
                            **shot,
                        },
                    },
                    "3": {
                        "class_type": "SaveVideo",
                        "inputs": {"video": ["2", 1], "filename_prefix": "x", "format": "auto"},
                    },
                }
            )
        )
        assert stage.results[-1].status == ("error" if trouble else "success"), stage.results[-1].message
        fal.faults.clear()


# -- from the command line ------------------------------------------------------------------------------------------

ONE = ("text-to-video", "--prompt", "a fox", "--resolution", "540p", "--provider", "luma")


@pytest.fixture
def shop(tmp_path, monkeypatch) -> Iterator[Any]:
    """Luma's emulator, and this process set up for the command line: half of the keys in its file."""
    luma = next(provider for provider in PAID if provider.name == "luma")
    monkeypatch.setattr(terminal, "Clock", FakeClock)
    for name in ("private", "home", "tmp"):
        (tmp_path / name).mkdir()
    with emulator_of(luma, polls_until_done=1, key=CANARIES["LUMAAI_API_KEY"]) as emulator:
        environment = {
            **{name: value for name, value in emulator.environment().items() if name not in CANARIES},
            "LUMA_RAY_HOME": str(tmp_path / "private"),
            "HOME": str(tmp_path / "home"),
            "TMPDIR": str(tmp_path / "tmp"),
            "PYTHONASYNCIODEBUG": "1",
            "PYTHONFAULTHANDLER": "1",
        }
        planted(environment, tmp_path / "private")
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(tmp_path / "tmp")
        yield emulator


def test_no_key_is_left_anywhere_whatever_happens_on_the_command_line(
    shop, log, tmp_path, capfd, monkeypatch
):
    def run(*arguments: str) -> int:
        return cli.main(list(arguments))

    assert run(*ONE, "--out", "fox.mp4") == 0
    shop.fail_next(*shop.create, echoing(shop.refusing("unauthorized")))
    assert run(*ONE, "--take", "2") == 1
    shop.fail_next(*shop.create, echoing(Fault.html(502, handled=True)))
    run(*ONE, "--take", "3", "--json")
    shop.fail_next(*shop.asset, echoing(Fault.status(404)), times=None)
    assert run(*ONE, "--take", "4") != 0
    assert run("collect") != 0
    shop.faults.clear()
    run("collect", "nobody-knows-this-one")
    assert [run(*command) for command in (["doctor"], ["ledger", "--json"], ["providers"])] == [0, 0, 0]
    # A text with a key in it is refused, and not repeated.
    assert run("text-to-video", "--prompt", f"a fox {CANARIES['LUMAAI_API_KEY']}", "--provider", "luma") == 2
    monkeypatch.setenv("LUMAAI_BASE_URL", f"http://user:{CANARIES['FAL_KEY']}@127.0.0.1:9/v1")
    assert run(*ONE, "--take", "5") != 0
    assert len(shop.creates) == 3

    out, err = capfd.readouterr()
    search = Search(CANARIES)
    search.folder("private folder", tmp_path / "private", but=[tmp_path / "private" / "keys.json"])
    search.folder("working folder", tmp_path / "tmp")
    search.folder("home folder", tmp_path / "home")
    search.look("standard output", out)
    search.look("standard error", err)
    search.look("log, everything at DEBUG", log.text.getvalue())
    with capfd.disabled():
        print(f"\n12 commands\n{search.table()}")
    assert search.found == []
    assert "<key>" in err


@pytest.mark.skipif(sys.platform != "linux", reason="command lines are read from /proc")
def test_no_key_is_left_by_processes_of_their_own(shop, tmp_path, capfd):
    lines: list[tuple[str, bytes]] = []
    told: list[tuple[str, str]] = []

    def run(*arguments: str, given: str = "") -> int:
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        line = Path(f"/proc/{process.pid}/cmdline")
        while b"luma_ray_command" not in (told_so_far := line.read_bytes()) and process.poll() is None:
            os.sched_yield()  # it is not yet the program that it becomes
        lines.append((arguments[0], told_so_far))
        out, err = process.communicate(given, timeout=120)
        told.extend([(f"{arguments[0]}: output", out), (f"{arguments[0]}: errors", err)])
        return process.returncode

    assert run("key", "FAL_KEY", given=f"{CANARIES['FAL_KEY']}\n") == 0
    shop.fail_next(*shop.create, echoing(shop.refusing("unauthorized")))
    assert run(*ONE) == 1
    search = Search(CANARIES)
    search.folder("private folder", tmp_path / "private", but=[tmp_path / "private" / "keys.json"])
    search.folder("working folder", tmp_path / "tmp")
    search.things("standard output and standard error", told)
    search.things("command lines", lines)
    with capfd.disabled():
        print(f"\n{len(lines)} processes\n{search.table()}")
    assert search.found == []
    assert "<key>" in told[-1][1]
    saved = json.loads((tmp_path / "private" / "keys.json").read_text())
    assert saved["FAL_KEY"] == CANARIES["FAL_KEY"]
