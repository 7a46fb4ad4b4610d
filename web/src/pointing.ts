/** What of the flow picture is where, and what lies next to it. */
import type { Graph } from "./payload.ts";
import { type Layout, NODE, type Ribbon } from "./layout.ts";
import { heightAt } from "./scene.ts";

/** Index of the box at a point, or of the input that the label there names; null: neither. */
export function boxAt(graph: Graph, layout: Layout, x: number, y: number): number | null {
  let best: number | null = null;
  let distance = Infinity;
  layout.boxes.forEach((box, b) => {
    const dx = Math.abs(x - box.x - NODE / 2);
    const dy = Math.max(Math.abs(y - box.y) - box.height / 2, 0);
    if (dx < 9 && dy < 5 && dx + 2 * dy < distance) {
      distance = dx + 2 * dy;
      best = b;
    }
  });
  if (best !== null) return best;
  const label = layout.labels.find(({ anchor, size, space, ...one }) => {
    const into = anchor === "end" ? one.x - x : x - one.x;
    return into >= -4 && into < space && Math.abs(y - one.y) <= size / 2 + 1;
  });
  const input = label ? layout.boxes.findIndex((box) => box.row === label.row && graph.groups[box.group]!.layer === 0) : -1;
  return input >= 0 ? input : null;
}

/** The narrowest of the ribbons at a point, or null. */
export function ribbonAt(drawn: readonly Ribbon[], x: number, y: number): Ribbon | null {
  let best: Ribbon | null = null;
  for (const ribbon of drawn) {
    if (ribbon.loop || x < ribbon.x0 || x > ribbon.x1) continue;
    const near = Math.abs(y - heightAt(ribbon, x)) <= Math.max(ribbon.width / 2, 2);
    if (near && (best === null || ribbon.width < best.width)) best = ribbon;
  }
  return best;
}

/** The box that an arrow key leads to from `at`: the nearest of the next column, or the next in this one. */
export function boxBeside(layout: Layout, at: number | null, dx: number, dy: number): number | null {
  const { boxes, columns } = layout;
  const nearest = (from: number, wanted: (b: number) => boolean): number | null => {
    let best: number | null = null;
    boxes.forEach((box, b) => {
      if (wanted(b) && (best === null || Math.abs(box.y - from) < Math.abs(boxes[best]!.y - from))) best = b;
    });
    return best;
  };
  if (at === null) return nearest(0, (b) => boxes[b]!.group === columns[0]!.group);
  const here = boxes[at]!;
  const group = columns[columns.findIndex((column) => column.group === here.group) + dx]?.group;
  return nearest(here.y, (b) => b !== at && boxes[b]!.group === group && (dy === 0 || (boxes[b]!.y - here.y) * dy > 0));
}
