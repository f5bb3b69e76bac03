"""The files that the backend serves: the interface as PyPI has it, and this pack's page, words and examples."""

from __future__ import annotations

import importlib.util
import json
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
WEB = ROOT / "web"
EXAMPLES = ROOT / "example_workflows"
PACK = "luma-ray"
"""The pack's folder in custom_nodes."""
OURS = f"/extensions/{PACK}/"
PACKAGE = "comfyui_frontend_package"


@cache
def interface() -> Path | None:
    """Where the compiled interface lies; None where it is not installed."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        return None
    return Path(found.submodule_search_locations[0]) / "static"


def extensions() -> list[str]:
    """What ComfyUI imports at page load: every .js below web/."""
    return [OURS + path.relative_to(WEB).as_posix() for path in sorted(WEB.rglob("*.js"))]


def translations() -> dict[str, Any]:
    """GET /i18n, put together from locales/ as ComfyUI does it."""
    found: dict[str, Any] = {}
    for folder in sorted(each for each in (ROOT / "locales").iterdir() if each.is_dir()):
        words = _json(folder / "main.json")
        for part in ("nodeDefs", "commands", "settings"):
            more = _json(folder / f"{part}.json")
            if more:
                words[part] = more
        found[folder.name] = words
    return found


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}
