// Settings > Luma Ray: what may be spent, and keys. Nothing of it is kept in ComfyUI's settings or in this browser.
import { ask, button, make } from "./talk.mjs";
import { toast } from "./questions.mjs";

const WORDS = { per_generation: "one clip", per_run: "one press of Queue", per_day: "a day", per_month: "a month" };
const FROM = { environment: "from ComfyUI's environment", saved: "saved", missing: "not set" };

/** @param {Error} error */
const failed = (error) => toast("error", "Luma Ray", error.message);

/** An element that is filled once the answer is there. @param {(element: HTMLElement) => Promise<void>} fill */
function filled(fill) {
  const element = make("div", { className: "luma-ray-settings" });
  fill(element).catch((error) => element.replaceChildren(make("p", { textContent: error.message })));
  return element;
}

export const limits = () =>
  filled(async (element) => {
    /** @param {any[]} rows */
    const draw = (rows) =>
      element.replaceChildren(
        ...rows.map((row) => {
          const label = `${WORDS[/** @type {keyof typeof WORDS} */ (row.scope)]}${row.provider ? ` at ${row.provider}` : ""}`;
          const input = make("input", {
            type: "number", min: "0", step: "0.5", value: row.limit ?? "", placeholder: "no limit",
            ariaLabel: `USD for ${label}`,
          });
          const save = button("Save", async () => {
            const usd = input.value.trim();
            const body = { [row.scope]: usd === "" ? null : usd, ...(row.provider && { provider: row.provider }) };
            draw(await ask("limits", body));
            toast("success", usd === "" ? `No limit for ${label}` : `$${usd} for ${label}`);
          }, failed);
          const spent = row.spent === null ? "" : `$${Number(row.spent).toFixed(2)} spent`;
          return make("div", {}, make("span", { textContent: label }), input, save, make("small", { textContent: spent }));
        }),
      );
    draw(await ask("limits"));
  });

export const keys = () =>
  filled(async (element) => {
    const draw = async () => {
      const rows = await ask("keys");
      element.replaceChildren(
        ...rows.map((/** @type {any} */ row) => {
          const input = make("input", { type: "password", autocomplete: "off", ariaLabel: `${row.name} for ${row.for}` });
          const save = button("Save", async () => {
            const value = input.value;
            input.value = "";
            const told = await ask("keys", { name: row.name, value });
            toast("success", row.name, FROM[/** @type {keyof typeof FROM} */ (told.source)]);
            await draw();
          }, failed);
          const state = `${FROM[/** @type {keyof typeof FROM} */ (row.source)]} ${row.hint}`.trim();
          return make(
            "div", {},
            make("span", { textContent: `${row.for}: ${row.name}` }), input, save, make("small", { textContent: state }),
          );
        }),
      );
    };
    await draw();
  });
