// Purchases that wait for an answer: on the node that asked, and all together in a window.
import { app } from "../../scripts/app.js";
import { ask, button, make } from "./talk.mjs";

const PANEL = "luma_ray_question";
const GENERATION = /\bray-\d{6}-[0-9a-f]{10}\b/;

/** @param {string} severity @param {string} summary @param {string} [detail] */
export function toast(severity, summary, detail = "") {
  app.extensionManager?.toast?.add?.({ severity, summary, detail, life: 12000 });
}

/** @param {Error} error */
const failed = (error) => toast("error", "Luma Ray", error.message);

/** @param {string} message */
async function agreed(message) {
  const dialog = app.extensionManager?.dialog;
  return dialog?.confirm ? await dialog.confirm({ title: "Luma Ray", message }) : window.confirm(message);
}

/** @param {string} message */
async function typed(message) {
  const dialog = app.extensionManager?.dialog;
  return dialog?.prompt ? await dialog.prompt({ title: "Luma Ray", message }) : window.prompt(message);
}

/**
 * The ways to answer: look again, it is there, it was not created.
 * @param {string} id of the generation
 * @param {() => void} answered
 * @param {(() => unknown) | null} again what buys it anew, where a graph is at hand
 */
function answers(id, answered, again) {
  const look = button("Look again", async () => {
    await ask("collect", { id });
    toast("info", "Looking for it at the provider", id);
  }, failed);
  const there = button("It is there...", async () => {
    const job = await typed("The id of the job on the provider's own page:");
    if (!job?.trim()) return;
    await ask("found", { id, job: job.trim() });
    await ask("collect", { id });
    answered();
  }, failed);
  const anew = button(again ? "It was not created: send again" : "It was not created", async () => {
    const sure = "Only if the provider's own page shows no such job: otherwise it is paid twice. Was it not created?";
    if (!(await agreed(sure))) return;
    await ask("not_created", { id });
    answered();
    await again?.();
  }, failed);
  look.title = "Ask the provider whether the job exists. Sends and buys nothing.";
  there.title = "You saw the job on the provider's page: its clip is collected.";
  anew.title = "You looked on the provider's page, and there is no such job.";
  return [look, there, anew];
}

/** @param {string} id such as "12:5" for a node in a subgraph */
function nodeOf(id) {
  let graph = app.rootGraph ?? app.graph;
  let node = null;
  for (const part of String(id).split(":")) {
    node = graph?.getNodeById?.(Number(part)) ?? null;
    graph = node?.subgraph ?? null;
  }
  return node;
}

/** @param {any} node */
function settled(node) {
  const at = node.widgets?.findIndex((/** @type {any} */ widget) => widget.name === PANEL) ?? -1;
  if (at < 0) return;
  node.widgets[at].onRemove?.();
  node.widgets.splice(at, 1);
  node.setDirtyCanvas?.(true, true);
}

/** Put the question on the node whose purchase got no answer. @param {any} error as ComfyUI tells of it */
export function onError({ node_id, exception_type, exception_message }) {
  if (!String(exception_type).endsWith("SubmissionUncertain")) return;
  const id = GENERATION.exec(String(exception_message))?.[0];
  const node = nodeOf(node_id);
  if (!id || !node?.addDOMWidget) return;
  settled(node);
  const panel = make(
    "div",
    { className: "luma-ray-question", role: "group", ariaLabel: "A purchase without an answer" },
    make("p", { textContent: `Perhaps bought, and no answer came (${id}).` }),
    make("div", {}, ...answers(id, () => settled(node), () => app.queuePrompt(0))),
  );
  const widget = node.addDOMWidget(PANEL, "custom", panel, {
    serialize: false,
    hideOnZoom: false,
    getMinHeight: () => 110,
    getMaxHeight: () => 150,
  });
  widget.serialize = false;
}

/** What was collected or decided elsewhere is no question any more. @param {string} id */
export function onAnswered(id) {
  for (const node of (app.rootGraph ?? app.graph)?.nodes ?? []) {
    const panel = node.widgets?.find((/** @type {any} */ widget) => widget.name === PANEL);
    if (panel?.element?.textContent?.includes(id)) settled(node);
  }
}

/** All purchases that have neither a clip nor an end. */
export async function show() {
  const list = make("div", { className: "luma-ray-list" });
  const close = make("button", { textContent: "Close", type: "button", className: "luma-ray-button" });
  const title = make("h2", { textContent: "Purchases that are not finished", id: "luma-ray-title" });
  const all = button("Collect all", async () => {
    const told = await ask("collect", {});
    toast("info", `Collecting ${told.collecting.length}`);
  }, failed);
  const dialog = make("dialog", { className: "luma-ray-dialog" }, title, list, make("div", {}, all, close));
  dialog.setAttribute("aria-labelledby", title.id);
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  const fill = async () => {
    const rows = await ask("unfinished");
    all.hidden = rows.length === 0;
    list.replaceChildren(
      ...(rows.length ? rows.map((/** @type {any} */ row) => item(row, fill)) : [make("p", { textContent: "None." })]),
    );
  };
  dialog.showModal();
  await fill().catch(failed);
}

/** @param {any} row @param {() => Promise<void>} fill */
function item(row, fill) {
  const open = row.state === "uncertain" || row.state === "submitting";
  const price = row.usd === null ? "price unknown" : `$${Number(row.usd).toFixed(2)}`;
  const when = new Date(row.created_at * 1000).toLocaleString();
  const words = [row.model, row.resolution, row.seconds && `${row.seconds} s`, row.provider, price, when];
  const refresh = () => void fill().catch(failed);
  const acts = open
    ? answers(row.id, refresh, null)
    : [button("Collect", async () => {
        await ask("collect", { id: row.id });
        toast("info", "Collecting", row.id);
      }, failed)];
  return make(
    "section",
    {},
    make("strong", { textContent: row.prompt || row.id }),
    make("p", { textContent: words.filter(Boolean).join(" · ") }),
    make("p", { textContent: open ? `No answer came. ${row.note}` : "Bought; its clip is not here yet.", className: "luma-ray-note" }),
    make("div", {}, ...acts),
  );
}
