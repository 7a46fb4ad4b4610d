/** Numbers as a reader wants them: few digits, the same for a whole column, never a false zero. */

const RAISED: Record<string, string> = { "-": "⁻", ...Object.fromEntries([..."⁰¹²³⁴⁵⁶⁷⁸⁹"].map((sign, digit) => [String(digit), sign])) };

const grouped = (value: number, decimals: number): string =>
  value.toLocaleString("en-US", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });

/** `value` with the column's digits; null: scientific. 0 only for an exact zero, `<0.001` for what rounding hides. */
export function digits(value: number, decimals: number | null): string {
  if (value === 0) return "0";
  if (decimals === null) {
    const [digits, power] = value.toExponential(2).split("e");
    return `${digits}×10${[...String(Number(power))].map((sign) => RAISED[sign]).join("")}`;
  }
  const text = grouped(value, decimals);
  if (Number(text.replaceAll(",", "")) === 0) {
    const least = (10 ** -decimals).toFixed(decimals);
    return value > 0 ? `<${least}` : `>-${least}`;
  }
  return text;
}

/** Digits after the point that give `largest` three significant ones; null: scientific. */
export function decimalsFor(largest: number): number | null {
  if (largest === 0) return 3;
  const size = Math.floor(Math.log10(Math.abs(largest)));
  return size < -4 || size > 6 ? null : Math.max(2 - size, 0);
}

/** One number on its own: three significant digits, whole numbers without a point. */
export function single(value: number): string {
  const near = Math.round(value);
  if (Math.abs(value - near) < 5e-7 && Math.abs(near) < 1e6) return grouped(near, 0).replace("-0", "0");
  return digits(value, decimalsFor(value));
}

/** A part of a whole as a percentage, never rounded to a false 0 or 100. */
export function percent(part: number): string {
  const value = part * 100;
  if (value > 0 && value < 0.001) return "<0.001%";
  if (value > 0 && value < 0.1) return `${Number(value.toPrecision(1))}%`;
  if (value > 99.9 && value < 100 - 1e-6) return ">99.9%";
  if (value === 0 || value >= 100 - 1e-6) return `${Math.round(value)}%`;
  return `${value < 10 ? value.toFixed(1) : value < 99 ? value.toFixed(0) : value.toFixed(1)}%`;
}

/** `1 token`, `2 tokens`, `1,200 tokens`. */
export function counted(count: number, noun: string): string {
  return `${grouped(count, 0)} ${noun}${count === 1 ? "" : "s"}`;
}
