/** Pictures as lists of shapes, painted on a canvas or written as SVG: what is saved is what is seen. */
import { type Area, area, curveBumpX, line } from "d3-shape";
import type { Colours } from "./theme.ts";

export type Shape =
  | { kind: "rect"; x: number; y: number; width: number; height: number; fill: string; radius?: number; stroke?: string }
  /** A band between two vertical edges, wide `from` at the left and `to` at the right. */
  | { kind: "ribbon"; x0: number; y0: number; x1: number; y1: number; width: number; fill: string; alpha: number }
  | { kind: "path"; points: [number, number][]; stroke: string; width: number; alpha?: number; dash?: number[]; round?: number }
  | {
      kind: "text";
      x: number;
      y: number;
      text: string;
      fill: string;
      size: number;
      anchor?: "start" | "middle" | "end";
      weight?: number;
      angle?: number;
      halo?: string;
      most?: number;
    }
  | { kind: "image"; x: number; y: number; width: number; height: number; href: string };

export interface Scene {
  width: number;
  height: number;
  shapes: Shape[];
}

/** Thinner ribbons are stroked, so that they do not vanish between pixels. */
const HAIR = 1;

type Edge = readonly [x: number, y: number];

const ends = (shape: Extract<Shape, { kind: "ribbon" }>): Edge[] => [
  [shape.x0, shape.y0],
  [shape.x1, shape.y1],
];

/** The same curve for canvas and SVG: leaves and arrives level. */
const hairline = line<Edge>().x((end) => end[0]).y((end) => end[1]).curve(curveBumpX).digits(2);
const band = (width: number): Area<Edge> =>
  area<Edge>().x((end) => end[0]).y0((end) => end[1] - width / 2).y1((end) => end[1] + width / 2).curve(curveBumpX).digits(2);

/** Height of a ribbon's middle at the horizontal position `x`. */
export function heightAt(shape: { x0: number; y0: number; x1: number; y1: number }, x: number): number {
  const { x0, y0, x1, y1 } = shape;
  if (x1 === x0) return y0;
  // Both control points lie half way: x(t) and y(t) are cubics of one parameter, found by bisection.
  const middle = (x0 + x1) / 2;
  const at = (t: number, a: number, b: number, c: number, d: number): number =>
    (1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t * t * c + t ** 3 * d;
  let low = 0;
  let high = 1;
  for (let step = 0; step < 20; step += 1) {
    const t = (low + high) / 2;
    if (at(t, x0, middle, middle, x1) < x) low = t;
    else high = t;
  }
  return at((low + high) / 2, y0, y0, y1, y1);
}

export function paint(context: CanvasRenderingContext2D, scene: Scene, font: string): void {
  for (const shape of scene.shapes) {
    context.globalAlpha = 1;
    if (shape.kind === "rect") {
      context.fillStyle = shape.fill;
      if (!shape.radius && !shape.stroke) {
        context.fillRect(shape.x, shape.y, shape.width, shape.height);
        continue;
      }
      context.beginPath();
      context.roundRect(shape.x, shape.y, shape.width, shape.height, shape.radius ?? 0);
      context.fill();
      if (shape.stroke) {
        context.strokeStyle = shape.stroke;
        context.lineWidth = 1.5;
        context.stroke();
      }
    } else if (shape.kind === "ribbon") {
      context.globalAlpha = shape.alpha;
      context.beginPath();
      if (shape.width < HAIR) {
        hairline.context(context)(ends(shape));
        context.strokeStyle = shape.fill;
        context.globalAlpha = shape.alpha * Math.max(0.25, shape.width);
        context.lineWidth = HAIR;
        context.stroke();
      } else {
        band(shape.width).context(context)(ends(shape));
        context.fillStyle = shape.fill;
        context.fill();
      }
    } else if (shape.kind === "path") {
      context.globalAlpha = shape.alpha ?? 1;
      context.beginPath();
      shape.points.forEach(([x, y], index) => {
        if (index === 0) context.moveTo(x, y);
        else if (shape.round && index < shape.points.length - 1) {
          const [nextX, nextY] = shape.points[index + 1]!;
          context.arcTo(x, y, nextX, nextY, shape.round);
        } else context.lineTo(x, y);
      });
      context.setLineDash(shape.dash ?? []);
      context.strokeStyle = shape.stroke;
      context.lineWidth = shape.width;
      context.stroke();
      context.setLineDash([]);
    } else if (shape.kind === "text") {
      context.save();
      context.font = `${shape.weight ?? 400} ${shape.size}px ${font}`;
      context.textAlign = shape.anchor === "middle" ? "center" : shape.anchor === "end" ? "right" : "left";
      context.textBaseline = "middle";
      context.translate(shape.x, shape.y);
      if (shape.angle) context.rotate((shape.angle * Math.PI) / 180);
      if (shape.halo) {
        context.strokeStyle = shape.halo;
        context.lineWidth = 4;
        context.lineJoin = "round";
        context.strokeText(shape.text, 0, 0);
      }
      context.fillStyle = shape.fill;
      context.fillText(shape.text, 0, 0);
      context.restore();
    }
  }
  context.globalAlpha = 1;
}

/** The same shape elsewhere. */
export function moved(shape: Shape, dx: number, dy: number): Shape {
  if (shape.kind === "path") return { ...shape, points: shape.points.map(([x, y]) => [x + dx, y + dy]) };
  if (shape.kind === "ribbon") return { ...shape, x0: shape.x0 + dx, x1: shape.x1 + dx, y0: shape.y0 + dy, y1: shape.y1 + dy };
  return { ...shape, x: shape.x + dx, y: shape.y + dy };
}

const ESCAPES: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

/** Text for SVG content or attributes. */
export function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (sign) => ESCAPES[sign]!);
}

/** The scene as an SVG document on its own ground. */
export function toSvg(scene: Scene, from: Colours): string {
  const n = (value: number): string => String(Math.round(value * 100) / 100);
  const parts = scene.shapes.map((shape) => {
    switch (shape.kind) {
      case "rect":
        return (
          `<rect x="${n(shape.x)}" y="${n(shape.y)}" width="${n(shape.width)}" height="${n(shape.height)}"` +
          ` rx="${n(shape.radius ?? 0)}" fill="${escaped(shape.fill)}"${shape.stroke ? ` stroke="${escaped(shape.stroke)}" stroke-width="1.5"` : ""}/>`
        );
      case "ribbon":
        if (shape.width < HAIR)
          return (
            `<path d="${hairline.context(null)(ends(shape))}" fill="none" stroke="${escaped(shape.fill)}"` +
            ` stroke-width="${n(Math.max(shape.width, 0.25))}" opacity="${n(shape.alpha)}"/>`
          );
        return `<path d="${band(shape.width)(ends(shape))}" fill="${escaped(shape.fill)}" opacity="${n(shape.alpha)}"/>`;
      case "path":
        return (
          `<polyline points="${shape.points.map(([x, y]) => `${n(x)},${n(y)}`).join(" ")}" fill="none" stroke="${escaped(shape.stroke)}"` +
          ` stroke-width="${n(shape.width)}" stroke-linejoin="round" opacity="${n(shape.alpha ?? 1)}"${shape.dash ? ` stroke-dasharray="${shape.dash.join(" ")}"` : ""}/>`
        );
      case "text":
        return (
          `<text x="${n(shape.x)}" y="${n(shape.y)}" dy="0.35em" font-size="${n(shape.size)}" fill="${escaped(shape.fill)}"` +
          ` text-anchor="${shape.anchor ?? "start"}" font-weight="${shape.weight ?? 400}"` +
          (shape.angle ? ` transform="rotate(${shape.angle} ${n(shape.x)} ${n(shape.y)})"` : "") +
          (shape.halo ? ` paint-order="stroke" stroke="${escaped(shape.halo)}" stroke-width="4" stroke-linejoin="round"` : "") +
          `>${escaped(shape.text)}</text>`
        );
      case "image":
        return (
          `<image x="${n(shape.x)}" y="${n(shape.y)}" width="${n(shape.width)}" height="${n(shape.height)}"` +
          ` preserveAspectRatio="none" href="${escaped(shape.href)}"/>`
        );
    }
  });
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${n(scene.width)}" height="${n(scene.height)}"` +
    ` viewBox="0 0 ${n(scene.width)} ${n(scene.height)}" font-family="${escaped(from.font)}" xml:space="preserve">\n` +
    `<rect width="100%" height="100%" fill="${escaped(from.ground)}"/>\n${parts.join("\n")}\n</svg>\n`
  );
}
