// Generations in words: how the library says states, prices and times.

/**
 * A generation as the library's list tells it.
 * @typedef {object} Row
 * @property {string} id
 * @property {string} state
 * @property {string} provider
 * @property {string} model
 * @property {string} operation
 * @property {string} prompt
 * @property {number | null} seconds
 * @property {string | null} resolution
 * @property {number | null} width pixels of the clip
 * @property {number | null} height
 * @property {number} take
 * @property {boolean} free
 * @property {string | null} usd
 * @property {boolean} billed
 * @property {number} created_at
 * @property {string} note
 * @property {"here" | "removed" | "gone" | "none"} file
 * @property {boolean} picture
 * @property {{ filename: string, subfolder: string, type: string } | null} view
 */

/** @type {Record<string, string>} */
export const STATES = {
  completed: "finished",
  submitted: "running",
  submitting: "being sent",
  uncertain: "no answer",
  failed: "failed",
  cancelled: "cancelled",
  unfinished: "unfinished",
};

/** @type {Record<string, string>} */
const FILES = { removed: "file deleted", gone: "file is gone" };

/** @param {Row} row */
export const isOpen = (row) => row.state === "uncertain" || row.state === "submitting";

/** @param {Row} row */
export const isUnfinished = (row) => !row.free && (isOpen(row) || row.state === "submitted");

/** @param {Row} row */
export const stateOf = (row) => FILES[row.file] ?? STATES[row.state] ?? row.state;

/** @param {string} usd */
export const dollars = (usd) => `$${Number(usd).toFixed(2)}`;

/** With a "~" where it is a quote, because the provider does not tell what it billed. @param {Row} row */
export function priceOf(row) {
  if (row.free) return "free";
  if (row.usd === null) return "price unknown";
  return `${row.billed ? "" : "~"}${dollars(row.usd)}`;
}

/** @param {Row} row */
export const titleOf = (row) => row.prompt.trim() || `${row.operation.replaceAll("_", " ")} without a prompt`;

/** @param {Row} row */
export const kindOf = (row) =>
  [row.model, row.resolution === "auto" ? "" : row.resolution, row.seconds && `${row.seconds} s`]
    .filter(Boolean)
    .join(" · ");

/** The time of today, else the day. @param {number} seconds */
export function whenOf(seconds) {
  const at = new Date(seconds * 1000);
  const today = new Date();
  if (at.toDateString() === today.toDateString())
    return `today ${at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })}`;
  const year = at.getFullYear() === today.getFullYear() ? undefined : "numeric";
  return at.toLocaleDateString([], { day: "numeric", month: "short", year });
}

/** @param {number} bytes */
export function megabytes(bytes) {
  if (bytes < 1e5) return `${Math.ceil(bytes / 1e3)} kB`;
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
}
