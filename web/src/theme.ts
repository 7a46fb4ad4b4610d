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
