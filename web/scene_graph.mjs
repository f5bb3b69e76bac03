// The graph as ComfyUI would run it, as far as it leads to one node.
import { app } from "../../scripts/app.js";

/**
 * The id by which ComfyUI runs a node, such as "12:5" in a subgraph.
 * @param {any} wanted
 * @param {any} [graph]
 * @param {string} [above]
 * @returns {string | null}
 */
export function idOf(wanted, graph = app.rootGraph, above = "") {
  for (const node of graph?.nodes ?? []) {
    if (node === wanted) return `${above}${node.id}`;
    const inside = node.subgraph ? idOf(wanted, node.subgraph, `${above}${node.id}:`) : null;
    if (inside) return inside;
  }
  return null;
}

/** What leads to a node, with the node. @param {string} id @returns {Promise<Record<string, any>>} */
export async function leading(id) {
  const { output } = await app.graphToPrompt();
  /** @type {Record<string, any>} */
  const found = {};
  const ids = [id];
  for (let next = ids.pop(); next !== undefined; next = ids.pop()) {
    if (found[next] || !output[next]) continue;
    found[next] = output[next];
    for (const value of Object.values(output[next].inputs)) if (Array.isArray(value)) ids.push(String(value[0]));
  }
  return found;
}

/** A change of the graph, as one step of ComfyUI's own undo. @param {() => void} act */
export function changing(act) {
  const { canvas } = app;
  canvas?.emitBeforeChange?.();
  canvas?.emitAfterChange?.(); // what was changed before is a step of its own
  canvas?.emitBeforeChange?.();
  act();
  canvas?.emitAfterChange?.();
}
