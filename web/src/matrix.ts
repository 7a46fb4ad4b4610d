/** The matrix panel: targets, or results side by side, by players, as a heat map. */
import { fit, shortened, textWidth } from "./canvas.ts";
import { h, perFrame } from "./dom.ts";
import { facts, spoken } from "./facts.ts";
import { counted, single } from "./numbers.ts";
import { savePng, saveSvg } from "./saving.ts";
import { paint, type Scene, type Shape } from "./scene.ts";
import { fraction, isDim, most } from "./shading.ts";
import { scaleShapes, shade } from "./theme.ts";
import type { Tip } from "./tip.ts";
import { fileName, type Panel, type View } from "./view.ts";

/** Narrowest column and lowest row that can still be told apart. */
const LEAST_WIDTH = 4;
const LEAST_HEIGHT = 4;

interface Grid {
  left: number;
  top: number;
  cell: number;
  line: number;
  width: number;
  height: number;
  /** Per column the players it joins, per row the targets (or results) it joins. */
  columns: number[][];
  rows: number[][];
}

/** Splits `items` into at most `most` runs as even as can be. */
export function runs<T>(items: readonly T[], most: number): T[][] {
  const count = Math.min(items.length, Math.max(1, most));
  return Array.from({ length: count }, (_, n) =>
    items.slice(Math.floor((n * items.length) / count), Math.floor(((n + 1) * items.length) / count)),
  );
}

/** Whether there is anything to compare: more than one target or result. */
export function hasMatrix(view: View): boolean {
  return view.payload.targets.length > 1 || view.payload.results.length > 1;
}

export function matrixPanel(view: View, tip: Tip): Panel {
  const { payload } = view;
  const byResult = payload.targets.length === 1;
  const count = byResult ? payload.results.length : payload.targets.length;
  let grid: Grid | null = null;
  let width = 0;
  let cursor: [number, number] | null = null;
  let hovered: [number, number] | null = null;
  let lit: number | null = null;

  const canvas = h("canvas", { "aria-hidden": "true" });
  const label =
    `Heat map: ${counted(count, byResult ? "result" : "target")} by ${counted(payload.players.length, "player")}. ` +
    `Arrow keys move, Enter shows the ${byResult ? "result" : "target"} and pins the player. The numbers are in the table below.`;
  const picture = h(
    "div",
    { class: "picture", tabindex: 0, role: "application", "aria-roledescription": "heat map", "aria-label": label },
    canvas,
  );
  const key = h("div", { class: "key" });
  const note = h("p", { class: "note" });
  const save = h(
    "span",
    { class: "save" },
    h("button", { type: "button", onclick: () => saveSvg(fileName(view, "matrix"), kept(), view.colours) }, "Save SVG"),
    h("button", { type: "button", onclick: () => void savePng(fileName(view, "matrix"), kept(), view.colours) }, "Save PNG"),
  );
  const element = h(
    "section",
    { class: "panel matrix" },
    h("h2", {}, byResult ? "Results by players" : "Targets by players"),
    note,
    h("div", { class: "controls" }, key, save),
    picture,
  );

  const name = (row: number): string => (byResult ? payload.results[row]!.name : payload.targets[row]!.name);
  const score = (row: number, player: number): number =>
    byResult ? payload.results[row]!.scores[0]![player]! : view.result.scores[row]![player]!;
  const current = (): number => (byResult ? view.state.result : view.state.target);

  function end(row: number): number {
    return byResult
      ? most(payload, payload.results[row]!, [0], view.state.dim)
      : most(payload, view.result, payload.targets.keys(), view.state.dim);
  }

  function arrange(): void {
    if (width === 0) return;
    const { font } = view.colours;
    const widest = Math.max(...Array.from({ length: Math.min(count, 400) }, (_, row) => textWidth(name(row), 12, font, 700)));
    const left = Math.min(widest + 12, Math.max(width * 0.28, 60));
    const tallest = Math.max(...payload.players.slice(0, 600).map((player) => textWidth(player.label, 11, font)));
    // Names lean to the right: the last one needs room beside the last column.
    const room = width - left - Math.min(tallest, 84) * 0.58 - 2;
    const columns = runs(payload.order, Math.floor(room / LEAST_WIDTH));
    const cell = Math.min(room / columns.length, 30);
    const rows = runs([...Array(count).keys()], Math.floor(1200 / LEAST_HEIGHT));
    const line = Math.max(LEAST_HEIGHT, Math.min(22, 640 / rows.length));
    const top = Math.min(tallest, 84) * 0.82 + 16;
    grid = { left, top, cell, line, width, height: top + rows.length * line + 6, columns, rows };
    const joined = [
      columns.length < payload.players.length ? `each column joins up to ${Math.max(...columns.map((one) => one.length))} players` : "",
      rows.length < count ? `each row joins up to ${Math.max(...rows.map((one) => one.length))} targets` : "",
    ].filter(Boolean);
    note.textContent =
      `${byResult ? "Each row on its own scale, which ends at its highest score." : "One shade scale for all targets."} ` +
      `Click a row to see its flow.${joined.length > 0 ? ` To fit, ${joined.join(" and ")} and shows the largest score.` : ""}`;
    legend();
    draw.ask();
  }

  /** The ends of the scale of what is selected, in words. */
  function scaleEnds(): [string, string] {
    const [below, above] = view.result.ends;
    const text = single(end(current()));
    return view.result.two_signs ? [`${below} -${text}`, `${text} ${above}`] : ["0", `${text} ${above}`.trim()];
  }

  function legend(): void {
    const [low, high] = scaleEnds();
    const i = h("i", { class: view.result.two_signs ? "both" : "" });
    key.replaceChildren(h("span", { class: "scale" }, h("span", {}, low), i, h("span", {}, high)));
  }

  /** The picture to keep: with its scale; of results side by side each row has its own, and the words say so. */
  function kept(): Scene {
    const shown = scene();
    const from = view.colours;
    const y = shown.height + 12;
    const ends: [string, string] = byResult ? ["0", "each row's own highest score"] : scaleEnds();
    return { ...shown, height: y + 14, shapes: [...shown.shapes, ...scaleShapes(8, y, ends, !byResult && view.result.two_signs, from)] };
  }

  /** The score with the largest size of a joined cell. */
  function cellScore(rows: readonly number[], columns: readonly number[]): { value: number; dim: boolean; end: number } {
    let value = 0;
    let dim = true;
    for (const row of rows)
      for (const player of columns) {
        if (isDim(payload.players[player]!, view.state.dim)) continue;
        dim = false;
        const own = score(row, player);
        if (Math.abs(own) > Math.abs(value)) value = own;
      }
    return { value, dim, end: byResult ? ends[rows[0]!]! : ends[0]! };
  }
  let ends: number[] = [];

  function scene(): Scene {
    const from = view.colours;
    const { left, top, cell, line, columns, rows } = grid!;
    const shapes: Shape[] = [];
    ends = byResult ? payload.results.map((_, row) => end(row)) : [end(0)];
    const selected = rows.findIndex((row) => row.includes(current()));
    const right = left + columns.length * cell;
    // Every label that has room, the selected and the pinned one always.
    const rowStep = Math.ceil(13 / line);
    rows.forEach((row, r) => {
      const y = top + r * line;
      if (r === selected || (r % rowStep === 0 && Math.abs(r - selected) * line >= 13))
        shapes.push({
          kind: "text", x: left - 6, y: y + line / 2, text: shortened(name(row[0]!), left - 8, 12, from.font, r === selected ? 700 : 400), size: 12, anchor: "end",
          fill: r === selected ? from.ink : from.soft, weight: r === selected ? 700 : 400,
        });
      columns.forEach((column, c) => {
        const { value, dim, end: scale } = cellScore(row, column);
        const x = left + c * cell;
        const gap = cell > 9 && line > 9 ? 1 : 0;
        if (dim) {
          shapes.push({ kind: "rect", x: x + cell / 2 - 1, y: y + line / 2 - 1, width: 2, height: 2, fill: from.line });
        } else {
          const part = fraction(value, scale);
          shapes.push({ kind: "rect", x, y, width: cell - gap, height: line - gap, fill: part === 0 ? from.raised : shade(part, from), radius: gap });
        }
      });
    });
    const columnStep = Math.ceil(15 / cell);
    const special = columns.findIndex((column) => column.includes(lit ?? view.state.player ?? -1));
    columns.forEach((column, c) => {
      if (c !== special && (c % columnStep !== 0 || (special >= 0 && Math.abs(c - special) * cell < 15))) return;
      const player = payload.players[c === special ? (lit ?? view.state.player)! : column[0]!]!;
      shapes.push({
        kind: "text", x: left + c * cell + cell / 2, y: top - 7, text: shortened(player.label, 84, 11, from.font), size: 11, angle: -55,
        fill: c === special ? from.ink : from.soft, weight: c === special ? 700 : 400,
      });
    });
    if (selected >= 0) frame(left, top + selected * line, right - left, line, from.ink);
    if (special >= 0) frame(left + special * cell, top, cell, rows.length * line, from.lit);
    const at = hovered ?? cursor;
    if (at) frame(left + at[1] * cell, top + at[0] * line, cell, line, from.lit);
    return { width: grid!.width, height: grid!.height, shapes };

    function frame(x: number, y: number, wide: number, high: number, stroke: string): void {
      const points: [number, number][] = [[x, y], [x + wide, y], [x + wide, y + high], [x, y + high], [x, y], [x + wide, y]];
      shapes.push({ kind: "path", points: points.map(([px, py]) => [px - 0.5, py - 0.5]), stroke, width: 1.5 });
    }
  }

  const draw = perFrame(() => {
    if (!grid) return;
    paint(fit(canvas, grid.width, grid.height), scene(), view.colours.font);
  });

  function at(event: MouseEvent): [number, number] | null {
    if (!grid) return null;
    const area = canvas.getBoundingClientRect();
    const c = Math.floor((event.clientX - area.left - grid.left) / grid.cell);
    const r = Math.floor((event.clientY - area.top - grid.top) / grid.line);
    return r >= 0 && r < grid.rows.length && c < grid.columns.length ? [r, Math.max(c, -1)] : null;
  }

  function tell([r, c]: [number, number], x: number, y: number): void {
    const row = grid!.rows[r]![0]!;
    const player = grid!.columns[c]?.[0];
    if (player === undefined) {
      tip.show([[name(row)], ["Place", payload.targets[byResult ? 0 : row]!.place]], x, y);
      return;
    }
    const joined = grid!.columns[c]!.length * grid!.rows[r]!.length;
    const result = byResult ? payload.results[row]! : view.result;
    const lines = [...facts(view, player, result, byResult ? 0 : row), [byResult ? "Result" : "Target", name(row)] as const];
    if (joined > 1) lines.push(["Joined", `first of ${joined} cells`]);
    tip.show(lines, x, y);
    view.say(spoken(lines));
  }

  function choose([r, c]: [number, number]): void {
    const row = grid!.rows[r]![0]!;
    const player = grid!.columns[c]?.[0];
    view.set({ ...(byResult ? { result: row } : { target: row }), ...(player === undefined ? {} : { player }) });
  }

  picture.addEventListener("pointermove", (event) => {
    const next = at(event);
    const inside = next && next[1] >= 0 ? next : null;
    if (next) tell(next, event.clientX, event.clientY);
    else tip.hide();
    picture.style.cursor = next ? "pointer" : "default";
    if (String(inside) === String(hovered)) return;
    hovered = inside;
    cursor = null;
    view.light(inside ? grid!.columns[inside[1]]![0]! : null);
  });
  picture.addEventListener("pointerleave", () => {
    hovered = null;
    tip.hide();
    view.light(null);
  });
  picture.addEventListener("click", (event) => {
    const cell = at(event);
    if (cell) choose(cell);
  });
  picture.addEventListener("blur", () => {
    cursor = null;
    tip.hide();
    view.light(null);
  });
  picture.addEventListener("keydown", (event) => {
    if (!grid) return;
    const moves: Record<string, [number, number]> = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
    const move = moves[event.key];
    if (event.key === "Escape") {
      cursor = null;
      tip.hide();
      view.set({ player: null });
      draw.ask();
    } else if ((event.key === "Enter" || event.key === " ") && cursor) {
      event.preventDefault();
      choose(cursor);
    } else if (move) {
      event.preventDefault();
      const start: [number, number] = cursor ?? [grid.rows.findIndex((row) => row.includes(current())), -move[1]];
      cursor = [
        Math.max(0, Math.min(grid.rows.length - 1, start[0] + move[0])),
        Math.max(0, Math.min(grid.columns.length - 1, start[1] + move[1])),
      ];
      const area = canvas.getBoundingClientRect();
      tell(cursor, area.left + grid.left + cursor[1] * grid.cell, area.top + grid.top + (cursor[0] + 1) * grid.line);
      view.light(grid.columns[cursor[1]]![0]!);
    }
  });
  const watch = new ResizeObserver(([entry]) => {
    const next = Math.floor(entry!.contentRect.width);
    if (next === width || next === 0) return;
    width = next;
    arrange();
  });
  watch.observe(element);

  return {
    element,
    update: (changed) => {
      if (changed.has("result") || changed.has("dim") || changed.has("target")) legend();
      draw.ask();
    },
    light: (player) => {
      lit = player;
      draw.ask();
    },
    repaint: () => draw.ask(),
    destroy: () => {
      watch.disconnect();
      draw.stop();
    },
  };
}
