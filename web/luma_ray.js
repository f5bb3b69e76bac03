// Luma Ray in ComfyUI's page: open questions on their nodes, clips that came home, limits and keys in the settings.
// The modules beside this one end in .js too: ComfyUI serves that uncached, and an update must not mix old and new.
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { failed, onAnswered, onError, onExecuted, show, toast } from "./questions.js";
import { keys, limits } from "./settings.js";
import { ask } from "./talk.js";

const STYLE = `
.luma-ray-panel { overflow: auto; }
.luma-ray-question { padding: 6px 8px; border: 1px solid #b45309; border-radius: 6px; font-size: 12px; }
.luma-ray-question p { margin: 0 0 6px; }
.luma-ray-button { margin: 2px 4px 2px 0; padding: 3px 8px; border: 1px solid currentColor; border-radius: 4px;
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
.luma-ray-list section { padding: 8px 0; border-top: 1px solid var(--border-color, #666); }
.luma-ray-settings { display: grid; grid-template-columns: minmax(0, auto) 9em auto minmax(0, auto); gap: 6px 8px;
  align-items: center; overflow-wrap: anywhere; }
.luma-ray-settings > div { display: contents; }
.luma-ray-settings > p, .luma-ray-settings select { grid-column: 1 / -1; justify-self: start; }
.luma-ray-settings select, .luma-ray-settings input, .luma-ray-dialog input { min-width: 0; padding: 3px 6px; border-radius: 4px;
  border: 1px solid var(--border-color, #666); background: var(--comfy-input-bg, #333); color: var(--input-text, #eee); }
`;

/** @param {any} about */
const what = (about) => `${about.prompt || about.id}`.slice(0, 80);

/** @type {Record<string, (about: any) => void>} */
const NEWS = {
  collected(about) {
    onAnswered(about.id);
    toast("success", "A clip that was paid is here", `${what(about)}. ${about.summary}. Run its graph again to use it, at no cost.`);
  },
  undecided(about) {
    toast("warn", "Was this bought? Only its provider's page tells", `${what(about)}. Extensions, Luma Ray, unfinished purchases.`);
  },
  not_collected(about) {
    toast("warn", what(about), about.message);
  },
};
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
    api.addEventListener("execution_error", ({ detail }) => void onError(detail).catch(failed));
    api.addEventListener("executed", ({ detail }) => onExecuted(detail));
    for (const [event, tell] of Object.entries(NEWS)) api.addEventListener(`luma_ray.${event}`, ({ detail }) => tell(detail));
    // What happened while no page was open.
    for (const about of await ask("news", {}).catch(() => [])) NEWS[about.event]?.(about);
  },
});
