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
