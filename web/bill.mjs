// The window with what a graph would cost: each node, what is left to spend, and why it would be refused.
import { app } from "../../scripts/app.js";
import { nodeOf } from "./canvas.js";
import { make, opened, styled } from "./dom.js";

/**
 * @param {() => { told: any, trouble: string }} current what is known now
 * @param {() => void} closed
 * @returns {() => void} brings the window up to date
 */
export function bill(current, closed) {
  const body = make("div", { className: "luma-ray-bill" });
  const close = make("button", { textContent: "Close", type: "button", className: "luma-ray-button" });
  const dialog = opened("What this graph would cost", body, make("div", {}, close));
  const fill = () => {
    // Who is on a button stays there while the prices change.
    const at = /** @type {HTMLElement | null} */ (body.querySelector(":focus"))?.dataset.node;
    body.replaceChildren(...content(current(), () => dialog.close()));
    const again = at && [...body.querySelectorAll("button")].find((each) => each.dataset.node === at);
    if (again) again.focus();
  };
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", closed);
  fill();
  close.focus();
  return fill;
}

/** @param {{ told: any, trouble: string }} known @param {() => void} leave */
function content({ told, trouble }, leave) {
  if (!told) return [make("p", { role: "status", textContent: trouble || "No node of Luma Ray would run." })];
  const parts = [make("p", { role: "status", textContent: told.graph.line || "No node of Luma Ray would run." })];
  if (told.over) parts.push(make("p", { className: "luma-ray-warning", textContent: `Over a limit. ${told.over}` }));
  const rows = Object.entries(told.nodes).map(([id, row]) => node(id, row, leave));
  return [...parts, make("ul", {}, ...rows), ...limits(told.limits)];
}

/** @param {string} id @param {any} row @param {() => void} leave */
function node(id, row, leave) {
  const go = make("button", { textContent: "Show", type: "button", className: "luma-ray-button", ariaLabel: `Show ${row.title}, node ${id}` });
  go.dataset.node = id;
  go.addEventListener("click", () => {
    leave();
    show(id);
  });
  const head = make("div", {}, make("strong", { textContent: row.title }), make("small", { textContent: ` ${id} ` }), go);
  const idle = row.runs ? [] : [make("p", { textContent: "It leads to no output, so it does not run and is not in the sum." })];
  const several = row.clips.length > 1 ? row.clips.map((/** @type {any} */ clip) => make("p", { textContent: `${clip.title}: ${of(clip)}` })) : [];
  const notes = [...new Set(row.clips.map((/** @type {any} */ clip) => clip.words).filter(Boolean))];
  const words = notes.map((each) => make("p", { className: "luma-ray-note", textContent: String(each) }));
  const price = make("p", { className: `luma-ray-is-${row.state}`, textContent: row.badge });
  return make("li", {}, head, price, ...idle, ...several, ...words);
}

/** @param {any} clip */
function of(clip) {
  if (clip.state === "library") return clip.asked ? "unanswered" : clip.coming ? "being made" : clip.same ? "the same as another" : "in library";
  if (clip.state === "refused") return "refused";
  const times = clip.new > 1 ? `${clip.new} × ` : "";
  return `${times}${clip.price} · ${clip.provider}${clip.old ? `, ${clip.old} in library` : ""}`;
}

/** @param {any[]} rows */
function limits(rows) {
  if (!rows.length) return [make("p", { textContent: "Nothing is limited." })];
  const cells = (/** @type {"th" | "td"} */ kind, /** @type {string[]} */ texts) =>
    make("tr", {}, ...texts.map((textContent, index) => make(index ? kind : "th", { textContent, scope: kind === "th" ? "col" : "row" })));
  const amount = (/** @type {string | null} */ usd) => (usd === null ? "" : `$${usd}`);
  const body = rows.map((row) => cells("td", [row.words, amount(row.limit), amount(row.spent), amount(row.left)]));
  const head = make("thead", {}, cells("th", ["Limit for", "USD", "Spent", "Left"]));
  return [make("table", {}, head, make("tbody", {}, ...body))];
}

/** Select a node and bring it into view, in whichever subgraph it is. @param {string} id */
function show(id) {
  const found = nodeOf(id);
  const canvas = /** @type {any} */ (app.canvas);
  if (!found || !canvas) return;
  if (canvas.graph !== found.graph) canvas.setGraph?.(found.graph);
  canvas.deselectAll?.();
  canvas.select?.(found);
  canvas.centerOnNode?.(found);
  canvas.canvas?.focus?.();
}

styled(`
.luma-ray-bill ul { margin: 8px 0; padding: 0; list-style: none; }
.luma-ray-bill li { padding: 8px 0; border-top: 1px solid var(--border-color, #666); }
.luma-ray-bill li > div { display: flex; gap: 6px; align-items: baseline; }
.luma-ray-bill li > div button { margin-left: auto; }
.luma-ray-bill .luma-ray-note { font-size: 12px; }
.luma-ray-bill .luma-ray-warning, .luma-ray-bill .luma-ray-is-refused { padding: 4px 8px; border-left: 4px solid #d33; }
.luma-ray-bill table { width: 100%; margin-bottom: 10px; border-collapse: collapse; }
.luma-ray-bill th, .luma-ray-bill td { padding: 3px 8px 3px 0; text-align: left; border-top: 1px solid var(--border-color, #666); }
`);
