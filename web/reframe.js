// A small picture on Ray Reframe Video: the canvas, and the film on it, to be moved and resized.
import { app } from "../../scripts/app.js";
import { failed } from "./canvas.js";
import { make } from "./dom.js";

app.registerExtension({
  name: "LumaRay.Reframe",
  nodeCreated(/** @type {any} */ node) {
    if (node.comfyClass !== "RayReframeVideo" || !node.addDOMWidget) return;
    const element = make("div", { className: "luma-ray-reframe" });
    const widget = node.addDOMWidget("luma_ray_place", "custom", element, {
      serialize: false,
      hideOnZoom: false,
      getMinHeight: () => 272,
      getMaxHeight: () => 272,
    });
    widget.serialize = false; // neither in the workflow nor in what is queued: what it says stands in other widgets
    void import("./reframe.mjs").then((picture) => picture.draw(node, element)).catch(failed);
  },
});
