// Settings > Luma Ray: what may be spent, and keys. Nothing of it is kept in ComfyUI's settings or in this browser.
// The panels are loaded when they are opened.
import { app } from "../../scripts/app.js";
import { failed } from "./canvas.js";
import { make, opened } from "./dom.js";

/** @param {() => Promise<{ fill: (element: HTMLElement) => unknown }>} load */
function panel(load) {
  const element = make("div", { className: "luma-ray-settings" }, make("p", { textContent: "Loading..." }));
  load().then((part) => part.fill(element), failed);
  return element;
}

const keys = () => panel(() => import("./keys.mjs"));
const limits = () => panel(() => import("./limits.mjs"));

/** The keys in a window of their own: ComfyUI has no way to open its settings at a part of them. */
export function showKeys() {
  if (document.querySelector(".luma-ray-dialog .luma-ray-settings")) return;
  const close = make("button", { textContent: "Close", type: "button", className: "luma-ray-button" });
  const dialog = opened("Keys of the providers", keys(), make("p", { role: "status" }), make("div", {}, close));
  dialog.classList.add("luma-ray-wide");
  close.addEventListener("click", () => dialog.close());
}

app.registerExtension({
  name: "LumaRay.Settings",
  commands: [{ id: "LumaRay.Keys", label: "Luma Ray: keys of the providers", icon: "pi pi-key", function: showKeys }],
  menuCommands: [{ path: ["Extensions", "Luma Ray"], commands: ["LumaRay.Keys"] }],
  settings: [
    {
      id: "LumaRay.Limits",
      category: ["Luma Ray", "Spending", "Limits"],
      name: "Spending limits (USD)",
      tooltip: "Kept on this machine, outside workflows. Empty: no limit.",
      type: limits,
      defaultValue: null,
    },
    {
      id: "LumaRay.Keys",
      category: ["Luma Ray", "Keys", "Keys"],
      name: "Keys",
      tooltip: "Kept in ComfyUI's private user folder. A key goes in and is never shown again.",
      type: keys,
      defaultValue: null,
    },
  ],
});
