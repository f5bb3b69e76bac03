// What a run would cost, before it is one: on each node, in the action bar, and among the choices of the widgets.
// All of it comes from one question, asked anew when the graph changes.
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { acts, anyNode, failed, idle, nodeOf, ours } from "./canvas.js";
import { styled } from "./dom.js";
import { ask } from "./talk.js";

/** Milliseconds without another change before a question goes out. */
const PAUSE = 250;
/** Milliseconds until what a person did has changed the nodes. */
const SETTLED = 50;
/** By state: white stands out from each of them, on light and on dark nodes. @type {Record<string, string>} */
const COLOURS = { new: "#1e4e8c", refused: "#a61b1b", free: "#256029", library: "#256029" };
const ACTS = "This graph has a node that records or uploads when it is read, so it is priced when you ask for it.";
/** What of ours changes what a graph costs. */
const TELLING = new Set(["limits", "keys", "not_created", "found"]);

/** The last answer. @type {any} */
let told = null;
/** Why there is none. */
let trouble = "";
/** The prompt that it is about. */
let about = "";
/** Whether the same prompt may have another answer now. */
let stale = false;
let timer = 0;
let busy = false;
/** Whether somebody pressed for it. */
let demanded = false;
let missed = false;
/** What is known of each node. @type {Map<any, { text: string, state: string, unsold: Record<string, Record<string, string>> }>} */
let known = new Map();
/** What each node said when it was last looked at. @type {WeakMap<object, unknown[]>} */
const seen = new WeakMap();
/** Brings the window up to date, where it is open. */
let refresh = () => {};

// ComfyUI's page is Vue, and its extension manager a store of it: what reads this number is drawn again when it changes.
const version = () => /** @type {any} */ (app.extensionManager)?.lumaRayPrices;
function changed() {
  const shared = /** @type {any} */ (app.extensionManager);
  if (shared) shared.lumaRayPrices = (shared.lumaRayPrices ?? 0) + 1;
  app.canvas?.setDirty?.(true, true);
  refresh();
}

/** Look again soon. @param {boolean} [anyway] also where the graph is the same */
function soon(anyway = false) {
  stale ||= anyway;
  missed = document.hidden;
  clearTimeout(timer);
  if (!missed) timer = setTimeout(() => void quote().catch(failed), PAUSE);
}

async function quote() {
  if (busy) return soon();
  busy = true;
  try {
    await look();
  } finally {
    busy = false;
  }
}

async function look() {
  const why = !anyNode(ours) ? "" : anyNode(acts) && !demanded ? ACTS : null;
  if (why !== null) {
    about = "";
    if (told || trouble !== why) show(null, why);
    return;
  }
  demanded = false;
  const { output } = await app.graphToPrompt();
  const now = JSON.stringify(output);
  if (now === about && !stale) {
    // The same graph opened anew, as by undo, has other nodes that say the same.
    if (Object.keys(told?.nodes ?? {}).some((id) => !known.has(nodeOf(id)))) show(told, trouble);
    return;
  }
  stale = false;
  about = now;
  try {
    show(await ask("quote", { prompt: output }), "");
  } catch (error) {
    about = "";
    show(null, /** @type {Error} */ (error).message);
  }
}

/** @param {any} answer @param {string} why there is none */
function show(answer, why) {
  told = answer;
  trouble = why;
  known = new Map();
  for (const [id, row] of Object.entries(answer?.nodes ?? {})) learn(nodeOf(id), row);
  for (const [id, row] of Object.entries(answer?.groups ?? {})) learn(nodeOf(id), row);
  changed();
}

/** @param {any} node @param {any} row */
function learn(node, row) {
  if (!node) return;
  const before = known.get(node);
  // A subgraph that stands in the graph twice has its nodes once, and both their prices.
  const texts = new Set([...(before?.text.split(" / ") ?? []), row.badge]);
  known.set(node, { text: [...texts].join(" / "), state: row.state, unsold: row.unsold ?? {} });
}

/** Whether *node* says something else than when it was last looked at. @param {any} node */
function notice(node) {
  const now = [node.mode, ...((ours(node) && node.widgets) || []).map((/** @type {any} */ widget) => widget.value)];
  for (const input of node.inputs ?? []) now.push(input.link);
  const before = seen.get(node);
  if (before?.length === now.length && now.every((value, index) => value === before[index])) return;
  seen.set(node, now);
  soon();
}

/** A badge that follows what is known of *node*, and looks at it whenever it is drawn. @param {any} node */
function badge(node) {
  const Badge = /** @type {any} */ (window).LGraphBadge;
  /** @type {any} */
  let made = new Badge({ text: "" });
  return () => {
    version();
    if (ours(node)) notice(node);
    const { text = "", state = "" } = (!idle(node) && known.get(node)) || {};
    if (text !== made.text) made = new Badge({ text, fgColor: "#ffffff", bgColor: COLOURS[state] ?? "#334155" });
    return made;
  };
}

/**
 * What is known of *node*, or of the one that stands in its place: a node that was added after the graph was cleared
 * has in Vue nodes the options of the one of the same number before it.
 * @param {any} node
 */
function standing(node) {
  const now = node.graph?.getNodeById?.(node.id) ?? app.rootGraph?.getNodeById?.(node.id);
  return known.get(node) ?? (now?.type === node.type ? known.get(now) : undefined);
}

/**
 * Choices that nobody sells carry a remark; what is stored and queued stays the choice itself.
 * @param {any} node @param {any} widget
 */
function remark(node, widget) {
  const options = widget.options;
  if (widget.type !== "combo" || !options || "getOptionLabel" in options) return;
  Object.defineProperty(options, "getOptionLabel", {
    configurable: true,
    enumerable: true,
    get() {
      version();
      const why = standing(node)?.unsold[widget.name];
      // Without a remark there is no function: the menu of the canvas has its search field then.
      return why && ((/** @type {string | null} */ value) => (value && why[value] ? `${value} · ${why[value]}` : (value ?? "")));
    },
  });
}

const line = () => (version(), trouble ? (trouble === ACTS ? "price on click" : "price unknown") : (told?.graph.line ?? ""));
const state = () => (version(), told?.over ? "luma-ray-over" : line() ? "" : "luma-ray-none");

async function open() {
  if (document.querySelector(".luma-ray-bill")) return;
  const { bill } = await import("./bill.mjs");
  demanded = trouble !== "";
  if (demanded) await quote();
  refresh = bill(() => ({ told, trouble }), () => (refresh = () => {}));
}

app.registerExtension({
  name: "LumaRay.Prices",
  actionBarButtons: [
    {
      icon: "pi pi-dollar",
      get label() {
        return line();
      },
      get tooltip() {
        return `Luma Ray: ${line()}`;
      },
      get class() {
        return `luma-ray-price ${state()}`;
      },
      onClick: () => void open().catch(failed),
    },
  ],
  commands: [{ id: "LumaRay.Bill", label: "Luma Ray: what this graph would cost", icon: "pi pi-dollar", function: open }],
  menuCommands: [{ path: ["Extensions", "Luma Ray"], commands: ["LumaRay.Bill"] }],
  /** @param {any} node */
  nodeCreated(node) {
    if (!ours(node) && !node.isSubgraphNode?.()) return;
    if (Array.isArray(node.badges) && /** @type {any} */ (window).LGraphBadge) node.badges.push(badge(node));
    if (!ours(node)) return;
    for (const widget of node.widgets ?? []) remark(node, widget);
    for (const event of ["onConnectionsChange", "onRemoved"]) {
      const before = node[event];
      node[event] = function (/** @type {unknown[]} */ ...given) {
        soon();
        return before?.apply(this, given);
      };
    }
    soon();
  },
  afterConfigureGraph: () => soon(),
  async setup() {
    for (const event of ["graphChanged", "graphCleared"]) api.addEventListener(event, () => soon());
    // What is bought is not bought again.
    const bought = ["executed", "execution_success", "execution_error", "execution_interrupted", "luma_ray.collected"];
    for (const event of bought) api.addEventListener(event, () => soon(true));
    document.addEventListener("luma-ray:told", (event) => {
      if (TELLING.has(/** @type {CustomEvent} */ (event).detail)) soon(true);
    });
    // ComfyUI says nothing while somebody types, nor of what a short-cut or a menu does to a node that has the focus.
    let acted = 0;
    const watch = () => {
      clearTimeout(acted);
      acted = setTimeout(() => app.canvas?.graph?.nodes?.forEach(notice), SETTLED);
    };
    for (const event of ["input", "keyup", "click"]) document.addEventListener(event, watch, true);
    document.addEventListener("visibilitychange", () => missed && soon());
  },
});

styled(`
.luma-ray-price { max-width: 34vw; }
.luma-ray-price span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.luma-ray-price.luma-ray-none { display: none; }
.luma-ray-price.luma-ray-over { background: #a61b1b !important; color: #fff !important; }
`);
