// A list of which only the rows in sight are in the page, however long it is.
import { make } from "./dom.js";
import { Pictures, player } from "./library_pictures.mjs";
import { kindOf, priceOf, stateOf, titleOf, whenOf } from "./library_words.mjs";

/** @typedef {import("./library_words.mjs").Row} Row */

/** Pixels of a row; the styles say so too. */
export const HEIGHT = 98;
/** Rows above and below those in sight. */
const MORE = 4;
let lists = 0;

/** Generations, newest first. It asks for more as it is scrolled; it keeps the focus, and says which row is meant. */
export class List {
  /**
   * @param {object} told
   * @param {(index: number) => void} told.need the row at *index* is in sight and not there
   * @param {(row: Row, plays: boolean) => void} told.open
   * @param {(row: Row, event: DragEvent) => void} told.drag
   */
  constructor({ need, open, drag }) {
    this.need = need;
    this.open = open;
    this.drag = drag;
    /** @type {Row[]} */
    this.rows = [];
    this.count = 0;
    this.active = 0;
    this.name = `luma-ray-list-${++lists}`;
    this.pictures = new Pictures();
    /** The rows in the page, by their place. @type {Map<number, HTMLElement>} */
    this.drawn = new Map();
    /** @type {{ id: string, stop: () => void } | null} */
    this.playing = null;
    this.space = make("div", { className: "luma-ray-space", role: "presentation" });
    this.element = make(
      "div",
      { className: "luma-ray-rows", role: "listbox", ariaLabel: "Generations", tabIndex: 0 },
      this.space,
    );
    const keys = "Enter opens a clip and plays it, Space plays it in its row. It can be dragged to the canvas.";
    this.element.setAttribute("aria-description", keys);
    this.element.addEventListener("scroll", () => this.draw(), { passive: true });
    this.element.addEventListener("keydown", (event) => this.key(event));
    this.element.addEventListener("click", (event) => this.click(event));
    this.element.addEventListener("dragstart", (event) => {
      const row = this.at(event);
      if (row) this.drag(row, event);
    });
    this.sight = new ResizeObserver(() => this.draw());
    this.sight.observe(this.element);
  }

  /** @param {Row[]} rows @param {number} count how many there are in all */
  set(rows, count) {
    this.rows = rows;
    this.count = count;
    this.active = Math.max(0, Math.min(this.active, count - 1));
    this.space.style.height = `${count * HEIGHT}px`;
    this.clear();
    this.draw();
  }

  /** More of the same list, at its end. @param {Row[]} rows @param {number} count */
  more(rows, count) {
    const had = this.rows.length;
    this.rows = [...this.rows, ...rows];
    this.count = count;
    this.space.style.height = `${count * HEIGHT}px`;
    for (const index of [...this.drawn.keys()]) if (index >= had) this.erase(index);
    this.draw();
  }

  /** New ones at its top; what is in sight stays there. @param {Row[]} rows @param {number} count */
  before(rows, count) {
    const { scrollTop } = this.element;
    const meant = this.active || scrollTop ? this.active + rows.length : 0;
    this.set([...rows, ...this.rows], count);
    if (scrollTop) this.element.scrollTop = scrollTop + rows.length * HEIGHT;
    this.active = meant;
    this.draw();
  }

  /** As `set`, of another list: it begins at its top. @param {Row[]} rows @param {number} count */
  begin(rows, count) {
    this.active = 0;
    this.element.scrollTop = 0;
    this.stop();
    this.set(rows, count);
  }

  /** @param {Row} row which changed */
  change(row) {
    const index = this.rows.findIndex((each) => each.id === row.id);
    if (index < 0) return;
    this.rows[index] = row;
    this.erase(index);
    this.draw();
  }

  draw() {
    const { scrollTop, clientHeight } = this.element;
    if (!clientHeight) return; // it is not in sight itself
    const first = Math.max(0, Math.floor(scrollTop / HEIGHT) - MORE);
    const end = Math.min(this.count, Math.ceil((scrollTop + clientHeight) / HEIGHT) + MORE);
    for (const index of [...this.drawn.keys()]) if (index < first || index >= end) this.erase(index);
    const made = [];
    for (let index = first; index < end; index += 1) if (!this.drawn.has(index)) made.push(this.row(index));
    this.space.append(...made);
    if (end > this.rows.length) this.need(end - 1);
    this.mark();
  }

  /** @param {number} index */
  row(index) {
    const row = this.rows[index];
    const image = make("img", { alt: "", draggable: false });
    const element = make(
      "div",
      { className: "luma-ray-row", id: `${this.name}-${index}`, role: "option", draggable: Boolean(row) },
      make("div", { className: "luma-ray-thumb" }, ...(row && !row.picture ? [nothing(row)] : [image])),
      row ? words(row) : make("div", { textContent: "..." }),
    );
    element.style.transform = `translateY(${index * HEIGHT}px)`;
    element.setAttribute("aria-posinset", String(index + 1));
    element.setAttribute("aria-setsize", String(this.count));
    element.dataset.index = String(index);
    if (row) {
      element.title = row.prompt;
      this.pictures.show(image, row);
    }
    this.drawn.set(index, element);
    return element;
  }

  /** @param {number} index */
  erase(index) {
    const element = this.drawn.get(index);
    if (!element) return;
    if (this.playing && this.rows[index]?.id === this.playing.id) this.stop();
    const image = element.querySelector("img");
    if (image) this.pictures.drop(image);
    element.remove();
    this.drawn.delete(index);
  }

  clear() {
    for (const index of [...this.drawn.keys()]) this.erase(index);
  }

  /** Say which row is meant. */
  mark() {
    for (const [index, element] of this.drawn) element.ariaSelected = String(index === this.active);
    if (this.drawn.has(this.active))
      this.element.setAttribute("aria-activedescendant", `${this.name}-${this.active}`);
    else this.element.removeAttribute("aria-activedescendant");
  }

  /** @param {number} index to be meant, and in sight */
  go(index) {
    this.active = Math.max(0, Math.min(index, this.count - 1));
    const top = this.active * HEIGHT;
    const { scrollTop, clientHeight } = this.element;
    if (top < scrollTop) this.element.scrollTop = top;
    else if (top + HEIGHT > scrollTop + clientHeight) this.element.scrollTop = top + HEIGHT - clientHeight;
    this.draw();
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(this.element.clientHeight / HEIGHT) - 1);
    const row = this.rows[this.active];
    /** @type {Record<string, () => void>} */
    const acts = {
      ArrowDown: () => this.go(this.active + 1),
      ArrowUp: () => this.go(this.active - 1),
      PageDown: () => this.go(this.active + page),
      PageUp: () => this.go(this.active - page),
      Home: () => this.go(0),
      End: () => this.go(this.count - 1),
      Enter: () => row && this.open(row, true),
      " ": () => row && this.play(this.active),
    };
    if (event.key === "Escape" && this.playing) acts.Escape = () => this.stop();
    const act = acts[event.key];
    if (!act) return;
    event.preventDefault();
    event.stopPropagation(); // else ComfyUI's canvas would hear it too
    act();
  }

  /** @param {Event} event */
  place(event) {
    const element =
      event.target instanceof Element
        ? /** @type {HTMLElement | null} */ (event.target.closest("[data-index]"))
        : null;
    return element ? Number(element.dataset.index) : -1;
  }

  /** @param {Event} event */
  at(event) {
    return this.rows[this.place(event)];
  }

  /** @param {MouseEvent} event */
  click(event) {
    const index = this.place(event);
    const row = this.rows[index];
    if (!row) return;
    this.active = index;
    this.mark();
    const onPicture = event.target instanceof Element && event.target.closest(".luma-ray-thumb");
    if (onPicture && row.file === "here") this.play(index);
    else this.open(row, false);
  }

  /** Play the clip in its row, or stop it. @param {number} index */
  play(index) {
    const row = this.rows[index];
    const again = this.playing?.id === row.id;
    this.stop();
    const place = this.drawn.get(index)?.querySelector(".luma-ray-thumb");
    if (again || !place || row.file !== "here") return;
    const { video, stop } = player(row, false);
    place.append(video);
    this.playing = { id: row.id, stop };
  }

  stop() {
    const { playing } = this;
    this.playing = null;
    playing?.stop();
  }

  close() {
    this.sight.disconnect();
    this.stop();
    this.clear();
    this.pictures.close();
  }
}

/** In place of a picture. @param {Row} row */
const nothing = (row) =>
  make("span", { className: "luma-ray-nothing", textContent: stateOf(row), ariaHidden: "true" });

/** @param {Row} row */
function words(row) {
  const line = (/** @type {string[]} */ ...parts) =>
    make("div", { className: "luma-ray-facts", textContent: parts.join(" · ") });
  return make(
    "div",
    { className: "luma-ray-words" },
    make("div", { className: "luma-ray-prompt", textContent: titleOf(row) }),
    line(kindOf(row)),
    line(priceOf(row), row.provider, `take ${row.take}`),
    line(stateOf(row), whenOf(row.created_at)),
  );
}
