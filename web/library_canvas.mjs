// From the library to the canvas: a generation as nodes.
import { app } from "../../scripts/app.js";
import { ask } from "./talk.js";
import { toast } from "./canvas.js";
import { titleOf } from "./library_words.mjs";

/** @typedef {import("./library_words.mjs").Row} Row */
/**
 * A node that would ask for a generation again.
 * @typedef {object} Reuse
 * @property {string} node
 * @property {Record<string, unknown>} widgets
 * @property {string[]} concepts
 * @property {{ input: string, id: string }[]} generations which are linked to it
 * @property {string[]} missing what nobody kept, in words
 */

/** What is dragged, as the browser calls it. */
const KIND = "application/x-luma-ray-generation";
const GAP = 60;
const COLLECT = "RayCollectGeneration";

/** The graph that is open, which may be a subgraph. */
function graphNow() {
  const graph = app.canvas?.graph ?? app.rootGraph;
  if (!graph) throw new Error("There is no graph to put it on.");
  return graph;
}

/**
 * Where a new node is seen: the middle of what is in sight, and beside what stands there.
 * @returns {[number, number]}
 */
function middle() {
  const [left, top, width, height] = app.canvas?.visible_area ?? [0, 0, 800, 600];
  let [x, y] = [left + width / 2 - 200, top + height / 2 - 120];
  const { nodes } = graphNow();
  while (nodes.some((/** @type {any} */ node) => Math.abs(node.pos[0] - x) < 20 && Math.abs(node.pos[1] - y) < 20)) {
    x += 40;
    y += 40;
  }
  return [x, y];
}

/** As one step of undo. @param {() => any[]} make what gives the new nodes; the last one is chosen */
function added(make) {
  const graph = graphNow();
  app.canvas?.emitBeforeChange?.();
  try {
    const nodes = make();
    app.canvas?.deselectAll?.();
    app.canvas?.select?.(nodes[nodes.length - 1]);
    graph.setDirtyCanvas(true, true);
    return nodes;
  } finally {
    app.canvas?.emitAfterChange?.();
  }
}

/**
 * @param {string} type
 * @param {[number, number]} at
 * @param {Record<string, unknown>} widgets
 * @param {boolean} [sold] whether what its lists do not have is left out
 */
function node(type, at, widgets, sold = false) {
  const made = window.LiteGraph?.createNode(type);
  if (!made) throw new Error(`This ComfyUI has no node ${type}. Restart it after an update of Luma Ray.`);
  made.pos = [...at];
  graphNow().add(made);
  for (const [name, value] of Object.entries(widgets)) {
    const widget = made.widgets?.find((/** @type {any} */ each) => each.name === name);
    const choices = widget?.options?.values;
    if (!widget || (sold && Array.isArray(choices) && !choices.includes(value))) continue;
    widget.value = value;
    widget.callback?.(value, app.canvas, made, at);
  }
  return made;
}

/** @param {any} from @param {string} output @param {any} to @param {string} input */
function linked(from, output, to, input) {
  const out = from.outputs?.findIndex((/** @type {any} */ each) => each.name === output) ?? -1;
  const into = to.inputs?.findIndex((/** @type {any} */ each) => each.name === input) ?? -1;
  if (out >= 0 && into >= 0) from.connect(out, to, into);
}

/** @param {any} made @returns {[number, number]} beside it */
const beside = (made) => [made.pos[0] + made.size[0] + GAP, made.pos[1]];

/** @param {string} id @param {[number, number]} [at] */
export function put(id, at = middle()) {
  added(() => [node(COLLECT, at, { id })]);
  toast("success", "On the canvas", "Ray Collect Generation brings this clip, at no cost.");
}

/** A clip and a node that goes on where it ends, by one clip. @param {Row} row */
export function extend(row) {
  added(() => {
    const clip = node(COLLECT, middle(), { id: row.id });
    const seconds = Math.round(row.seconds ?? 5);
    // As long as one more clip makes it: nothing is bought that nobody asked for.
    const settings = { model: row.model, resolution: row.resolution, prompt: row.prompt, length: seconds + 5 };
    const more = node("RayExtendVideo", beside(clip), { provider: row.provider, ...settings }, true);
    linked(clip, "generation", more, "generation");
    return [clip, more];
  });
  toast("success", "On the canvas", "Say in the prompt what happens next; one clip of 5 s is added.");
}

/** @param {Reuse} reuse */
export function again(reuse) {
  added(() => {
    const start = middle();
    /** @type {any[]} */
    const sources = [];
    const under = () => /** @type {[number, number]} */ ([start[0] - 330, start[1] + sources.length * 200]);
    for (const { id } of reuse.generations) sources.push(node(COLLECT, under(), { id }));
    /** Each takes three camera moves, and hands on those of the one before. @type {any[]} */
    const moves = [];
    for (let first = 0; first < reuse.concepts.length; first += 3) {
      const three = [0, 1, 2].map((number) => [`concept_${number + 1}`, reuse.concepts[first + number] ?? "none"]);
      const made = node("RayCameraConcepts", under(), Object.fromEntries(three));
      if (moves.length) linked(moves[moves.length - 1], "concepts", made, "concepts");
      moves.push(made);
      sources.push(made);
    }
    const made = node(reuse.node, start, reuse.widgets);
    reuse.generations.forEach(({ input }, index) => linked(sources[index], "generation", made, input));
    if (moves.length) linked(moves[moves.length - 1], "concepts", made, "concepts");
    return [...sources, made];
  });
  const { missing } = reuse;
  if (missing.length)
    toast("warn", "On the canvas, and not complete", `Not kept, so connect them anew: ${missing.join(", ")}.`);
  else
    toast(
      "success",
      "On the canvas",
      "The same settings and take are the clip that is here; another take is a new one.",
    );
}

/** Whether *event* is over the canvas, and not over what lies on it. @param {DragEvent} event */
function onCanvas(event) {
  const canvas = app.canvas?.canvas;
  const top = document.elementFromPoint(event.clientX, event.clientY);
  if (!canvas || !top) return false;
  return top === canvas || Boolean(top.closest("[data-node-id]")); // the newer renderer's nodes are elements
}

/**
 * Let *row* be dropped on the canvas, for as long as it is dragged.
 * @param {Row} row
 * @param {DragEvent} event
 */
export function dragged(row, event) {
  if (!event.dataTransfer) return;
  event.dataTransfer.setData(KIND, row.id);
  event.dataTransfer.setData("text/plain", `${titleOf(row)} (${row.id})`);
  event.dataTransfer.effectAllowed = "copy";
  const ended = new AbortController();
  const options = { capture: true, signal: ended.signal };
  const over = (/** @type {DragEvent} */ moved) => {
    if (!onCanvas(moved)) return;
    moved.preventDefault();
    if (moved.dataTransfer) moved.dataTransfer.dropEffect = "copy";
  };
  const dropped = (/** @type {DragEvent} */ moved) => {
    ended.abort();
    const id = moved.dataTransfer?.getData(KIND);
    if (!id || !onCanvas(moved)) return;
    // Before ComfyUI looks for a file in it.
    moved.preventDefault();
    moved.stopImmediatePropagation();
    put(id, app.canvas?.convertEventToCanvasOffset?.(moved) ?? middle());
  };
  document.addEventListener("dragover", over, options);
  document.addEventListener("drop", dropped, options);
  document.addEventListener("dragend", () => ended.abort(), options);
}

/** @param {string} id @returns {Promise<any>} */
export const collect = (id) => ask("collect", { id });
