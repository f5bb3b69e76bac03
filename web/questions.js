// Purchases that wait for an answer: on the node that asked, and all together in a window.
import { app } from "../../scripts/app.js";
import { failed, nodeOf, toast } from "./canvas.js";
import { button, decided, make, opened, styled } from "./dom.js";
import { ask } from "./talk.js";

const PANEL = "luma_ray_question";
const GENERATION = /\bray-\d{6}-[0-9a-f]{10}\b/;
/** The nodes that ask, by the generation they ask about. @type {Map<string, any>} */
const asking = new Map();
/** Brings the window up to date, where it is open. */
let refresh = () => {};

/** @param {any} row */
const isOpen = (row) => row.state === "uncertain" || row.state === "submitting";

/**
 * The ways to answer: look again, it is there, it was not created.
 * @param {string} id of the generation
 * @param {(() => unknown) | null} again what buys it anew, where a graph is at hand
 * @param {boolean} [created] whether it is known that the job exists
 */
function answers(id, again, created = false) {
  const refused = async (/** @type {Error} */ error) => {
    failed(error);
    const rows = await ask("unfinished").catch(() => null);
    if (rows && !rows.some((/** @type {any} */ row) => row.id === id && isOpen(row))) onAnswered(id);
  };
  const look = button("Look again", async () => {
    await ask("collect", { id });
    toast("info", "Looking for it at the provider", id);
  }, refused);
  const there = button("It is there...", async () => {
    const job = await decided("The id of the job on the provider's own page:", true);
    if (job === null) return;
    await ask("found", { id, job });
    await ask("collect", { id });
    toast("info", "Collecting its clip", id);
    onAnswered(id);
  }, refused);
  const anew = button(again ? "It was not created: send again" : "It was not created", async () => {
    const sure = "Only if the provider's own page shows no such job: otherwise it is paid twice. Was it not created?";
    if ((await decided(sure)) === null) return;
    await ask("not_created", { id });
    toast("success", "Not created: it may be bought again", id);
    onAnswered(id);
    await again?.();
  }, refused);
  look.title = "Ask the provider whether the job exists. Sends and buys nothing.";
  there.title = "You saw the job on the provider's page: its clip is collected.";
  anew.title = "You looked on the provider's page, and there is no such job.";
  return created ? [look] : [look, there, anew];
}

/** Whether *row* was bought by *node*, and not by one of the same number in another workflow. */
function bought(/** @type {any} */ row, /** @type {any} */ node, /** @type {string} */ type) {
  const has = (/** @type {any} */ each) => each.name === "prompt";
  const linked = node.inputs?.some((/** @type {any} */ each) => each.widget?.name === "prompt" && each.link != null);
  const words = node.widgets?.find(has)?.value;
  const start = [...String(words ?? "")].slice(0, 200).join("");
  return node.type === type && (linked || words === undefined || start.trim() === row.prompt.trim());
}

/** @param {any} node */
function settled(node) {
  for (const [id, each] of asking) if (each === node) asking.delete(id);
  const at = node.widgets?.findIndex((/** @type {any} */ widget) => widget.name === PANEL) ?? -1;
  if (at < 0) return;
  node.widgets[at].onRemove?.();
  node.widgets.splice(at, 1);
  node.setDirtyCanvas?.(true, true);
}

/** Put the question on the node whose purchase got no answer. @param {any} error as ComfyUI tells of it */
export async function onError(error) {
  const { node_id, node_type, exception_type, exception_message } = error;
  const id = GENERATION.exec(String(exception_message))?.[0];
  const created = String(exception_type).endsWith("Unrecorded");
  if (!id || !(created || String(exception_type).endsWith("SubmissionUncertain"))) return;
  const rows = await ask("unfinished");
  const row = rows.find((/** @type {any} */ each) => each.id === id && isOpen(each));
  const node = nodeOf(node_id);
  if (!row || !node?.addDOMWidget || !bought(row, node, node_type)) return;
  if (app.canvas?.graph && node.graph !== app.canvas.graph) {
    // In a subgraph that is not open: a panel would stand in the corner of the page. It waits for the opening.
    const later = () => setTimeout(() => void onError(error).catch(failed));
    app.canvas.canvas?.addEventListener("litegraph:set-graph", later, { once: true });
    return;
  }
  settled(node);
  const panel = make(
    "div",
    { className: "luma-ray-question", role: "group", ariaLabel: "A purchase without an answer" },
    make("p", { textContent: created ? `Bought, and not recorded yet (${id}).` : `Perhaps bought, and no answer came (${id}).` }),
    make("div", {}, ...answers(id, () => app.queuePrompt(0), created)),
  );
  const widget = node.addDOMWidget(PANEL, "custom", make("div", { className: "luma-ray-panel" }, panel), {
    serialize: false,
    hideOnZoom: false,
    getMinHeight: () => 110,
    getMaxHeight: () => 150,
  });
  widget.serialize = false;
  node.setSize?.([node.size[0], Math.max(node.size[1], node.computeSize()[1])]); // else it hangs out of the node
  asking.set(id, node);
  node.setDirtyCanvas?.(true, true); // else it stands in the corner of the page until something else is drawn
}

/** What was collected or decided, wherever that was, is no question any more. @param {string} id */
export function onAnswered(id) {
  const node = asking.get(id);
  if (node) settled(node);
  refresh();
}

/** A node that has its clip asks nothing. @param {{ node: string, display_node?: string }} done */
export function onExecuted({ node, display_node }) {
  const found = nodeOf(display_node ?? node);
  if (found) settled(found);
}

/** All purchases that have neither a clip nor an end. */
export function show() {
  if (document.querySelector(".luma-ray-list")) return;
  const list = make("div", { className: "luma-ray-list" });
  const close = make("button", { textContent: "Close", type: "button", className: "luma-ray-button" });
  const all = button("Collect all", async () => {
    const told = await ask("collect", {});
    toast("info", `Collecting ${told.collecting.length}`);
  }, failed);
  all.hidden = true;
  const status = make("p", { role: "status" });
  const dialog = opened("Purchases that are not finished", list, status, make("div", {}, all, close));
  const fill = async () => {
    const rows = await ask("unfinished");
    all.hidden = rows.length === 0;
    list.replaceChildren(...(rows.length ? rows.map(item) : [make("p", { textContent: "None." })]));
    if (!document.querySelector("dialog :focus")) close.focus();
  };
  refresh = () => void fill().catch(failed);
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => (refresh = () => {}));
  refresh();
}

/** @param {any} row */
function item(row) {
  const price = row.usd === null ? "price unknown" : `$${Number(row.usd).toFixed(2)}`;
  const when = new Date(row.created_at * 1000).toLocaleString();
  const words = [row.model, row.resolution, row.seconds && `${row.seconds} s`, row.provider, price, when];
  const acts = isOpen(row)
    ? answers(row.id, null)
    : [button("Collect", async () => {
        await ask("collect", { id: row.id });
        toast("info", "Collecting", row.id);
      }, failed)];
  return make(
    "section",
    {},
    make("strong", { textContent: row.prompt || row.id }),
    make("p", { textContent: words.filter(Boolean).join(" · ") }),
    make("p", { textContent: isOpen(row) ? `No answer came. ${row.note}` : "Bought; its clip is not here yet." }),
    make("div", {}, ...acts),
  );
}

styled(`
.luma-ray-panel { overflow: auto; }
.luma-ray-question { padding: 6px 8px; border: 1px solid #b45309; border-radius: 6px; font-size: 12px; }
.luma-ray-question p { margin: 0 0 6px; }
.luma-ray-list section { padding: 8px 0; border-top: 1px solid var(--border-color, #666); }
`);
