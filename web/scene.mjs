// The scene of a node as a strip below the canvas: its shots, how they meet, what is bought and what is not.
// The sheet on the node stays the only truth: the pack reads it, and writes every change of it.
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { failed, nodeOf, toast } from "./canvas.js";
import { button, make, styled } from "./dom.js";
import { editor } from "./scene_editor.mjs";
import { changing, idOf, leading } from "./scene_graph.mjs";
import { player } from "./scene_player.mjs";
import { Thumbnails } from "./scene_pictures.mjs";
import { ask } from "./talk.js";

/**
 * @typedef {{ filename: string, subfolder: string, type: string }} Place of a file, as ComfyUI shows it
 * @typedef {{ take: number, state: string, words: string, price: string, provider: string, generation: string | null,
 *   preview: boolean }} Take
 * @typedef {Take & { number: number, prompt: string, start: number, seconds: number, own_seconds: number | null,
 *   camera: string[], keyframes: (number | null)[], own_keyframes: boolean, loop: boolean, seam: string,
 *   takes: Take[] }} Shot
 * @typedef {{ shots: Shot[], pictures: { number: number, place: Place | null }[], seconds: number, bill: string,
 *   price: string, limit: string, film: Place | null, choices: { seconds: number[], camera: string[] } }} Scene
 */

const EVENTS = ["executed", "execution_success", "execution_error", "execution_interrupted", "graphChanged"];
/** Milliseconds between what happened and the next look; and between two looks while a graph runs. */
const SOON = 250;
const RUNNING = 3000;

/** Closes the view that is open. */
let close = () => {};

/** Which of the workflows is before us. */
const workflow = () => app.extensionManager?.workflow?.activeWorkflow?.path;

/** @param {any} node */
const sheetOf = (node) => node.widgets?.find((/** @type {any} */ each) => each.name === "sheet");

/** @param {Shot} shot */
export const from = ({ start }) => `${Math.floor(start / 60)}:${String(start % 60).padStart(2, "0")}`;

/** The pictures of a shot in words; empty for none. @param {Shot} shot */
export function pictures({ keyframes: [first, last] }) {
  if (first === null && last === null) return "";
  return `${first === null ? "" : `K${first}`}${last === null ? "" : ` > K${last}`}`.trim();
}

/** @param {any} node */
export function open(node) {
  close();
  const id = idOf(node);
  if (id === null) return;
  const before = /** @type {HTMLElement | null} */ (document.activeElement);
  const own = workflow();
  /** @type {Scene | null} */
  let scene = null;
  let chosen = 1;
  /** The shot that plays; 0 for none. */
  let plays = 0;
  /** How often the person chose a shot. */
  let choices = 0;
  let running = false;
  let closed = false;
  let soon = 0;
  /** What is shown. */
  let drawn = "";
  const thumbnails = new Thumbnails();

  const bill = make("p", { className: "luma-ray-scene-bill" });
  const alert = make("p", { className: "luma-ray-scene-alert", hidden: true });
  alert.setAttribute("role", "alert");
  const status = make("p", { className: "luma-ray-scene-status" });
  status.setAttribute("role", "status");
  const strip = make("ol", { className: "luma-ray-scene-strip" });
  strip.setAttribute("aria-label", "Shots. Arrow keys choose one, Alt and an arrow key moves it, Enter edits it.");
  const say = (/** @type {string} */ words) => void (status.textContent = words);
  const troubled = (/** @type {Error} */ error) => {
    alert.textContent = error.message;
    alert.hidden = false;
  };

  const play = button("Play the film so far", async () => void (scene && film.play(scene, 0)), failed);
  const add = button("Add a shot", () => change(() => ({ change: "add", after: chosen, seconds: scene?.shots.at(-1)?.seconds ?? 5 })), failed);
  const queue = button("Queue", async () => void (await app.queuePrompt(0)), failed);
  const leave = button("Close", async () => close(), failed);
  const film = player({ onShot: playing });
  const edit = editor({ change, leave: () => tile(chosen)?.focus() });
  const dock = make(
    "section",
    { className: "luma-ray-scene" },
    make("header", {}, make("h2", { textContent: node.title }), bill, make("div", {}, play, add, queue, leave)),
    alert,
    film.element,
    strip,
    edit.element,
    status,
  );
  dock.setAttribute("aria-label", `Scene: ${node.title}`);

  /** @param {number} number */
  const tile = (number) => /** @type {HTMLElement | null} */ (strip.querySelector(`[data-shot="${number}"]`));

  /** @param {number} number 0 when nothing plays */
  function playing(number) {
    plays = number;
    for (const each of strip.querySelectorAll("button")) each.classList.toggle("luma-ray-playing", each.dataset.shot === String(number));
  }

  /** Look at the scene as it is now. */
  async function look() {
    if (closed) return;
    const here = nodeOf(/** @type {string} */ (id));
    if (here?.comfyClass !== node.comfyClass || workflow() !== own) return close();
    try {
      const prompt = await leading(/** @type {string} */ (id));
      if (!prompt[/** @type {string} */ (id)]) throw new Error("This node is muted or bypassed: there is nothing to make.");
      const told = await ask("scene", { prompt, node: id });
      if (closed) return;
      scene = /** @type {Scene} */ (told);
      alert.textContent = scene.limit;
      alert.hidden = !scene.limit;
    } catch (error) {
      return troubled(/** @type {Error} */ (error));
    }
    chosen = Math.min(chosen, scene.shots.length);
    draw(scene);
  }

  /** Look soon, and once for several things that happen. */
  function later() {
    window.clearTimeout(soon);
    soon = window.setTimeout(look, SOON);
  }

  /** @param {Scene} told */
  function draw(told) {
    const now = JSON.stringify([told, chosen]);
    if (now === drawn) return; // so that an open list, a drag and the focus outlive a look
    drawn = now;
    const focused = strip.contains(document.activeElement);
    const shots = `${told.shots.length} shot${told.shots.length > 1 ? "s" : ""}`;
    bill.textContent = `${shots} · ${told.seconds} s · ${told.bill}`;
    queue.textContent = told.price ? `Queue (this scene: ${told.price})` : "Queue";
    strip.replaceChildren(...told.shots.map((shot) => item(shot, told)));
    if (focused) tile(chosen)?.focus();
    playing(plays);
    edit.show(told.shots[chosen - 1], told);
  }

  /** @param {number} number */
  function choose(number) {
    if (!scene) return;
    choices += 1;
    chosen = Math.max(1, Math.min(number, scene.shots.length));
    for (const each of strip.querySelectorAll("button")) {
      const own = each.dataset.shot === String(chosen);
      each.tabIndex = own ? 0 : -1;
      each.setAttribute("aria-current", String(own));
    }
    tile(chosen)?.focus();
    edit.show(scene.shots[chosen - 1], scene);
  }

  /** One shot of the strip. @param {Shot} shot @param {Scene} told */
  function item(shot, told) {
    const own = shot.number === chosen;
    const picture = make("span", { className: "luma-ray-scene-picture" });
    const still = told.pictures.find(({ number }) => number === (shot.keyframes[0] ?? shot.keyframes[1]))?.place;
    thumbnails.show(picture, shot, still ?? null);
    const line = [from(shot), `${shot.seconds} s`, pictures(shot), `take ${shot.take}`].filter(Boolean).join(" · ");
    const cost = shot.state === "refused" ? "cannot be made so" : shot.words; // why not: below, where there is room
    const aloud = (/** @type {string} */ textContent) => make("span", { className: "luma-ray-aloud", textContent });
    picture.ariaHidden = "true";
    const made = make(
      "button",
      { type: "button", className: `luma-ray-shot luma-ray-${shot.state}`, tabIndex: own ? 0 : -1, draggable: true },
      picture,
      aloud(`Shot ${shot.number} of ${told.shots.length}. `),
      make("span", { className: "luma-ray-scene-line", textContent: `${shot.number} · ${line}` }),
      make("span", { className: "luma-ray-scene-words", textContent: shot.prompt || "(no words)" }),
      make("span", { className: "luma-ray-scene-cost", textContent: cost }),
      aloud(shot.seam ? `. How it begins: ${shot.seam}.` : "."),
    );
    made.dataset.shot = String(shot.number);
    made.title = shot.words;
    made.setAttribute("aria-current", String(own));
    made.addEventListener("click", () => choose(shot.number));
    made.addEventListener("dragstart", (event) => event.dataTransfer?.setData("text/x-luma-ray-shot", String(shot.number)));
    const place = make("li", {}, made);
    place.style.setProperty("--seconds", String(shot.seconds));
    if (shot.seam) {
      const seam = make("span", { className: "luma-ray-seam", textContent: /\ba cut\b/.test(shot.seam) ? "✂" : "→", title: shot.seam });
      seam.ariaHidden = "true";
      place.prepend(seam);
    }
    place.addEventListener("dragover", (event) => {
      if (event.dataTransfer?.types.includes("text/x-luma-ray-shot")) event.preventDefault();
    });
    place.addEventListener("drop", (event) => {
      const moved = Number(event.dataTransfer?.getData("text/x-luma-ray-shot"));
      event.preventDefault();
      if (moved && moved !== shot.number) void change(() => ({ change: "move", shot: moved, to: shot.number })).catch(failed);
    });
    return place;
  }

  let last = Promise.resolve();
  /**
   * Change the sheet; one change after the other, each of what the one before it made.
   * @param {(shot: number) => Record<string, unknown>} wanted given the shot that is chosen now, wherever it went meanwhile
   * @returns {Promise<void>}
   */
  function change(wanted) {
    const [number, choice] = [chosen, choices];
    const done = last.then(async () => {
      const here = nodeOf(/** @type {string} */ (id));
      const widget = sheetOf(here);
      if (!here || !widget) return close();
      if (here.inputs?.some((/** @type {any} */ each) => each.widget?.name === "sheet" && each.link != null))
        throw new Error("The sheet comes from another node: change it there.");
      const known = scene?.pictures.map(({ number }) => number) ?? [];
      const told = await ask("scene/edit", { sheet: widget.value, edit: wanted(choice === choices ? chosen : number), pictures: known });
      if (workflow() !== own || nodeOf(/** @type {string} */ (id)) !== here) {
        await look(); // the node of that number in another graph keeps its own sheet
        throw new Error("The graph was opened anew meanwhile: this change is not in it.");
      }
      changing(() => (widget.value = told.sheet));
      here.setDirtyCanvas?.(true, true);
      chosen = told.shot;
      await look();
      say(told.words);
    });
    last = done.catch(() => {});
    return done.catch((error) => {
      toast("warn", "Luma Ray", error.message);
      say(error.message);
      if (scene) edit.show(scene.shots[chosen - 1], scene, true);
    });
  }

  strip.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key] ?? 0;
    const count = scene?.shots.length ?? 0;
    if (step && event.altKey) {
      const to = chosen + step;
      if (to >= 1 && to <= count) void change((shot) => ({ change: "move", shot, to: Math.max(1, Math.min(shot + step, count)) }));
    } else if (step) choose(chosen + step);
    else if (event.key === "Home" || event.key === "End") choose(event.key === "Home" ? 1 : count);
    else if (event.key === "Enter") edit.focus();
    else if (event.key === "Delete") void change((shot) => ({ change: "remove", shot }));
    else return;
    event.preventDefault();
  });
  dock.addEventListener("keydown", (event) => {
    event.stopPropagation(); // none of ComfyUI's short-cuts
    if (event.key !== "Escape") return;
    if (film.stop() || edit.element.contains(document.activeElement)) tile(chosen)?.focus();
    else close();
  });
  for (const kind of ["pointerdown", "wheel", "paste", "copy", "cut"]) dock.addEventListener(kind, (event) => event.stopPropagation());

  // Beside ComfyUI's own bars and panels, as they are now.
  const beside = document.querySelector(".graph-canvas-panel");
  const fit = () => {
    const area = beside?.getBoundingClientRect();
    const room = area && area.width > 280 ? [area.left, innerWidth - area.right] : [0, 0];
    [dock.style.left, dock.style.right] = room.map((each) => `${each}px`);
  };
  const watched = new ResizeObserver(fit);
  if (beside) watched.observe(beside);
  const begun = () => (running = true);
  const happened = (/** @type {Event} */ event) => {
    if (event.type !== "executed" && event.type !== "graphChanged") running = false;
    later();
  };
  const timer = window.setInterval(() => running && look(), RUNNING);
  for (const event of EVENTS) api.addEventListener(event, happened);
  api.addEventListener("execution_start", begun);
  close = () => {
    closed = true;
    close = () => {};
    watched.disconnect();
    window.clearInterval(timer);
    window.clearTimeout(soon);
    for (const event of EVENTS) api.removeEventListener(event, happened);
    api.removeEventListener("execution_start", begun);
    film.stop();
    thumbnails.close();
    dock.remove();
    before?.focus?.();
  };
  fit();
  document.body.append(dock);
  void look().then(() => (scene ? choose(1) : leave.focus()));
}

styled(`
.luma-ray-scene { position: fixed; inset: auto 0 0 0; z-index: 1100; box-sizing: border-box; max-height: 80vh; overflow: auto;
  padding: 8px 12px; border-top: 1px solid var(--border-color, #666); font-size: 13px; line-height: 1.35;
  background: var(--comfy-menu-bg, #222); color: var(--fg-color, #eee); overflow-wrap: anywhere; }
.luma-ray-scene header { display: flex; flex-wrap: wrap; gap: 4px 12px; align-items: center; }
.luma-ray-scene h2 { margin: 0; font-size: 15px; }
.luma-ray-scene p { margin: 2px 0; }
.luma-ray-scene-bill { flex: 1 1 14em; }
.luma-ray-scene-alert { padding: 4px 8px; border-left: 4px solid #dc2626; }
.luma-ray-scene-strip { display: flex; gap: 2px; margin: 6px 0; padding: 4px 2px; overflow-x: auto; list-style: none; }
.luma-ray-scene-strip li { position: relative; display: flex; flex: var(--seconds) 0 10.5em; max-width: calc(var(--seconds) * 3.4em); min-width: 10.5em; }
.luma-ray-seam { align-self: center; flex: none; width: 1.4em; text-align: center; }
.luma-ray-shot { flex: 1; display: flex; flex-direction: column; gap: 2px; min-width: 0; padding: 4px; text-align: left; font: inherit;
  color: inherit; background: var(--comfy-input-bg, #333); border: 2px solid transparent; border-radius: 6px; cursor: pointer; }
.luma-ray-shot[aria-current=true] { border-color: currentColor; }
.luma-ray-shot:focus-visible { outline: 3px solid #3b82f6; outline-offset: 1px; }
.luma-ray-playing { box-shadow: 0 0 0 3px #16a34a; }
.luma-ray-scene-picture { display: grid; place-items: center; height: 72px; overflow: hidden; border-radius: 4px; text-align: center;
  background: repeating-linear-gradient(45deg, transparent 0 8px, rgb(128 128 128 / .15) 8px 16px); }
.luma-ray-scene-picture img { width: 100%; height: 100%; object-fit: cover; }
.luma-ray-scene-words { display: -webkit-box; overflow: hidden; -webkit-box-orient: vertical; -webkit-line-clamp: 2; }
.luma-ray-scene-cost { font-weight: 600; }
.luma-ray-aloud { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.luma-ray-new .luma-ray-scene-cost::before { content: "● "; }
.luma-ray-refused .luma-ray-scene-cost::before { content: "▲ "; }
.luma-ray-here .luma-ray-scene-cost::before { content: "✓ "; }
`);
