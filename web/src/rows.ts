/** Rows of the flow picture: one per token, word, or run of tokens that carry little. */
import type { Flow } from "./flowgraph.ts";
import type { Payload, Stack } from "./payload.ts";

export interface Row {
  stack: Stack;
  positions: number[];
  label: string;
  /** Index of the one player it shows, or null. */
  player: number | null;
  /** A run of tokens joined because they carry little. */
  joined: boolean;
  quiet: boolean;
}

/** Every row of a stack, before any are joined: words where players are words, else single positions. */
export function everyRow(payload: Payload, stack: Stack, size: number): Row[] {
  const tokens = new Map(payload.sequences.find((found) => found.stack === stack)?.tokens.map((token) => [token.position, token]));
  const rows: Row[] = [];
  const taken = new Set<number>();
  const owner = new Map<number, number>();
  payload.players.forEach((player, j) => {
    for (const [where, position] of player.nodes) if (where === stack) owner.set(position, j);
  });
  for (let position = 0; position < size; position += 1) {
    if (taken.has(position)) continue;
    const j = owner.get(position);
    const token = tokens.get(position);
    if (j === undefined) {
      const kind = token?.kind ?? "text";
      rows.push({
        stack,
        positions: [position],
        label: token?.label ?? String(position),
        player: null,
        joined: false,
        quiet: kind === "special" || kind === "template",
      });
      continue;
    }
    const player = payload.players[j]!;
    const positions = player.nodes.filter(([where]) => where === stack).map(([, at]) => at);
    positions.forEach((at) => taken.add(at));
    rows.push({ stack, positions, label: player.label, player: j, joined: false, quiet: player.quiet });
  }
  return rows;
}

/** Keeps the `most` rows that carry most at their widest, and `always`; joins each run of others into one row. */
export function joinRows(rows: readonly Row[], flow: Flow, most: number, always: (row: Row) => boolean): Row[] {
  if (rows.length <= most) return [...rows];
  const peak = new Map<number, number>();
  const stack = rows[0]!.stack;
  for (const node of flow.nodes)
    if (node.stack === stack) peak.set(node.position, Math.max(peak.get(node.position) ?? 0, node.through));
  const weight = rows.map((row) => Math.max(...row.positions.map((position) => peak.get(position) ?? 0)));
  const ranked = rows.map((_, index) => index).sort((a, b) => weight[b]! - weight[a]! || a - b);
  const kept = new Set(ranked.slice(0, most).filter((index) => weight[index]! > 0));
  rows.forEach((row, index) => {
    if (always(row)) kept.add(index);
  });
  const found: Row[] = [];
  let run: Row[] = [];
  const close = (): void => {
    if (run.length === 1) found.push(run[0]!);
    else if (run.length > 1) {
      const positions = run.flatMap((row) => row.positions);
      found.push({ stack, positions, label: `${run.length} more`, player: null, joined: true, quiet: true });
    }
    run = [];
  };
  rows.forEach((row, index) => {
    if (kept.has(index)) {
      close();
      found.push(row);
    } else run.push(row);
  });
  close();
  return found;
}
