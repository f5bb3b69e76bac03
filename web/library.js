// The library in ComfyUI's sidebar: registered at the start, loaded when it is opened.
import { app } from "../../scripts/app.js";
import { failed } from "./canvas.js";

/** What closes the panel that is open. @type {() => void} */
let close = () => {};

/** @param {HTMLElement} place */
async function open(place) {
  let closed = false;
  close = () => (closed = true);
  const { shown } = await import("./library.mjs");
  if (closed) return;
  close = shown(place);
}

app.registerExtension({
  name: "LumaRay.Library",
  async setup() {
    app.extensionManager?.registerSidebarTab?.({
      id: "luma-ray-library",
      icon: "pi pi-video",
      title: "Ray",
      label: "Ray",
      tooltip: "Luma Ray: every clip, what it cost, and the way back to it",
      type: "custom",
      render: (/** @type {HTMLElement} */ place) => {
        close();
        open(place).catch(failed);
      },
      destroy: () => close(),
    });
  },
});
