/** What is known of one player for one target, in words. */
import { decimalsFor, digits } from "./numbers.ts";
import type { Result } from "./payload.ts";
import type { View } from "./view.ts";

export type Fact = readonly [string, string] | readonly [string];

const withUnit = (text: string, unit: string): string => (unit ? `${text} ${unit}` : text);

/** Score and standard error, as text. */
export function scoreText(result: Result, row: number, player: number): string {
  const decimals = result.decimals[row]!;
  const score = digits(result.scores[row]![player]!, decimals);
  return result.stderr ? `${score} ± ${digits(result.stderr[row]![player]!, decimals)}` : score;
}

/** The least and largest share, as text; empty where the result has no bounds. */
export function intervalText(result: Result, row: number, player: number): string {
  if (!result.upper) return "";
  const high = result.upper[row]!;
  const decimals = decimalsFor(Math.max(...high, ...(result.lower?.[row] ?? [])));
  const upper = digits(high[player]!, decimals);
  return result.lower ? `${digits(result.lower[row]![player]!, decimals)} – ${upper}` : `up to ${upper}`;
}

/** The layer that limits a player's own flow, or a dash. */
export function bottleneckText(result: Result, row: number, player: number): string {
  const index = result.bottleneck?.[row]?.[player] ?? 0;
  return index > 0 ? result.layers[index - 1]! : "–";
}

/** Everything that is known of a player, for a tip. */
export function facts(view: View, player: number, result = view.result, row = view.state.target): Fact[] {
  const known = view.payload.players[player]!;
  const decimals = result.decimals[row]!;
  const found: Fact[] = [[known.label], ["Score", withUnit(scoreText(result, row, player), result.unit)]];
  if (result.supporting && result.opposing) {
    found.push(["For", digits(result.supporting[row]![player]!, decimals)]);
    found.push(["Against", digits(result.opposing[row]![player]!, decimals)]);
  }
  if (result.upper) found.push(["Interval", intervalText(result, row, player)]);
  if (result.bottleneck) found.push(["Bottleneck", bottleneckText(result, row, player)]);
  found.push(["Position", known.place]);
  if (known.kind !== "text") found.push(["Kind", known.kind]);
  if (known.role) found.push(["Role", known.role]);
  return found;
}

/** The same in one sentence, for those who listen. */
export function spoken(lines: readonly Fact[]): string {
  return lines.map((line) => (line.length === 1 ? line[0] : `${line[0]} ${line[1]}`)).join(", ");
}
