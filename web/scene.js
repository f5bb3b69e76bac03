// The way to the scene of a Ray Scene node: a button on it, a line in its menu, and a command for the keyboard.
import { app } from "../../scripts/app.js";
import { failed, toast } from "./canvas.js";

const NODE = "RayScene";

/** The view itself is loaded when it is wanted. @param {any} node */
const open = (node) => void import("./scene.mjs").then((view) => view.open(node)).catch(failed);

/** The scene that is selected, else the only one on the canvas. */
function chosen() {
  const selected = Object.values(app.canvas?.selected_nodes ?? {}).find((node) => node.comfyClass === NODE);
  const all = (app.canvas?.graph?.nodes ?? []).filter((/** @type {any} */ node) => node.comfyClass === NODE);
  if (selected ?? all.length === 1) open(selected ?? all[0]);
  else toast("info", "Luma Ray", all.length ? "Select the Ray Scene node that is to be opened." : "There is no Ray Scene node here.");
}

app.registerExtension({
  name: "LumaRay.Scene",
  commands: [{ id: "LumaRay.Scene", label: "Luma Ray: open the scene", icon: "pi pi-video", function: chosen }],
  menuCommands: [{ path: ["Extensions", "Luma Ray"], commands: ["LumaRay.Scene"] }],
  getNodeMenuItems(/** @type {any} */ node) {
    return node.comfyClass === NODE ? [{ content: "Open scene", callback: () => open(node) }] : [];
  },
  nodeCreated(/** @type {any} */ node) {
    if (node.comfyClass !== NODE) return;
    const button = node.addWidget("button", "Open scene", null, () => open(node), { serialize: false });
    button.serialize = false; // neither in the workflow nor in what is queued
  },
});
