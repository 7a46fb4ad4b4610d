/**
 * A realised flow as a graph to draw: groups that are not shown taken out, positions joined into rows.
 *
 * Taking out a node joins what enters it with what leaves it in proportion, which is also how the paths through a
 * node are lit: of what leaves a node, each part comes from every entering edge in proportion to its flow.
 */
import type { BlockKind, FlowItem, Graph, Stack } from "./payload.ts";

export interface Node {
  group: number;
  stack: Stack;
  layer: number;
  position: number;
  /** What flows through: the larger of what enters and what leaves. */
  through: number;
}

export interface Edge {
  from: number;
  to: number;
  flow: number;
  kind: BlockKind;
  /** The same position of the same stack at both ends: residual stream, or attention to oneself. */
  same: boolean;
  /** Crosses the minimum cut. */
  cut: boolean;
}

/** A flow between single positions, of the groups that are shown. */
export interface Flow {
  nodes: Node[];
  edges: Edge[];
  value: number;
  /** Node by `group * stride + position`. */
  index: Map<number, number>;
  stride: number;
  /** Indices of nodes in an order in which every edge runs forwards. */
  order: number[];
}

/** Composite edges below this part of the value are dropped. */
const LEAST = 1e-7;

export function stacksOf(graph: Graph): Stack[] {
  return (["encoder", "decoder"] as const).filter((stack) => graph.groups.some((group) => group.stack === stack));
}

/** The groups that may be shown as columns: inputs and layers, without what lies inside a layer. */
export function shownGroups(graph: Graph): number[] {
  return graph.groups.flatMap((group, index) => (group.stack === "encoder" || group.stack === "decoder" ? [index] : []));
}

/** Whether a group must stay: where flow enters, ends, or branches to every decoder layer. */
export function isFixed(graph: Graph, group: number): boolean {
  const { stack, layer } = graph.groups[group]!;
  if (layer === 0 || group === graph.final) return true;
  const last = graph.groups.every((other) => other.stack !== stack || other.layer <= layer);
  return last && stack === "encoder";
}

/** Builds the flow of `item` with the groups in `hidden`, and all that lies inside a layer, taken out. */
export function buildFlow(graph: Graph, item: FlowItem, hidden: ReadonlySet<number>): Flow {
  const stride = Math.max(...graph.groups.map((group) => group.size), 1);
  // Groups count from their own place, an encoder's and a decoder's layers in the order of the graph.
  type Raw = { from: number; to: number; flow: number; kind: BlockKind; cut: boolean };
  const outgoing = new Map<number, Map<number, Raw>>();
  const incoming = new Map<number, Map<number, Raw>>();
  const least = item.value * LEAST;
  const add = (raw: Raw): void => {
    if (raw.flow < least) return;
    const out = outgoing.get(raw.from) ?? new Map<number, Raw>();
    const found = out.get(raw.to);
    if (found) {
      // Parallel ways between two nodes are one ribbon; the one that carries more names it.
      if (raw.flow > found.flow) found.kind = raw.kind;
      found.flow += raw.flow;
      found.cut ||= raw.cut;
      return;
    }
    const edge = { ...raw };
    out.set(raw.to, edge);
    outgoing.set(raw.from, out);
    const into = incoming.get(raw.to) ?? new Map<number, Raw>();
    into.set(raw.from, edge);
    incoming.set(raw.to, into);
  };
  graph.blocks.forEach((block, b) => {
    if (block.kind === "players") return;
    const [from, to, flow] = item.blocks[b]!;
    const crossing = new Set(item.cut[b]!);
    for (let e = 0; e < flow.length; e += 1)
      add({
        from: block.source * stride + from[e]!,
        to: block.target * stride + to[e]!,
        flow: flow[e]!,
        kind: block.kind,
        cut: crossing.has(e),
      });
  });
  graph.groups.forEach((group, g) => {
    if (group.stack !== "middle" && !(hidden.has(g) && !isFixed(graph, g))) return;
    for (let position = 0; position < group.size; position += 1) {
      const node = g * stride + position;
      const into = [...(incoming.get(node)?.values() ?? [])];
      const out = [...(outgoing.get(node)?.values() ?? [])];
      incoming.delete(node);
      outgoing.delete(node);
      for (const edge of into) outgoing.get(edge.from)?.delete(node);
      for (const edge of out) incoming.get(edge.to)?.delete(node);
      const through = Math.max(sum(into), sum(out));
      if (through === 0) continue;
      for (const a of into)
        for (const b of out)
          add({ from: a.from, to: b.to, flow: (a.flow * b.flow) / through, kind: joined(a.kind, b.kind), cut: a.cut || b.cut });
    }
  });

  const nodes: Node[] = [];
  const index = new Map<number, number>();
  const node = (key: number): number => {
    const known = index.get(key);
    if (known !== undefined) return known;
    const group = Math.floor(key / stride);
    const { stack, layer } = graph.groups[group]!;
    nodes.push({ group, stack: stack as Stack, layer, position: key % stride, through: 0 });
    index.set(key, nodes.length - 1);
    return nodes.length - 1;
  };
  const edges: Edge[] = [];
  for (const out of outgoing.values())
    for (const { from, to, flow, kind, cut } of out.values()) {
      const [tail, head] = [node(from), node(to)];
      const same = nodes[tail]!.stack === nodes[head]!.stack && nodes[tail]!.position === nodes[head]!.position;
      edges.push({ from: tail, to: head, flow, kind, cut, same: same && kind !== "closure" });
    }
  const enters = new Float64Array(nodes.length);
  const leaves = new Float64Array(nodes.length);
  for (const edge of edges) {
    leaves[edge.from]! += edge.flow;
    enters[edge.to]! += edge.flow;
  }
  nodes.forEach((found, n) => {
    found.through = Math.max(enters[n]!, leaves[n]!);
  });
  return { nodes, edges, value: item.value, index, stride, order: topological(nodes.length, edges) };
}

function joined(one: BlockKind, other: BlockKind): BlockKind {
  if (one === "closure" || other === "closure") return "closure";
  if (one === "cross" || other === "cross") return "cross";
  return "attention";
}

function sum(edges: readonly { flow: number }[]): number {
  return edges.reduce((total, edge) => total + edge.flow, 0);
}

/** Nodes in an order in which edges run forwards; nodes on a cycle, which no flow here has, come last. */
function topological(size: number, edges: readonly Edge[]): number[] {
  const waiting = new Int32Array(size);
  const out: number[][] = Array.from({ length: size }, () => []);
  for (const edge of edges) {
    waiting[edge.to]! += 1;
    out[edge.from]!.push(edge.to);
  }
  const order: number[] = [];
  for (let n = 0; n < size; n += 1) if (waiting[n] === 0) order.push(n);
  for (let at = 0; at < order.length; at += 1)
    for (const next of out[order[at]!]!) {
      waiting[next]! -= 1;
      if (waiting[next] === 0) order.push(next);
    }
  if (order.length < size) {
    const seen = new Set(order);
    for (let n = 0; n < size; n += 1) if (!seen.has(n)) order.push(n);
  }
  return order;
}

/** Per edge the part of its flow that runs through any of `seeds`, decomposed in proportion at every node. */
export function lit(flow: Flow, seeds: Iterable<number>): Float64Array {
  const found = new Float64Array(flow.edges.length);
  const start = new Set(seeds);
  const out: number[][] = flow.nodes.map(() => []);
  const into: number[][] = flow.nodes.map(() => []);
  flow.edges.forEach((edge, e) => {
    out[edge.from]!.push(e);
    into[edge.to]!.push(e);
  });
  for (const forwards of [true, false]) {
    const share = new Float64Array(flow.nodes.length);
    const received = new Float64Array(flow.nodes.length);
    const order = forwards ? flow.order : [...flow.order].reverse();
    for (const n of order) {
      const through = flow.nodes[n]!.through;
      share[n] = start.has(n) ? 1 : through > 0 ? Math.min(received[n]! / through, 1) : 0;
      if (share[n] === 0) continue;
      for (const e of (forwards ? out : into)[n]!) {
        const edge = flow.edges[e]!;
        const part = share[n]! * edge.flow;
        found[e] = Math.max(found[e]!, Math.min(part, edge.flow));
        received[forwards ? edge.to : edge.from]! += part;
      }
    }
  }
  return found;
}
