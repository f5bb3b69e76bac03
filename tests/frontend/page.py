"""The page as a person uses it: nodes on the canvas, the Run button, settings, messages."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from browser import Said, Tab
from browser.tab import Point

from . import access
from .served import OURS
from .stand_in import StandIn

SHOTS = os.environ.get("LUMA_RAY_SHOTS", "")
"""Environment variable: the folder for screenshots; none are taken without it."""
NAMES = """
const app = window.comfyAPI.app.app, api = window.comfyAPI.api.api, graph = app.rootGraph;
const node = (id) => graph.getNodeById(Number(id));
const widget = (id, name) => node(id).widgets.find((each) => each.name === name);
"""
READY = """
return !!window.comfyAPI?.app?.app?.rootGraph && !!window.LiteGraph?.registered_node_types?.RayTextToVideo
  && !!window.comfyAPI.app.app.extensionManager && !document.querySelector("#splash-loader, .p-blockui-mask");
"""
CLEAN = """
for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
const sidebar = app.extensionManager.sidebarTab;
if (sidebar?.activeSidebarTabId) sidebar.toggleSidebarTab(sidebar.activeSidebarTabId);
app.extensionManager.toast.removeAll?.();
graph.clear();
app.canvas.ds.offset = [0, 0];
app.canvas.ds.scale = 1;
app.canvas.setDirty(true, true);
"""
SAYS = """
return [...document.querySelectorAll(".p-toast-message, [role=status], [role=alert]")]
  .map((each) => each.textContent.trim()).filter(Boolean);
"""
HOLD = """
const own = (window.heldFetch = window.fetch), [path] = given;
window.held = [];
window.fetch = async (...asked) => {
  const told = await own(...asked), place = String(asked[0]?.url ?? asked[0]);
  if (place.split("?")[0].endsWith(path)) await new Promise((done) => window.held.push(done));
  return told;
};
return null;
"""
DEPRECATED = re.compile(r"deprecat", re.IGNORECASE)


class Page:
    """One page of ComfyUI. What `Tab` can, it can: see, click, press, type, until, call."""

    def __init__(self, tab: Tab, backend: Any, renderer: str) -> None:
        self.tab, self.backend, self.renderer = tab, backend, renderer
        self.see, self.gone, self.count = tab.see, tab.gone, tab.count
        self.click, self.press, self.type, self.hover = tab.click, tab.press, tab.type, tab.hover
        self.click_at, self.drag, self.wheel, self.where = tab.click_at, tab.drag, tab.wheel, tab.where
        self.call, self.viewport, self.zoom = tab.call, tab.viewport, tab.zoom
        self._theme = "dark"
        self._expected: list[str] = []

    # -- scripts ------------------------------------------------------------------------------------------------

    def ask(self, script: str, *given: Any) -> Any:
        """What a script in the page returns; `app`, `api`, `graph`, `node(id)`, `widget(id, name)` are at hand."""
        return self.tab.ask(f"{NAMES} return await (async () => {{ {script} }})();", *given)

    def until(self, script: str, *given: Any, seconds: float = 20) -> Any:
        """*script* asked again until it returns something true."""
        try:
            return self.tab.until(
                f"{NAMES} return await (async () => {{ {script} }})();", *given, seconds=seconds
            )
        except AssertionError as error:
            raise AssertionError(f"{error}. The page says: {self.ask(SAYS)}") from None

    @property
    def studio(self) -> Any:
        """The pack's studio on the folders of this ComfyUI: its library, limits and keys."""
        return self.backend.studio

    def tell(self, event: str, data: Any) -> None:
        """Send an event from the server, such as "luma_ray.collected"."""
        self.backend.tell(event, data)

    @contextmanager
    def held(self, path: str) -> Iterator[Callable[[], None]]:
        """While the block lasts, answers at an address that ends so, but for its query, are kept back.

        What it gives waits until there is one, and lets it go.
        """
        self.ask(HOLD, path)

        def let_go() -> None:
            self.until("if (!window.held.length) return false; window.held.shift()(); return true")

        try:
            yield let_go
        finally:
            self.ask("window.fetch = window.heldFetch; for (const each of window.held) each(); return null")

    # -- opening ------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Load the page, anew where it was open, and wait until it can be used."""
        before = self.tab.ask("return performance.timeOrigin")
        self.tab.open(self.backend.address)
        self.tab.until("return performance.timeOrigin !== given[0]", before, seconds=60)
        self.tab.until(READY, seconds=60)

    def reload(self) -> None:
        """As a person does."""
        self.open()

    def start_over(self) -> None:
        """An empty graph, no window, dark, 100 %, nothing recorded: how each test begins."""
        self._expected.clear()
        self.press("Escape")
        while self.tab.count("[role=dialog]:not(dialog)"):  # a window may lie on another
            self.press("Escape")
            self.ask("await new Promise((done) => setTimeout(done, 100)); return null")
        self.ask(CLEAN)
        self.gone(".p-toast-message")
        self.theme("dark")
        self.zoom(1)
        if isinstance(self.backend, StandIn):
            self.backend.forget_played()
        self.tab.forget()

    # -- nodes --------------------------------------------------------------------------------------------------

    def add(self, kind: str, *, at: tuple[int, int] | None = None, **widgets: Any) -> str:
        """A new node, with these values in its widgets; its id. Without *at* right of all that are there."""
        return self.ask(
            """
            const [kind, at, values] = given;
            const made = window.LiteGraph.createNode(kind);
            if (!made) throw new Error(`There is no node ${kind}.`);
            const right = Math.max(20, ...graph.nodes.map((each) => each.pos[0] + each.size[0] + 60));
            made.pos = at ?? [right, 60];
            graph.add(made);
            const set = async ([name, value]) => {
              const found = made.widgets.find((each) => each.name === name);
              if (!found) throw new Error(`${kind} has no widget ${name}.`);
              found.value = value;
              found.callback?.(value, app.canvas, made);
            };
            for (const each of Object.entries(values)) await set(each);
            app.canvas.setDirty(true, true);
            await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
            return String(made.id);
            """,
            kind,
            at,
            widgets,
        )

    def set(self, node: str, **widgets: Any) -> None:
        """Give widgets of a node other values, as its own controls do."""
        self.ask(
            """
            const [id, values] = given;
            for (const [name, value] of Object.entries(values)) {
              const found = widget(id, name);
              if (!found) throw new Error(`Node ${id} has no widget ${name}.`);
              found.value = value;
              found.callback?.(value, app.canvas, node(id));
            }
            app.canvas.setDirty(true, true);
            await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
            """,
            node,
            widgets,
        )

    def link(self, start: str, output: str | int, end: str, entry: str | int) -> None:
        """Connect an output with an input; by name or number."""
        self.ask(
            """
            const [start, output, end, entry] = given;
            const index = (slots, name) => typeof name === "number" ? name : slots.findIndex((s) => s.name === name);
            const out = index(node(start).outputs, output), into = index(node(end).inputs, entry);
            if (out < 0 || into < 0) throw new Error(`No such slot: ${output} or ${entry}`);
            node(start).connect(out, node(end), into);
            """,
            start,
            output,
            end,
            entry,
        )

    def load(self, workflow: dict[str, Any]) -> None:
        """Open a workflow, as from a file."""
        self.ask("await app.loadGraphData(given[0]); return null", workflow)

    def prompt(self) -> dict[str, Any]:
        """What Run would queue now."""
        return self.ask("return (await app.graphToPrompt()).output")

    def fit(self) -> None:
        """Bring all nodes into view."""
        self.ask("app.extensionManager.command.execute('Comfy.Canvas.FitView'); return null")
        self.until(
            "const ds = app.canvas.ds, was = [ds.scale, ...ds.offset].join();"
            "await new Promise((done) => setTimeout(done, 120));"
            "return was === [ds.scale, ...ds.offset].join()"
        )

    def box(self, node: str) -> tuple[float, float, float, float]:
        """Where a node is in the window: left, top, width, height, with its title."""
        return tuple(
            self.ask(
                """
                const found = node(given[0]), canvas = app.canvas.canvas.getBoundingClientRect(), ds = app.canvas.ds;
                const [x, y, width, height] = found.getBounding ? found.getBounding() : [...found.pos, ...found.size];
                const at = (value, axis) => (value + ds.offset[axis]) * ds.scale;
                return [at(x, 0) + canvas.x, at(y, 1) + canvas.y, width * ds.scale, height * ds.scale];
                """,
                node,
            )
        )

    def select(self, node: str) -> None:
        """Click a node's title."""
        left, top, width, _ = self.box(node)
        self.click_at(Point(left + width / 2, top + 12))

    # -- running ------------------------------------------------------------------------------------------------

    def queue(self) -> str:
        """Press Run; the id of what was queued."""
        before = self.queued()
        self.ask("await app.queuePrompt(0); return null")
        return self.queued_after(before)

    def queued(self) -> list[str]:
        """The ids of all that was ever queued."""
        return [job["id"] for job in self.backend.jobs()]

    def queued_after(self, before: list[str], seconds: float = 20) -> str:
        """Wait for something that was not in the list *before*; its id."""
        return self._first(lambda: [each for each in self.queued() if each not in before], "queued", seconds)

    def run(self, seconds: float = 120) -> dict[str, Any]:
        """Press Run and wait until it is over: id, prompt, status, outputs, error."""
        return self.over(self.queue(), seconds)

    def over(self, queued: str, seconds: float = 120) -> dict[str, Any]:
        """What *queued* came to, once it is over: completed, failed or cancelled."""
        ends = ("completed", "failed", "cancelled")
        found = lambda: [j for j in self.backend.jobs() if j["id"] == queued and j["status"] in ends]  # noqa: E731
        return self._first(found, f"over: {queued}", seconds)

    def interrupt(self) -> None:
        """Press the button that stops what runs."""
        self.ask("await api.interrupt(null); return null")

    @staticmethod
    def _first(look: Any, what: str, seconds: float) -> Any:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            found = look()
            if found:
                return found[0]
            time.sleep(0.03)
        raise AssertionError(f"never {what}")

    # -- ComfyUI's own parts --------------------------------------------------------------------------------------

    def settings(self, panel: str = "Luma Ray") -> None:
        """Open ComfyUI's settings at a panel."""
        self.ask("app.extensionManager.command.execute('Comfy.ShowSettingsDialog'); return null")
        self.click("[role=dialog] nav [role=button]", panel)

    def command(self, name: str) -> None:
        """What a command of the menu does."""
        self.ask("await app.extensionManager.command.execute(given[0]); return null", name)

    def sidebar(self, title: str) -> None:
        """Open a tab of the sidebar, or close it."""
        self.click(".side-tool-bar-container button, .side-bar-panel button", title)

    def toast(self, text: str) -> str:
        """Wait for a message in the corner, and give all of it."""
        return self.see(".p-toast-message", text)

    def theme(self, name: str) -> None:
        """dark or light."""
        if name != self._theme:
            self.ask(
                "await app.extensionManager.setting.set('Comfy.ColorPalette', given[0]); return null", name
            )
            dark = "document.documentElement.classList.contains('dark-theme')"
            self.tab.until(f"return {dark if name == 'dark' else f'!{dark}'}")
            self._theme = name

    def shot(self, name: str) -> Path | None:
        """A picture of the window, where `LUMA_RAY_SHOTS` names a folder for it."""
        if not SHOTS:
            return None
        self.ask(
            "await new Promise((done) => requestAnimationFrame(() => setTimeout(done, 150))); return null"
        )
        path = Path(SHOTS) / f"{name}-{self.renderer}-{self._theme}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.tab.picture())
        return path

    @property
    def test(self) -> str:
        """The test that runs, as pytest names it."""
        return os.environ.get("PYTEST_CURRENT_TEST", "").partition(" ")[0]

    def note(self, file: str, *lines: str) -> None:
        """Write down what was found, where `LUMA_RAY_SHOTS` names a folder for it."""
        if SHOTS:
            path = Path(SHOTS) / file
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as told:
                told.writelines(
                    f"{line}\n" for line in (f"{self.test} {lines[0]}", *(f"  {each}" for each in lines[1:]))
                )

    # -- what holds for all ---------------------------------------------------------------------------------------

    def accessible(self, *selectors: str) -> None:
        """No serious finding of axe-core in what of ours is to be seen, dark, light and at 200 %."""
        access.check(self, *selectors)

    def expects(self, part: str) -> None:
        """A line in the console, or an address, with this in it is part of the test, and no fault."""
        self._expected.append(part)

    @property
    def console(self) -> list[Said]:
        return self.tab.console

    def problems(self) -> list[str]:
        """What nobody may cause: a request to elsewhere, an error, a warning or a deprecation of ours.

        What scripts of ComfyUI alone ask or say is theirs; what nobody is named for counts as ours.
        """
        asked = [
            f"asks {request.url} from {request.places[:1]}"
            for request in self.tab.requests
            if not request.stays_here and not _of_comfyui(request.places)
        ]
        said = [f"{each.level}: {each.text} {each.places[:2]}" for each in self.console if _is_fault(each)]
        return [each for each in (*asked, *said) if not any(part in each for part in self._expected)]


def _is_fault(said: Said) -> bool:
    if said.level not in ("error", "warning"):
        return False
    if said.comes_from(OURS) or said.comes_from("/luma_ray/") or "luma" in said.text.lower():
        return True
    return DEPRECATED.search(said.text) is not None and not said.comes_from("/assets/")


def _of_comfyui(places: tuple[str, ...]) -> bool:
    return bool(places) and not any(OURS in place for place in places)
