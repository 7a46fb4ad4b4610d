import assert from "node:assert/strict";
import { test } from "node:test";
import { buildFlow, type Flow, isFixed, lit, shownGroups } from "../src/flowgraph.ts";
import type { FlowItem, Graph } from "../src/payload.ts";

/** Three tokens, three layers; 1 unit from tokens 0 and 2 to token 0, half of it through token 1. */
const graph: Graph = {
  groups: [0, 1, 2, 3].map((layer) => ({ stack: "encoder", layer, size: 3 })),
  blocks: [0, 1, 2].map((source) => ({ source, target: source + 1, layer: source + 1, kind: "attention" })),
  final: 3,
};
const item: FlowItem = {
  row: 0,
  player: null,
  value: 1,
  blocks: [
    [[0, 0, 2], [0, 1, 1], [0.5, 0.2, 0.3]],
    [[0, 1, 1], [0, 1, 2], [0.5, 0.25, 0.25]],
    [[0, 1, 2], [0, 0, 0], [0.5, 0.25, 0.25]],
  ],
  cut: [[], [], [0, 1, 2]],
  cut_at_target: 0,
  omitted: "",
};

const close = (one: number, other: number): void => assert.ok(Math.abs(one - other) < 1e-9, `${one} is not ${other}`);
const at = (flow: Flow, group: number, position: number): number => flow.index.get(group * flow.stride + position)!;
const into = (flow: Flow, n: number): number => flow.edges.filter((edge) => edge.to === n).reduce((sum, edge) => sum + edge.flow, 0);

test("a flow keeps its nodes, amounts and cut", () => {
  const flow = buildFlow(graph, item, new Set());
  assert.equal(flow.edges.length, 9);
  close(flow.nodes[at(flow, 1, 1)]!.through, 0.5);
  assert.equal(flow.edges.filter((edge) => edge.cut).length, 3);
  assert.equal(flow.edges.filter((edge) => edge.same).length, 4);
});

test("folding layers keeps what every player sends and the target gets", () => {
  for (const hidden of [[1], [2], [1, 2]]) {
    const flow = buildFlow(graph, item, new Set(hidden));
    assert.ok(flow.nodes.every((node) => !hidden.includes(node.group)));
    close(flow.nodes[at(flow, 0, 0)]!.through, 0.7);
    close(flow.nodes[at(flow, 0, 2)]!.through, 0.3);
    close(into(flow, at(flow, 3, 0)), 1);
    const crossing = flow.edges.filter((edge) => edge.cut).reduce((sum, edge) => sum + edge.flow, 0);
    close(crossing, 1);
  }
});

test("inputs, the last layer and the encoder's end are never folded", () => {
  const flow = buildFlow(graph, item, new Set([0, 1, 2, 3]));
  assert.deepEqual([...new Set(flow.nodes.map((node) => node.group))].sort(), [0, 3]);
  assert.deepEqual(shownGroups(graph).filter((group) => isFixed(graph, group)), [0, 3]);
});

test("the paths of a player carry its share to the target", () => {
  for (const hidden of [[], [1], [1, 2]]) {
    const flow = buildFlow(graph, item, new Set(hidden));
    for (const [position, share] of [[0, 0.7], [2, 0.3]] as const) {
      const parts = lit(flow, [at(flow, 0, position)]);
      close(
        flow.edges.reduce((sum, edge, e) => (edge.to === at(flow, 3, 0) ? sum + parts[e]! : sum), 0),
        share,
      );
      flow.edges.forEach((edge, e) => assert.ok(parts[e]! <= edge.flow + 1e-12));
    }
  }
});

test("a node lights what leads to it and what it feeds, and nothing else", () => {
  const flow = buildFlow(graph, item, new Set());
  const parts = lit(flow, [at(flow, 1, 1)]);
  const amount = (from: [number, number], to: [number, number]): number =>
    parts[flow.edges.findIndex((edge) => edge.from === at(flow, ...from) && edge.to === at(flow, ...to))]!;
  close(amount([0, 0], [1, 1]), 0.2);
  close(amount([0, 2], [1, 1]), 0.3);
  close(amount([2, 2], [3, 0]), 0.25);
  close(amount([0, 0], [1, 0]), 0);
  close(amount([2, 0], [3, 0]), 0);
});

test("a generated token's feedback is followed to the prompt", () => {
  // One layer; the prompt is position 0, position 1 was decided by D(1, 0).
  const closed: Graph = {
    groups: [0, 1].map((layer) => ({ stack: "decoder", layer, size: 2 })),
    blocks: [
      { source: 0, target: 1, layer: 1, kind: "attention" },
      { source: 1, target: 0, layer: 0, kind: "closure" },
    ],
    final: 1,
  };
  const flow = buildFlow(
    closed,
    { ...item, blocks: [[[0, 0, 1], [0, 1, 1], [0.6, 0.4, 0.6]], [[0], [1], [0.6]]], cut: [[], []] },
    new Set(),
  );
  const parts = lit(flow, [at(flow, 0, 0)]);
  close(flow.edges.reduce((sum, edge, e) => (edge.to === at(flow, 1, 1) ? sum + parts[e]! : sum), 0), 1);
  assert.equal(flow.edges.filter((edge) => edge.kind === "closure" && !edge.same).length, 1);
});

test("what lies inside a decoder layer is taken out, and players in front of tokens too", () => {
  const mixed: Graph = {
    groups: [
      { stack: "player", layer: 0, size: 1 },
      { stack: "encoder", layer: 0, size: 1 },
      { stack: "decoder", layer: 0, size: 1 },
      { stack: "middle", layer: 1, size: 1 },
      { stack: "decoder", layer: 1, size: 1 },
    ],
    blocks: [
      { source: 0, target: 1, layer: 0, kind: "players" },
      { source: 2, target: 3, layer: 1, kind: "attention" },
      { source: 3, target: 4, layer: 2, kind: "past" },
      { source: 1, target: 4, layer: 2, kind: "cross" },
    ],
    final: 4,
  };
  const one = (flow: number): [number[], number[], number[]] => [[0], [0], [flow]];
  const flow = buildFlow(mixed, { ...item, blocks: [one(0.7), one(0.3), one(0.3), one(0.7)], cut: [[], [], [], []] }, new Set());
  assert.deepEqual(flow.edges.map((edge) => [edge.kind, edge.flow]).sort(), [["attention", 0.3], ["cross", 0.7]]);
});
