/** Where everything of the flow picture stands. Pure geometry: no canvas, no colours. */
import { max, rollup, sum } from "d3-array";
import type { Flow } from "./flowgraph.ts";
import type { BlockKind, Graph, Stack } from "./payload.ts";
import type { Row } from "./rows.ts";

export interface Box {
  group: number;
  stack: Stack;
  row: number;
  /** Left edge, middle height, width and height. */
  x: number;
  y: number;
  width: number;
  height: number;
  through: number;
  /** The nodes of the flow that it shows. */
  nodes: number[];
}

export interface Ribbon {
  from: number;
  to: number;
  flow: number;
  kind: BlockKind;
  same: boolean;
  cut: boolean;
  x0: number;
  y0: number;
  x1: number;
  y1: number;
  width: number;
  /** Edges of the flow that it shows. */
  edges: number[];
  /** For closure edges: the way around, below everything. */
  loop: [number, number][] | null;
}

export interface Column {
  group: number;
  stack: Stack;
  layer: number;
  x: number;
}

export interface Layout {
  width: number;
  height: number;
  /** Pixels per unit of flow. */
  scale: number;
  columns: Column[];
  rows: Row[];
  boxes: Box[];
  /** Those that carry most come first. */
  ribbons: Ribbon[];
  labels: Label[];
}

/** A row's name: left of its stack, or right of a decoder that stands beside its encoder. */
export interface Label {
  row: number;
  /** The end of the text that is nearer to the ribbons. */
  x: number;
  y: number;
  space: number;
  size: number;
  anchor: "start" | "end";
}

export interface Space {
  width: number;
  /** Room for the names left of the first stack, right of the second, and for the target's name behind these. */
  label: number;
  second: number;
  end: number;
}

export const NODE = 7;
const TOP = 30;
const BOTTOM = 14;
const GAP = 5;
/** Height that loops may take below the rows. */
const LOOPS = 64;
/** Between encoder and decoder, where cross-attention bends. */
const BETWEEN = 56;

/** The row's pitch in pixels for a number of rows. */
export function pitch(rows: number): number {
  if (rows <= 8) return 38;
  if (rows <= 16) return 30;
  if (rows <= 28) return 24;
  if (rows <= 48) return 19;
  if (rows <= 96) return 15;
  return 13;
}

/** How many columns fit with enough room between them for ribbons to be followed. */
export function columnsThatFit(space: Space, stacks: number): number {
  const room = space.width - space.label - space.second - space.end - (stacks - 1) * BETWEEN;
  return Math.max(2 * stacks, Math.floor(room / 48) + 1);
}

/** Lays out a flow. `rows` holds the rows of every stack; `groups` the groups to show, in order. */
export function layOut(graph: Graph, flow: Flow, rows: readonly Row[], groups: readonly number[], space: Space): Layout {
  const stacks = (["encoder", "decoder"] as const).filter((stack) => rows.some((row) => row.stack === stack));
  const closed = flow.edges.some((edge) => edge.kind === "closure");
  const rowOf = new Map<string, number>();
  rows.forEach((row, index) => row.positions.forEach((position) => rowOf.set(`${row.stack}${position}`, index)));

  // Columns: stacks side by side, names outside, so that cross-attention runs from one to the other over no name.
  // Loops come in between a decoder's names and its nodes.
  const lane = closed ? 26 : 0;
  const used = space.label + space.second + space.end + stacks.length * NODE + lane * 2;
  const gaps = Math.max(groups.length - stacks.length, 1);
  const step = Math.max((space.width - used - (stacks.length - 1) * BETWEEN) / gaps, 34);
  const columns: Column[] = [];
  let x = space.label;
  stacks.forEach((stack, at) => {
    x += (at > 0 ? BETWEEN : 0) + (stack === "decoder" ? lane : 0);
    groups
      .filter((group) => graph.groups[group]!.stack === stack)
      .forEach((group, index) => {
        if (index > 0) x += step;
        columns.push({ group, stack, layer: graph.groups[group]!.layer, x });
      });
    x += NODE;
  });
  const width = Math.max(space.width, x + lane + space.second + space.end);

  const boxes: Box[] = [];
  const boxOf = new Map<string, number>();
  flow.nodes.forEach((node, n) => {
    const row = rowOf.get(`${node.stack}${node.position}`);
    const column = columns.find((found) => found.group === node.group);
    if (row === undefined || column === undefined) return;
    const key = `${node.group}/${row}`;
    const known = boxOf.get(key);
    if (known !== undefined) {
      boxes[known]!.through += node.through;
      boxes[known]!.nodes.push(n);
      return;
    }
    boxOf.set(key, boxes.length);
    boxes.push({ group: node.group, stack: node.stack, row, x: column.x, y: 0, width: NODE, height: 0, through: node.through, nodes: [n] });
  });

  // A row is as high as its tallest box needs, so that a token stays on one line through all layers. The busiest
  // column and the height of all rows together set how wide a unit of flow may be.
  const busiest = max(rollup(boxes, (some) => sum(some, (box) => box.through), (box) => box.group).values()) ?? 0;
  const tallest = rows.map((_, row) => max(boxes, (box) => (box.row === row ? box.through : 0)) ?? 0);
  const heights = (scale: number, members: readonly number[]): number[] =>
    members.map((row) => Math.max(pitch(members.length), tallest[row]! * scale + GAP));
  const members = stacks.map((stack) => rows.flatMap((row, index) => (row.stack === stack ? [index] : [])));
  const least = Math.max(...members.map((some) => some.length * pitch(some.length)), 120);
  let scale = Math.min((0.45 * least) / Math.max(busiest, 1e-300), 80 / Math.max(flow.value, 1e-300));
  const totals = (): number => Math.max(...members.map((some) => sum(heights(scale, some))));
  for (let step = 0; step < 12 && totals() > 1.5 * least; step += 1) scale *= 0.85;
  const height = Math.max(totals(), least);

  const labels: Layout["labels"] = [];
  const middle = new Array<number>(rows.length).fill(0);
  members.forEach((some, at) => {
    const own = heights(scale, some);
    const spare = (height - sum(own)) / Math.max(some.length, 1);
    const first = columns.find((found) => found.stack === stacks[at] && found.layer === 0)!;
    const beside =
      at === 0
        ? { x: first.x - (first.stack === "decoder" ? lane : 0) - 6, space: space.label - 10, anchor: "end" as const }
        : { x: columns.at(-1)!.x + NODE + lane + 10, space: space.second - 12, anchor: "start" as const };
    const size = Math.max(Math.min(13, pitch(some.length) - 1), 8);
    let y = TOP;
    some.forEach((row, n) => {
      middle[row] = y + (own[n]! + spare) / 2;
      y += own[n]! + spare;
      labels.push({ ...beside, row, y: middle[row], size });
    });
  });
  for (const box of boxes) {
    box.y = middle[box.row]!;
    box.height = Math.max(box.through * scale, 1.5);
  }

  // Ribbons: parallel edges between two rows are one; at each box they stack in the order of their far ends.
  const merged = new Map<string, Ribbon>();
  flow.edges.forEach((edge, e) => {
    const [tail, head] = [flow.nodes[edge.from]!, flow.nodes[edge.to]!];
    const from = boxOf.get(`${tail.group}/${rowOf.get(`${tail.stack}${tail.position}`)}`);
    const to = boxOf.get(`${head.group}/${rowOf.get(`${head.stack}${head.position}`)}`);
    if (from === undefined || to === undefined) return;
    const key = `${from}/${to}/${edge.kind === "closure"}`;
    const known = merged.get(key);
    if (known) {
      known.flow += edge.flow;
      known.cut ||= edge.cut;
      known.edges.push(e);
      return;
    }
    const [a, b] = [boxes[from]!, boxes[to]!];
    const same = a.stack === b.stack && a.row === b.row && edge.kind !== "closure";
    merged.set(key, {
      from, to, flow: edge.flow, kind: edge.kind, same, cut: edge.cut, edges: [e], loop: null,
      x0: a.x + NODE, y0: 0, x1: b.x, y1: 0, width: 0,
    });
  });
  const ribbons = [...merged.values()].sort((one, two) => two.flow - one.flow);
  const leaving: Ribbon[][] = boxes.map(() => []);
  const entering: Ribbon[][] = boxes.map(() => []);
  for (const ribbon of ribbons) {
    ribbon.width = ribbon.flow * scale;
    leaving[ribbon.from]!.push(ribbon);
    entering[ribbon.to]!.push(ribbon);
  }
  const far = (ribbon: Ribbon, box: number): number => (ribbon.kind === "closure" ? Infinity : boxes[box]!.y);
  boxes.forEach((box, b) => {
    for (const [side, list] of [["leaving", leaving[b]!], ["entering", entering[b]!]] as const) {
      const other = (ribbon: Ribbon): number => (side === "leaving" ? ribbon.to : ribbon.from);
      list.sort((one, two) => far(one, other(one)) - far(two, other(two)) || boxes[other(one)]!.x - boxes[other(two)]!.x);
      const total = sum(list, (ribbon) => ribbon.width);
      let at = box.y - total / 2;
      for (const ribbon of list) {
        const middle = at + ribbon.width / 2;
        if (side === "leaving") ribbon.y0 = middle;
        else ribbon.y1 = middle;
        at += ribbon.width;
      }
    }
  });

  // Loops run back below the rows, nested so that none crosses another: the lowest row's innermost.
  let bottom = TOP + height + BOTTOM;
  const loops = ribbons.filter((ribbon) => ribbon.kind === "closure").sort((one, two) => two.y0 - one.y0);
  const needed = sum(loops, (ribbon) => ribbon.width + 2);
  const squeeze = Math.min(1, LOOPS / Math.max(needed, 1));
  let depth = 0;
  loops.forEach((ribbon, index) => {
    const half = ((ribbon.width + 2) * squeeze) / 2;
    depth += half;
    const aside = 8 + (index / Math.max(loops.length, 1)) * (lane - 12) + Math.min(ribbon.width / 2, 6);
    ribbon.loop = [
      [ribbon.x0, ribbon.y0],
      [ribbon.x0 + aside, ribbon.y0],
      [ribbon.x0 + aside, bottom + depth],
      [ribbon.x1 - aside, bottom + depth],
      [ribbon.x1 - aside, ribbon.y1],
      [ribbon.x1, ribbon.y1],
    ];
    depth += half;
  });
  if (loops.length > 0) bottom += depth + 8;
  return { width, height: bottom, scale, columns, rows: [...rows], boxes, ribbons, labels };
}
