// Graphs and nodes, as far as the pack uses them. A question mark says that older frontends lack it.

export interface Widget {
  name: string;
  label?: string;
  type: string;
  value: any;
  options: { values?: any; serialize?: boolean; hidden?: boolean; [name: string]: any };
  serialize?: boolean;
  hidden?: boolean;
  disabled?: boolean;
  tooltip?: string;
  element?: HTMLElement;
  callback?(value: any, ...more: any[]): unknown;
  onRemove?(): void;
}

export interface Slot {
  name: string;
  type: string | number;
  label?: string;
  link?: number | null;
  links?: number[] | null;
  widget?: { name: string };
}

export interface Badge {
  text: string;
}

export interface LGraphNode {
  id: number | string;
  type: string;
  comfyClass?: string;
  title: string;
  pos: [number, number];
  size: [number, number];
  mode: number;
  color?: string;
  bgcolor?: string;
  graph: LGraph | null;
  subgraph?: LGraph | null;
  widgets?: Widget[];
  inputs: Slot[];
  outputs: Slot[];
  properties: Record<string, any>;
  badges?: (Badge | (() => Badge))[];
  onExecuted?(output: any): unknown;
  onConnectionsChange?(...given: any[]): unknown;
  onConfigure?(...given: any[]): unknown;
  onRemoved?(): unknown;
  onWidgetChanged?(...given: any[]): unknown;
  addDOMWidget?(
    name: string,
    type: string,
    element: HTMLElement,
    options?: {
      serialize?: boolean;
      hideOnZoom?: boolean;
      getMinHeight?(): number;
      getMaxHeight?(): number;
      getHeight?(): number | string;
      getValue?(): unknown;
      setValue?(value: any): void;
      onHide?(widget: Widget): void;
      [name: string]: unknown;
    },
  ): Widget;
  addWidget?(
    type: string,
    name: string,
    value: unknown,
    callback: ((value: any) => unknown) | null,
    options?: Record<string, unknown>,
  ): Widget;
  connect(slot: number | string, target: LGraphNode, targetSlot: number | string): unknown;
  getInputNode(slot: number): LGraphNode | null;
  getInputLink?(slot: number): Link | null;
  findInputSlot(name: string): number;
  findOutputSlot(name: string): number;
  computeSize(): [number, number];
  setSize(size: [number, number]): void;
  setDirtyCanvas?(foreground: boolean, background?: boolean): void;
}

export interface LGraphNodeConstructor {
  new (title?: string): LGraphNode;
  prototype: LGraphNode;
  comfyClass?: string;
  nodeData?: NodeDefinition;
}

export interface Link {
  id: number;
  origin_id: number | string;
  origin_slot: number;
  target_id: number | string;
  target_slot: number;
  type: string;
}

export interface LGraph {
  id?: string;
  nodes: LGraphNode[];
  links?: any;
  rootGraph?: LGraph;
  /** Of the root graph alone: those of all its subgraph nodes. */
  subgraphs?: Map<string, LGraph>;
  extra?: Record<string, any>;
  getNodeById(id: number | string): LGraphNode | null;
  getLink?(id: number): Link | null | undefined;
  add(node: LGraphNode): unknown;
  remove(node: LGraphNode): void;
  beforeChange?(): void;
  afterChange?(): void;
  setDirtyCanvas(foreground: boolean, background?: boolean): void;
}

export interface LGraphCanvas {
  canvas: HTMLCanvasElement;
  graph: LGraph | null;
  ds: { scale: number; offset: [number, number]; visible_area?: [number, number, number, number] };
  graph_mouse: [number, number];
  selected_nodes?: Record<string, LGraphNode>;
  selectedItems?: Set<unknown>;
  visible_area?: [number, number, number, number];
  setDirty(foreground: boolean, background?: boolean): void;
  setGraph?(graph: LGraph): void;
  emitBeforeChange?(): void;
  emitAfterChange?(): void;
  select?(item: unknown): void;
  deselectAll?(): void;
  selectNode?(node: LGraphNode, add?: boolean): void;
  centerOnNode(node: LGraphNode): void;
  convertEventToCanvasOffset?(event: MouseEvent): [number, number];
  emitBeforeChange?(): void;
  emitAfterChange?(): void;
}

export interface NodeDefinition {
  name: string;
  display_name: string;
  category: string;
  input?: { required?: Record<string, any>; optional?: Record<string, any> };
  output?: string[];
  [name: string]: any;
}

export type Prompt = Record<string, { class_type: string; inputs: Record<string, any>; _meta?: { title: string } }>;

export interface Workflow {
  nodes: any[];
  links: any[];
  extra?: Record<string, any>;
  [name: string]: any;
}

declare global {
  interface Window {
    LGraphBadge?: new (options: { text: string; fgColor?: string; bgColor?: string; [name: string]: unknown }) => Badge;
    LiteGraph?: {
      createNode(type: string): LGraphNode | null;
      registered_node_types: Record<string, LGraphNodeConstructor>;
      [name: string]: any;
    };
  }
  /** The same as window.LiteGraph. */
  const LiteGraph: NonNullable<Window["LiteGraph"]>;
}
