// Small pictures and clips of the library, fetched with our header; each is let go when it is not shown any more.
import { api } from "../../scripts/api.js";
import { make } from "./dom.js";

/** @typedef {import("./library_words.mjs").Row} Row */

const AT_ONCE = 3;
/** Milliseconds for which a row must stay before its picture is asked for: what flies by is not. */
const STAYS = 60;
const AGAIN = 400;

/** @param {string} path @param {AbortSignal} [signal] */
async function fetched(path, signal) {
  const answer = await api.fetchApi(`/luma_ray/library/${path}`, {
    headers: { "X-Luma-Ray": "1" },
    cache: "default",
    signal,
  });
  const isFile = !(answer.headers.get("Content-Type") ?? "").startsWith("application/json");
  if (isFile && answer.ok) return { blob: await answer.blob(), words: "", busy: false };
  const told = await answer.json().catch(() => ({}));
  return {
    blob: null,
    words: told.words ?? told.error ?? `ComfyUI answered ${answer.status}.`,
    busy: told.busy === true,
  };
}

/** The small pictures that are shown now. */
export class Pictures {
  constructor() {
    /** @type {Map<HTMLImageElement, { id: string, url: string, stop: AbortController, timer: number }>} */
    this.shown = new Map();
    /** Those that wait for their turn. @type {HTMLImageElement[]} */
    this.waiting = [];
    this.asked = 0;
  }

  /** Show the picture of *row* in *image*, once it stays. @param {HTMLImageElement} image @param {Row} row */
  show(image, row) {
    if (!row.picture) return;
    const about = { id: row.id, url: "", stop: new AbortController(), timer: 0 };
    this.shown.set(image, about);
    this.later(image, STAYS);
  }

  /** @param {HTMLImageElement} image @param {number} wait */
  later(image, wait) {
    const about = this.shown.get(image);
    if (!about) return;
    about.timer = window.setTimeout(() => {
      this.waiting.push(image);
      this.next();
    }, wait);
  }

  next() {
    while (this.asked < AT_ONCE && this.waiting.length) {
      // The last ones came into sight last.
      const image = /** @type {HTMLImageElement} */ (this.waiting.pop());
      const about = this.shown.get(image);
      if (!about) continue;
      this.asked += 1;
      fetched(`thumbnail?id=${encodeURIComponent(about.id)}`, about.stop.signal)
        .then(({ blob, words, busy }) => {
          if (this.shown.get(image) !== about) return;
          if (busy) return this.later(image, AGAIN);
          if (blob) image.setAttribute("src", (about.url = URL.createObjectURL(blob)));
          else image.parentElement?.setAttribute("title", words);
        })
        .catch(() => {}) // it went out of sight, or ComfyUI is gone: the place stays empty
        .finally(() => {
          this.asked -= 1;
          this.next();
        });
    }
  }

  /** @param {HTMLImageElement} image that is not shown any more */
  drop(image) {
    const about = this.shown.get(image);
    if (!about) return;
    this.shown.delete(image);
    window.clearTimeout(about.timer);
    about.stop.abort();
    if (about.url) URL.revokeObjectURL(about.url);
    this.waiting = this.waiting.filter((each) => each !== image);
  }

  close() {
    for (const image of [...this.shown.keys()]) this.drop(image);
  }
}

/**
 * The clip of *row*, playing without sound. ComfyUI shows it where it can: by parts, as they are needed.
 * @param {Row} row
 * @param {boolean} controls
 * @returns {{ video: HTMLVideoElement, stop: () => void }} `stop` takes it out of the page and lets it go
 */
export function player(row, controls) {
  const video = make("video", { muted: true, loop: true, playsInline: true, controls, className: "luma-ray-video" });
  video.setAttribute("aria-label", `The clip: ${row.prompt || row.id}`);
  const halt = new AbortController();
  let url = "";
  const begin = (/** @type {string} */ address) => {
    video.setAttribute("src", address);
    video.play().catch(() => {}); // where it may not play by itself, its controls do it
  };
  if (row.view) begin(api.apiURL(`/view?${new URLSearchParams(row.view)}`));
  else
    fetched(`clip?id=${encodeURIComponent(row.id)}`, halt.signal)
      .then(({ blob, words }) => {
        if (halt.signal.aborted) return;
        if (blob) begin((url = URL.createObjectURL(blob)));
        else video.replaceWith(make("p", { textContent: words }));
      })
      .catch(() => {});
  const stop = () => {
    halt.abort();
    video.pause();
    video.removeAttribute("src");
    video.load();
    video.remove();
    if (url) URL.revokeObjectURL(url);
  };
  return { video, stop };
}
