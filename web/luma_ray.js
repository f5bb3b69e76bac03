// Luma Ray in ComfyUI's page: open questions on their nodes, clips that came home, limits and keys in the settings.
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { onAnswered, onError, show, toast } from "./questions.mjs";
import { keys, limits } from "./settings.mjs";

const STYLE = `
.luma-ray-question { padding: 6px 8px; border: 1px solid #b45309; border-radius: 6px; font-size: 12px; overflow: auto; }
.luma-ray-question p { margin: 0 0 6px; }
.luma-ray-button { margin: 2px 4px 2px 0; padding: 3px 8px; border: 1px solid currentColor; border-radius: 4px;
  background: transparent; color: inherit; font: inherit; cursor: pointer; }
.luma-ray-button:disabled { opacity: .5; cursor: default; }
.luma-ray-button:focus-visible { outline: 2px solid #3b82f6; outline-offset: 1px; }
.luma-ray-dialog { max-width: min(720px, 92vw); max-height: 80vh; overflow: auto; padding: 16px 20px; border-radius: 8px;
  border: 1px solid var(--border-color, #666); background: var(--comfy-menu-bg, #222); color: var(--fg-color, #eee); }
.luma-ray-dialog h2 { margin: 0 0 10px; font-size: 16px; }
.luma-ray-list section { padding: 8px 0; border-top: 1px solid var(--border-color, #666); overflow-wrap: anywhere; }
.luma-ray-list p { margin: 2px 0; font-size: 13px; }
.luma-ray-settings > div { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; margin: 4px 0; }
.luma-ray-settings span { min-width: 15em; }
.luma-ray-settings input { width: 9em; padding: 3px 6px; border: 1px solid var(--border-color, #666); border-radius: 4px;
  background: var(--comfy-input-bg, #333); color: var(--input-text, #eee); }
`;

/** @param {any} about */
const what = (about) => `${about.prompt || about.id}`.slice(0, 80);

app.registerExtension({
  name: "LumaRay",
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
  commands: [
    { id: "LumaRay.Unfinished", label: "Luma Ray: unfinished purchases", icon: "pi pi-inbox", function: show },
  ],
  menuCommands: [{ path: ["Extensions", "Luma Ray"], commands: ["LumaRay.Unfinished"] }],
  async setup() {
    document.head.append(Object.assign(document.createElement("style"), { textContent: STYLE }));
    api.addEventListener("execution_error", ({ detail }) => onError(detail));
    api.addEventListener("luma_ray.collected", ({ detail }) => {
      onAnswered(detail.id);
      toast("success", "A clip that was paid is here", `${what(detail)}. ${detail.summary}`);
    });
    api.addEventListener("luma_ray.undecided", ({ detail }) =>
      toast("warn", "Was this bought? Only its provider's page tells", `${what(detail)}. Extensions, Luma Ray, unfinished purchases.`),
    );
    api.addEventListener("luma_ray.not_collected", ({ detail }) => toast("warn", what(detail), detail.message));
  },
});
