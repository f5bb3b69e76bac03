// Where a film stands in a reframed picture. How large it is, where it may stand and what is refused, the pack says;
// here a rectangle is only drawn, dragged, and scaled to the pixels of this page.
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { acts, anyNode, failed } from "./canvas.js";
import { button, make, styled } from "./dom.js";
import { changing, idOf, leading } from "./scene_graph.mjs";
import { address } from "./scene_pictures.mjs";
import { ask } from "./talk.js";

/**
 * @typedef {{ left: number, top: number, width: number, height: number }} Rectangle pixels of the canvas
 * @typedef {Rectangle & { canvas: [number, number], size: number, across: number, down: number, smallest: number,
 *   words: string }} Standing
 */

const PERCENTS = /** @type {const} */ (["size", "across", "down"]);
const WIDGETS = ["aspect_ratio", ...PERCENTS];
const KEYS = /** @type {Record<string, [name: "size" | "across" | "down", step: number]>} */ ({
  ArrowLeft: ["across", -1],
  ArrowRight: ["across", 1],
  ArrowUp: ["down", -1],
  ArrowDown: ["down", 1],
  "+": ["size", 1],
  "=": ["size", 1],
  "-": ["size", -1],
  _: ["size", -1],
});
const HELP = "The film on its canvas. Arrow keys move it, plus and minus change its size, Shift takes larger steps, Home puts it back.";

/** @param {any} node @param {HTMLElement} element of its widget */
export function draw(node, element) {
  /** @type {Standing | null} */
  let standing = null;
  let film = { width: 0, height: 0, known: false };
  /** What the widgets said when they were last looked at. */
  let seen = "";
  /** The drag that is under way. @type {{ corner: string, x: number, y: number, at: Rectangle } | null} */
  let drag = null;
  let asked = 0;

  const words = make("p");
  words.setAttribute("role", "status");
  const about = make("p");
  const box = make("div", { className: "luma-ray-reframe-film", tabIndex: 0 });
  box.setAttribute("role", "application");
  box.setAttribute("aria-label", HELP);
  box.title = HELP;
  for (const corner of ["nw", "ne", "sw", "se"]) {
    const handle = make("span", { className: `luma-ray-reframe-corner luma-ray-reframe-${corner}` });
    handle.dataset.corner = corner;
    box.append(handle);
  }
  const stage = make("div", { className: "luma-ray-reframe-canvas" }, box);
  const reset = button("Largest, in the middle", () => write({ size: 100, across: 50, down: 50 }), failed);
  element.replaceChildren(stage, words, about, make("div", {}, reset));

  /** @param {string} name */
  const widget = (name) => node.widgets?.find((/** @type {any} */ each) => each.name === name);
  const values = () => Object.fromEntries(WIDGETS.map((name) => [name, widget(name)?.value]));

  /** @param {Rectangle} at @param {[number, number]} canvas */
  function put(at, [wide, tall]) {
    stage.style.setProperty("--wide", String(wide));
    stage.style.setProperty("--tall", String(tall));
    const part = (/** @type {number} */ value, /** @type {number} */ of) => `${(100 * value) / of}%`;
    Object.assign(box.style, { left: part(at.left, wide), top: part(at.top, tall), width: part(at.width, wide), height: part(at.height, tall) });
  }

  /**
   * Ask where the film stands: by the widgets, or nearest to what was drawn. What comes late is not shown.
   * @param {Record<string, unknown>} how
   * @returns {Promise<Standing | null>}
   */
  async function stands(how) {
    if (!film.width) return null;
    const own = ++asked;
    const { aspect_ratio } = values();
    const told = await ask("reframe/place", { aspect_ratio, width: film.width, height: film.height, ...how });
    return own === asked ? told : null;
  }

  /** Draw what the widgets say, where that is something else than is drawn. */
  async function follow(anew = false) {
    const now = values();
    const own = JSON.stringify([now, film]);
    if ((own === seen && !anew) || drag) return;
    seen = own;
    try {
      const told = await stands(now);
      if (told && !drag) show(told);
    } catch (error) {
      words.textContent = /** @type {Error} */ (error).message;
    }
  }

  /** @param {Standing} told */
  function show(told) {
    standing = told;
    put(told, told.canvas);
    words.textContent = `${told.words} Size ${told.size} %, across ${told.across} %, down ${told.down} %.`;
    about.textContent = film.known ? `The film is ${film.width} x ${film.height}.` : `Drawn for a film of ${film.width} x ${film.height}, until it is known.`;
  }

  /** Into the widgets, as one step of ComfyUI's own undo. @param {{ size: number, across: number, down: number }} place */
  async function write(place) {
    if (idOf(node) === null) return; // it is gone; what is written to it would be read by the next node of its number
    changing(() => {
      for (const name of PERCENTS) {
        const one = widget(name);
        if (!one || one.value === place[name]) continue;
        one.value = place[name];
        one.callback?.(place[name], app.canvas, node);
      }
    });
    node.setDirtyCanvas?.(true, true);
    await follow(true);
  }

  /** Look at the film that comes here. */
  async function look() {
    const id = idOf(node);
    if (id === null || anyNode(acts)) return;
    const prompt = await leading(id);
    if (!prompt[id]) return;
    const told = await ask("reframe/source", { prompt, node: id });
    if (told.known || !film.known || !told.place) film = { width: told.width, height: told.height, known: told.known };
    picture(told.place);
    await follow();
  }

  /** The film's first picture, in its place. @param {import("./scene.mjs").Place | null} place */
  function picture(place) {
    const source = place ? address(place) : "";
    const there = box.querySelector("video");
    if ((there?.getAttribute("src") ?? "") === source) return;
    there?.remove();
    if (!source) return;
    const video = make("video", { muted: true, preload: "metadata", playsInline: true, tabIndex: -1 });
    video.ariaHidden = "true";
    video.addEventListener("loadedmetadata", () => {
      if (!video.videoWidth) return;
      film = { width: video.videoWidth, height: video.videoHeight, known: true };
      void follow(true);
    });
    video.src = source;
    box.prepend(video);
  }

  /** @param {PointerEvent} event @returns {Rectangle} what is drawn while the pointer is here */
  function drawn(event) {
    const { corner, x, y, at } = /** @type {NonNullable<typeof drag>} */ (drag);
    const [wide, tall] = /** @type {Standing} */ (standing).canvas;
    const scale = wide / stage.getBoundingClientRect().width;
    const [right, down] = [(event.clientX - x) * scale, (event.clientY - y) * scale];
    const within = (/** @type {number} */ value, /** @type {number} */ most) => Math.max(0, Math.min(value, most));
    if (!corner) return { ...at, left: within(at.left + right, wide - at.width), top: within(at.top + down, tall - at.height) };
    const [west, north] = [corner.endsWith("w"), corner.startsWith("n")];
    const shape = at.height / at.width;
    // The corner across from the one that is held stays where it is.
    const room = Math.min(west ? at.left + at.width : wide - at.left, (north ? at.top + at.height : tall - at.top) / shape);
    const wanted = at.width + Math.max(west ? -right : right, (north ? -down : down) / shape);
    const width = Math.max(Math.min(wanted, room), 8);
    const height = width * shape;
    return { width, height, left: west ? at.left + at.width - width : at.left, top: north ? at.top + at.height - height : at.top };
  }

  box.addEventListener("pointerdown", (event) => {
    event.stopPropagation();
    if (event.button || !standing) return;
    event.preventDefault();
    box.focus();
    box.setPointerCapture(event.pointerId);
    const corner = /** @type {HTMLElement} */ (event.target).dataset?.corner ?? "";
    drag = { corner, x: event.clientX, y: event.clientY, at: { ...standing } };
  });
  box.addEventListener("pointermove", (event) => {
    event.stopPropagation();
    if (drag && standing) put(drawn(event), standing.canvas);
  });
  const dropped = async (/** @type {PointerEvent} */ event) => {
    event.stopPropagation();
    if (!drag) return;
    const rectangle = drawn(event);
    drag = null;
    const told = event.type === "pointerup" ? await stands({ drawn: rectangle }).catch(failed) : null;
    if (told) await write(told);
    else await follow(true);
  };
  box.addEventListener("pointerup", (event) => void dropped(event));
  box.addEventListener("pointercancel", (event) => void dropped(event));
  box.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !standing) return;
    const { size, across, down, smallest } = standing;
    const now = { size, across, down };
    if (event.key === "Home") Object.assign(now, { size: 100, across: 50, down: 50 });
    else if (KEYS[event.key]) {
      const [name, step] = KEYS[event.key];
      const least = name === "size" ? smallest : 0;
      now[name] = Math.max(least, Math.min(now[name] + step * (event.shiftKey ? 10 : 1), 100));
    } else return;
    event.preventDefault();
    standing = { ...standing, ...now }; // the next key goes on from here
    void write(now).catch(failed);
  });
  for (const kind of ["keydown", "wheel", "dblclick", "contextmenu", "mousedown"]) element.addEventListener(kind, (event) => event.stopPropagation());

  for (const name of WIDGETS) {
    const one = widget(name);
    if (!one) continue;
    const before = one.callback;
    one.callback = function (/** @type {unknown[]} */ ...given) {
      const answer = before?.apply(this, given);
      void follow();
      return answer;
    };
  }
  const connected = node.onConnectionsChange;
  node.onConnectionsChange = function (/** @type {unknown[]} */ ...given) {
    setTimeout(() => void look().catch(failed));
    return connected?.apply(this, given);
  };
  const changed = () => void follow();
  const executed = () => void look().catch(() => {});
  api.addEventListener("graphChanged", changed);
  api.addEventListener("execution_success", executed);
  const removed = node.onRemoved;
  node.onRemoved = function (/** @type {unknown[]} */ ...given) {
    api.removeEventListener("graphChanged", changed);
    api.removeEventListener("execution_success", executed);
    return removed?.apply(this, given);
  };
  // A workflow that is being opened has its links only afterwards.
  setTimeout(() => void look().catch(failed), 50);
}

styled(`
.luma-ray-reframe { display: flex; flex-direction: column; gap: 4px; overflow: auto; font-size: 12px; line-height: 1.3; color: var(--fg-color, #eee); }
.luma-ray-reframe p { margin: 0; }
.luma-ray-reframe-canvas { position: relative; flex: none; box-sizing: border-box; width: min(100%, calc(150px * var(--wide, 16) / var(--tall, 9)));
  aspect-ratio: var(--wide, 16) / var(--tall, 9); margin: 2px auto; outline: 1px solid var(--border-color, #666);
  background: repeating-linear-gradient(45deg, rgb(128 128 128 / .1) 0 6px, rgb(128 128 128 / .35) 6px 12px); touch-action: none; }
.luma-ray-reframe-film { position: absolute; box-sizing: border-box; border: 2px solid #3b82f6; background: rgb(59 130 246 / .35); cursor: move; touch-action: none; }
.luma-ray-reframe-film:focus-visible { outline: 3px solid #f59e0b; outline-offset: 1px; }
.luma-ray-reframe-film video { position: absolute; inset: 0; width: 100%; height: 100%; object-fit: fill; pointer-events: none; }
.luma-ray-reframe-corner { position: absolute; width: 12px; height: 12px; box-sizing: border-box; border: 2px solid #3b82f6; background: #fff; }
.luma-ray-reframe-nw { left: -6px; top: -6px; cursor: nwse-resize; }
.luma-ray-reframe-ne { right: -6px; top: -6px; cursor: nesw-resize; }
.luma-ray-reframe-sw { left: -6px; bottom: -6px; cursor: nesw-resize; }
.luma-ray-reframe-se { right: -6px; bottom: -6px; cursor: nwse-resize; }
`);
