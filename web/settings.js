// Settings > Luma Ray: what may be spent, and keys. Nothing of it is kept in ComfyUI's settings or in this browser.
import { app } from "../../scripts/app.js";
import { failed, toast } from "./canvas.js";
import { button, decided, make, styled } from "./dom.js";
import { ask } from "./talk.js";

const WORDS = { per_generation: "one clip", per_run: "one press of Queue", per_day: "a day", per_month: "a month" };
const FROM = { environment: "from ComfyUI's environment", saved: "saved", missing: "not set" };

/**
 * One line: what it is, where it is typed, Save (Enter does it too), and what is so now.
 * @param {string} title
 * @param {Partial<HTMLInputElement>} field
 * @param {(input: HTMLInputElement) => Promise<unknown>} keep
 */
function line(title, field, keep) {
  const input = make("input", { autocomplete: "off", ariaLabel: title, ...field });
  const save = button("Save", () => keep(input), failed);
  save.ariaLabel = `Save ${title}`;
  const now = make("small");
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault(); // else it would also press the first button of a window that opens now
    save.click();
  });
  return { input, save, now, row: make("div", {}, make("span", { textContent: title }), input, save, now) };
}

/**
 * An element that is filled once the rows are there.
 * @param {string} path
 * @param {(row: any, index: number, rows: any[]) => Node | null} draw null for a row that is not shown
 * @param {Node[]} last what comes below them
 */
function filled(path, draw, ...last) {
  const element = make("div", { className: "luma-ray-settings" });
  ask(path).then(
    (rows) => element.replaceChildren(...rows.map(draw).filter((/** @type {Node | null} */ each) => each), ...last),
    (error) => element.replaceChildren(make("p", { textContent: error.message })),
  );
  return element;
}

const limits = () => {
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
  return filled("limits", (row, _, rows) => {
    const made = limit(row);
    if (!row.provider || rows.some((each) => each.provider === row.provider && each.limit !== null)) return made;
    if (!others.has(row.provider)) choice.append(make("option", { textContent: row.provider }));
    others.set(row.provider, [...(others.get(row.provider) ?? []), made]);
    return null;
  }, more);
};

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

const keys = () =>
  filled("keys", (first) => {
    let source = first.source;
    const made = line(`${first.for}: ${first.name}`, { type: "password" }, async (input) => {
      const value = input.value.trim();
      if (!value && (source !== "saved" || (await decided(`Forget ${first.name}?`)) === null)) return;
      input.value = "";
      await ask("keys", { name: first.name, value });
      show((await ask("keys")).find((/** @type {any} */ row) => row.name === first.name));
      toast("success", first.name, made.now.textContent ?? "");
    });
    const show = (/** @type {any} */ row) => {
      source = row.source;
      made.input.disabled = made.save.disabled = !row.editable; // the environment goes before what is saved
      made.now.textContent = `${FROM[/** @type {keyof typeof FROM} */ (source)]} ${row.hint}`.trim();
    };
    show(first);
    return made.row;
  });

styled(`
.luma-ray-settings { display: grid; grid-template-columns: minmax(0, auto) 9em auto minmax(0, auto); gap: 6px 8px;
  align-items: center; overflow-wrap: anywhere; }
.luma-ray-settings > div { display: contents; }
.luma-ray-settings > p, .luma-ray-settings select { grid-column: 1 / -1; justify-self: start; }
.luma-ray-settings select, .luma-ray-settings input, .luma-ray-dialog input { min-width: 0; padding: 3px 6px; border-radius: 4px;
  border: 1px solid var(--border-color, #666); background: var(--comfy-input-bg, #333); color: var(--input-text, #eee); }
`);

app.registerExtension({
  name: "LumaRay.Settings",
  settings: [
    {
      id: "LumaRay.Limits",
      category: ["Luma Ray", "Spending", "Limits"],
      name: "Spending limits (USD)",
      tooltip: "Kept on this machine, outside workflows. Empty: no limit.",
      type: limits,
      defaultValue: null,
    },
    {
      id: "LumaRay.Keys",
      category: ["Luma Ray", "Keys", "Keys"],
      name: "Keys",
      tooltip: "Kept in ComfyUI's private user folder. A key goes in and is never shown again.",
      type: keys,
      defaultValue: null,
    },
  ],
});
