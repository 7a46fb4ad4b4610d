import assert from "node:assert/strict";
import { test } from "node:test";
import { buildFlow } from "../src/flowgraph.ts";
import { columnsThatFit, layOut } from "../src/layout.ts";
import { runs } from "../src/matrix.ts";
import { seconds, ticks, wave, zones } from "../src/media.ts";
import { counted, decimalsFor, digits, percent, single } from "../src/numbers.ts";
import { strongest } from "../src/overview.ts";
import { checked, type FlowItem, FORMAT, type Graph, type Medium, type Payload, type Player, type Result } from "../src/payload.ts";
import { everyRow, joinRows } from "../src/rows.ts";
import { escaped, heightAt, toSvg } from "../src/scene.ts";
import { fraction, isDim, most } from "../src/shading.ts";
import type { Colours } from "../src/theme.ts";

const player = (label: string, position: number, more: Partial<Player> = {}): Player => ({
  label, place: String(position), nodes: [["encoder", position]], kind: "text", quiet: false, sink: false, role: null, turn: null, span: null,
  medium: null, patches: [], time: null, ...more,
});

test("numbers are short, and never a false zero", () => {
  assert.equal(digits(0, 3), "0");
  assert.equal(digits(0.0004, 3), "<0.001");
  assert.equal(digits(-0.0004, 3), ">-0.001");
  assert.equal(digits(1234.5, 1), "1,234.5");
  assert.equal(digits(1.5e-9, null), "1.50×10⁻⁹");
  assert.equal(digits(-2.34e12, null), "-2.34×10¹²");
  assert.deepEqual([1234, 12.3, 0.0915, 0.00012, 1.2e-5, 0].map(decimalsFor), [0, 1, 4, 6, null, 3]);
  assert.deepEqual([1, 0.0915, 12.345, -0].map(single), ["1", "0.0915", "12.3", "0"]);
  assert.deepEqual([0, 1, 0.123, 0.00042, 0.9999].map(percent), ["0%", "100%", "12%", "0.04%", ">99.9%"]);
  assert.deepEqual([counted(1, "token"), counted(1200, "token")], ["1 token", "1,200 tokens"]);
});

test("a payload of another format is refused", () => {
  assert.throws(() => checked({ format: "attnflow-view/2" }), /attnflow-view\/1, found attnflow-view\/2/);
  assert.throws(() => checked(null), /found undefined/);
  assert.ok(checked({ format: FORMAT }));
});

test("dimmed players do not set the scale, unless nothing else scores", () => {
  const players = [player("[CLS]", 0, { quiet: true }), player("a", 1, { sink: true }), player("b", 2)];
  const payload = { players } as Payload;
  const result = { scores: [[5, -2, 1], [5, 0, 0]] } as unknown as Result;
  assert.equal(most(payload, result, [0], "none"), 5);
  assert.equal(most(payload, result, [0], "special"), 2);
  assert.equal(most(payload, result, [0], "sinks"), 1);
  assert.equal(most(payload, result, [1], "special"), 5);
  assert.ok(isDim(players[1]!, "sinks") && !isDim(players[1]!, "special"));
  assert.deepEqual([fraction(-4, 2), fraction(1, 2), fraction(1, 0)], [-1, 0.5, 0]);
});

/** `size` tokens through two layers, all to token 0; token j sends j + 1 parts. */
function fan(size: number): { graph: Graph; item: FlowItem; payload: Payload } {
  const every = Array.from({ length: size }, (_, n) => n);
  const total = (size * (size + 1)) / 2;
  const flow = every.map((n) => (n + 1) / total);
  const graph: Graph = {
    groups: [0, 1, 2].map((layer) => ({ stack: "encoder", layer, size })),
    blocks: [0, 1].map((source) => ({ source, target: source + 1, layer: source + 1, kind: "attention" })),
    final: 2,
  };
  const item: FlowItem = { row: 0, player: null, value: 1, blocks: [[every, every, flow], [every, every.map(() => 0), flow]], cut: [[], every], cut_at_target: 0, omitted: "" };
  const payload = { players: every.map((n) => player(`t${n}`, n)), sequences: [] } as unknown as Payload;
  return { graph, item, payload };
}

for (const size of [1, 3, 40, 128, 512])
  test(`boxes of ${size} tokens neither overlap nor leave the picture`, () => {
    const { graph, item, payload } = fan(size);
    const flow = buildFlow(graph, item, new Set());
    const rows = everyRow(payload, "encoder", size);
    const laid = layOut(graph, flow, rows, [0, 1, 2], { width: 900, label: 80, second: 0, end: 90 });
    for (const { group } of laid.columns) {
      const boxes = laid.boxes.filter((box) => box.group === group).sort((a, b) => a.y - b.y);
      boxes.forEach((box, n) => {
        assert.ok(box.y - box.height / 2 >= 0 && box.y + box.height / 2 <= laid.height);
        const next = boxes[n + 1];
        if (next) assert.ok(box.y + box.height / 2 <= next.y - next.height / 2 + 1e-6);
      });
    }
    const labels = laid.labels.map((label) => label.y).sort((a, b) => a - b);
    labels.forEach((y, n) => n > 0 && assert.ok(y - labels[n - 1]! >= 10));
    assert.ok(laid.columns.every((column) => column.x >= 80 && column.x < laid.width - 80));
    // Ribbons fill the sides of their boxes, and rows are straight.
    for (const box of laid.boxes) {
      const b = laid.boxes.indexOf(box);
      const entering = laid.ribbons.filter((ribbon) => ribbon.to === b).reduce((sum, ribbon) => sum + ribbon.width, 0);
      if (entering > 0) assert.ok(Math.abs(entering - box.through * laid.scale) < 1e-6);
    }
    assert.equal(new Set(laid.boxes.filter((box) => box.row === 0).map((box) => box.y)).size, 1);
  });

test("tokens that carry little are joined, none is lost, and what is asked for stays", () => {
  const { graph, item, payload } = fan(200);
  const flow = buildFlow(graph, item, new Set());
  const rows = everyRow(payload, "encoder", 200);
  const joined = joinRows(rows, flow, 24, (row) => row.positions.includes(17));
  assert.ok(joined.length <= 2 * 26);
  assert.deepEqual(joined.flatMap((row) => row.positions), [...Array(200).keys()]);
  assert.ok(joined.some((row) => !row.joined && row.positions[0] === 17));
  assert.ok(joined.some((row) => !row.joined && row.positions[0] === 199));
  assert.match(joined.find((row) => row.joined)!.label, /^\d+ more$/);
  const laid = layOut(graph, flow, joined, [0, 1, 2], { width: 900, label: 80, second: 0, end: 90 });
  const sent = laid.boxes.filter((box) => box.group === 0).reduce((sum, box) => sum + box.through, 0);
  assert.ok(Math.abs(sent - 1) < 1e-9);
});

test("words that hold several tokens are one row", () => {
  const payload = { players: [player("playing", 0, { nodes: [["encoder", 0], ["encoder", 1]] }), player("on", 2)], sequences: [] } as unknown as Payload;
  assert.deepEqual(everyRow(payload, "encoder", 3).map((row) => [row.label, row.positions]), [["playing", [0, 1]], ["on", [2]]]);
});

test("narrow pictures get fewer columns", () => {
  const room = { label: 80, second: 0, end: 70 };
  assert.ok(columnsThatFit({ ...room, width: 360 }, 1) < 7);
  assert.ok(columnsThatFit({ ...room, width: 1200 }, 1) >= 13);
  assert.equal(columnsThatFit({ ...room, width: 100 }, 2), 4);
});

test("names of a decoder beside its encoder stand where no ribbon runs", () => {
  const graph: Graph = {
    groups: [
      { stack: "encoder", layer: 0, size: 2 },
      { stack: "encoder", layer: 1, size: 2 },
      { stack: "decoder", layer: 0, size: 2 },
      { stack: "decoder", layer: 1, size: 2 },
    ],
    blocks: [
      { source: 0, target: 1, layer: 1, kind: "attention" },
      { source: 2, target: 3, layer: 2, kind: "attention" },
      { source: 1, target: 3, layer: 3, kind: "cross" },
      { source: 3, target: 2, layer: 0, kind: "closure" },
    ],
    final: 3,
  };
  const blocks: FlowItem["blocks"] = [
    [[0, 1], [0, 1], [0.5, 0.3]],
    [[0, 1], [0, 1], [0.2, 0.1]],
    [[0, 1], [0, 1], [0.5, 0.3]],
    [[0], [1], [0.1]],
  ];
  const item: FlowItem = { row: 0, player: null, value: 1, blocks, cut: [[], [], [], []], cut_at_target: 0, omitted: "" };
  const payload = { players: [], sequences: [] } as unknown as Payload;
  const rows = (["encoder", "decoder"] as const).flatMap((stack) => everyRow(payload, stack, 2));
  const laid = layOut(graph, buildFlow(graph, item, new Set()), rows, [0, 1, 2, 3], { width: 900, label: 80, second: 70, end: 60 });
  assert.equal(laid.labels.length, 4);
  for (const { x, space, anchor } of laid.labels) {
    const [left, right] = anchor === "end" ? [x - space, x] : [x, x + space];
    assert.ok(left >= 0 && right <= laid.width);
    for (const ribbon of laid.ribbons) {
      if (ribbon.loop) for (const [at] of ribbon.loop) assert.ok(at <= left || at >= right);
      else assert.ok(ribbon.x1 <= left || ribbon.x0 >= right);
    }
  }
});

test("a ribbon's middle runs from end to end", () => {
  const shape = { x0: 0, y0: 10, x1: 100, y1: 50 };
  assert.ok(Math.abs(heightAt(shape, 0) - 10) < 1e-3);
  assert.ok(Math.abs(heightAt(shape, 50) - 30) < 1e-3);
  assert.ok(Math.abs(heightAt(shape, 100) - 50) < 1e-3);
});

test("long axes are split into even runs that hold everything", () => {
  const split = runs([...Array(10).keys()], 3);
  assert.deepEqual(split.flat(), [...Array(10).keys()]);
  assert.equal(split.length, 3);
  assert.deepEqual(runs([1, 2], 5), [[1], [2]]);
});

test("an overview keeps the strongest shade of each run, whichever way it speaks", () => {
  assert.deepEqual(strongest([0.1, -0.9, 0.3, 0, 0.2], runs([0, 1, 2, 3, 4], 2)), [-0.9, 0.3]);
  assert.deepEqual(strongest([0, 0], [[0], [1]]), [0, 0]);
});

test("patches and stretches of time stand where they are", () => {
  const patch = player("patch 1,2", 0, { medium: 0, patches: [[1, 2]] });
  const image = { kind: "image", name: "image", grid: [2, 4], size: [20, 40], image: null, duration: null, envelope: null } as const;
  const medium = { ...image, grid: [2, 4] as [number, number], size: [20, 40] as [number, number] };
  assert.deepEqual(zones([patch], 0, medium, 400, 200, 0), [{ player: 0, x: 200, y: 100, width: 100, height: 100 }]);
  assert.deepEqual(zones([patch], 0, { ...medium, kind: "audio" }, 400, 200, 2)[0]!.y, 0); // low bands at the bottom
  const frame = player("frame", 0, { medium: 0, time: [0.5, 1] });
  assert.deepEqual(zones([frame], 0, { ...medium, grid: null, kind: "audio" }, 400, 50, 2), [{ player: 0, x: 100, y: 0, width: 100, height: 50 }]);
  assert.ok(ticks(2).length <= 9 && ticks(2).at(-1)! <= 2);
});

test("a clip's wave ends where the clip ends, not where the model's window does", () => {
  const clip = { kind: "audio", name: "audio", grid: null, size: null, image: null, duration: 2, envelope: [0.5, 1] } as unknown as Medium;
  const frames = [player("0-4 s", 0, { medium: 0, time: [0, 4] }), player("4-8 s", 0, { medium: 0, time: [4, 8] }), player("other", 0, { medium: 1, time: [0, 30] })];
  assert.equal(seconds(frames, 0, clip), 8);
  assert.equal(seconds([], 0, clip), 2);
  const bars = wave(clip.envelope!, 400 * (2 / 8), 50, "#000");
  assert.ok(bars.every((bar) => bar.kind === "rect" && bar.x + bar.width <= 100));
  assert.equal(bars.length, 2);
});

test("what a token says is text in the SVG too", () => {
  assert.equal(escaped(`<img src=x onerror="1">&'`), "&lt;img src=x onerror=&quot;1&quot;&gt;&amp;&#39;");
  const from = { ground: "#fff", font: 'x", y' } as Colours;
  const svg = toSvg({ width: 10, height: 10, shapes: [{ kind: "text", x: 1, y: 1, text: "<script>alert(1)</script>", fill: "#000", size: 10 }] }, from);
  assert.ok(!svg.includes("<script"));
  assert.ok(svg.includes("&lt;script&gt;"));
});
