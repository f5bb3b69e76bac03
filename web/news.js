// What the pack tells every page that is open, and the purchases that wait for an answer.
// Each .js file here is an extension of ComfyUI's page. They end in .js because it serves that uncached: an update
// must not mix old and new.
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { failed, toast } from "./canvas.js";
import { onAnswered, onError, onExecuted, show } from "./questions.js";
import { ask } from "./talk.js";

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
  name: "LumaRay.News",
  commands: [
    { id: "LumaRay.Unfinished", label: "Luma Ray: unfinished purchases", icon: "pi pi-inbox", function: show },
  ],
  menuCommands: [{ path: ["Extensions", "Luma Ray"], commands: ["LumaRay.Unfinished"] }],
  async setup() {
    api.addEventListener("execution_error", ({ detail }) => void onError(detail).catch(failed));
    api.addEventListener("executed", ({ detail }) => onExecuted(detail));
    for (const [event, tell] of Object.entries(NEWS)) api.addEventListener(`luma_ray.${event}`, ({ detail }) => tell(detail));
    // What happened while no page was open.
    for (const about of await ask("news", {}).catch(() => [])) NEWS[about.event]?.(about);
  },
});
