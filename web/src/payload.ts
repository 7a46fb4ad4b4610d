/** What the Python side describes a result with: see docs/view.md and attnflow.view.payload. */

export const FORMAT = "attnflow-view/1";

export type Stack = "encoder" | "decoder";
export type Matrix = number[][];

export interface Player {
  label: string;
  place: string;
  nodes: [Stack, number][];
  kind: "text" | "special" | "template" | "generated" | string;
  quiet: boolean;
  sink: boolean;
  role: string | null;
  turn: number | null;
  span: [number, number] | null;
  /** Index of the picture or clip that it is a part of; its patches by row and column; its stretch in seconds. */
  medium: number | null;
  patches: [number, number][];
  time: [number, number] | null;
}

export interface Medium {
  kind: "image" | "audio";
  name: string;
  /** Rows and columns of patches, which cover the image exactly. Of a spectrogram row 0 is the lowest band. */
  grid: [number, number] | null;
  /** Height and width in pixels, as the model saw it. */
  size: [number, number] | null;
  /** The picture as a data address. */
  image: string | null;
  duration: number | null;
  envelope: number[] | null;
}

export interface Target {
  name: string;
  place: string;
  positions: number[];
  probability: number | null;
}

export interface Token {
  position: number;
  label: string;
  kind: string;
}

export interface Sequence {
  stack: Stack;
  tokens: Token[];
}

export interface Piece {
  text: string;
  player: number | null;
  excluded?: boolean;
}

export interface PassageBlock {
  label: string | null;
  pieces: Piece[];
}

export interface Group {
  stack: Stack | "middle" | "player";
  layer: number;
  size: number;
}

export type BlockKind = "attention" | "cross" | "past" | "closure" | "players";

export interface Block {
  source: number;
  target: number;
  layer: number;
  kind: BlockKind;
}

export interface Graph {
  groups: Group[];
  blocks: Block[];
  final: number;
}

/** One realised flow: per block of the graph `[from positions, to positions, flows]`, largest first. */
export interface FlowItem {
  row: number;
  player: number | null;
  value: number;
  blocks: [number[], number[], number[]][];
  cut: number[][];
  cut_at_target: number;
  omitted: string;
}

export interface Flows {
  graph: Graph | null;
  items: FlowItem[];
  note: string;
  missing: number[];
}

export interface Result {
  name: string;
  method: string;
  recipe: string;
  caption: string;
  unit: string;
  two_signs: boolean;
  ends: [string, string];
  layers: string[];
  scores: Matrix;
  stderr: Matrix | null;
  lower: Matrix | null;
  upper: Matrix | null;
  bottleneck: Matrix | null;
  supporting: Matrix | null;
  opposing: Matrix | null;
  total: number[];
  decimals: (number | null)[];
  sentences: string[][];
  remarks: string[];
  estimated: boolean;
  flows: Flows;
  provenance: [string, string][];
}

export interface ComparisonPart {
  names: string[];
  units: string | null;
  scales: string | null;
  sentences: string[][];
  remarks: string[];
  correlation: string;
  no_order: string;
  overlap: string;
  correlations: string[][][];
  overlaps: string[][][];
  places: string[][][];
}

export interface Payload {
  format: string;
  headline: string;
  recipe: string;
  two_stacks: boolean;
  players: Player[];
  order: number[];
  excluded: Player[];
  media: Medium[];
  sequences: Sequence[];
  passage: PassageBlock[];
  targets: Target[];
  results: Result[];
  comparison: ComparisonPart | null;
  /** The same with words as players, where that could be had. */
  words?: Payload | null;
}

/** Throws unless `data` is a payload of the format that this bundle reads. */
export function checked(data: unknown): Payload {
  const format = (data as { format?: unknown } | null)?.format;
  if (format !== FORMAT) {
    throw new Error(`Expected a payload of format ${FORMAT}, found ${String(format)}: use the bundle of the same attnflow.`);
  }
  return data as Payload;
}
