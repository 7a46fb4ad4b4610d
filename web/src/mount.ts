/** One instance of the view: frame, selection, panels. */
import { choice, fresh, h } from "./dom.ts";
import { flowPanel } from "./flow.ts";
import { hasMatrix, matrixPanel } from "./matrix.ts";
import { checked, type Payload } from "./payload.ts";
import css from "./style.css";
import { agreementPanel, tablePanel } from "./table.ts";
import { tip as makeTip } from "./tip.ts";
import { tokensPanel } from "./tokens.ts";
import { type Panel, type State, View } from "./view.ts";

export type Theme = "auto" | "light" | "dark";

export interface MountOptions {
  /** "auto" follows the reader's system; default. */
  theme?: Theme;
  /** Show headline, captions, remarks and the choice of theme; default true. A caller that has its own leaves them out. */
  frame?: boolean;
  /** Which result and target to show first; default 0. */
  result?: number;
  target?: number;
  /** Told whenever the reader switches result or target, or pins a player. */
  onSelect?: (selection: { result: number; target: number; player: number | null }) => void;
  /** Told when the reader chooses a theme. */
  onTheme?: (theme: Theme) => void;
}

/** Targets that get a button each; more become a drop-down list. */
const BUTTONS = 40;

/**
 * Shows a payload inside `element`, in a shadow root of its own, so that neither page touches the other.
 * Returns what takes it away again. Throws if the payload is of another format.
 */
export function mount(element: HTMLElement, data: unknown, options: MountOptions = {}): { destroy(): void } {
  const payload = checked(data);
  const host = h("div", { class: "attnflow-view", "data-theme": options.theme ?? "auto" });
  const root = host.attachShadow({ mode: "open" });
  // A constructed sheet, as a strict content security policy forbids style elements.
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(css);
  root.adoptedStyleSheets = [sheet];
  element.append(host);
  const framed = options.frame ?? true;
  let words = false;
  let view = show(payload);

  function show(shown: Payload): View {
    const frame = h("div", { class: framed ? "frame" : "frame bare" });
    root.append(frame);
    const status = h("p", { class: "aloud", role: "status" });
    const state: State = {
      result: clamp(options.result ?? 0, shown.results.length),
      target: clamp(options.target ?? 0, shown.targets.length),
      player: null,
      dim: "none",
      bounds: false,
    };
    const made = new View(shown, frame, status, state, ({ result, target, player }) => options.onSelect?.({ result, target, player }));
    const tip = makeTip(frame);
    const parts: Panel[] = [head(made)];
    parts.push(selection(made), tokensPanel(made, tip), flowPanel(made, tip));
    if (hasMatrix(made)) parts.push(matrixPanel(made, tip));
    if ((shown.comparison?.correlations.length ?? 0) > 0) parts.push(agreementPanel(made));
    parts.push(tablePanel(made));
    if (framed) parts.push(foot(made));
    for (const part of parts) {
      made.add(part);
      if (part.element.childNodes.length > 0) frame.append(part.element);
    }
    frame.append(tip.element, status);
    return made;
  }

  function head(made: View): Panel {
    const shown = made.payload;
    const element = h("header");
    const tools = h("div", { class: "tools" });
    if (payload.words) {
      const other = choice("Players", [["tokens", "tokens"], ["words", "words"]], words ? "words" : "tokens", (value) => {
        words = value === "words";
        made.destroy();
        made.root.remove();
        view = show(words ? payload.words! : payload);
        view.root.querySelector("select")?.focus();
      });
      tools.append(other.element);
    }
    if (framed)
      tools.append(
        choice("Theme", [["auto", "system"], ["light", "light"], ["dark", "dark"]], host.dataset["theme"]!, (value) => {
          host.dataset["theme"] = value;
          options.onTheme?.(value as Theme);
          made.repaint();
        }).element,
      );
    const caption = h("p", { class: "caption" });
    if (framed) element.append(h("p", { class: "recipe" }, shown.recipe), h("h1", { dir: "auto" }, shown.headline), caption);
    if (tools.childNodes.length > 0) element.append(tools);
    const update = (): void => {
      caption.textContent = made.result.caption;
    };
    update();
    return { element, update };
  }

  /** What is shown: result and target. */
  function selection(made: View): Panel {
    const { targets, results } = made.payload;
    const element = h("div", { class: "selection" });
    const group = (legend: string, names: string[], titles: string[], get: () => number, set: (index: number) => void): (() => void) => {
      if (names.length < 2) return () => undefined;
      if (names.length > BUTTONS) {
        const list = choice(legend, names.map((name, index) => [String(index), `${name} · ${titles[index]!}`] as const), String(get()), (value) => set(Number(value)));
        element.append(list.element);
        return () => list.set(String(get()));
      }
      const id = fresh("choice");
      const inputs = names.map((name, index) => {
        const input = h("input", { type: "radio", name: id, value: index, autocomplete: "off" });
        input.checked = index === get();
        input.addEventListener("change", () => set(index));
        return { input, label: h("label", { title: titles[index] }, input, h("bdi", {}, name)) };
      });
      element.append(h("fieldset", { class: "switch" }, h("legend", {}, legend), h("div", {}, ...inputs.map(({ label }) => label))));
      return () => inputs.forEach(({ input }, index) => {
        input.checked = index === get();
      });
    };
    const refresh = [
      group("Method", results.map((result) => result.name), results.map((result) => result.caption), () => made.state.result, (result) => made.set({ result })),
      group("Target", targets.map((target) => target.name), targets.map((target) => target.place), () => made.state.target, (target) => made.set({ target })),
    ];
    const title = h("p", { class: "target" });
    const pinned = h("p", { class: "pin" });
    const sentences = h("ul", { class: "sentences" });
    element.append(title, sentences, pinned);
    const update = (): void => {
      for (const part of refresh) part();
      title.replaceChildren(h("b", { dir: "auto" }, made.target.name), ` · ${made.target.place}`);
      const said = made.payload.comparison ? made.payload.comparison.sentences : made.result.sentences;
      sentences.replaceChildren(...said[made.state.target]!.map((sentence) => h("li", {}, sentence)));
      const { player } = made.state;
      pinned.hidden = player === null;
      if (player !== null)
        pinned.replaceChildren(
          "Pinned: ",
          h("b", { dir: "auto" }, made.payload.players[player]!.label),
          " ",
          h("button", { type: "button", class: "link", onclick: () => made.set({ player: null }) }, "let go"),
        );
    };
    update();
    return { element, update };
  }

  function foot(made: View): Panel {
    const element = h("footer");
    const update = (): void => {
      const { comparison, results } = made.payload;
      const remarks = comparison ? [comparison.units, comparison.scales, ...comparison.remarks] : made.result.remarks;
      element.replaceChildren(
        h("ul", {}, ...remarks.filter((sentence) => sentence !== null).map((sentence) => h("li", {}, sentence))),
        h(
          "details",
          {},
          h("summary", {}, "How this was made"),
          ...results.flatMap((result) => [
            results.length > 1 ? h("h3", {}, result.name) : "",
            h("dl", {}, ...result.provenance.flatMap(([term, text]) => [h("dt", {}, term), h("dd", {}, text)])),
          ]),
        ),
      );
    };
    update();
    return { element, update: (changed) => changed.has("result") && update() };
  }

  const scheme = window.matchMedia("(prefers-color-scheme: dark)");
  const repaint = (): void => view.repaint();
  scheme.addEventListener("change", repaint);
  return {
    destroy: () => {
      scheme.removeEventListener("change", repaint);
      view.destroy();
      host.remove();
    },
  };
}

function clamp(index: number, count: number): number {
  return Math.max(0, Math.min(Math.trunc(index) || 0, count - 1));
}
