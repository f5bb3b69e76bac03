// What was spent, by day, month and provider, and what is left of the limits: tables whose bars are only decoration.
import { make } from "./dom.js";
import { dollars } from "./library_words.mjs";
import { ask } from "./talk.js";

/** @type {Record<string, string>} */
const SCOPES = { per_generation: "one clip", per_run: "one press of Queue", per_day: "a day", per_month: "a month" };

/** @param {string} caption @param {string[]} names of the columns @param {Node[][]} rows */
function table(caption, names, rows) {
  const head = make("tr", {}, ...names.map((name) => make("th", { textContent: name, scope: "col" })));
  const body = rows.map(([first, ...cells]) =>
    make("tr", {}, make("th", { scope: "row" }, first), ...cells.map((cell) => make("td", {}, cell))),
  );
  return make(
    "table",
    {},
    make("caption", { textContent: caption }),
    make("thead", {}, head),
    make("tbody", {}, ...body),
  );
}

/** @param {unknown} words */
const plain = (words) => document.createTextNode(String(words));

/** An amount with a bar. @param {string} words @param {number} part 0 to 1 */
function bar(words, part) {
  const line = make("span", { className: "luma-ray-bar", ariaHidden: "true" });
  line.style.width = `${Math.round(100 * Math.min(Math.max(part, 0), 1))}%`;
  return make("span", {}, plain(words), line);
}

/** @param {string} caption @param {any[]} sums */
function sums(caption, sums) {
  const most = Math.max(...sums.map((each) => Number(each.usd)), 0.01);
  const rows = sums.map((each) => [
    plain(each.name),
    bar(dollars(each.usd), Number(each.usd) / most),
    plain(each.clips === each.generations ? each.clips : `${each.clips} of ${each.generations}`),
  ]);
  return table(caption, ["", "USD", "clips"], rows);
}

/** @param {any} row of the limits */
function limit(row) {
  const name = `${SCOPES[row.scope] ?? row.scope}${row.provider ? ` at ${row.provider}` : ""}`;
  if (row.limit === null)
    return [plain(name), plain("no limit"), plain(row.spent === null ? "" : dollars(row.spent))];
  const part = row.spent === null ? 0 : Number(row.spent) / Math.max(Number(row.limit), 0.01);
  const left = row.left === null ? dollars(row.limit) : `${dollars(row.left)} of ${dollars(row.limit)}`;
  return [
    plain(name),
    row.left === null ? plain(left) : bar(left, 1 - part),
    plain(row.spent === null ? "" : dollars(row.spent)),
  ];
}

/** @returns {{ element: HTMLElement, close: () => void, refresh: () => Promise<void> }} */
export function spending() {
  const element = make("div", { className: "luma-ray-spending" });
  const refresh = async () => {
    const [spent, limits] = await Promise.all([ask("library/spent"), ask("limits")]);
    const held = limits.filter((/** @type {any} */ row) => !row.provider || row.limit !== null);
    element.replaceChildren(
      table("Left to spend", ["", "left", "spent"], held.map(limit)),
      make("p", { className: "luma-ray-facts", textContent: "Limits are changed in Settings, Luma Ray." }),
      ...(spent.days.length
        ? [sums("By month", spent.months), sums("By day", spent.days), sums("By provider", spent.providers)]
        : [make("p", { textContent: "Nothing was bought so far." })]),
    );
  };
  refresh().catch((error) => element.replaceChildren(make("p", { textContent: error.message })));
  return { element, close: () => {}, refresh };
}
