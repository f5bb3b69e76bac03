// ComfyUI's `app`, as far as the pack uses it. A question mark says that older frontends lack it.
import type {
  LGraph,
  LGraphCanvas,
  LGraphNode,
  LGraphNodeConstructor,
  NodeDefinition,
  Prompt,
  Workflow,
} from "../litegraph";

export interface Toast {
  severity: string;
  summary: string;
  detail?: string;
  life?: number;
}

export interface SidebarTab {
  id: string;
  icon: string;
  title: string;
  tooltip?: string;
  label?: string;
  type: "custom";
  render(element: HTMLElement): void;
  destroy?(): void;
}

export interface Command {
  id: string;
  label?: string | (() => string);
  icon?: string | (() => string);
  tooltip?: string | (() => string);
  function(metadata?: Record<string, unknown>): unknown;
}

export interface Setting {
  id: string;
  name: string;
  category?: string[];
  type: string | ((name: string, setter: (value: unknown) => void, value: unknown, attrs: unknown) => HTMLElement);
  defaultValue: unknown;
  tooltip?: string;
  options?: unknown[];
  attrs?: Record<string, unknown>;
  onChange?(value: unknown, before?: unknown): void;
}

export interface ActionBarButton {
  icon: string;
  label?: string;
  tooltip?: string;
  class?: string;
  onClick(): void;
}

export interface TopbarBadge {
  text: string;
  label?: string;
  variant?: "info" | "warning" | "error";
  icon?: string;
  tooltip?: string;
}

export interface BottomPanelTab {
  id: string;
  title: string;
  type: "custom";
  render(element: HTMLElement): void;
  destroy?(): void;
}

export interface MenuItem {
  content?: string;
  callback?(...given: any[]): unknown;
  disabled?: boolean;
  submenu?: { options: (MenuItem | null)[] };
}

export interface Extension {
  name: string;
  settings?: Setting[];
  commands?: Command[];
  keybindings?: { commandId: string; combo: { key: string; ctrl?: boolean; shift?: boolean; alt?: boolean } }[];
  menuCommands?: { path: string[]; commands: string[] }[];
  bottomPanelTabs?: BottomPanelTab[];
  actionBarButtons?: ActionBarButton[];
  topbarBadges?: TopbarBadge[];
  aboutPageBadges?: { label: string; url: string; icon: string }[];
  init?(app: App): unknown;
  setup?(app: App): unknown;
  beforeRegisterNodeDef?(type: LGraphNodeConstructor, definition: NodeDefinition, app: App): unknown;
  nodeCreated?(node: LGraphNode, app: App): unknown;
  loadedGraphNode?(node: LGraphNode, app: App): unknown;
  beforeConfigureGraph?(data: Workflow, missing: unknown[], app: App): unknown;
  afterConfigureGraph?(missing: unknown[], app: App): unknown;
  onNodeOutputsUpdated?(outputs: Record<string, unknown>): unknown;
  getNodeMenuItems?(node: LGraphNode): (MenuItem | null)[];
  getCanvasMenuItems?(canvas: LGraphCanvas): (MenuItem | null)[];
  getSelectionToolboxCommands?(item: unknown): string[];
}

export interface ExtensionManager {
  toast?: { add?(toast: Toast): void; remove?(toast: Toast): void };
  setting?: { get(id: string): any; set(id: string, value: unknown): unknown };
  command?: { execute(id: string, options?: Record<string, unknown>): unknown; commands?: Command[] };
  registerSidebarTab?(tab: SidebarTab): void;
  unregisterSidebarTab?(id: string): void;
  sidebarTab?: { activeSidebarTabId?: string | null; toggleSidebarTab?(id: string): void };
  workflow?: { activeWorkflow?: { path?: string; filename?: string; changeTracker?: unknown } | null };
}

export interface App {
  /** The whole workflow; `canvas.graph` is the one that is open, perhaps a subgraph. */
  rootGraph: LGraph;
  /** Deprecated; for frontends that have no rootGraph. */
  graph?: LGraph;
  canvas: LGraphCanvas;
  extensionManager?: ExtensionManager;
  nodeOutputs?: Record<string, any>;
  registerExtension(extension: Extension): void;
  queuePrompt(number: number, batchCount?: number, queueNodeIds?: string[]): Promise<boolean>;
  graphToPrompt(graph?: LGraph): Promise<{ workflow: Workflow; output: Prompt }>;
  loadGraphData(workflow?: Workflow, clean?: boolean, restoreView?: boolean, name?: string | null): Promise<void>;
}

export const app: App;
