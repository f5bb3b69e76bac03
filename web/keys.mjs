// Settings > Luma Ray > Keys: a card for each provider, and one for each other place for pictures.
// What is typed goes to the pack and is forgotten here; nothing of a key comes back but its last four characters.
import { failed } from "./canvas.js";
import { button, decided, make, styled } from "./dom.js";
import { line } from "./fields.mjs";
import { keysChanged } from "./first.js";
import { ask } from "./talk.js";

const FROM = { environment: "from ComfyUI's environment", saved: "saved", missing: "not set" };

/** @param {HTMLElement} element */
export async function fill(element) {
  element.className = "luma-ray-settings luma-ray-keys";
  const cards = await ask("keys").catch((error) => void element.replaceChildren(make("p", { textContent: error.message })));
  if (cards) element.replaceChildren(...cards.map(card));
}

/** @param {any} first */
function card(first) {
  const id = `luma-ray-card-${first.name.replaceAll(/\W+/g, "-")}`;
  const state = make("span", { className: "luma-ray-state" });
  const wants = make("div", { className: "luma-ray-wants" });
  const told = make("p", { className: "luma-ray-told", role: "status" });
  const test = button("Test", () => tested(), failed);
  test.ariaLabel = `Test ${first.title}`;
  test.title = "Asks the provider something that costs nothing.";
  const lines = first.keys.map((/** @type {any} */ key) => keyLine(key, first.title, refresh, say));

  /** @param {string} words @param {boolean | null} [works] */
  function say(words, works = null) {
    told.textContent = words;
    told.dataset.works = works === null ? "" : `${works}`;
  }

  async function tested() {
    say("Asking...");
    try {
      const answer = await ask("test_key", { provider: first.name });
      say(answer.words, answer.works);
    } catch (error) {
      say(/** @type {Error} */ (error).message, false);
    }
  }

  /** What is so now, after something was saved; a key that is new is tried at once. @param {string} saved */
  async function refresh(saved) {
    const cards = await ask("keys");
    keysChanged(cards);
    for (const each of cards) {
      // In the settings, and in a window of their own.
      const shown = document.querySelectorAll(`[data-luma-ray-card="${each.name}"]`);
      for (const one of shown) one.dispatchEvent(new CustomEvent("luma-ray", { detail: each }));
    }
    const own = cards.find((/** @type {any} */ each) => each.name === first.name);
    if (saved && own?.configured && own.tells) await tested();
  }

  /** @param {any} now */
  function show(now) {
    state.textContent = now.configured ? "ready" : "not set up";
    state.dataset.on = `${now.configured}`;
    wants.replaceChildren(...now.wants.map((/** @type {string} */ words) => make("p", { textContent: words })));
    for (const [index, each] of lines.entries()) each.show(now.keys[index]);
    wants.hidden = !now.wants.length;
    test.hidden = !(now.sells && now.configured);
  }

  const title = make("h4", { id, textContent: first.title });
  const badge = make("span", { className: "luma-ray-tag", textContent: "experimental", title: first.experimental });
  const made = make(
    "section",
    { className: "luma-ray-card" },
    make("header", {}, title, ...(first.experimental ? [badge] : []), state),
    ...(first.experimental ? [make("p", { textContent: first.experimental })] : []),
    ...(first.from ? [make("p", { textContent: `From ${first.from}.` })] : []),
    ...lines.map((/** @type {any} */ each) => each.row),
    wants,
    make("footer", {}, test, told),
  );
  made.setAttribute("aria-labelledby", id);
  made.dataset.lumaRayCard = first.name;
  made.addEventListener("luma-ray", (event) => show(/** @type {CustomEvent} */ (event).detail));
  show(first);
  return made;
}

/**
 * A key, or the name of a setting that is made on the machine itself.
 * @param {any} first
 * @param {string} title of whom it is for
 * @param {(saved: string) => Promise<void>} refresh
 * @param {(words: string) => void} say
 */
function keyLine(first, title, refresh, say) {
  if (!first.secret) {
    const now = make("small");
    const row = make("div", { className: "luma-ray-key" }, make("code", { textContent: first.name }), now);
    return { row, show: (/** @type {any} */ key) => void (now.textContent = FROM[/** @type {keyof typeof FROM} */ (key.source)]) };
  }
  let source = first.source;
  const made = line(first.name, { type: "password", placeholder: "paste a key" }, async (input) => {
    const value = input.value.trim();
    if (!value && source !== "saved") return void say("There is nothing to save: paste a key first.");
    if (!value && (await decided(`Forget ${first.name}?`)) === null) return;
    input.value = "";
    await ask("keys", { name: first.name, value });
    say(value ? "Saved." : "Forgotten.");
    await refresh(value && first.name);
  });
  made.row.className = "luma-ray-key";
  made.input.ariaLabel = `Key for ${title} (${first.name})`;
  made.save.ariaLabel = `Save the key for ${title}`;
  const show = (/** @type {any} */ key) => {
    source = key.source;
    made.input.disabled = made.save.disabled = !key.editable; // the environment goes before what is saved
    made.input.placeholder = key.editable ? (source === "saved" ? "paste another, or nothing to forget it" : "paste a key") : "";
    made.now.textContent = `${FROM[/** @type {keyof typeof FROM} */ (source)]} ${key.hint}`.trim();
  };
  return { row: made.row, show };
}

styled(`
.luma-ray-keys { display: grid; gap: 10px; min-width: 0; width: 100%; }
.luma-ray-card { display: grid; gap: 6px; padding: 10px 12px; border: 1px solid var(--border-color, #666); border-radius: 8px;
  overflow-wrap: anywhere; font-size: 13px; }
.luma-ray-card header, .luma-ray-card footer, .luma-ray-key { display: flex; flex-wrap: wrap; gap: 4px 8px; align-items: center; }
.luma-ray-card h4 { margin: 0; font-size: 14px; font-weight: 600; }
.luma-ray-card p { margin: 0; }
.luma-ray-tag { padding: 0 6px; border: 1px solid currentColor; border-radius: 9px; font-size: 12px; }
.luma-ray-state { margin-left: auto; font-size: 12px; }
.luma-ray-state[data-on=true]::before { content: "\\2713  "; }
.luma-ray-key span, .luma-ray-key code { flex: 0 1 auto; font-family: monospace; font-size: 12px; }
.luma-ray-key input { flex: 1 1 12em; }
.luma-ray-told { flex: 1 1 16em; }
.luma-ray-told:empty { display: none; }
.luma-ray-card footer:not(:has(button:not([hidden]), .luma-ray-told:not(:empty))) { display: none; }
.luma-ray-told[data-works=true]::before { content: "\\2713  "; }
.luma-ray-told[data-works=false]::before { content: "\\26A0  "; }
.luma-ray-wide { width: min(720px, 92vw); }
`);
