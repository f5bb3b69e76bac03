"""Names and paths that a workflow types or a provider tells never become names of files: ours do."""

from __future__ import annotations

import os
import re
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import comfy_host
import films
import pytest
from emulators.server import Fault, FileHost
from fakes import Desk, FakeClock, text
from fuzz.seeds import seeds
from luma_ray.nodes import cli, terminal
from luma_ray.nodes.generation.errors import InvalidInput
from luma_ray.nodes.generation.library import Library

ROOT = Path(__file__).resolve().parent.parent
OURS = re.compile(
    r"""(?x) \d{4}-\d\d/\d{4}-\d\d-\d\d_[a-z0-9.-]+_ray-[a-z0-9-]+\.mp4  # a clip of the library
    | films/film_[0-9a-f]{16}\.(mp4|txt)"""
)
SYSTEM = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")
"""Names of devices on Windows, with any ending."""

HOSTILE = {
    "up": "../../../../etc/passwd",
    "up, with an ending": "../../escaped.mp4",
    "up, for Windows": "..\\..\\escaped.mp4",
    "up in the middle": "2026-11/../../../escaped.mp4",
    "up in disguise": "..%2f..%2fescaped.mp4",
    "up in full width": "\uff0e\uff0e\uff0f\uff0e\uff0e\uff0fescaped.mp4",
    "absolute": "/etc/passwd",
    "absolute, doubled": "//etc/passwd",
    "a drive": "C:\\Windows\\System32\\escaped.mp4",
    "a drive without a root": "C:escaped.mp4",
    "a share": "\\\\server\\share\\escaped.mp4",
    "a share with slashes": "//server/share/escaped.mp4",
    "a raw path of Windows": "\\\\?\\C:\\escaped.mp4",
    "a device": "CON",
    "a device with an ending": "nul.mp4",
    "another device": "COM1.mp4",
    "a stream of NTFS": "clip.mp4:escaped",
    "300 letters": "x" * 300,
    "5000 letters": "x" * 5000,
    "a zero": "clip.mp4\0.txt",
    "a line break": "clip\r\n.mp4",
    "a control character": "clip\x1b[2J\x07.mp4",
    "right to left": "clip\u202egpm.4pm",
    "a mark that cannot be seen": "\ufeffcli\u200bp.mp4",
    "a dot at the end": "clip.mp4.",
    "a space at the end": "clip.mp4 ",
    "dots and spaces": ". . .",
    "a home": "~root/escaped.mp4",
    "an option": "-rf",
    "a command": "$(touch escaped);`touch escaped`|touch escaped",
    "a pattern": "*?[a-z]{b,c}",
    "an address": "file:///etc/passwd",
    "half a character": "clip\ud83d.mp4",
    "a picture": "🦊.mp4",
    "nothing but a mark": "\u200f",
}
names = pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
SAYABLE = [name for what, name in HOSTILE.items() if what != "half a character"]
"""Those that JSON and a terminal carry."""


# -- every file that is written, seen by Python itself --------------------------------------------------------------

_written: list[str] | None = None
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = {
    *("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod"),
    *("sqlite3.connect", "shutil.copyfile", "shutil.move", "os.utime"),
}


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if _written is None:
        return
    if event == "open":
        path, _, flags = arguments
        if isinstance(flags, int) and flags & _WRITING:
            _written.append(os.fsdecode(path) if isinstance(path, (str, bytes, os.PathLike)) else "")
    elif event in _CHANGES:
        _written.extend(
            os.fsdecode(one) for one in arguments[:2] if isinstance(one, (str, bytes, os.PathLike))
        )


sys.addaudithook(_hook)


@contextmanager
def confined(folder: Path) -> Iterator[list[str]]:
    """Whatever is written inside is written below *folder*, and nothing appears beside it."""
    global _written
    beside = {path for path in folder.parent.rglob("*") if not path.is_relative_to(folder)}
    _written = seen = []
    try:
        yield seen
    finally:
        _written = None
    outside = [
        path
        for path in seen
        if path
        and not path.startswith("file:")
        and not Path(path).resolve().is_relative_to(folder.resolve())
        and "__pycache__" not in path
        and path != os.devnull
    ]
    assert outside == []
    assert {path for path in folder.parent.rglob("*") if not path.is_relative_to(folder)} == beside


def test_a_file_outside_is_noticed(tmp_path):
    """Or the tests below would prove nothing."""
    (tmp_path / "inside").mkdir()
    for leave in (
        lambda: (tmp_path / "outside.txt").write_text("x"),
        (tmp_path / "outside").mkdir,
        lambda: sqlite3.connect(tmp_path / "outside.db").close(),
        lambda: (tmp_path / "inside" / "a").rename(tmp_path / "a"),
    ):
        (tmp_path / "inside" / "a").write_text("x")
        with pytest.raises(AssertionError), confined(tmp_path / "inside"):
            leave()


class Graph:
    """A ComfyUI three folders deep with the pack in it, and prompts written short."""

    def __init__(self, host):
        self.host = host
        comfy_host.load_pack(ROOT)
        self.info = host.object_info()

    def node(self, class_type, **inputs):
        return comfy_host.default_node(self.info, class_type, **inputs)

    def queue(self, class_type, output=1, **inputs):
        """Run one node of ours, with something that wants its *output*; nothing is written outside."""
        wanted = (
            self.node("SaveVideo", video=["1", 1], format="auto")
            if output == 1
            else self.node("PreviewImage", images=["1", output])
        )
        with confined(self.host.root):
            return self.host.queue({"1": self.node(class_type, **inputs), "2": wanted})

    @property
    def clips(self):
        """The names of all files in the library, and in the temporary folder."""
        library, temporary = self.host.root / "output" / "luma-ray", self.host.root / "temp"
        found = [path.relative_to(library).as_posix() for path in library.rglob("*") if path.is_file()]
        return sorted([*found, *(path.name for path in temporary.rglob("*") if path.is_file())])


@pytest.fixture
def graph(tmp_path, monkeypatch):
    with comfy_host.install(tmp_path / "a" / "b" / "comfyui") as host:
        graph = Graph(host)
        # The pack is loaded under a name of its own; its waits are a hundred times shorter here.
        module = host.nodes["RayTextToVideo"].__module__.replace("text_to_video", "generation.clock")
        monkeypatch.setattr(
            sys.modules[module].Clock, "sleep", lambda self, seconds: self.stop.wait(max(seconds, 0) / 100)
        )
        yield graph


def asked_below(emulator, folder: str) -> bool:
    """Whether every question about a job stayed in its place at the provider."""
    return all(
        request.target.startswith(f"{emulator.prefix}/{folder}/") or request.method == "POST"
        for request in emulator.requests
        if not request.target.startswith("/assets/")
    )


# -- the library ----------------------------------------------------------------------------------------------------


@names
def test_a_name_in_the_journal_leads_nowhere_outside_of_the_library(tmp_path, name):
    # Other packs can write the journal.
    library = Library(tmp_path / "a" / "library")
    library.folder.mkdir(parents=True)
    with confined(library.folder):
        try:
            found = library.path(name)
        except (InvalidInput, ValueError, OSError):  # refused, or not even a name to this system
            return
    assert found is None


def test_a_file_outside_is_not_found_by_any_way_to_it(tmp_path):
    library = Library(tmp_path / "library")
    library.folder.mkdir()
    (tmp_path / "secret.mp4").write_bytes(b"x")
    (library.folder / "link.mp4").symlink_to(tmp_path / "secret.mp4")
    (library.folder / "folder").symlink_to(tmp_path)
    for name in (
        "../secret.mp4",
        str(tmp_path / "secret.mp4"),
        "link.mp4",
        "folder/secret.mp4",
        "x/../../secret.mp4",
    ):
        with pytest.raises(InvalidInput, match="leads out of"):
            library.path(name)


@names
def test_a_clip_is_not_kept_outside(tmp_path, name):
    library = Library(tmp_path / "a" / "library")
    with confined(tmp_path / "a"):
        try:
            with library.arriving(name) as arriving:
                arriving.write_bytes(b"x")
                library.keep(arriving, name)
        except (InvalidInput, ValueError, OSError):
            return


@names
def test_the_name_of_a_clip_is_made_of_our_own_letters(tmp_path, monkeypatch, name):
    monkeypatch.setenv("PAPER_KEY", "paper-key-0123456789")
    desk = Desk(tmp_path)
    entry = desk.generate(text(prompt=name.encode("utf-8", "replace").decode())).entry
    for model in (name, name * 2, f"ray-2{name}"):
        given = desk.lifecycle.library.name(replace(entry, model=model))
        assert OURS.fullmatch(given), given
        assert not any(SYSTEM.fullmatch(part) for part in given.split("/"))
        assert ".." not in Path(given).parts


def test_the_pattern_that_names_are_held_against_takes_ours_alone():
    assert OURS.fullmatch("2026-11/2026-11-21_ray-2_ray-261121-0123456789.mp4")
    for name in HOSTILE.values():
        assert not OURS.fullmatch(name)


# -- what a workflow types ------------------------------------------------------------------------------------------


def test_an_id_that_is_typed_is_looked_up_and_names_no_file(graph, luma):
    for name in SAYABLE:
        assert graph.queue("RayCollectGeneration", id=name).status == "error"
    assert graph.clips == []
    assert asked_below(luma, "generations")
    assert luma.creates == []


@pytest.mark.parametrize("node", ["RayFrames", "RayExtendVideo", "RayJoinClips"])
def test_a_generation_that_is_typed_instead_of_linked_names_no_file(graph, node):
    socket = "generation_1" if node == "RayJoinClips" else "generation"
    prompt = {"prompt": "it goes on"} if node == "RayExtendVideo" else {}
    for name in SAYABLE:
        result = graph.queue(node, 0, **{socket: {"__value__": [name]}}, **prompt)
        assert (result.status, result.node_errors) == ("error", {})
    assert graph.clips == []


def test_a_prompt_names_no_file(graph):
    prompt = " ".join(name for name in SAYABLE if len(name) < 1000)
    result = graph.queue("RayTextToVideo", prompt=prompt, resolution="540p", provider="animatic")
    assert result.status == "success", result.message
    (clip,) = graph.clips
    assert OURS.fullmatch(clip)


@pytest.mark.parametrize("widget", ["provider", "model", "aspect_ratio", "resolution", "duration"])
def test_a_choice_that_is_none_of_the_choices_is_refused(graph, widget):
    for name in SAYABLE:
        result = graph.queue("RayTextToVideo", prompt="a fox", **{widget: name})
        assert (result.status, list(result.node_errors)) == ("error", ["1"])
    assert graph.clips == []


def test_a_concept_that_is_typed_names_no_file(graph):
    for name in SAYABLE:
        result = graph.queue("RayTextToVideo", prompt="a fox", concepts={"__value__": [name]})
        assert (result.status, result.node_errors) == ("error", {})
    assert graph.clips == []


@pytest.mark.skipif(os.name != "posix", reason="other systems refuse such names themselves")
def test_a_video_of_any_name_is_read_and_its_name_goes_nowhere(graph):
    folder = graph.host.root / "input" / "films"
    folder.mkdir(parents=True)
    paths = []
    for number, name in enumerate(HOSTILE.values()):
        plain = name.encode("utf-8", "replace").decode().replace("/", "_").replace("\0", "_")[:200]
        paths.append(folder / plain)
        films.encode(films.scene(3, 64, 48), folder / f"{number}.film").rename(paths[-1])
    paths = sorted(set(paths))
    given = iter(paths)
    io = sys.modules["comfy_api.latest"].io

    class Video(io.ComfyNode):
        @classmethod
        def define_schema(cls):
            return io.Schema(node_id="Video", inputs=[], outputs=[io.Video.Output("video")])

        @classmethod
        def fingerprint_inputs(cls):
            return float("nan")

        @classmethod
        def execute(cls):
            from comfy_api.latest import InputImpl

            return io.NodeOutput(InputImpl.VideoFromFile(str(next(given)), start_time=0.01))

    graph.host.add_nodes([Video])
    for _ in paths:
        frames, shown = graph.node("RayFrames", video=["1", 0]), graph.node("PreviewImage", images=["2", 1])
        with confined(graph.host.root):
            result = graph.host.queue({"1": {"class_type": "Video", "inputs": {}}, "2": frames, "3": shown})
        assert result.status == "success", result.message
    made = [name for name in graph.clips if name.endswith(".mp4")]
    assert len(made) == len(paths) > 30
    assert all(re.fullmatch(r"[0-9a-f]{16}\.mp4", name) for name in made)


# -- what a provider tells ------------------------------------------------------------------------------------------


def test_the_id_that_a_provider_gives_names_no_file(graph, luma, monkeypatch):
    for limit in ("CONCURRENT", "PER_MINUTE"):
        monkeypatch.setenv(f"LUMA_RAY_LUMA_{limit}", "1000")
    for number, name in enumerate(SAYABLE, 1):
        luma.fail_next("POST", "/generations/video", Fault.fields(id=name))
        result = graph.queue("RayTextToVideo", prompt="a fox", resolution="540p", take=number)
        assert result.status == "error"
    assert graph.clips == []
    assert len(luma.creates) == len(SAYABLE)
    assert asked_below(luma, "generations")


ADDRESSES = (
    *(
        "..%2f..%2fescaped.exe",
        "%2e%2e%2fescaped.sh",
        "escaped.exe",
        "CON",
        "a%00.mp4",
        "C:%5Cescaped",
        "-o",
        "%20.%20",
    ),
)
CALLED = ('attachment; filename="../../escaped.sh"', "attachment; filename*=UTF-8''..%2fescaped")


def test_a_clip_is_called_as_we_call_it_whatever_its_address_and_its_headers_say(graph, luma, monkeypatch):
    with FileHost() as files:
        allowed = [emulator.origin.removeprefix("http://") for emulator in (luma, files)]
        monkeypatch.setenv("LUMA_RAY_ALLOWED_HOSTS", ",".join(allowed))
        for number, path in enumerate(ADDRESSES, 1):
            files.put(path, seeds()["mp4"], "application/x-msdownload")
            said = {"Content-Disposition": CALLED[number % 2]}
            named = Fault(
                lambda reply, said=said: replace(reply, headers={**reply.headers, **said}), handled=True
            )
            files.fail_next("GET", "/{name}", named)
            done = {"video": f"{files.origin}/{path}?name=../../escaped.mp4"}
            luma.fail_next("GET", "/generations/{id}", Fault.fields(state="completed", assets=done))
            result = graph.queue("RayTextToVideo", prompt="a fox", resolution="540p", take=number)
            assert result.status == "success", result.message
    made = [name for name in graph.clips if name.startswith("20")]
    assert len(made) == len(ADDRESSES)
    assert all(OURS.fullmatch(name) for name in made)


# -- the command line -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["collect", "resume"])
def test_an_id_on_the_command_line_names_no_file(luma, tmp_path, monkeypatch, capsys, command):
    monkeypatch.setattr(terminal, "Clock", FakeClock)
    for name in SAYABLE:
        if not name.startswith("-"):  # or it would be an option
            with confined(tmp_path / "home"):
                assert cli.main([command, name]) != 0
    assert list((tmp_path / "home").rglob("*.mp4")) == []
    assert asked_below(luma, "generations")
