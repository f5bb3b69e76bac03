// What a node shows beside ComfyUI's own progress: what became of a job that was stopped, and, when the page was loaded
// again, the clip that it had shown before.
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { acts, anyNode, nodeOf, toast } from "./canvas.js";
import { ask } from "./talk.js";

/** Stops of which all words are shown. */
const MOST = 3;
/** Stops that were told of in the last moment: those of one press of Cancel come together. @type {any[]} */
let stops = [];
let telling = 0;
/** How many graphs were loaded so far. */
let loads = 0;

/** @param {{ node: string, job: string, message: string }} stop */
function stopped(stop) {
  stops.push(stop);
  clearTimeout(telling);
  telling = setTimeout(() => {
    const told = stops;
    stops = [];
    const kept = told.filter((each) => each.job === "kept").length;
    const one = nodeOf(told[0].node)?.title ?? "A clip";
    const cancelled = told.length - kept;
    const summary =
      told.length === 1
        ? `${one}: ${kept ? "stopped, and paid all the same" : "cancelled"}`
        : [kept && `${kept} stopped, and paid all the same`, cancelled && `${cancelled} cancelled`].filter(Boolean).join("; ");
    const more = told.length > MOST ? [`And ${told.length - MOST} more: each node says what became of its own.`] : [];
    toast(kept ? "warn" : "info", summary, [...told.slice(0, MOST).map((each) => each.message), ...more].join("\n"));
  }, 800);
}

const isOurs = (/** @type {any} */ node) => /^Ray[A-Z]/.test(node.class_type ?? node.comfyClass ?? "");

/** Our nodes of *prompt* and all that leads to them. @param {Record<string, any>} prompt */
function leading(prompt) {
  const open = Object.keys(prompt).filter((id) => isOurs(prompt[id]));
  /** @type {Record<string, any>} */
  const found = {};
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    if (id in found || !prompt[id]) continue;
    const { class_type, inputs } = prompt[id];
    found[id] = { class_type, inputs };
    for (const value of Object.values(inputs)) if (Array.isArray(value) && value.length === 2) open.push(String(value[0]));
  }
  return found;
}

/**
 * Show on each node the clip that it had shown when it last ran as it is now; nothing once another graph is loaded.
 * @param {number} load
 */
async function shownAgain(load) {
  if (!anyNode(isOurs) || anyNode(acts)) return;
  const { output } = await app.graphToPrompt();
  const told = await ask("previews", { prompt: leading(output) });
  for (const [id, shown] of Object.entries(told)) {
    const node = nodeOf(id);
    if (load !== loads || !node || app.nodeOutputs?.[id]) continue;
    // As if it came from a run: the one way in which both renderers take it.
    api.dispatchCustomEvent("executed", { node: id, display_node: id, output: shown, prompt_id: "" });
    node.setDirtyCanvas?.(true, true); // the canvas makes the player when it draws the node
  }
}

app.registerExtension({
  name: "LumaRay.Running",
  setup() {
    api.addEventListener("luma_ray.stopped", ({ detail }) => stopped(detail));
  },
  beforeConfigureGraph() {
    loads += 1;
  },
  afterConfigureGraph() {
    // After what ComfyUI itself restores. A graph of which no prompt can be made shows nothing, and says so when it is run.
    const load = loads;
    setTimeout(() => void shownAgain(load).catch(() => {}), 100);
  },
});
