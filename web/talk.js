// How this page speaks to the pack: JSON, with a header that other pages cannot send.
import { api } from "../../scripts/api.js";

/**
 * @param {string} path
 * @param {Record<string, unknown>} [body] what to change; without it the path is only read
 * @returns {Promise<any>} the answer; an Error with the pack's own words where it refuses
 */
export async function ask(path, body) {
  const headers = { "X-Luma-Ray": "1", ...(body && { "Content-Type": "application/json" }) };
  const answer = await api.fetchApi(`/luma_ray/${path}`, {
    method: body ? "POST" : "GET",
    headers,
    cache: "no-store",
    ...(body && { body: JSON.stringify(body) }),
  });
  const told = await answer.json().catch(() => ({ error: `ComfyUI answered ${answer.status}.` }));
  if (!answer.ok) throw new Error(told.error ?? `ComfyUI answered ${answer.status}.`);
  return told;
}

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} kind
 * @param {Partial<HTMLElementTagNameMap[K]>} [fields] text goes into textContent, never into HTML
 * @param {Node[]} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(kind, fields = {}, ...children) {
  const element = Object.assign(document.createElement(kind), fields);
  element.append(...children);
  return element;
}

/**
 * @param {string} text
 * @param {() => Promise<unknown>} act what a press does; meanwhile the button rests, and keeps the focus
 * @param {(error: Error) => unknown} failed
 */
export function button(text, act, failed) {
  const made = make("button", { textContent: text, type: "button", className: "luma-ray-button" });
  made.addEventListener("click", async () => {
    if (made.ariaBusy === "true") return;
    made.ariaBusy = "true";
    try {
      await act();
    } catch (error) {
      failed(/** @type {Error} */ (error));
    } finally {
      made.ariaBusy = "false";
    }
  });
  return made;
}

/**
 * A window over the page. Escape closes it alone; no key pressed in it is one of ComfyUI's, and what is open below it
 * does not take a click here for one beside itself.
 * @param {string} title
 * @param {Node[]} children
 */
export function opened(title, ...children) {
  const dialog = make("dialog", { className: "luma-ray-dialog", ariaLabel: title });
  dialog.append(make("h2", { textContent: title }), ...children);
  for (const kind of ["keydown", "pointerdown", "focusin"]) dialog.addEventListener(kind, (event) => event.stopPropagation());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/**
 * What the person says to *question*; null where they leave it. ComfyUI's own windows would open below ours.
 * @param {string} question
 * @param {boolean} [words] whether the answer is a line of text
 * @returns {Promise<string | null>}
 */
export function decided(question, words = false) {
  const input = make("input", { type: "text", ariaLabel: question, autocomplete: "off", required: true });
  const cancel = make("button", { textContent: "Cancel", type: "button", className: "luma-ray-button" });
  const yes = make("button", { textContent: "Confirm", value: "yes", className: "luma-ray-button" });
  const form = make("form", { method: "dialog" }, make("p", { textContent: question }), ...(words ? [input] : []));
  form.append(make("div", {}, cancel, yes));
  const dialog = opened("Luma Ray", form);
  cancel.addEventListener("click", () => dialog.close());
  return new Promise((resolve) =>
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes" ? input.value.trim() || "yes" : null)),
  );
}
