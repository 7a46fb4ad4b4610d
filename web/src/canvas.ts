/** Canvases as sharp as the screen. */

/** A range of heights of a picture. */
export interface Span {
  top: number;
  bottom: number;
}

/** Makes a canvas `width` by `height` and clears it, or of one that is so already only `part`. */
export function fit(canvas: HTMLCanvasElement, width: number, height: number, part: Span | null = null): CanvasRenderingContext2D {
  // A browser gives up on canvases beyond some size: larger pictures are less sharp rather than blank.
  const ratio = Math.min(window.devicePixelRatio || 1, 2, 16384 / Math.max(width, height, 1));
  const [w, h] = [Math.max(1, Math.round(width * ratio)), Math.max(1, Math.round(height * ratio))];
  if (canvas.width !== w) canvas.width = w;
  if (canvas.height !== h) canvas.height = h;
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d")!;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  if (part) context.clearRect(0, part.top, width, part.bottom - part.top);
  else context.clearRect(0, 0, width, height);
  return context;
}

/** What of a canvas is in the window, with some room around; null: all of it, or nearly. */
export function inWindow(canvas: HTMLCanvasElement): Span | null {
  const { top, bottom, height } = canvas.getBoundingClientRect();
  const seen = { top: Math.max(0, -top - SLACK), bottom: Math.min(height, height - (bottom - window.innerHeight) + SLACK) };
  return seen.bottom - seen.top > 0.8 * height ? null : seen;
}
const SLACK = 100;

const measuring = (): CanvasRenderingContext2D => document.createElement("canvas").getContext("2d")!;
let shared: CanvasRenderingContext2D | null = null;
/** Measuring is slow, and the same labels are measured in every frame. */
const widths = new Map<string, number>();

export function textWidth(text: string, size: number, font: string, weight = 400): number {
  const style = `${weight} ${size}px ${font}`;
  const key = `${style}/${text}`;
  const known = widths.get(key);
  if (known !== undefined) return known;
  shared ??= measuring();
  shared.font = style;
  const found = shared.measureText(text).width;
  if (widths.size > 20_000) widths.clear();
  widths.set(key, found);
  return found;
}

/** `text`, or as much of its beginning as fits with an ellipsis behind it. */
export function shortened(text: string, most: number, size: number, font: string, weight = 400): string {
  if (textWidth(text, size, font, weight) <= most) return text;
  const signs = [...text];
  let low = 0;
  let high = signs.length;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (textWidth(`${signs.slice(0, middle).join("")}…`, size, font, weight) <= most) low = middle;
    else high = middle - 1;
  }
  return `${signs.slice(0, low).join("")}…`;
}
