/** The flow picture as shapes: ribbons below, and above them nodes, names, the minimum cut and what is lit. */
import { shortened, textWidth } from "./canvas.ts";
import { type Flow, stacksOf } from "./flowgraph.ts";
import { type Layout, NODE, type Ribbon } from "./layout.ts";
import type { Graph, Target } from "./payload.ts";
import { heightAt, type Shape } from "./scene.ts";
import type { Colours } from "./theme.ts";

export interface Picture {
  graph: Graph;
  flow: Flow;
  layout: Layout;
  target: Target;
}

/** What stands out. */
export interface Emphasis {
  /** Per edge of the flow what of it is lit; null: nothing is, and everything stands as it is. */
  parts: Float64Array | null;
  /** Players whose labels are bold. */
  players: ReadonlySet<number>;
  /** Boxes with a ring. */
  boxes: ReadonlySet<number>;
  cut: boolean;
}

/** How strong ribbons are while others are lit. */
export const FADED = 0.28;

const colourOf = (ribbon: Ribbon, from: Colours): string =>
  ribbon.kind === "closure" ? from.closure : ribbon.kind === "cross" ? from.cross : ribbon.same ? from.residual : from.attention;

/** The ribbons, in the order in which they are drawn; same-token ribbons are quieter. */
export function ribbonShapes(drawn: readonly Ribbon[], from: Colours, strength = 1): Shape[] {
  return drawn.map((ribbon) => shapeOf(ribbon, ribbon.width, colourOf(ribbon, from), strength * (ribbon.same ? 0.32 : ribbon.loop ? 0.36 : 0.46)));
}

function shapeOf(ribbon: Ribbon, wide: number, fill: string, alpha: number): Shape {
  if (ribbon.loop) return { kind: "path", points: ribbon.loop, stroke: fill, width: Math.max(wide, 0.75), alpha, round: 7 };
  const { x0, y0, x1, y1 } = ribbon;
  return { kind: "ribbon", x0, y0, x1, y1, width: wide, fill, alpha };
}

/** Everything above the ribbons. */
export function topShapes(picture: Picture, emphasis: Emphasis, from: Colours): Shape[] {
  const { layout } = picture;
  const { parts } = emphasis;
  const shapes: Shape[] = [];
  const touched = new Set<number>();
  const bright: Ribbon[] = [];
  if (parts)
    for (const ribbon of layout.ribbons) {
      let amount = 0;
      for (const edge of ribbon.edges) amount += parts[edge]!;
      if (amount * layout.scale < 0.03) continue;
      touched.add(ribbon.from).add(ribbon.to);
      bright.push(ribbon);
      shapes.push(shapeOf(ribbon, amount * layout.scale, ribbon.same ? from.soft : from.lit, ribbon.same ? 0.7 : 0.85));
    }
  layout.boxes.forEach((box, b) => {
    shapes.push({
      kind: "rect", x: box.x, y: box.y - box.height / 2, width: NODE, height: box.height, radius: box.height < 4 ? 0 : 2,
      fill: !parts || touched.has(b) ? from.ink : from.line,
      ...(emphasis.boxes.has(b) ? { stroke: from.lit } : {}),
    });
  });
  if (emphasis.cut) shapes.push(...cutShapes(parts ? bright : layout.ribbons, from));
  const carrying = new Set(layout.boxes.map((box) => box.row));
  for (const label of layout.labels) {
    const row = layout.rows[label.row]!;
    const mine = row.player !== null && emphasis.players.has(row.player);
    const weight = mine ? 700 : 400;
    shapes.push({
      kind: "text", x: label.x, y: label.y, text: shortened(row.label, label.space, label.size, from.font, weight), size: label.size, anchor: label.anchor,
      fill: (row.quiet || !carrying.has(label.row)) && !mine ? from.soft : from.ink, weight, halo: from.ground,
    });
  }
  shapes.push(...headings(picture, from), ...targetShapes(picture, from));
  return shapes;
}

function headings({ graph, layout }: Picture, from: Colours): Shape[] {
  const stacks = stacksOf(graph);
  let last = -Infinity;
  return layout.columns.flatMap((column): Shape[] => {
    const first = column.layer === 0;
    const text = first ? (stacks.length > 1 ? (column.stack === "encoder" ? "source" : "decoder") : "input") : String(column.layer);
    const half = textWidth(text, 12, from.font) / 2;
    const x = column.x + NODE / 2;
    if (x - half < last + 6) return [];
    last = x + half;
    return [{ kind: "text", x, y: 12, text, size: 12, anchor: "middle", fill: from.soft }];
  });
}

/** The target's name beside its node, or behind the name of its row; of a set, where most arrives. */
function targetShapes({ graph, flow, layout: at, target }: Picture, from: Colours): Shape[] {
  const positions = new Set(target.positions);
  const ends = at.boxes.filter((box) => box.group === graph.final && box.nodes.some((n) => positions.has(flow.nodes[n]!.position)));
  if (ends.length === 0) return [];
  const best = ends.reduce((one, other) => (other.through > one.through ? other : one));
  const own = at.labels.find((label) => label.row === best.row && label.anchor === "start");
  const behind = own ? Math.min(textWidth(at.rows[own.row]!.label, own.size, from.font, 700), own.space) + 6 : 0;
  const x = own ? own.x + behind : best.x + NODE + 7 + (at.ribbons.some((ribbon) => ribbon.loop) ? 20 : 0);
  const text = shortened(own ? `→ ${target.name}` : target.name, at.width - x - 2, 13, from.font, 600);
  // Of many positions together the name stands in their middle, beside one line.
  const [top, bottom] = [Math.min(...ends.map((box) => box.y - box.height / 2)), Math.max(...ends.map((box) => box.y + box.height / 2))];
  const many = ends.length > 3;
  const marks = many ? [{ y: (top + bottom) / 2, height: bottom - top }] : ends;
  const shapes: Shape[] = marks.map(({ y, height }) => ({
    kind: "rect", x: best.x + NODE + 2, y: y - Math.max(height, 4) / 2, width: 2.5, height: Math.max(height, 4), fill: from.lit,
  }));
  return [...shapes, { kind: "text", x, y: many ? (top + bottom) / 2 : best.y, text, size: 13, anchor: "start", fill: from.ink, weight: 600, halo: from.ground }];
}

/** A tick across each of these ribbons that the minimum cut severs, and across no other. */
function cutShapes(ribbons: readonly Ribbon[], from: Colours): Shape[] {
  return ribbons
    .filter((ribbon) => ribbon.cut && !ribbon.loop)
    .map((ribbon): Shape => {
      const x = ribbon.kind === "cross" ? ribbon.x1 - 14 : (ribbon.x0 + ribbon.x1) / 2;
      const y = heightAt(ribbon, x);
      const half = Math.max(ribbon.width / 2 + 1.5, 4);
      return { kind: "path", points: [[x, y - half], [x, y + half]], stroke: from.cut, width: 2 };
    });
}

/** A legend of `[colour, words]` in lines below `top`, for a picture that is kept. */
export function legendShapes(
  kinds: readonly (readonly [keyof Colours & string, string])[],
  width: number,
  top: number,
  from: Colours,
): { shapes: Shape[]; height: number } {
  const shapes: Shape[] = [];
  let [x, y] = [8, top + 8];
  for (const [name, text] of kinds) {
    const own = 30 + textWidth(text, 12, from.font) + 18;
    if (x > 8 && x + own > width) [x, y] = [8, y + 20];
    const fill = String(from[name]);
    if (name === "cut") shapes.push({ kind: "path", points: [[x + 12, y - 6], [x + 12, y + 6]], stroke: fill, width: 2 });
    else shapes.push({ kind: "ribbon", x0: x, y0: y, x1: x + 24, y1: y, width: 9, fill, alpha: 0.6 });
    shapes.push({ kind: "text", x: x + 30, y, text, size: 12, fill: from.soft });
    x += own;
  }
  return { shapes, height: y + 14 - top };
}
