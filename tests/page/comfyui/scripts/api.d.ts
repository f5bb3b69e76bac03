// ComfyUI's `api`, as far as the pack uses it.
type Listener = ((event: CustomEvent<any>) => unknown) | null;

export interface Api {
  clientId?: string;
  fetchApi(route: string, options?: RequestInit): Promise<Response>;
  /** The address of a route, for elements that load it themselves. */
  apiURL(route: string): string;
  fileURL(route: string): string;
  dispatchCustomEvent(event: string, detail?: unknown): boolean;
  interrupt(promptId: string | null): Promise<void>;
  addEventListener(event: string, listener: Listener, options?: boolean | AddEventListenerOptions): void;
  removeEventListener(event: string, listener: Listener, options?: boolean | EventListenerOptions): void;
}

export const api: Api;
