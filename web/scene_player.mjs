// The film so far: its clips one after the other, and where one is missing its picture or a word, for as long.
import { button, make, styled } from "./dom.js";
import { address } from "./scene_pictures.mjs";
import { ask } from "./talk.js";

/** @typedef {import("./scene.mjs").Scene} Scene @typedef {import("./scene.mjs").Shot} Shot */

/** @param {{ onShot: (number: number) => void }} told which shot plays now; 0 for none */
export function player({ onShot }) {
  /** @type {Scene | null} */
  let scene = null;
  let at = 0;
  /** Of a shot without a clip: when it began to stand, and how much of it is left, milliseconds. */
  let left = 0;
  let since = 0;
  let timer = 0;
  /** Counts what was begun: what comes late is not shown. */
  let turn = 0;
  let paused = false;
  /** @type {Map<number, HTMLVideoElement>} */
  const ready = new Map();

  const stage = make("div", { className: "luma-ray-film-stage" });
  const caption = make("p", { className: "luma-ray-film-caption" });
  caption.setAttribute("aria-live", "polite");
  const failed = (/** @type {Error} */ error) => void (caption.textContent = error.message);
  const back = button("Previous shot", async () => show(at - 1), failed);
  const hold = button("Pause", async () => pause(!paused), failed);
  const next = button("Next shot", async () => show(at + 1), failed);
  const end = button("Stop", async () => void stop(), failed);
  const element = make("div", { className: "luma-ray-film", hidden: true }, stage, make("div", {}, caption, back, hold, next, end));
  element.setAttribute("role", "group");
  element.setAttribute("aria-label", "The film so far");

  const playing = () => stage.querySelector("video");

  /** The clip of a shot, begun to load. @param {Shot | undefined} shot */
  async function loaded(shot) {
    if (!shot?.generation) return null;
    const known = ready.get(shot.number);
    if (known) return known;
    const place = await ask("scene/clip", { id: shot.generation });
    const video = make("video", { playsInline: true, preload: "auto", controls: true });
    video.setAttribute("aria-label", `Shot ${shot.number}`);
    video.src = address(place);
    ready.set(shot.number, video);
    return video;
  }

  /** @param {number} index */
  async function show(index) {
    const shots = scene?.shots ?? [];
    const shot = shots[index];
    if (!scene || !shot) return void stop();
    const own = ++turn;
    window.clearTimeout(timer);
    playing()?.pause();
    [at, left] = [index, 0];
    back.disabled = index === 0;
    onShot(shot.number);
    const video = await loaded(shot);
    if (own !== turn) return;
    const what = shot.generation ? (shot.preview ? "a preview" : "") : shot.words;
    caption.textContent = [`Shot ${shot.number} of ${shots.length}`, `${shot.seconds} s`, what].filter(Boolean).join(" · ");
    if (video) {
      video.currentTime = 0;
      video.onended = () => own === turn && void show(index + 1).catch(failed);
      video.onerror = () => own === turn && stand(shot, "Its clip does not play here.");
      stage.replaceChildren(video);
      if (!paused) await video.play().catch(() => pause(true)); // where it may not play by itself, its controls do it
    } else stand(shot, "Not made yet");
    if (own === turn) await loaded(shots[index + 1]).catch(() => null);
  }

  /** A shot that has no clip stands for as long as it will be. @param {Shot} shot @param {string} words */
  function stand(shot, words) {
    const still = scene?.pictures.find(({ number }) => number === (shot.keyframes[0] ?? shot.keyframes[1]))?.place;
    const about = make("div", { className: "luma-ray-film-word" }, make("strong", { textContent: `Shot ${shot.number}` }),
      make("span", { textContent: shot.prompt }), make("em", { textContent: words }));
    stage.replaceChildren(...(still ? [make("img", { src: address(still), alt: "" })] : []), about);
    left = shot.seconds * 1000;
    if (!paused) wait();
  }

  function wait() {
    since = performance.now();
    const own = turn;
    timer = window.setTimeout(() => own === turn && void show(at + 1).catch(failed), left);
  }

  /** @param {boolean} wanted */
  function pause(wanted) {
    paused = wanted;
    hold.textContent = paused ? "Play" : "Pause";
    const video = playing();
    if (video) void (paused ? video.pause() : video.play().catch(() => {}));
    else if (paused) {
      window.clearTimeout(timer);
      left = Math.max(0, left - (performance.now() - since));
    } else wait();
  }

  /** Whether something played. */
  function stop() {
    const played = !element.hidden;
    turn += 1;
    window.clearTimeout(timer);
    for (const video of ready.values()) {
      video.onended = video.onerror = null;
      video.pause();
      video.removeAttribute("src");
      video.load();
    }
    ready.clear();
    stage.replaceChildren();
    element.hidden = true;
    onShot(0);
    return played;
  }

  return {
    element,
    stop,
    /** @param {Scene} told @param {number} index of the shot to begin with */
    async play(told, index) {
      stop();
      [scene, paused, element.hidden] = [told, false, false];
      hold.textContent = "Pause";
      hold.focus();
      await show(index);
    },
  };
}

styled(`
.luma-ray-film { margin: 6px 0; }
.luma-ray-film-stage { position: relative; display: grid; place-items: center; height: min(38vh, 420px); border-radius: 6px;
  overflow: hidden; background: #000; color: #fff; }
.luma-ray-film-stage video, .luma-ray-film-stage img { width: 100%; height: 100%; min-height: 0; object-fit: contain; }
.luma-ray-film-stage img { position: absolute; inset: 0; opacity: .6; }
.luma-ray-film-word { position: relative; display: grid; gap: 4px; max-width: 40em; padding: 8px 12px; text-align: center;
  background: rgb(0 0 0 / .7); border-radius: 6px; }
`);
