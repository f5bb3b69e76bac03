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
 * @param {() => Promise<unknown>} act what a press does; meanwhile the button rests
 * @param {(error: Error) => void} failed
 */
export function button(text, act, failed) {
  const made = make("button", { textContent: text, type: "button", className: "luma-ray-button" });
  made.addEventListener("click", async () => {
    made.disabled = true;
    try {
      await act();
    } catch (error) {
      failed(/** @type {Error} */ (error));
    } finally {
      made.disabled = false;
    }
  });
  return made;
}
