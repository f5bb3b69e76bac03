"""Imports go one way, packages stay where they belong, modules stay short: read from the source itself."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LONGEST = 450
"""Lines of a module that is still read in one go."""

COMFYUI = {"comfy", "comfy_api", "comfy_api_nodes", "comfy_execution", "execution", "folder_paths", "server"}
OWN = {"luma_ray", "nodes", "handoff", "generation", "providers", "hosting", "media", "tests"}

PLACES = {
    # third-party package: the modules or packages that may import it
    "requests": ("nodes.generation.connection", "nodes.generation.client", "nodes.generation.download"),
    "urllib3": ("nodes.generation.connection",),
    "sqlalchemy": (
        "nodes.generation.database",
        "nodes.generation.postgresql",
        "nodes.generation.records",
        "nodes.generation.journal",
        "nodes.generation.pictures",
        "nodes.generation.room",
        "nodes.generation.spending",
        "nodes.generation.ledger",
        "nodes.generation.catalogue",
    ),
    "boto3": ("nodes.hosting.s3", "nodes.generation.amazon"),
    "botocore": ("nodes.hosting.s3", "nodes.generation.amazon"),
    "aiohttp": ("nodes.page.door",),
    "torch": ("nodes.media",),
    "PIL": ("nodes.media",),
    "av": ("nodes.media",),
    "numpy": ("nodes.media",),
}
IN_FUNCTIONS_ONLY = {"boto3", "botocore", "aiohttp"}
"""Optional, or too slow to import before they are needed."""

PACKAGES = {
    # package: what its modules may import of the pack
    "nodes.generation": {"nodes.generation"},
    "nodes.media": {"nodes.media", "nodes.generation"},
    "nodes.handoff": {"nodes.handoff", "nodes.cutting", "nodes.sheet", "nodes.media", "nodes.generation"},
    "nodes.page": {
        "nodes.page",
        "nodes.studio",
        "nodes.film",
        "nodes.bookkeeping",
        "nodes.collecting",
        "nodes.plan",
        "nodes.looking",
        "nodes.runs",
        "nodes.marks",
        "nodes.revision",
        "nodes.storyboard",
        "nodes.reframing",
        "nodes.hosting",
        "nodes.providers",
        "nodes.media",
        "nodes.generation",
    },
    "nodes.hosting": {"nodes.generation"},
    "nodes.providers": {"nodes.generation"},
}
EXCEPTIONS = {
    # The list of all; and the preview, which renders.
    "nodes.providers": {"nodes.providers"},
    "nodes.hosting": {"nodes.hosting"},
    "nodes.providers.animatic": {"nodes.media"},
}

ORDER = (
    "errors",
    "ray",
    "canvas",
    "request",
    "remaking",
    "clock",
    "credentials",
    "tripwire",
    "connection",
    "answers",
    "forms",
    "client",
    "download",
    "offer",
    "fitting",
    "budget",
    "selection",
    "connecting",
    "hosting",
    "postgresql",
    "database",
    "records",
    "room",
    "spending",
    "owner",
    "journal",
    "ledger",
    "catalogue",
    "pictures",
    "library",
    "pace",
    "waiting",
    "submitting",
    "limiter",
    "sharing",
    "uploading",
    "prices",
    "luma_video",
    "openai_video",
    "amazon",
    "finishing",
    "lifecycle",
)
"""Of the core: each module may import those before it. A new one is put in its place here."""


@dataclass(frozen=True)
class Import:
    """One imported module; of the pack as `nodes.package.module`."""

    target: str
    line: int
    when: str
    """"module": with the module. "function": when a function runs. "typing": never."""
    relative: bool = False

    @property
    def top(self) -> str:
        return self.target.split(".")[0]


@dataclass(frozen=True)
class Module:
    name: str
    path: Path

    @property
    def package(self) -> str:
        return self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]

    @property
    def area(self) -> str:
        """The package whose rules hold for it: `nodes` or a package directly in it."""
        return "nodes" if self.path.parent == ROOT / "nodes" else ".".join(self.name.split(".")[:2])

    @property
    def imports(self) -> list[Import]:
        return read(self.path.read_text(encoding="utf-8"), self.package)


@cache
def modules() -> tuple[Module, ...]:
    """Every module below nodes/."""
    found = []
    for path in sorted((ROOT / "nodes").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found.append(Module(".".join(parts[:-1] if parts[-1] == "__init__" else parts), path))
    return tuple(found)


@cache
def names() -> frozenset[str]:
    return frozenset(module.name for module in modules())


def read(source: str, package: str) -> list[Import]:
    """The imports of a module in *package*, wherever they stand."""
    return list(_read(ast.parse(source), package, "module"))


def _read(tree: ast.AST, package: str, when: str) -> Iterator[Import]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, when)
        elif isinstance(node, ast.ImportFrom):
            for target in _targets(node, package):
                yield Import(target, node.lineno, when, relative=bool(node.level))
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield from _read(node, package, "function" if when == "module" else when)
        elif isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            yield from _read(ast.Module(node.body, []), package, "typing")
            yield from _read(ast.Module(node.orelse, []), package, when)
        else:
            yield from _read(node, package, when)


def _targets(node: ast.ImportFrom, package: str) -> Iterator[str]:
    """`from . import a` names the module a where there is one, else what is imported from."""
    if not node.level:
        yield node.module or ""
        return
    parts = package.split(".")
    origin = ".".join([*parts[: len(parts) - node.level + 1], *filter(None, [node.module])])
    for alias in node.names:
        inner = f"{origin}.{alias.name}"
        yield inner if inner in names() else origin


def within(name: str, places: tuple[str, ...] | set[str]) -> bool:
    return any(name == place or name.startswith(f"{place}.") for place in places)


def everything(wanted: tuple[str, ...] = ("module", "function", "typing")) -> Iterator[tuple[Module, Import]]:
    for module in modules():
        for imported in module.imports:
            if imported.when in wanted:
                yield module, imported


def told(module: Module, imported: Import) -> str:
    return f"{module.path.relative_to(ROOT)}:{imported.line} imports {imported.target}"


# -- the reader itself, or the rules below would prove nothing ----------------------------------------------


@pytest.mark.parametrize(
    ("source", "package", "expected"),
    [
        ("import requests, os.path", "nodes", [("requests", "module"), ("os.path", "module")]),
        ("from .errors import InvalidInput", "nodes.generation", [("nodes.generation.errors", "module")]),
        ("from . import budget", "nodes.generation", [("nodes.generation.budget", "module")]),
        ("from ..media import clips", "nodes.providers", [("nodes.media.clips", "module")]),
        ("from ..generation.offer import Offer", "nodes.hosting", [("nodes.generation.offer", "module")]),
        ("from .. import host", "nodes.media", [("nodes.host", "module")]),
        ("def f():\n    from . import host", "nodes", [("nodes.host", "function")]),
        ("async def f():\n    if 1:\n        import boto3", "nodes", [("boto3", "function")]),
        ("class C:\n    import torch", "nodes", [("torch", "module")]),
        ("try:\n    import av\nexcept ImportError:\n    av = None", "nodes", [("av", "module")]),
        (
            "if TYPE_CHECKING:\n    import torch\nelse:\n    import av",
            "nodes",
            [("torch", "typing"), ("av", "module")],
        ),
        ("if typing.TYPE_CHECKING:\n    import torch", "nodes", [("torch", "typing")]),
    ],
)
def test_the_reader_sees_every_import(source, package, expected):
    assert [(imported.target, imported.when) for imported in read(source, package)] == expected


def test_the_reader_sees_the_whole_pack():
    for known in (
        "nodes.cli",
        "nodes.host",
        "nodes.generation.lifecycle",
        "nodes.providers.luma",
        "nodes.media.clips",
    ):
        assert known in names()
    assert sum(1 for _ in everything()) > 200


# -- the rules ----------------------------------------------------------------------------------------------


def test_the_pack_imports_itself_relatively():
    # ComfyUI loads the pack under its path as a name, and has a module `nodes` of its own.
    wrong = [found for found in everything() if found[1].top in OWN and not found[1].relative]
    assert [told(*found) for found in wrong] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_what_is_below_it(package):
    wrong = []
    for module, imported in everything():
        if module.area != package or not imported.relative:
            continue
        allowed = PACKAGES[package] | EXCEPTIONS.get(module.name, set())
        if not within(imported.target, allowed):
            wrong.append(told(module, imported))
    assert wrong == []


def test_every_package_has_its_rule():
    assert {module.area for module in modules()} == {"nodes", *PACKAGES}


def test_every_package_is_in_the_wheel():
    listed = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    packages = [module.name for module in modules() if module.path.name == "__init__.py"]
    assert [name for name in packages if f'"luma_ray.{name}"' not in listed] == []


def test_providers_never_import_each_other():
    wrong = [
        told(module, imported)
        for module, imported in everything()
        if module.area == "nodes.providers"
        and module.name != "nodes.providers"
        and within(imported.target, ("nodes.providers",))
    ]
    assert wrong == []


def test_only_modules_directly_in_nodes_import_comfyui():
    wrong = [
        told(module, imported)
        for module, imported in everything()
        if imported.top in COMFYUI and module.area != "nodes"
    ]
    assert wrong == []


@pytest.mark.parametrize("name", PLACES)
def test_a_third_party_package_stays_in_its_place(name):
    used = [(module, imported) for module, imported in everything() if imported.top == name]
    assert [
        told(*found)
        for found in used
        if found[1].when != "typing" and not within(found[0].name, PLACES[name])
    ] == []
    assert used, f"{name} is not used any more: take it out of PLACES"


@pytest.mark.parametrize("name", sorted(IN_FUNCTIONS_ONLY))
def test_an_optional_package_is_imported_when_it_is_needed(name):
    assert [told(*found) for found in everything(("module",)) if found[1].top == name] == []


def test_nothing_else_is_imported():
    known = sys.stdlib_module_names | COMFYUI | PLACES.keys() | {"nodes"}
    assert [told(*found) for found in everything() if found[1].top not in known] == []


def test_inside_the_core_imports_go_one_way():
    wrong = []
    for module, imported in everything(("module", "function")):
        if module.area != "nodes.generation" or not within(imported.target, ("nodes.generation",)):
            continue
        here, there = module.name.split(".")[-1], imported.target.split(".")[-1]
        if here not in ORDER or there not in ORDER or ORDER.index(there) >= ORDER.index(here):
            wrong.append(told(module, imported))
    assert wrong == []


def test_every_module_of_the_core_has_its_place():
    found = {module.name.split(".")[-1] for module in modules() if module.area == "nodes.generation"}
    assert found - {"generation"} == set(ORDER)


def test_no_module_imports_one_that_imports_it():
    graph = {
        module.name: {i.target for i in module.imports if i.when == "module" and i.target in names()}
        - {module.name}
        for module in modules()
    }
    while True:
        ends = {name for name, targets in graph.items() if not targets & graph.keys()}
        if not ends:
            break
        graph = {name: targets for name, targets in graph.items() if name not in ends}
    assert graph == {}


@pytest.mark.parametrize("module", modules(), ids=lambda module: module.name)
def test_a_module_is_short_and_says_what_it_is_for(module):
    source = module.path.read_text(encoding="utf-8")
    assert len(source.splitlines()) <= LONGEST
    assert ast.get_docstring(ast.parse(source))
