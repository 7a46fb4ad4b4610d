/** What the panels of one instance share: the payload, what is selected, and the colours in force. */
import type { Payload, Result, Target } from "./payload.ts";
import type { Dim } from "./shading.ts";
import { type Colours, colours } from "./theme.ts";

export interface State {
  result: number;
  target: number;
  /** The pinned player, or null. */
  player: number | null;
  dim: Dim;
  bounds: boolean;
}

export interface Panel {
  element: HTMLElement;
  /** Something that is selected has changed. */
  update(changed: ReadonlySet<keyof State>): void;
  /** A player is hovered or focused in any panel; null: none any more. */
  light?(player: number | null): void;
  /** Colours have changed. */
  repaint?(): void;
  destroy?(): void;
}

export class View {
  readonly payload: Payload;
  readonly state: State;
  /** Element whose style holds the colours. */
  readonly root: HTMLElement;
  /** Read out to those who do not see the picture. */
  readonly status: HTMLElement;
  private readonly panels: Panel[] = [];
  private readonly told: ((state: State) => void) | undefined;

  constructor(payload: Payload, root: HTMLElement, status: HTMLElement, state: State, told?: (state: State) => void) {
    this.payload = payload;
    this.root = root;
    this.status = status;
    this.state = state;
    this.told = told;
  }

  add(panel: Panel): void {
    this.panels.push(panel);
  }

  get result(): Result {
    return this.payload.results[this.state.result]!;
  }

  get target(): Target {
    return this.payload.targets[this.state.target]!;
  }

  get colours(): Colours {
    return colours(this.root);
  }

  set(change: Partial<State>): void {
    const changed = new Set<keyof State>();
    for (const key of Object.keys(change) as (keyof State)[])
      if (this.state[key] !== change[key]) {
        (this.state as unknown as Record<string, unknown>)[key] = change[key];
        changed.add(key);
      }
    if (changed.size === 0) return;
    for (const panel of this.panels) panel.update(changed);
    if (changed.has("result") || changed.has("target") || changed.has("player")) this.told?.(this.state);
  }

  /** Pins a player, or lets go of the one that is pinned. */
  pin(player: number | null): void {
    this.set({ player: this.state.player === player ? null : player });
  }

  light(player: number | null): void {
    for (const panel of this.panels) panel.light?.(player);
  }

  repaint(): void {
    for (const panel of this.panels) panel.repaint?.();
  }

  say(text: string): void {
    this.status.textContent = text;
  }

  destroy(): void {
    for (const panel of this.panels) panel.destroy?.();
  }
}

/** A name for a file, of letters that every system takes. */
export function fileName(view: View, what: string): string {
  const name = view.target.name.normalize("NFKD").replace(/[^A-Za-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 40);
  return ["attnflow", what, view.result.method, name].filter(Boolean).join("-").toLowerCase();
}
