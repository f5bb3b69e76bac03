// Settings > Luma Ray > Spending: what may be spent, and what was.
import { toast } from "./canvas.js";
import { make } from "./dom.js";
import { line } from "./fields.mjs";
import { ask } from "./talk.js";

const WORDS = { per_generation: "one clip", per_run: "one press of Queue", per_day: "a day", per_month: "a month" };

/** @param {HTMLElement} element */
export async function fill(element) {
  /** The lines of providers without a limit, which are shown when they are asked for. @type {Map<string, Node[]>} */
  const others = new Map();
  const choice = make("select", { ariaLabel: "Limit a provider" }, make("option", { textContent: "Limit a provider...", value: "" }));
  const more = make("div", {}, choice);
  choice.addEventListener("change", () => {
    const lines = others.get(choice.value) ?? [];
    more.before(...lines);
    choice.selectedOptions[0].remove();
    choice.value = "";
    choice.hidden = choice.options.length < 2;
    /** @type {HTMLElement | undefined} */ (lines[0])?.querySelector("input")?.focus();
  });
  element.className = "luma-ray-settings luma-ray-limits";
  const rows = await ask("limits").catch((error) => void element.replaceChildren(make("p", { textContent: error.message })));
  if (!rows) return;
  /** @type {Node[]} */
  const shown = [];
  for (const row of rows) {
    const made = limit(row);
    if (!row.provider || rows.some((/** @type {any} */ each) => each.provider === row.provider && each.limit !== null)) {
      shown.push(made);
      continue;
    }
    if (!others.has(row.provider)) choice.append(make("option", { textContent: row.provider }));
    others.set(row.provider, [...(others.get(row.provider) ?? []), made]);
  }
  element.replaceChildren(...shown, more);
}

/** @param {any} first */
function limit(first) {
  const title = `${WORDS[/** @type {keyof typeof WORDS} */ (first.scope)]}${first.provider ? ` at ${first.provider}` : ""}`;
  const field = { type: "number", min: "0", step: "any", placeholder: "no limit" };
  const made = line(title, field, async (input) => {
    // What is no number reads as empty, which would lift the limit.
    if (!input.reportValidity()) return;
    const body = { [first.scope]: input.value || null, ...(first.provider && { provider: first.provider }) };
    const rows = await ask("limits", body);
    show(rows.find((/** @type {any} */ row) => row.scope === first.scope && row.provider === first.provider));
    toast("success", input.value ? `$${input.value} for ${title}` : `No limit for ${title}`);
  });
  const show = (/** @type {any} */ row) => {
    made.input.value = row.limit ?? "";
    made.now.textContent = row.spent === null ? "" : `$${Number(row.spent).toFixed(2)} spent`;
  };
  show(first);
  return made.row;
}
