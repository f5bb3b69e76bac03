// The types that the pack's comments name without an import.
import type * as app from "./scripts/app";
import type * as graphs from "./litegraph";

declare global {
  type LGraph = graphs.LGraph;
  type LGraphNode = graphs.LGraphNode;
  type LGraphCanvas = graphs.LGraphCanvas;
  type NodeWidget = graphs.Widget;
  type NodeSlot = graphs.Slot;
  type NodeDefinition = graphs.NodeDefinition;
  type ComfyWorkflow = graphs.Workflow;
  type ComfyPrompt = graphs.Prompt;
  type ComfyExtension = app.Extension;
}
