"""What SECURITY.md claims of the code as a whole, and that every test which it names is there."""

from __future__ import annotations

import ast
import json
import re
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import comfy_host
import pytest
from luma_ray.nodes.hosting import HOSTS
from luma_ray.nodes.providers import PROVIDERS

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
CLAIMS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and "`tests/" in line
]
"""Claim, where, and what holds it."""
MODULES = sorted((ROOT / "nodes").rglob("*.py"))


def test_there_are_claims():
    assert len(CLAIMS) > 50
    assert all(len(claim) == 3 for claim in CLAIMS)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim[2].strip("`").rpartition("::")[2])
def test_what_a_claim_names_is_there(claim):
    _, where, test = claim
    path, name = re.fullmatch(r"`(tests/[\w/]+\.py)::(test_\w+)`", test).groups()
    assert re.search(rf"^(async )?def {name}\(", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
    for place in re.findall(r"`([^`]+)`", where):
        for each in expanded(place):
            assert (ROOT / each).exists(), each


def expanded(place: str) -> list[str]:
    """`a/{b,c}.py` as `a/b.py` and `a/c.py`."""
    found = re.fullmatch(r"(.*)\{(.*)\}(.*)", place)
    return [found[1] + one + found[3] for one in found[2].split(",")] if found else [place]


# -- nothing is run that is given -----------------------------------------------------------------------------------

RUNS = {"eval", "exec", "compile", "__import__", "breakpoint"}
MODULES_THAT_RUN = {
    *(
        "subprocess",
        "pickle",
        "cPickle",
        "marshal",
        "shelve",
        "dill",
        "ctypes",
        "cffi",
        "runpy",
        "code",
        "codeop",
    ),
    *("pty", "multiprocessing", "webbrowser", "zipimport", "pip", "ensurepip", "venv", "pexpect", "joblib"),
}
OF_OS = {
    "system",
    "popen",
    "execv",
    "execve",
    "execvp",
    "spawnl",
    "spawnv",
    "posix_spawn",
    "startfile",
    "fork",
}


def runs(source: str) -> list[str]:
    """What in *source* could run what it is given, or another program."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.split(".")[0] in MODULES_THAT_RUN]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found += [node.module] if (node.module or "").split(".")[0] in MODULES_THAT_RUN else []
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in RUNS:
            found.append(node.func.id)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
            if owner == "os" and node.func.attr in OF_OS:
                found.append(f"os.{node.func.attr}")
            if node.func.attr == "import_module" and not isinstance(node.args[0], ast.Constant):
                found.append("a module by a name that is not written there")
            if owner == "torch" and node.func.attr == "load":
                found.append("torch.load")
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_nothing_that_is_given_is_run(path):
    assert runs(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "eval(x)",
        "exec(x)",
        "import subprocess",
        "from subprocess import run",
        "import os\nos.system(x)",
        "import pickle",
        "import importlib\nimportlib.import_module(name)",
        "import torch\ntorch.load(path)",
        "def f():\n    import ctypes",
    ],
)
def test_what_would_be_run_is_seen(source):
    assert runs(source)


# -- addresses ------------------------------------------------------------------------------------------------------

ADDRESS = re.compile(r"https?://[^\s\"'`<>()\[\]{}|\\]+")


def domain(address: str) -> str:
    """The last two names of its host."""
    return ".".join((urlsplit(address).hostname or "").split(".")[-2:])


def test_every_address_in_the_code_is_a_providers_and_https():
    addresses = [each.base_url for each in (*PROVIDERS, *HOSTS) if getattr(each, "base_url", "")]
    assert len(addresses) > 8
    assert all(address.startswith("https://") for address in addresses)
    known = {domain(address) for address in (*addresses, *(provider.docs for provider in PROVIDERS))}
    for path in MODULES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
                for found in ADDRESS.findall(node.value):
                    assert domain(found) in known, f"{path.name}: {found}"


def test_loading_the_pack_connects_to_nothing(tmp_path, monkeypatch):
    reached = []

    def connect(self, address):
        if self.family != getattr(socket, "AF_UNIX", None):
            reached.append(address)
        raise OSError("no network here")

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: reached.append("a name"))
    with comfy_host.install(tmp_path / "comfyui") as host:
        comfy_host.load_pack(ROOT)
        host.object_info()
    assert reached == []


def test_importing_the_pack_loads_nothing_that_connects():
    script = "import sys, conftest, luma_ray.nodes.studio; print({'boto3', 'aiohttp'} & set(sys.modules))"
    command = [sys.executable, "-c", script]
    told = subprocess.run(command, cwd=ROOT / "tests", capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"


# -- what a workflow can type ---------------------------------------------------------------------------------------


PROMPTS = {"prompt", "negative_prompt", "sheet", "style", "parts"}


def test_the_only_texts_of_a_workflow_are_prompts_an_id_and_the_name_of_an_export(tmp_path):
    with comfy_host.install(tmp_path / "comfyui") as host:
        ours = comfy_host.load_pack(ROOT)
        info = host.object_info()
    texts = {
        (node, name)
        for node in ours
        for group in ("required", "optional")
        for name, (kind, *_) in info[node]["input"].get(group, {}).items()
        if kind == "STRING"
    }
    assert {name for _, name in texts} == {*PROMPTS, "id", "name"}
    assert {node for node, name in texts if name == "id"} == {"RayCollectGeneration"}
    assert {node for node, name in texts if name == "name"} == {"RayExportFilm"}
    assert "extra_pnginfo" not in json.dumps([name for _, name in texts])


# -- the page's scripts ---------------------------------------------------------------------------------------------

SCRIPTS = [path for ending in ("*.js", "*.mjs") for path in sorted((ROOT / "web").rglob(ending))]
FORBIDDEN = re.compile(
    r"""(?x) https?:// | \binnerHTML\b | \bouterHTML\b | insertAdjacentHTML | document\.write | \beval\s*\(
    | new\s+Function | localStorage | sessionStorage | document\.cookie | indexedDB | XMLHttpRequest | WebSocket
    | \bimport\s*\((?!\s*"\./[a-z_]+\.mjs") | navigator\.sendBeacon | (?<!api\.)\bfetch\s*\( | \bpostMessage\b
    | <script | \.src\s*=\s*["'`]"""
)


def test_there_are_scripts():
    assert SCRIPTS


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_of_the_page_stay_on_it(path):
    assert FORBIDDEN.findall(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "fetch('/x')",
        "a.innerHTML = b",
        "localStorage.x = 1",
        "import('https://a.test/b.js')",
        'import("../other/b.mjs")',
        "import(name)",
        "image.src = '//a.test/b.png'",
        "image.src = `//${host}/b.png`",
        "new Function(a)",
        "eval(a)",
    ],
)
def test_a_script_that_leaves_the_page_is_seen(source):
    assert FORBIDDEN.search(source)
