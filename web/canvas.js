// ComfyUI's own page, as the parts of ours see it: its messages and its nodes.
import { app } from "../../scripts/app.js";

/** @param {string} severity @param {string} summary @param {string} [detail] */
export function toast(severity, summary, detail = "") {
  app.extensionManager?.toast?.add?.({ severity, summary, detail, life: 12000 });
  // Behind our window a toast is easily missed, and screen readers do not read it.
  const status = document.querySelector("dialog [role=status]");
  if (status) status.textContent = [summary, detail].filter(Boolean).join(": ");
}

/** @param {Error} error */
export const failed = (error) => toast("error", "Luma Ray", error.message);

/** @param {string} id such as "12:5" for a node in a subgraph */
export function nodeOf(id) {
  /** @type {LGraph | null | undefined} */
  let graph = app.rootGraph ?? app.graph;
  /** @type {LGraphNode | null} */
  let node = null;
  for (const part of String(id).split(":")) {
    node = graph?.getNodeById?.(Number(part)) ?? null;
    graph = node?.subgraph ?? null;
  }
  return node;
}

const CATEGORY = "video/Luma Ray";
/** Modes of a node that does not run. */
const MUTED = 2, BYPASSED = 4;

/** @param {any} node */
export const idle = (node) => node.mode === MUTED || node.mode === BYPASSED;

/** @param {any} node */
export const ours = (node) => node.constructor?.nodeData?.category === CATEGORY;

/** Whether there is a node, in any subgraph, that is as *wanted*. @param {(node: any) => boolean} wanted */
export function anyNode(wanted) {
  const root = /** @type {any} */ (app.rootGraph);
  return [root, ...(root?.subgraphs?.values() ?? [])].some((graph) => graph?.nodes?.some(wanted));
}

/** Whether reading *node* does something: ends a recording, takes a picture, uploads a view. @param {any} node */
export const acts = (node) =>
  !ours(node) && !idle(node) && node.widgets?.some((/** @type {any} */ each) => each.serializeValue?.constructor.name === "AsyncFunction");
