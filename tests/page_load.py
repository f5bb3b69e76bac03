"""What the pack's scripts add to the loading of ComfyUI's page: `python tests/page_load.py`.

The page is loaded with them and without, by turns, each time in a tab that has nothing in its cache.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import types
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
CATEGORIES = (
    *("v8", "devtools.timeline", "disabled-by-default-v8.compile"),
    *("disabled-by-default-v8.cpu_profiler", "disabled-by-default-v8.cpu_profiler.hires"),
)
COMPILING = ("v8.compileModule", "v8.compile")
WATCH = """
const look = () => {
  const app = window.comfyAPI?.app?.app;
  if (app?.rootGraph && app.extensionManager && !document.querySelector("#splash-loader"))
    window.readyAfter = performance.now();
  else setTimeout(look, 4);
};
look();
"""


class Load(NamedTuple):
    """One loading of the page."""

    ready: float
    """Milliseconds from the navigation until the page can be used."""
    script: float
    """Milliseconds that all scripts of the page ran until then."""
    ours: float
    """Of these, with a function of ours on the stack, and compiling of ours."""
    requests: int
    """For files of ours."""
    size: int
    """Of these, in bytes."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loads", type=int, default=7, help="with and without, each")
    loads = parser.parse_args().loads
    _as_tests_see_the_pack()
    from frontend.fixtures import missing

    if missing():
        sys.exit(missing())
    with tempfile.TemporaryDirectory() as folder:
        found = measured(Path(folder), loads)
    print(f"{'':<22}{'with':>9}{'without':>9}{'added':>9}   milliseconds, medians of {loads}")
    for name in ("ready", "script", "ours"):
        on, off = (statistics.median(getattr(each, name) for each in found[kind]) for kind in (True, False))
        print(f"{name:<22}{on:>9.1f}{off:>9.1f}{on - off:>9.1f}")
    ours = [each.ours for each in found[True]]
    print(f"ours, each load: {', '.join(f'{each:.1f}' for each in ours)}")
    print(f"{found[True][0].requests} files, {found[True][0].size} bytes")


def measured(folder: Path, loads: int) -> dict[bool, list[Load]]:
    """Loads by whether the pack's scripts were there; the first of each is not counted."""
    from browser import Browser
    from frontend.fixtures import backend

    found: dict[bool, list[Load]] = {True: [], False: []}
    with backend(folder, {}, {}) as running, Browser() as browser:
        all_scripts = running.extensions
        for number in range(loads + 1):
            for ours in (True, False):
                running.extensions = all_scripts if ours else []
                load = one_load(browser, running.address)
                if number:
                    found[ours].append(load)
    return found


def one_load(browser: Any, address: str) -> Load:
    """The page loaded once, watched."""
    from frontend.served import OURS

    with browser.tab() as tab, browser.traced(CATEGORIES) as events:
        tab.call("Performance.enable")
        tab.call("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
        tab.open(address)
        ready = tab.until("return window.readyAfter", seconds=60)
        metrics = {each["name"]: each["value"] for each in tab.call("Performance.getMetrics")["metrics"]}
        sizes = tab.ask(
            "return performance.getEntriesByType('resource').filter((each) => each.name.includes(given[0]))"
            ".map((each) => each.encodedBodySize)",
            OURS,
        )
    return Load(ready, metrics["ScriptDuration"] * 1000, ours_in(events, OURS), len(sizes), sum(sizes))


def ours_in(events: list[dict[str, Any]], part: str) -> float:
    """Milliseconds in which a script whose address has *part* ran or was compiled, of a trace."""
    compiled = sum(
        event.get("tdur", event.get("dur", 0))
        for event in events
        if event["name"] in COMPILING and part in str(event.get("args"))
    )
    ran = 0.0
    mine: dict[tuple[Any, Any, int], bool] = {}
    for event in events:
        if event["name"] != "ProfileChunk":
            continue
        told = event["args"]["data"]
        profile, of = told.get("cpuProfile", {}), (event["pid"], event["id"])
        for node in profile.get("nodes", []):
            above = mine.get((*of, node.get("parent", 0)), False)
            mine[(*of, node["id"])] = above or part in node["callFrame"].get("url", "")
        for sample, delta in zip(profile.get("samples", []), told.get("timeDeltas", []), strict=False):
            ran += delta if mine.get((*of, sample), False) else 0
    return (compiled + ran) / 1000


def _as_tests_see_the_pack() -> None:
    package = types.ModuleType("luma_ray")
    package.__path__ = [str(HERE.parent)]
    sys.modules["luma_ray"] = package


if __name__ == "__main__":
    main()
