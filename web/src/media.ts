/** Pictures under their patches, clips under their stretches of time: the same shading where there is no text. */
import { fit } from "./canvas.ts";
import { h, perFrame } from "./dom.ts";
import { type Fact, facts, spoken } from "./facts.ts";
import type { Medium, Player, Result } from "./payload.ts";
import { paint, type Scene, type Shape } from "./scene.ts";
import { fraction, isDim, most } from "./shading.ts";
import { shade } from "./theme.ts";
import type { Tip } from "./tip.ts";
import type { View } from "./view.ts";

/** Largest side of a picture, and height of a time strip, in pixels. */
const SIDE = 380;
const STRIP = 96;
const AXIS = 22;

interface Zone {
  player: number;
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface MediumView {
  element: HTMLElement;
  refresh(): void;
  light(player: number | null): void;
  scene(): Scene;
  destroy(): void;
}

/** Ticks of a time axis: at most eight round steps. */
export function ticks(duration: number): number[] {
  const raw = duration / 8;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((part) => part * power).find((part) => part >= raw)!;
  return Array.from({ length: Math.floor(duration / step + 1e-9) + 1 }, (_, n) => n * step);
}

/** Where the players of a medium stand in a picture of `width` by `height`. */
export function zones(players: readonly Player[], index: number, medium: Medium, width: number, height: number, duration: number): Zone[] {
  return players.flatMap((player, j): Zone[] => {
    if (player.medium !== index) return [];
    if (medium.grid && player.patches.length > 0) {
      const [rows, columns] = medium.grid;
      return player.patches.map(([row, column]) => ({
        player: j,
        x: (column / columns) * width,
        // A spectrogram's lowest band is row 0 and stands at the bottom.
        y: ((medium.kind === "audio" ? rows - 1 - row : row) / rows) * height,
        width: width / columns,
        height: height / rows,
      }));
    }
    if (player.time && duration > 0)
      return [{ player: j, x: (player.time[0] / duration) * width, y: 0, width: ((player.time[1] - player.time[0]) / duration) * width, height }];
    return [];
  });
}

/** Seconds that a strip shows: the clip, or longer where the model listened on into silence. */
export function seconds(players: readonly Player[], index: number, medium: Medium): number {
  const ends = players.filter((player) => player.medium === index && player.time).map((player) => player.time![1]);
  return Math.max(medium.duration ?? 0, ...ends, 0);
}

/** The clip's loudness as bars over `width` pixels, as many as the clip lasts. */
export function wave(envelope: readonly number[], width: number, height: number, fill: string): Shape[] {
  const step = width / envelope.length;
  return envelope.map((value, n) => ({
    kind: "rect", x: n * step, y: height / 2 - (value * height * 0.42 + 0.5), width: Math.max(step - 0.3, 0.5), height: value * height * 0.84 + 1, fill,
  }));
}

export function mediumView(view: View, tip: Tip, index: number, result: Result): MediumView {
  const { payload } = view;
  const medium = payload.media[index]!;
  const canvas = h("canvas", { "aria-hidden": "true" });
  const element = h(
    "div",
    {
      class: "medium",
      tabindex: 0,
      role: "application",
      "aria-roledescription": medium.kind === "image" ? "shaded image" : "shaded time strip",
      "aria-label": `${medium.name}, shaded by score. Arrow keys move between ${medium.kind === "image" ? "patches" : "stretches of time"}, Enter pins.`,
    },
    canvas,
  );
  let picture: HTMLImageElement | null = null;
  let width = 0;
  let height = 0;
  let found: Zone[] = [];
  let lit: number | null = null;
  let cursor: number | null = null;
  const duration = seconds(payload.players, index, medium);

  if (medium.image) {
    picture = new Image();
    picture.src = medium.image;
    void picture.decode().then(() => draw.ask());
  }

  function arrange(): void {
    const room = Math.max(element.clientWidth, 120);
    if (medium.kind === "audio") {
      width = room;
      height = medium.grid && medium.grid[0] > 1 ? Math.max(STRIP, Math.min(medium.grid[0] * 14, 240)) : STRIP;
    } else {
      const [high, wide] = medium.size ?? medium.grid ?? [1, 1];
      const factor = Math.min(SIDE / high, Math.min(SIDE * 1.6, room) / wide);
      width = wide * factor;
      height = high * factor;
    }
    found = zones(payload.players, index, medium, width, height, duration);
    draw.ask();
  }

  function scene(): Scene {
    const from = view.colours;
    const { target: row, dim, player: pinned } = view.state;
    const end = most(payload, result, [row], dim);
    const shapes: Shape[] = [];
    if (medium.image) shapes.push({ kind: "image", x: 0, y: 0, width, height, href: medium.image });
    // A veil of the ground's colour leaves the picture visible and lets the shades keep their own colour.
    shapes.push({ kind: "rect", x: 0, y: 0, width, height, fill: veil(from.ground, medium.image ? 0.45 : 1) });
    for (const zone of found) {
      const player = payload.players[zone.player]!;
      if (isDim(player, dim)) continue;
      const part = fraction(result.scores[row]![zone.player]!, end);
      if (part !== 0) shapes.push({ kind: "rect", x: zone.x, y: zone.y, width: zone.width, height: zone.height, fill: shade(part, from) });
    }
    if (medium.kind === "audio") {
      const lasts = duration > 0 ? (medium.duration ?? duration) / duration : 1;
      if (medium.envelope) shapes.push(...wave(medium.envelope, width * lasts, height, veil(from.ink, 0.45)));
      if (duration > 0)
        for (const tick of ticks(duration)) {
          const x = (tick / duration) * width;
          shapes.push({ kind: "path", points: [[x, height], [x, height + 4]], stroke: from.soft, width: 1 });
          const anchor = x < 12 ? "start" : x > width - 18 ? "end" : "middle";
          shapes.push({ kind: "text", x, y: height + 13, text: `${Number(tick.toPrecision(3))} s`, size: 11, anchor, fill: from.soft });
        }
    }
    shapes.push(...frame(0, 0, width, height, from.line, 1));
    for (const [player, colour] of [[pinned, from.ink], [lit ?? (cursor === null ? null : found[cursor]!.player), from.lit]] as const)
      for (const zone of found) if (zone.player === player) shapes.push(...frame(zone.x, zone.y, zone.width, zone.height, colour, 2));
    return { width, height: height + (medium.kind === "audio" ? AXIS : 0), shapes };
  }

  const draw = perFrame(() => {
    if (width === 0) return;
    const shown = scene();
    const context = fit(canvas, shown.width, shown.height);
    if (picture?.complete && picture.naturalWidth > 0) {
      context.imageSmoothingEnabled = picture.naturalWidth > 32;
      context.drawImage(picture, 0, 0, width, height);
    }
    paint(context, shown, view.colours.font);
  });

  const zoneAt = (event: MouseEvent): Zone | undefined => {
    const area = canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - area.left, event.clientY - area.top];
    return found.find((zone) => x >= zone.x && x < zone.x + zone.width && y >= zone.y && y < zone.y + zone.height);
  };
  element.addEventListener("pointermove", (event) => {
    const zone = zoneAt(event);
    cursor = null;
    if (!zone) {
      tip.hide();
      view.light(null);
      return;
    }
    tip.show(facts(view, zone.player, result), event.clientX, event.clientY);
    if (lit !== zone.player) view.light(zone.player);
  });
  element.addEventListener("pointerleave", () => {
    tip.hide();
    view.light(null);
  });
  element.addEventListener("click", (event) => {
    const zone = zoneAt(event);
    if (zone) view.pin(zone.player);
  });
  element.addEventListener("blur", () => {
    cursor = null;
    tip.hide();
    view.light(null);
  });
  element.addEventListener("keydown", (event) => {
    const columns = medium.grid?.[1] ?? 1;
    const moves: Record<string, number> = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns };
    if (event.key === "Escape") {
      tip.hide();
      view.set({ player: null });
    } else if ((event.key === "Enter" || event.key === " ") && cursor !== null) {
      event.preventDefault();
      view.pin(found[cursor]!.player);
    } else if (event.key in moves && found.length > 0) {
      event.preventDefault();
      const next = cursor === null ? 0 : cursor + moves[event.key]!;
      if (next < 0 || next >= found.length) return;
      cursor = next;
      const zone = found[cursor]!;
      const area = canvas.getBoundingClientRect();
      const lines: Fact[] = facts(view, zone.player, result);
      tip.show(lines, area.left + zone.x, area.top + zone.y + zone.height);
      view.say(spoken(lines));
      view.light(zone.player);
    }
  });
  const watch = new ResizeObserver(() => arrange());
  watch.observe(element);

  return {
    element,
    refresh: () => draw.ask(),
    light: (player) => {
      lit = player;
      draw.ask();
    },
    scene,
    destroy: () => {
      watch.disconnect();
      draw.stop();
    },
  };
}

/** `colour`, as #rrggbb, at an opacity. */
function veil(colour: string, alpha: number): string {
  const channels = [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16));
  return `rgb(${channels.join(" ")} / ${alpha})`;
}

function frame(x: number, y: number, width: number, height: number, stroke: string, wide: number): Shape[] {
  const points: [number, number][] = [[x, y], [x + width, y], [x + width, y + height], [x, y + height], [x, y], [x + width, y]];
  return [{ kind: "path", points, stroke, width: wide }];
}
