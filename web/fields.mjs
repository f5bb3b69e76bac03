// A line of the settings: what it is, where it is typed, Save, and what is so now.
import { failed } from "./canvas.js";
import { button, make, styled } from "./dom.js";

/**
 * One line: what it is, where it is typed, Save (Enter does it too), and what is so now.
 * @param {string} title
 * @param {Partial<HTMLInputElement>} field
 * @param {(input: HTMLInputElement) => Promise<unknown>} keep
 */
export function line(title, field, keep) {
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

styled(`
.luma-ray-limits { display: grid; grid-template-columns: minmax(0, auto) 9em auto minmax(0, auto); gap: 6px 8px;
  align-items: center; overflow-wrap: anywhere; }
.luma-ray-limits > div { display: contents; }
.luma-ray-limits > p, .luma-ray-limits select { grid-column: 1 / -1; justify-self: start; }
.luma-ray-settings select, .luma-ray-settings input, .luma-ray-dialog input { min-width: 0; padding: 3px 6px; border-radius: 4px;
  border: 1px solid var(--border-color, #666); background: var(--comfy-input-bg, #333); color: var(--input-text, #eee); }
`);
