/** From a score to a shade: linear from 0, one hue for each sign. */
import type { Payload, Player, Result } from "./payload.ts";

/** Which players are left pale: none, special tokens, or these and a decoder's first position too. */
export type Dim = "none" | "special" | "sinks";

export function isDim(player: Player, dim: Dim): boolean {
  return dim !== "none" && (player.quiet || (dim === "sinks" && player.sink));
}

/** The largest absolute score that is shaded: of the players left bright; of all where those are all 0. */
export function most(payload: Payload, result: Result, rows: Iterable<number>, dim: Dim): number {
  const picked = [...rows];
  const top = (which: (player: Player) => boolean): number => {
    let found = 0;
    for (const row of picked) {
      const scores = result.scores[row]!;
      payload.players.forEach((player, j) => {
        if (which(player)) found = Math.max(found, Math.abs(scores[j]!));
      });
    }
    return found;
  };
  return top((player) => !isDim(player, dim)) || top(() => true);
}

/** The shade of a score, from -1 to 1; beyond the scale it is clipped to the end. */
export function fraction(score: number, end: number): number {
  return end > 0 ? Math.max(-1, Math.min(1, score / end)) : 0;
}
