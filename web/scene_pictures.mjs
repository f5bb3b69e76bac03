// The small pictures of shots: of its clip where there is one, else the picture that it begins on.
import { api } from "../../scripts/api.js";
import { make } from "./dom.js";

/** @typedef {import("./scene.mjs").Place} Place @typedef {import("./scene.mjs").Take} Take */

const AGAIN = 600;

/** Where ComfyUI shows a file. @param {Place} place */
export const address = (place) => api.apiURL(`/view?${new URLSearchParams(place)}`);

/** Small pictures, each fetched once while the view is open. */
export class Thumbnails {
  constructor() {
    /** Addresses by generation; empty for one without a picture. @type {Map<string, Promise<string>>} */
    this.known = new Map();
    this.closed = false;
  }

  /**
   * @param {HTMLElement} where
   * @param {Take} take
   * @param {Place | null} still
   */
  async show(where, take, still) {
    const own = take.generation ? await this.of(take.generation) : "";
    const source = own || (still ? address(still) : "");
    if (!source) {
      where.textContent = take.generation ? "▶" : "";
      return;
    }
    const image = make("img", { alt: "", draggable: false, decoding: "async" });
    image.addEventListener("error", () => image.remove());
    image.src = source;
    where.replaceChildren(image);
  }

  /** @param {string} id of a generation */
  of(id) {
    const known = this.known.get(id) ?? this.fetched(id).catch(() => "");
    this.known.set(id, known);
    return known;
  }

  /** @param {string} id @returns {Promise<string>} */
  async fetched(id) {
    const headers = { "X-Luma-Ray": "1" };
    for (let tries = 0; tries < 20 && !this.closed; tries += 1) {
      const answer = await api.fetchApi(`/luma_ray/library/thumbnail?id=${encodeURIComponent(id)}`, { headers });
      if (!(answer.headers.get("Content-Type") ?? "").startsWith("application/json"))
        return answer.ok ? URL.createObjectURL(await answer.blob()) : "";
      if (!(await answer.json()).busy) return "";
      await new Promise((resolve) => setTimeout(resolve, AGAIN));
    }
    return "";
  }

  async close() {
    this.closed = true;
    for (const made of this.known.values()) URL.revokeObjectURL(await made);
  }
}
