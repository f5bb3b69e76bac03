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
  // What one part of the page changed, another may show.
  if (body) document.dispatchEvent(new CustomEvent("luma-ray:told", { detail: path }));
  return told;
}
