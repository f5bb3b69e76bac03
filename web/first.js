// The first use without a key: one quiet hint, on one node, that this is the free preview and where keys go.
import { app } from "../../scripts/app.js";
import { failed } from "./canvas.js";
import { button, make, styled } from "./dom.js";
import { showKeys } from "./settings.js";
import { ask } from "./talk.js";

const PANEL = "luma_ray_first";
const WANTED = "LumaRay.FirstHint";
/** The node that has the hint. @type {any} */
let holder = null;
/** Whether somebody who sells has a key here; asked once. @type {Promise<boolean> | null} */
let configured = null;

const anyKey = (/** @type {any[]} */ cards) => cards.some((card) => card.sells && card.configured);

/** Nothing to hint at any more. @param {any[]} cards as the pack tells of its providers */
export function keysChanged(cards) {
  configured = Promise.resolve(anyKey(cards));
  if (anyKey(cards)) removed();
}

function removed() {
  const node = holder;
  holder = null;
  const widget = node?.widgets?.find((/** @type {any} */ each) => each.name === PANEL);
  if (!widget) return;
  widget.onRemove?.();
  node.widgets.splice(node.widgets.indexOf(widget), 1);
  // It was not there when the node got its size, and the size is saved with the workflow.
  node.setSize?.([node.size[0], Math.max(node.computeSize?.()[1] ?? 0, node.lumaRayHeight ?? 0)]);
  delete node.lumaRayHeight;
  node.setDirtyCanvas?.(true, true);
}

async function dismissed() {
  removed();
  await app.extensionManager?.setting?.set?.(WANTED, false);
}

/** Whether a clip of *node* would be made on this machine as long as there is no key. @param {any} node */
function previews(node) {
  const seller = node.widgets?.find((/** @type {any} */ each) => each.name === "provider");
  return /^Ray(?!Collect)[A-Z]/.test(node.comfyClass ?? "") && seller?.options?.values?.includes?.("animatic");
}

/** Whether a node has the hint: one that is in its graph, which a node that was cleared away still names. */
const isHeld = () => !!holder && holder.graph?.getNodeById?.(holder.id) === holder;

/** @param {any} node */
async function hinted(node) {
  if (isHeld() || !previews(node) || app.extensionManager?.setting?.get?.(WANTED) === false) return;
  configured ??= ask("keys").then(anyKey, () => true); // who may not see keys cannot save one either
  if ((await configured) || isHeld() || !node.graph || !node.addDOMWidget) return;
  if (app.canvas?.graph && node.graph !== app.canvas.graph) return;
  holder = node;
  const words =
    "Without a key this is the free animatic: a rough preview, made on this machine. Real clips need the key of a provider.";
  const keys = button("Keys...", async () => showKeys(), failed);
  const away = button("Dismiss", dismissed, failed);
  const panel = make("div", { className: "luma-ray-first", role: "note", ariaLabel: "Luma Ray without a key" });
  panel.append(make("p", { textContent: words }), make("div", {}, keys, away));
  node.lumaRayHeight = node.size[1];
  const widget = node.addDOMWidget(PANEL, "custom", make("div", { className: "luma-ray-panel" }, panel), {
    serialize: false,
    hideOnZoom: false,
    getMinHeight: () => 104,
    getMaxHeight: () => 140,
  });
  widget.serialize = false;
  node.setDirtyCanvas?.(true, true);
}

app.registerExtension({
  name: "LumaRay.First",
  settings: [{ id: WANTED, name: "Luma Ray: the hint about keys", type: "hidden", defaultValue: true }],
  nodeCreated(/** @type {any} */ node) {
    // Later: it is in no graph yet, and may get its widgets' values from a workflow.
    setTimeout(() => void hinted(node).catch(() => {}));
  },
});

styled(`
.luma-ray-first { padding: 6px 8px; border: 1px solid var(--border-color, #666); border-radius: 6px; font-size: 12px; }
.luma-ray-first p { margin: 0 0 4px; }
`);
