import { textWidth } from "./canvas.ts";
import type { Shape } from "./scene.ts";

/** The colours in force, read from the style sheet, for what is painted rather than styled. */

export interface Colours {
  ground: string;
  raised: string;
  line: string;
  ink: string;
  soft: string;
  /** Red, green and blue of the two hues of the scale. */
  hue: string;
  against: string;
  reach: number;
  attention: string;
  residual: string;
  cross: string;
  closure: string;
  lit: string;
  cut: string;
  font: string;
}

export function colours(element: Element): Colours {
  const style = getComputedStyle(element);
  const read = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  return {
    ground: read("ground"),
    raised: read("raised"),
    line: read("line"),
    ink: read("ink"),
    soft: read("soft"),
    hue: read("hue"),
    against: read("against"),
    reach: Number(read("reach")),
    attention: read("attention"),
    residual: read("residual"),
    cross: read("cross"),
    closure: read("closure"),
    lit: read("lit"),
    cut: read("cut"),
    font: style.fontFamily,
  };
}

/** The colour of a shade from -1 to 1, laid over the ground. */
export function shade(part: number, from: Colours): string {
  const alpha = Math.abs(part) * from.reach;
  return `rgb(${part < 0 ? from.against : from.hue} / ${alpha.toFixed(3)})`;
}

/** A bar of shades with its ends in words, for a picture that is kept. */
export function scaleShapes(x: number, y: number, ends: readonly [string, string], twoSigns: boolean, from: Colours): Shape[] {
  const low = textWidth(ends[0], 12, from.font);
  const bar = Array.from({ length: 32 }, (_, n): Shape => {
    const part = twoSigns ? (n / 31) * 2 - 1 : n / 31;
    return { kind: "rect", x: x + low + 8 + n * 3, y: y - 5, width: 3, height: 10, fill: shade(part, from) };
  });
  return [
    { kind: "text", x, y, text: ends[0], size: 12, fill: from.soft },
    ...bar,
    { kind: "text", x: x + low + 8 + 96 + 8, y, text: ends[1], size: 12, fill: from.soft },
  ];
}
