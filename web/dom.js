// Elements, windows and styles. Text goes into textContent, never into HTML.

/** @param {string} css of one part of the page */
export const styled = (css) => document.head.append(make("style", { textContent: css }));

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} kind
 * @param {Partial<HTMLElementTagNameMap[K]>} [fields] text goes into textContent, never into HTML
 * @param {Node[]} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(kind, fields = {}, ...children) {
  const element = Object.assign(document.createElement(kind), fields);
  element.append(...children);
  return element;
}

/**
 * @param {string} text
 * @param {() => Promise<unknown>} act what a press does; meanwhile the button rests, and keeps the focus
 * @param {(error: Error) => unknown} failed
 */
export function button(text, act, failed) {
  const made = make("button", { textContent: text, type: "button", className: "luma-ray-button" });
  made.addEventListener("click", async () => {
    if (made.ariaBusy === "true") return;
    made.ariaBusy = "true";
    try {
      await act();
    } catch (error) {
      failed(/** @type {Error} */ (error));
    } finally {
      made.ariaBusy = "false";
    }
  });
  return made;
}

/**
 * A window over the page. Escape closes it alone; no key pressed in it is one of ComfyUI's, and what is open below it
 * does not take a click here for one beside itself.
 * @param {string} title
 * @param {Node[]} children
 */
export function opened(title, ...children) {
  const dialog = make("dialog", { className: "luma-ray-dialog", ariaLabel: title });
  dialog.append(make("h2", { textContent: title }), ...children);
  for (const kind of ["keydown", "pointerdown", "focusin"]) dialog.addEventListener(kind, (event) => event.stopPropagation());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/**
 * What the person says to *question*; null where they leave it. ComfyUI's own windows would open below ours.
 * @param {string} question
 * @param {boolean} [words] whether the answer is a line of text
 * @returns {Promise<string | null>}
 */
export function decided(question, words = false) {
  const input = make("input", { type: "text", ariaLabel: question, autocomplete: "off", required: true });
  const cancel = make("button", { textContent: "Cancel", type: "button", className: "luma-ray-button" });
  const yes = make("button", { textContent: "Confirm", value: "yes", className: "luma-ray-button" });
  const form = make("form", { method: "dialog" }, make("p", { textContent: question }), ...(words ? [input] : []));
  form.append(make("div", {}, cancel, yes));
  const dialog = opened("Luma Ray", form);
  cancel.addEventListener("click", () => dialog.close());
  return new Promise((resolve) =>
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes" ? input.value.trim() || "yes" : null)),
  );
}

styled(`
:is([class^=luma-ray], [class*=" luma-ray"]) ::placeholder { color: inherit; opacity: .8; }
.luma-ray-button { min-height: 24px; margin: 2px 4px 2px 0; padding: 3px 8px; border: 1px solid currentColor; border-radius: 4px;
  background: transparent; color: inherit; font: inherit; cursor: pointer; }
.luma-ray-button[aria-busy=true], .luma-ray-button:disabled { opacity: .5; cursor: default; }
.luma-ray-button:focus-visible { outline: 2px solid #3b82f6; outline-offset: 1px; }
.luma-ray-dialog { max-width: min(720px, 92vw); max-height: 80vh; overflow: auto; margin: auto; padding: 16px 20px;
  border: 1px solid var(--border-color, #666); border-radius: 8px; font-size: 14px; overflow-wrap: anywhere;
  background: var(--comfy-menu-bg, #222); color: var(--fg-color, #eee); }
.luma-ray-dialog::backdrop { background: rgb(0 0 0 / .5); }
.luma-ray-dialog h2 { margin: 0 0 10px; font-size: 16px; }
.luma-ray-dialog p { margin: 4px 0; }
.luma-ray-dialog form input { display: block; width: 100%; margin: 8px 0; }
`);
