"""The pictures of the help pages, drawn anew by ComfyUI's own interface: `python tests/portraits.py [NodeId ...]`.

Needs Chromium, and COMFYUI_DIR and COMFYUI_PYTHON as the tests in a real ComfyUI do. A node is shown as it stands in
the example that says most in it; where none has one, as it is when it is new.
"""

from __future__ import annotations

import base64
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import conftest  # noqa: F401 - the pack under its name
import pages
import translations
from browser import Browser, Tab
from test_real_comfyui import ComfyUI

WIDTH = 360
"""Of a node, in pixels of the page; of its picture twice that, so that it is sharp on any screen."""
AROUND = 14
QUALITY = 74
READY = "return !!window.comfyAPI?.app?.app?.rootGraph && !!window.LiteGraph?.registered_node_types.RayScene"
SHOW = """
const app = window.comfyAPI.app.app;
await app.loadGraphData(%s);
const node = app.rootGraph.getNodeById(%d);
for (const other of app.rootGraph.nodes) if (other !== node) other.pos = [9000, 9000];
node.setSize([%d, node.computeSize()[1] + %d]);
node.pos = [0, 0];
const canvas = app.canvas;
canvas.ds.scale = 1;
canvas.ds.offset = [420, 120];
canvas.deselectAll?.();
canvas.links_render_mode = -1; // none is drawn
canvas.setDirty(true, true);
await new Promise((done) => setTimeout(done, 700));
const around = node.boundingRect;
const at = canvas.canvas.getBoundingClientRect();
return { x: at.left + around[0] + canvas.ds.offset[0], y: at.top + around[1] + canvas.ds.offset[1],
  width: around[2], height: around[3] };
"""
PREFERRED = {
    "Comfy.TutorialCompleted": True,
    "Comfy.NodeBadge.NodeSourceBadgeMode": "None",
    "Comfy.NodeBadge.NodeIdBadgeMode": "None",
    "Comfy.Minimap.Visible": False,
    "LumaRay.FirstHint": False,
    # Prices and marks depend on whose keys are there, and change.
    "Comfy.Extension.Disabled": ["LumaRay.Prices"],
}
PLAIN = """
const app = window.comfyAPI.app.app;
app.canvas.render_canvas_border = false;
app.canvas.show_info = false;
app.canvas.background_image = null;
app.canvas.clear_background_color = "#1c1c20";
return true;
"""
SETTLED = "await new Promise((done) => setTimeout(done, 5000)); return true"
"""The interface loads the last workflow, and fonts, for a while after it can be asked."""
LETTERS = 44
"""Of a line in a box of text."""
LINE = 11


def shown(node_id: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A workflow with such a node, and that node."""
    alone: dict[str, Any] = {"id": 1, "type": node_id, "pos": [0, 0]}
    best, node = {"nodes": [alone], "links": [], "version": 0.4}, alone
    for name in pages.examples(node_id):
        workflow = json.loads((pages.ROOT / "example_workflows" / f"{name}.json").read_text("utf-8"))
        found = next(each for each in workflow["nodes"] if each["type"] == node_id)
        if len(_words(found)) > len(_words(node)):
            best, node = workflow, found
    node.pop("title", None)
    return best, node


def _words(node: dict[str, Any]) -> str:
    return str(node.get("widgets_values", ""))


def main(wanted: list[str]) -> None:
    """Draw them."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "user" / "default" / "comfy.settings.json"
        settings.parent.mkdir(parents=True)
        settings.write_text(json.dumps(PREFERRED), "utf-8")
        comfyui = ComfyUI(Path(folder), LUMA_RAY_COLLECT="off")
        try:
            with Browser() as browser, browser.tab() as tab:
                screen = {"width": 1500, "height": 1500, "deviceScaleFactor": 2, "mobile": False}
                tab.call("Emulation.setDeviceMetricsOverride", **screen)
                tab.open(comfyui.address)
                tab.until(READY, seconds=90)
                tab.ask(PLAIN)
                tab.ask(SETTLED)
                for node_id in wanted or translations.nodes():
                    draw(tab, node_id)
        finally:
            comfyui.end()


def draw(tab: Tab, node_id: str) -> None:
    """One picture."""
    workflow, node = shown(node_id)
    texts = [each for each in node.get("widgets_values", []) if len(str(each)) > LETTERS / 2]
    lines = sum(1 + len(line) // LETTERS for text in texts for line in text.splitlines())
    place = tab.ask(SHOW % (json.dumps(workflow), node["id"], WIDTH, LINE * lines))
    clip = {
        "x": place["x"] - AROUND,
        "y": place["y"] - AROUND,
        "width": place["width"] + 2 * AROUND,
        "height": place["height"] + 2 * AROUND,
        "scale": 1,
    }
    told = tab.call("Page.captureScreenshot", format="webp", quality=QUALITY, clip=clip)
    picture = base64.b64decode(told["data"])
    (pages.ROOT / "web" / "docs" / node_id / f"{node_id}.webp").write_bytes(picture)
    print(f"{node_id}: {place['width']:.0f}x{place['height']:.0f}, {len(picture)} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
