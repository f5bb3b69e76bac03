// One generation: its clip, its takes side by side, what it cost, and what can be done with it.
import { failed, toast } from "./canvas.js";
import { button, decided, make } from "./dom.js";
import { again, collect, extend, put } from "./library_canvas.mjs";
import { Pictures, player } from "./library_pictures.mjs";
import { isOpen, isUnfinished, kindOf, megabytes, priceOf, stateOf, titleOf } from "./library_words.mjs";
import { show as unfinished } from "./questions.js";
import { ask } from "./talk.js";

/** @typedef {import("./library_words.mjs").Row} Row */

/**
 * @param {string} id
 * @param {object} told
 * @param {boolean} told.plays at once
 * @param {(row: Row) => void} told.changed
 * @param {(row: Row) => void} told.other another one is to be shown
 * @returns {{ element: HTMLElement, close: () => void, refresh: (id: string) => Promise<void> }}
 */
export function details(id, { plays, changed, other }) {
  const element = make("div", { className: "luma-ray-details", tabIndex: -1 });
  const pictures = new Pictures();
  /** @type {(() => void)[]} */
  let playing = [];
  const still = () => {
    for (const stop of playing.splice(0)) stop();
  };
  const clear = () => {
    still();
    pictures.close();
  };
  let closed = false;

  /** @param {Row} row @param {boolean} starts */
  const screen = (row, starts) => {
    const place = make("div", { className: "luma-ray-screen" });
    const start = () => {
      still();
      const { video, stop } = player(row, true);
      const end = button("Stop", async () => still(), failed);
      place.replaceChildren(video, end);
      playing.push(stop, () => {
        const focused = place.contains(document.activeElement);
        place.replaceChildren(...rest);
        if (focused) play.focus();
      });
      if (document.activeElement === document.body) end.focus();
    };
    const image = make("img", { alt: `A picture of the clip: ${titleOf(row)}`, hidden: !row.picture });
    // It has its room before it comes, and so has the clip: nothing below it moves.
    place.style.setProperty("--luma-ray-shape", row.width && row.height ? `${row.width} / ${row.height}` : "16 / 9");
    if (row.picture) pictures.show(image, row);
    const play = button("Play", async () => start(), failed);
    const rest = [image, ...(row.file === "here" ? [play] : [])];
    place.replaceChildren(...rest);
    if (starts && row.file === "here") start();
    return place;
  };

  /** @param {any} all */
  const acts = ({ row, reuse, removal }) => {
    const made = [];
    if (row.state === "completed") {
      made.push(button("Put on canvas", async () => put(row.id), failed));
      made.push(button("Extend it", async () => extend(row), failed));
    }
    if (reuse) made.push(button("Reuse its settings", async () => again(reuse), failed));
    if (isOpen(row)) made.push(button("Was it bought?", async () => unfinished(), failed));
    const lost = row.state === "completed" && row.file !== "here" && !row.free;
    if (isUnfinished(row) || lost)
      made.push(
        button(
          lost ? "Bring it back" : "Collect",
          async () => {
            const { collecting } = await collect(row.id);
            if (collecting.length)
              toast("info", lost ? "Bringing its clip back, at no charge" : "Collecting its clip", row.id);
            else toast("info", "There is nothing to collect any more", row.id);
          },
          failed,
        ),
      );
    if (removal) made.push(button("Delete file...", () => remove(row, removal), failed));
    return make("div", { className: "luma-ray-acts", role: "group", ariaLabel: "What to do with it" }, ...made);
  };

  /** @param {Row} row @param {{ bytes: number, words: string }} removal */
  const remove = async (row, removal) => {
    const question =
      `Delete the file of this clip? ${megabytes(removal.bytes)} are freed. Its receipt, its settings and its ` +
      `picture here stay, and it stays yours: it is never bought again by itself. ${removal.words}`;
    if ((await decided(question)) === null) return;
    const told = await ask("library/remove", { id: row.id });
    toast("success", `${megabytes(told.freed)} freed`, `The receipt is kept. ${told.back}`);
    changed(told.row);
    await refresh();
  };

  /** @param {Row} row @param {Row[]} takes */
  const side = (row, takes) => {
    if (takes.length < 2) return [];
    const stills = takes.filter((take) => take.file === "here");
    const row_ = make("div", { className: "luma-ray-takes" });
    const cards = new Map(takes.map((take) => [take.id, card(take)]));
    function card(/** @type {Row} */ take) {
      const image = make("img", { alt: "" });
      pictures.show(image, take);
      const place = make("span", { className: "luma-ray-thumb" }, image);
      const words = `Take ${take.take} · ${take.provider} · ${priceOf(take)} · ${stateOf(take)}`;
      const made = make(
        "button",
        { type: "button", className: "luma-ray-take" },
        place,
        make("span", { textContent: words }),
      );
      if (take.id === row.id) made.setAttribute("aria-current", "true");
      made.addEventListener("click", () => take.id !== row.id && other(take));
      row_.append(made);
      return place;
    }
    const all = button(
      "Play all",
      async () => {
        const was = all.textContent === "Stop";
        still();
        all.textContent = was ? "Play all" : "Stop";
        if (was) return;
        for (const take of stills) {
          const { video, stop } = player(take, false);
          cards.get(take.id)?.append(video);
          playing.push(stop);
        }
        playing.push(() => (all.textContent = "Play all"));
      },
      failed,
    );
    all.hidden = stills.length < 2;
    return [make("h3", { textContent: `${takes.length} takes of this` }), row_, all];
  };

  /** @param {string} text */
  const receipt = (text) => {
    const copy = button(
      "Copy receipt",
      async () => {
        if (navigator.clipboard) {
          await navigator.clipboard.writeText(text);
          toast("success", "The receipt is copied");
          return;
        }
        // From another machine without https the browser gives no clipboard.
        getSelection()?.selectAllChildren(page);
        toast("info", "The receipt is selected", "Copy it with Ctrl+C.");
      },
      failed,
    );
    const page = make("pre", { textContent: text, tabIndex: 0 });
    page.setAttribute("aria-label", "Receipt");
    return make("details", {}, make("summary", { textContent: "Receipt" }), page, copy);
  };

  /** @param {boolean} [starts] */
  const refresh = async (starts = false) => {
    const all = await ask(`library/generation?id=${encodeURIComponent(id)}`);
    if (closed) return; // else its clip would play where nobody can stop it
    clear();
    const { row } = all;
    const facts = make("dl", {});
    for (const [name, words] of all.facts)
      facts.append(make("dt", { textContent: name }), make("dd", { textContent: words }));
    element.replaceChildren(
      screen(row, starts),
      make("p", {
        className: "luma-ray-facts",
        textContent: `${stateOf(row)} · ${priceOf(row)} · ${kindOf(row)}`,
      }),
      ...(all.back ? [make("p", { textContent: all.back })] : []),
      acts(all),
      make("p", { className: "luma-ray-full", textContent: all.prompt || titleOf(row) }),
      ...(all.reuse?.missing.length
        ? [
            make("p", {
              className: "luma-ray-facts",
              textContent: `Not kept, only known: ${all.reuse.missing.join(", ")}.`,
            }),
          ]
        : []),
      ...side(row, all.takes),
      receipt(all.receipt),
      facts,
    );
    changed(row);
    // What had the focus may be gone; without it no key would be heard here.
    if (document.activeElement === document.body && element.isConnected) element.focus();
  };
  refresh(plays).catch((error) => element.replaceChildren(make("p", { textContent: error.message })));
  const close = () => {
    closed = true;
    clear();
  };
  return { element, close, refresh: async (changed) => (changed === id ? refresh() : undefined) };
}
