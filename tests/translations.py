"""The strings that translators copy: locales/en, made from the nodes and the page's scripts by `make tables`.

A string has one home: what nodes say is in their schemas, what settings and commands say in `web/`. The files in
locales/en have the same words, so that those in locales/de can have others. ComfyUI's interface reads some of them as
messages of vue-i18n and some as they are: so none may hold what that takes for a sign of its own (`SIGNS`).
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import comfy_host
import pytest

ROOT: Final = Path(__file__).resolve().parent.parent
ENGLISH: Final = ROOT / "locales" / "en"
SIGNS: Final = "{}|@"
"""What vue-i18n takes for placeholders, plurals and links to other messages."""
_SETTING = re.compile(
    r"""id:\s*"(?P<id>LumaRay\.[\w.]+)",\s*
        category:\s*\[(?P<category>[^\]]+)\],\s*
        name:\s*"(?P<name>[^"]+)",\s*
        (?:tooltip:\s*"(?P<tooltip>[^"]+)")?""",
    re.VERBOSE,
)
_COMMAND = re.compile(r'id:\s*"(?P<id>LumaRay\.[\w.]+)",\s*label:\s*"(?P<label>[^"]+)"')
_ID = re.compile(r'\bid:\s*"(LumaRay\.[\w.]+)"')


@cache
def nodes() -> dict[str, Any]:
    """What the pack's nodes tell ComfyUI's interface, by their ids."""
    with tempfile.TemporaryDirectory() as folder, comfy_host.install(Path(folder)) as host:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LUMA_RAY_COLLECT", "off")
            ours = comfy_host.load_pack(ROOT)
        told = host.object_info()
        return {node_id: told[node_id] for node_id in ours}


def declared(node_id: str) -> dict[str, Any]:
    """The inputs of a node in their order: type and options by name."""
    told = nodes()[node_id]["input"]
    return {name: spec for group in ("required", "optional") for name, spec in told.get(group, {}).items()}


def node_strings() -> dict[str, Any]:
    """nodeDefs.json."""
    return {
        node_id: {
            "display_name": told["display_name"],
            "description": told["description"],
            "inputs": {
                name: {"name": name, "tooltip": options["tooltip"]}
                for name, (_, options) in declared(node_id).items()
            },
            "outputs": {
                str(index): {"name": name, "tooltip": tooltip}
                for index, (name, tooltip) in enumerate(
                    zip(told["output_name"], told["output_tooltips"], strict=True)
                )
            },
        }
        for node_id, told in nodes().items()
    }


def setting_strings() -> dict[str, Any]:
    """settings.json."""
    return {
        _key(found["id"]): {word: found[word] for word in ("name", "tooltip") if found[word]}
        for found in _found(_SETTING)
    }


def command_strings() -> dict[str, Any]:
    """commands.json."""
    return {_key(found["id"]): {"label": found["label"]} for found in _found(_COMMAND)}


def main_strings() -> dict[str, Any]:
    """main.json: the names of folders, of the settings' groups, and of the templates."""
    groups = [group for found in _found(_SETTING) for group in re.findall(r'"([^"]+)"', found["category"])]
    categories = [part for told in nodes().values() for part in told["category"].split("/")]
    return {
        # "video" is ComfyUI's own, and has a name there.
        "nodeCategories": {each: each for each in dict.fromkeys(categories) if each != "video"},
        "settingsCategories": {_key(each): each for each in dict.fromkeys(groups)},
        "templateWorkflows": {"category": {"luma-ray": "Luma Ray"}},
    }


def files() -> dict[Path, dict[str, Any]]:
    """Every file, and what belongs into it."""
    return {
        ENGLISH / "main.json": main_strings(),
        ENGLISH / "nodeDefs.json": node_strings(),
        ENGLISH / "settings.json": setting_strings(),
        ENGLISH / "commands.json": command_strings(),
    }


def written(strings: dict[str, Any]) -> str:
    """The text of a file."""
    return json.dumps(strings, indent=2, ensure_ascii=False) + "\n"


def named_in_scripts() -> set[str]:
    """Ids of every setting and command that a script of the page names with `id:`."""
    return {found for script in _scripts() for found in _ID.findall(script)}


def texts(strings: Any) -> Iterator[str]:
    """Every text in *strings*, however deep."""
    if isinstance(strings, str):
        yield strings
    else:
        for each in strings.values():
            yield from texts(each)


def _key(words: str) -> str:
    """*words* as ComfyUI's interface writes them in keys."""
    return words.replace(".", "_")


def _found(pattern: re.Pattern[str]) -> list[re.Match[str]]:
    return [found for script in _scripts() for found in pattern.finditer(script)]


def _scripts() -> list[str]:
    return [path.read_text("utf-8") for path in sorted((ROOT / "web").glob("*.*js"))]
