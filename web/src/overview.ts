/** A long text at a glance: all of it on one line, runs of tokens joined, above the box that shows a part of it. */
import { fit } from "./canvas.ts";
import { h, perFrame } from "./dom.ts";
import { runs } from "./matrix.ts";
import { counted } from "./numbers.ts";
import { paint, type Shape } from "./scene.ts";
import { type Colours, shade } from "./theme.ts";

/** Texts of more tokens get an overview. */
export const LONG = 160;
const HEIGHT = 18;
const LEAST_WIDTH = 4;

export interface Overview {
  element: HTMLElement;
  refresh(): void;
  destroy(): void;
}

/** The share of the scale with the largest size in each run. */
export function strongest(shades: readonly number[], cells: readonly number[][]): number[] {
  return cells.map((cell) => cell.reduce((best, at) => (Math.abs(shades[at]!) > Math.abs(best) ? shades[at]! : best), 0));
}

/** An overview of `tokens`, which stand in `passage`; `shades` tells the shade of each, from -1 to 1. */
export function overview(passage: HTMLElement, tokens: readonly HTMLElement[], shades: () => number[], colours: () => Colours): Overview {
  const canvas = h("canvas", { "aria-hidden": "true" });
  const note = h("p", { class: "note" });
  const element = h("div", { class: "overview" }, canvas, note);
  let cells: number[][] = [];

  /** First and last token that the box shows now. */
  function inView(): [number, number] {
    const box = passage.getBoundingClientRect();
    const from = tokens.findIndex((token) => token.getBoundingClientRect().bottom > box.top);
    const after = tokens.findIndex((token) => token.getBoundingClientRect().top >= box.bottom);
    return [Math.max(from, 0), (after < 0 ? tokens.length : after) - 1];
  }

  const draw = perFrame(() => {
    const width = element.clientWidth;
    if (width === 0) return;
    const from = colours();
    cells = runs([...tokens.keys()], Math.floor(width / LEAST_WIDTH));
    const cell = width / cells.length;
    const shapes = strongest(shades(), cells).map(
      (part, n): Shape => ({ kind: "rect", x: n * cell, y: 4, width: cell + 0.3, height: HEIGHT - 8, fill: part === 0 ? from.raised : shade(part, from) }),
    );
    const [first, last] = inView();
    const [left, right] = [(first / tokens.length) * width, ((last + 1) / tokens.length) * width];
    const edge: [number, number][] = [[left + 1, 1], [right - 1, 1], [right - 1, HEIGHT - 1], [left + 1, HEIGHT - 1], [left + 1, 1]];
    shapes.push({ kind: "path", points: edge, stroke: from.ink, width: 1.5 });
    paint(fit(canvas, width, HEIGHT), { width, height: HEIGHT, shapes }, from.font);
    const joined = Math.max(...cells.map((one) => one.length));
    const shown = last - first + 1 < tokens.length ? `${counted(tokens.length, "token")}, of which the box shows ${first + 1} to ${last + 1}.` : `${counted(tokens.length, "token")}.`;
    note.textContent = `${shown} Above, ${joined > 1 ? `up to ${joined} tokens are joined in a cell, with their highest score` : "each is a cell"}; click to go there.`;
  });
  canvas.addEventListener("click", (event) => {
    const n = Math.floor(((event.clientX - canvas.getBoundingClientRect().left) / element.clientWidth) * tokens.length);
    const token = tokens[Math.max(0, Math.min(n, tokens.length - 1))]!;
    passage.scrollTop += token.getBoundingClientRect().top - passage.getBoundingClientRect().top - passage.clientHeight / 3;
  });
  passage.addEventListener("scroll", draw.ask, { passive: true });
  const watch = new ResizeObserver(draw.ask);
  watch.observe(element);
  return {
    element,
    refresh: draw.ask,
    destroy: () => {
      watch.disconnect();
      draw.stop();
    },
  };
}
