// The library: every clip that was made or is being made, what it cost, and the way back to it.
import { api } from "../../scripts/api.js";
import { failed, toast } from "./canvas.js";
import { button, make } from "./dom.js";
import { dragged } from "./library_canvas.mjs";
import { details } from "./library_details.mjs";
import { HEIGHT, List } from "./library_list.mjs";
import { spending } from "./library_spending.mjs";
import "./library_styles.mjs";
import { STATES, titleOf } from "./library_words.mjs";
import { ask } from "./talk.js";

/** @typedef {import("./library_words.mjs").Row} Row */

/** Milliseconds after the last letter until it is searched. */
const TYPED = 250;
/** Milliseconds in which several pieces of news are one. */
const NEWS = 600;
const PAGE = 100;
/** What tells that a generation is made or changed. */
const EVENTS = ["executed", "luma_ray.collected", "luma_ray.undecided", "luma_ray.not_collected"];
/**
 * The filters whose choices the library tells: what each is called, and "all of them".
 * @type {[string, string, string][]}
 */
const KINDS = [
  ["provider", "Provider", "All providers"],
  ["model", "Model", "All models"],
  ["operation", "Kind", "All kinds"],
];

/** @param {string} name @param {string} label @param {[string, string][]} choices */
function choice(name, label, choices) {
  const made = make("select", { name, ariaLabel: label });
  made.append(...choices.map(([value, words]) => make("option", { value, textContent: words })));
  return made;
}

/** The panel, in *place*. @param {HTMLElement} place @returns {() => void} what closes it */
export function shown(place) {
  const search = make("input", {
    type: "search",
    name: "words",
    placeholder: "Search prompts",
    ariaLabel: "Search prompts",
  });
  search.maxLength = 1000;
  const state = choice("state", "State", [
    ["", "All states"],
    ...["completed", "unfinished", "failed", "cancelled"].map(
      (each) => /** @type {[string, string]} */ ([each, STATES[each]]),
    ),
  ]);
  const paid = choice("paid", "Paid or free", [
    ["", "Paid and free"],
    ["paid", "Paid"],
    ["free", "Free previews"],
  ]);
  const clip = choice("clip", "Clip", [
    ["", "With or without a clip"],
    ["here", "With a clip"],
    ["missing", "Without a clip"],
  ]);
  const kinds = KINDS.map(([name, label, all]) => choice(name, label, [["", all]]));
  const summary = make("summary", { textContent: "More filters" });
  const others = make("details", { className: "luma-ray-more" }, summary, make("div", {}, ...kinds, paid, clip));
  const filters = make(
    "form",
    { className: "luma-ray-filters", role: "search", ariaLabel: "Library" },
    search,
    state,
    others,
  );
  const status = make("p", { role: "status", className: "luma-ray-facts" });
  const money = button("Spending", async () => enter("Spending", spending(), money), failed);
  const all = button(
    "Collect unfinished",
    async () => {
      const { collecting } = await ask("collect", {});
      toast("info", `Collecting ${collecting.length}`);
    },
    failed,
  );
  all.hidden = true;
  const list = new List({
    need: () => void more().catch(failed),
    open: (row, plays) => look(row, plays),
    drag: dragged,
  });
  const front = make(
    "div",
    { className: "luma-ray-front" },
    filters,
    make("div", { className: "luma-ray-bar-of" }, status, all, money),
    list.element,
  );
  const panel = make("section", { className: "luma-ray-library", ariaLabel: "Luma Ray library" }, front);
  panel.style.setProperty("--luma-ray-row", `${HEIGHT}px`);
  place.style.height = "100%";
  place.replaceChildren(panel);

  /**
   * What is shown in place of the list.
   * @type {{ close: () => void, refresh: (id: string) => Promise<void> } | null}
   */
  let inner = null;
  let leave = () => {};
  /** Where the next page begins. @type {string | null} */
  let next = null;
  /** Of the list that is shown: what belongs to one before it is thrown away. */
  let asked = 0;
  let loading = false;

  const query = () => {
    const told = new URLSearchParams({ limit: String(PAGE) });
    for (const [name, value] of new FormData(filters)) if (String(value).trim()) told.set(name, String(value).trim());
    return told;
  };

  /** @param {any} told */
  const count = (told) => {
    all.hidden = !told.unfinished;
    all.textContent = `Collect ${told.unfinished}`;
    all.title = all.ariaLabel = `Collect ${told.unfinished} unfinished`;
    const narrowed = [...kinds, paid, clip].filter((each) => each.value).length;
    summary.textContent = narrowed ? `More filters (${narrowed})` : "More filters";
    const part = told.total === told.all ? "" : `${told.total.toLocaleString("en")} of `;
    status.textContent = `${part}${told.all.toLocaleString("en")} generations`;
    KINDS.forEach(([name], index) => {
      const select = kinds[index];
      const known = new Map([...select.options].map((option) => [option.value, option]));
      for (const { name: value, words, count: of } of told.kinds[name]) {
        const option = known.get(value) ?? make("option", { value });
        option.textContent = `${words} (${of})`;
        if (!known.has(value)) select.append(option);
      }
    });
  };

  const begin = async () => {
    const mine = ++asked;
    const told = await ask(`library?${query()}`);
    if (mine !== asked) return;
    next = told.next;
    count(told);
    list.begin(told.rows, told.total);
    if (!told.all) status.textContent = "Nothing was made so far. What Ray nodes make comes here.";
  };

  const more = async () => {
    if (loading || next === null) return;
    const mine = asked;
    loading = true;
    try {
      const told = query();
      told.set("after", next);
      told.set("limit", String(2 * PAGE));
      const page = await ask(`library?${told}`);
      if (mine !== asked) return;
      next = page.next;
      const had = list.rows.length + page.rows.length;
      list.more(page.rows, next === null ? had : Math.max(list.count, had));
    } finally {
      loading = false;
      if (mine !== asked || list.rows.length < list.count) list.draw(); // it asks again for what is in sight
    }
  };

  /** What is new comes in at the top, and what changed changes; nothing else moves. */
  const refresh = async () => {
    const mine = asked;
    const told = await ask(`library?${query()}`);
    if (mine !== asked) return;
    const first = list.rows[0]?.id;
    const known = told.rows.findIndex((/** @type {Row} */ row) => row.id === first);
    if (known < 0) {
      await begin();
      return;
    }
    count(told);
    for (const row of told.rows.slice(known)) {
      const old = list.rows.find((each) => each.id === row.id);
      if (old && JSON.stringify(old) !== JSON.stringify(row)) list.change(row);
    }
    if (known) list.before(told.rows.slice(0, known), list.count + known);
  };

  /**
   * Show something in place of the list, until it is left.
   * @param {string} title
   * @param {{ element: HTMLElement, close: () => void, refresh: (id: string) => Promise<void> }} told
   * @param {HTMLElement} from where the focus goes afterwards
   */
  const enter = (title, told, from) => {
    leave();
    list.stop();
    inner = told;
    const back = make("button", { type: "button", className: "luma-ray-button", textContent: "Back" });
    back.setAttribute("aria-label", "Back to the list");
    const heading = make("h2", { textContent: title, title });
    const page = make("div", { className: "luma-ray-inner" }, make("header", {}, back, heading), told.element);
    leave = () => {
      leave = () => {};
      inner = null;
      told.close();
      page.remove();
      front.hidden = false;
      list.draw();
      from.focus();
    };
    back.addEventListener("click", () => leave());
    page.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      leave();
    });
    front.hidden = true;
    panel.append(page);
    back.focus();
  };

  /** @param {Row} row @param {boolean} plays */
  const look = (row, plays) =>
    enter(
      titleOf(row),
      details(row.id, { plays, changed: (now) => list.change(now), other: (take) => look(take, false) }),
      list.element,
    );

  let typed = 0;
  filters.addEventListener("submit", (event) => event.preventDefault());
  filters.addEventListener("input", (event) => {
    window.clearTimeout(typed);
    typed = window.setTimeout(() => void begin().catch(failed), event.target === search ? TYPED : 0);
  });
  let told = 0;
  const changed = (/** @type {CustomEvent} */ event) => {
    window.clearTimeout(told);
    const id = event.detail?.id;
    told = window.setTimeout(async () => {
      try {
        await refresh();
        const row = list.rows.find((each) => each.id === id);
        // It may stand far below what is looked at anew.
        if (row) list.change((await ask(`library/generation?id=${encodeURIComponent(id)}`)).row);
        await inner?.refresh(id);
      } catch (error) {
        console.debug("Luma Ray: the library could not be brought up to date.", error);
      }
    }, NEWS);
  };
  for (const event of EVENTS) api.addEventListener(event, changed);
  begin().catch((error) => (status.textContent = error.message));
  return () => {
    asked += 1;
    window.clearTimeout(typed);
    window.clearTimeout(told);
    for (const event of EVENTS) api.removeEventListener(event, changed);
    inner?.close();
    list.close();
    panel.remove();
  };
}
