// What one shot says, to be changed: words, length, camera, pictures, take. The pack writes it into the sheet.
import { button, make, styled } from "./dom.js";
import { failed } from "./canvas.js";

/**
 * @typedef {import("./scene.mjs").Scene} Scene
 * @typedef {import("./scene.mjs").Shot} Shot
 * @typedef {(wanted: (shot: number) => Record<string, unknown>) => Promise<void>} Change
 */

const NONE = "";
const OWN = "place";

/** @param {string} text @param {HTMLElement} field */
const labelled = (text, field) => make("label", {}, make("span", { textContent: text }), field);

/** @param {HTMLSelectElement} select @param {[value: string, text: string][]} choices @param {string} value */
function offer(select, choices, value) {
  select.replaceChildren(...choices.map(([value, textContent]) => make("option", { value, textContent })));
  select.value = value;
}

/** @param {{ change: Change, leave: () => void }} told */
export function editor({ change }) {
  /** @type {Shot | null} */
  let shown = null;
  let count = 0;

  /** Change one field of the shot that is shown. @param {string} name @param {unknown} value */
  const set = (name, value) => change((shot) => ({ change: "field", shot, name, value }));

  const words = make("textarea", { rows: 3, spellcheck: true });
  const seconds = make("select");
  const first = make("select");
  const last = make("select");
  const take = make("select");
  const camera = make("select");
  const loop = make("input", { type: "checkbox" });
  const moves = make("span", { className: "luma-ray-scene-moves" });
  const again = button("Another take", async () => void (shown && (await set("take", shown.take + 1))), failed);
  const earlier = button("Move earlier", () => change((shot) => ({ change: "move", shot, to: shot - 1 })), failed);
  const later = button("Move later", () => change((shot) => ({ change: "move", shot, to: shot + 1 })), failed);
  const remove = button("Remove this shot", () => change((shot) => ({ change: "remove", shot })), failed);
  const seam = make("p");
  const state = make("p");
  const legend = make("h3");
  const pictures = make("div", { className: "luma-ray-scene-pair" }, labelled("Begins on", first), labelled("Ends on", last));

  words.addEventListener("change", () => void set("prompt", words.value));
  seconds.addEventListener("change", () => void set("seconds", seconds.value === NONE ? null : Number(seconds.value)));
  take.addEventListener("change", () => void set("take", Number(take.value)));
  loop.addEventListener("change", () => void set("loop", loop.checked));
  camera.addEventListener("change", () => void set("concepts", [...(shown?.camera ?? []), camera.value]));
  for (const select of [first, last])
    select.addEventListener("change", () => {
      const own = [first, last].map(({ value }, index) => (value === OWN ? shown?.keyframes[index] ?? null : value === NONE ? null : Number(value)));
      void set("keyframes", select.value === OWN ? null : own);
    });
  words.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault(); // a prompt is one line; Enter writes it
    words.blur();
    words.focus();
  });

  const element = make(
    "div",
    { className: "luma-ray-scene-editor" },
    legend,
    make(
      "div",
      { className: "luma-ray-scene-fields" },
      make("div", { className: "luma-ray-scene-wide" }, labelled("Words", words), state, seam),
      make("div", {}, labelled("Length", seconds), pictures, make("label", { className: "luma-ray-scene-check" }, loop, make("span", { textContent: "Loop" }))),
      make("div", {}, labelled("Add a camera move", camera), moves),
      make("div", {}, labelled("Take", take), again, make("div", {}, earlier, later, remove)),
    ),
  );
  element.setAttribute("role", "group");

  return {
    element,
    focus: () => words.focus(),
    /**
     * @param {Shot} shot
     * @param {Scene} scene
     * @param {boolean} [anew] also what is being typed
     */
    show(shot, scene, anew = false) {
      const same = shown?.number === shot.number && count === scene.shots.length;
      [shown, count] = [shot, scene.shots.length];
      legend.textContent = `Shot ${shot.number}`;
      element.setAttribute("aria-label", `Shot ${shot.number}`);
      if (anew || !same || document.activeElement !== words) words.value = shot.prompt;
      state.textContent = `${shot.words}.`.replace("..", ".");
      seam.textContent = shot.seam ? `From shot ${shot.number - 1}: ${shot.seam}.` : "";
      const lengths = [...new Set([...scene.choices.seconds, ...(shot.own_seconds === null ? [] : [shot.own_seconds])])];
      offer(
        seconds,
        [[NONE, `as the node says${shot.own_seconds === null ? ` (${shot.seconds} s)` : ""}`], ...lengths.sort((a, b) => a - b)
          .map((each) => /** @type {[string, string]} */ ([String(each), `${each} s`]))],
        shot.own_seconds === null ? NONE : String(shot.own_seconds),
      );
      const free = scene.choices.camera.filter((each) => !shot.camera.includes(each));
      offer(camera, [[NONE, "choose"], ...free.map((each) => /** @type {[string, string]} */ ([each, each.replaceAll("_", " ")]))], NONE);
      moves.replaceChildren(...shot.camera.map((each) => {
        const chip = button(`${each.replaceAll("_", " ")} ×`, () => set("concepts", shot.camera.filter((one) => one !== each)), failed);
        chip.ariaLabel = `Remove the camera move ${each.replaceAll("_", " ")}`;
        return chip;
      }));
      pictures.hidden = !scene.pictures.length;
      const named = scene.pictures.map(({ number }) => /** @type {[string, string]} */ ([String(number), `K${number}`]));
      [first, last].forEach((select, index) => {
        const number = shot.keyframes[index];
        const place = /** @type {[string, string]} */ ([OWN, shot.own_keyframes ? "by its place" : `${number === null ? "none" : `K${number}`}, by its place`]);
        offer(select, [place, [NONE, "none"], ...named], shot.own_keyframes ? (number === null ? NONE : String(number)) : OWN);
      });
      offer(take, shot.takes.map((each) => [String(each.take), `${each.take}: ${each.words}`]), String(shot.take));
      loop.checked = shot.loop;
      const next = shot.takes.find((each) => each.take === shot.take + 1);
      again.textContent = `Re-roll: take ${shot.take + 1}${next ? `, ${next.price || (next.state === "free" ? "free" : next.words)}` : ""}`;
      earlier.disabled = shot.number === 1;
      later.disabled = shot.number === count;
      remove.disabled = count === 1;
    },
  };
}

styled(`
.luma-ray-scene-fields { display: grid; gap: 4px 16px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 15em), 1fr)); align-items: start; }
.luma-ray-scene-editor h3 { margin: 4px 0; font-size: 13px; }
.luma-ray-scene-editor [hidden] { display: none; }
.luma-ray-scene-editor label { display: grid; gap: 2px; margin-bottom: 4px; }
.luma-ray-scene-editor textarea, .luma-ray-scene-editor select { box-sizing: border-box; width: 100%; min-width: 0; padding: 4px 6px; font: inherit;
  border: 1px solid var(--border-color, #666); border-radius: 4px; background: var(--comfy-input-bg, #333); color: var(--input-text, #eee); }
.luma-ray-scene-editor :is(textarea, select, input):focus-visible { outline: 2px solid #3b82f6; outline-offset: 1px; }
.luma-ray-scene-editor input[type=checkbox] { justify-self: start; width: 18px; height: 18px; margin: 0; }
.luma-ray-scene-pair { display: grid; grid-template-columns: 1fr 1fr; gap: 8px; }
.luma-ray-scene-editor .luma-ray-scene-check { display: flex; gap: 6px; align-items: center; }
@media (min-width: 1100px) { .luma-ray-scene-wide { grid-column: span 2; } }
`);
