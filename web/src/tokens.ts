/** The tokens panel: the input as running text, shaded by score from 0. */
import { scaleLinear } from "d3-scale";
import { check, choice, h } from "./dom.ts";
import { type Fact, facts, spoken } from "./facts.ts";
import { type MediumView, mediumView } from "./media.ts";
import { single } from "./numbers.ts";
import { LONG, type Overview, overview } from "./overview.ts";
import type { Result } from "./payload.ts";
import { savePng, saveSvg } from "./saving.ts";
import { moved, type Scene, type Shape } from "./scene.ts";
import { type Dim, fraction, isDim, most } from "./shading.ts";
import { shade } from "./theme.ts";
import type { Tip } from "./tip.ts";
import { fileName, type Panel, type View } from "./view.ts";

/** Height of the whiskers above a token, in pixels. */
const WHISKER = 34;

interface Strip {
  index: number;
  result: Result;
  element: HTMLElement;
  key: HTMLElement;
  tokens: HTMLElement[];
  media: MediumView[];
  overview: Overview | null;
}

export function tokensPanel(view: View, tip: Tip): Panel {
  const { payload } = view;
  const anyQuiet = payload.players.some((player) => player.quiet);
  const anySink = payload.players.some((player) => player.sink && !player.quiet);
  const anyBounds = payload.results.some((result) => result.upper !== null);
  const strips: Strip[] = [];
  const place = h("div", { class: "strips" });
  const controls = h("div", { class: "controls" });
  if (anyQuiet || anySink) {
    const options: [string, string][] = [["none", "nothing"]];
    if (anyQuiet) options.push(["special", "special tokens"]);
    if (anySink) options.push(["sinks", anyQuiet ? "special tokens and sink" : "sink (first position)"]);
    controls.append(
      choice("Dim", options, view.state.dim, (value) => view.set({ dim: value as Dim })).element,
    );
  }
  if (anyBounds)
    controls.append(
      check("Bounds as whiskers", view.state.bounds, (on) => view.set({ bounds: on }), "The least and the largest share of every token, and its score."),
    );
  const scene = (): Scene => {
    // All of the text, not what the box shows of it.
    place.classList.add("whole");
    try {
      return picture(view, place, strips.flatMap((one) => one.media));
    } finally {
      place.classList.remove("whole");
    }
  };
  controls.append(
    h(
      "span",
      { class: "save" },
      h("button", { type: "button", onclick: () => saveSvg(fileName(view, "tokens"), scene(), view.colours) }, "Save SVG"),
      h("button", { type: "button", onclick: () => void savePng(fileName(view, "tokens"), scene(), view.colours) }, "Save PNG"),
    ),
  );
  const element = h("section", { class: "panel tokens" }, h("h2", {}, "Tokens"), controls, place);

  payload.results.forEach((result, index) => strips.push(strip(result, index)));
  for (const one of strips) place.append(one.element);

  function strip(result: Result, index: number): Strip {
    const key = h("div", { class: "key" });
    const tokens: HTMLElement[] = [];
    const several = payload.results.length > 1;
    const media = payload.media.map((_, at) => mediumView(view, tip, at, result));
    const blocks = payload.passage.flatMap((block) => {
      const text = h("p", { lang: "", dir: "auto" });
      for (const piece of block.pieces) {
        // What stands in a picture or clip is shown there.
        if (piece.player !== null && payload.players[piece.player]!.medium !== null) continue;
        if (piece.player === null) {
          text.append(piece.excluded ? h("s", { class: "excluded" }, piece.text) : piece.text);
          continue;
        }
        const token = h("span", { class: "token", "data-player": piece.player, role: "button", tabindex: -1, "aria-label": piece.text.trim() ? null : payload.players[piece.player]!.label }, h("span", { class: "word" }, piece.text));
        tokens.push(token);
        text.append(token);
      }
      if (text.textContent?.trim() === "") return [];
      return block.label === null ? [text] : [h("h3", {}, block.label), text];
    });
    if (tokens[0]) tokens[0].tabIndex = 0;
    const name = several
      ? h("button", { type: "button", class: "name", onclick: () => view.set({ result: index }) }, result.name)
      : null;
    const passage = h("div", { class: "passage", role: "group", "aria-label": several ? `Text, shaded by ${result.name}` : "Text, shaded by score" }, ...blocks);
    const figures = media.map((one, at) =>
      h("figure", { class: payload.media[at]!.kind }, one.element, media.length > 1 ? h("figcaption", {}, payload.media[at]!.name) : null),
    );
    const shades = (): number[] => tokens.map((token) => shadeOf(token));
    const whole = tokens.length > LONG ? overview(passage, tokens, shades, () => view.colours) : null;
    const body = h(
      "div",
      { class: "strip" },
      h("div", { class: "head" }, name, key),
      figures.length > 0 && h("div", { class: "media" }, ...figures),
      whole?.element,
      blocks.length > 0 && passage,
    );
    const found: Strip = { index, result, element: body, key, tokens, media, overview: whole };
    passage.addEventListener("pointerover", (event) => hover(found, event));
    passage.addEventListener("pointerout", (event) => {
      if (!(event.relatedTarget instanceof Node && passage.contains(event.relatedTarget))) quiet();
    });
    passage.addEventListener("focusin", (event) => {
      const token = owner(event.target);
      if (!token) return;
      for (const other of found.tokens) other.tabIndex = other === token ? 0 : -1;
      const player = Number(token.dataset["player"]);
      const box = token.getBoundingClientRect();
      if (token.matches(":focus-visible")) tell(found, player, box.left, box.bottom - 12, true);
    });
    passage.addEventListener("focusout", quiet);
    passage.addEventListener("click", (event) => {
      const token = owner(event.target);
      if (token) view.pin(Number(token.dataset["player"]));
    });
    passage.addEventListener("keydown", (event) => keys(found, event));
    return found;
  }

  const owner = (target: EventTarget | null): HTMLElement | null =>
    target instanceof Element ? target.closest<HTMLElement>(".token") : null;

  function hover(from: Strip, event: PointerEvent): void {
    const token = owner(event.target);
    if (!token) {
      quiet();
      return;
    }
    const box = token.getBoundingClientRect();
    tell(from, Number(token.dataset["player"]), Math.max(box.left, event.clientX - 40), box.bottom - 12, false);
  }

  function tell(from: Strip, player: number, x: number, y: number, aloud: boolean): void {
    const lines: Fact[] = facts(view, player, from.result);
    tip.show(lines, x, y);
    if (aloud) view.say(spoken(lines));
    view.light(player);
  }

  function quiet(): void {
    tip.hide();
    view.light(null);
  }

  function keys(from: Strip, event: KeyboardEvent): void {
    const token = owner(event.target);
    if (!token) return;
    const at = from.tokens.indexOf(token);
    const next: Record<string, number> = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: from.tokens.length - 1 };
    if (event.key in next) {
      event.preventDefault();
      from.tokens[next[event.key]!]?.focus();
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      view.pin(Number(token.dataset["player"]));
    } else if (event.key === "Escape") {
      tip.hide();
      view.set({ player: null });
    }
  }

  function shadeAll(): void {
    const { target: row, dim, bounds, player: pinned, result: current } = view.state;
    const here = new Set(view.target.positions);
    const last = payload.sequences.some((sequence) => sequence.stack === "decoder") ? "decoder" : "encoder";
    for (const one of strips) {
      const end = most(payload, one.result, [row], dim);
      one.element.classList.toggle("current", payload.results.length > 1 && one.index === current);
      one.element.querySelector(".name")?.setAttribute("aria-pressed", String(one.index === current));
      const reach = bounds && one.result.upper ? Math.max(...one.result.upper[row]!, end) : 0;
      one.element.classList.toggle("bounded", reach > 0);
      for (const token of one.tokens) {
        const j = Number(token.dataset["player"]);
        const player = payload.players[j]!;
        const score = one.result.scores[row]![j]!;
        const dimmed = isDim(player, dim);
        const part = dimmed ? 0 : fraction(score, end);
        token.style.setProperty("--s", Math.abs(part).toFixed(3));
        token.classList.toggle("against", part < 0);
        token.classList.toggle("dim", dimmed);
        token.classList.toggle("generated", player.kind === "generated");
        token.classList.toggle("here", player.nodes.some(([stack, position]) => stack === last && here.has(position)));
        token.classList.toggle("pinned", j === pinned);
        token.setAttribute("aria-pressed", String(j === pinned));
        whisker(token, one.result, row, j, reach);
      }
      for (const medium of one.media) medium.refresh();
      one.overview?.refresh();
      legend(one, end, reach);
    }
  }

  /** The interval as a line, the score as a dot, above the token; the same scale for every token. */
  function whisker(token: HTMLElement, result: Result, row: number, j: number, reach: number): void {
    token.querySelector(".whisker")?.remove();
    if (reach <= 0) return;
    const height = scaleLinear().domain([0, reach]).range([0, WHISKER - 4]).clamp(true);
    const low = result.lower ? height(result.lower[row]![j]!) : 0;
    const high = height(result.upper![row]![j]!);
    const line = h("i", { class: "line" });
    line.style.bottom = `${low}px`;
    line.style.height = `${Math.max(high - low, 1)}px`;
    const dot = h("i", { class: "dot" });
    dot.style.bottom = `${height(result.scores[row]![j]!)}px`;
    token.prepend(h("span", { class: "whisker", "aria-hidden": "true" }, line, dot));
  }

  function legend(one: Strip, end: number, reach: number): void {
    const [below, above] = one.result.ends;
    const text = single(end);
    const parts: (Node | string)[] = one.result.two_signs
      ? [h("span", {}, `${below} -${text}`), h("i", { class: "both" }), h("span", {}, `${text} ${above}`)]
      : [h("span", {}, "0"), h("i"), h("span", {}, `${text} ${above}`.trim())];
    one.key.replaceChildren(h("span", { class: "scale" }, ...parts));
    if (reach > 0) one.key.prepend(h("span", { class: "scale" }, `Whiskers 0 to ${single(reach)}; dot: score`));
  }

  shadeAll();
  return {
    element,
    update: () => shadeAll(),
    light: (player) => {
      for (const one of strips)
        for (const token of one.tokens) token.classList.toggle("lit", player !== null && Number(token.dataset["player"]) === player);
      for (const one of strips) for (const medium of one.media) medium.light(player);
    },
    repaint: () => shadeAll(),
    destroy: () => {
      for (const one of strips) {
        for (const medium of one.media) medium.destroy();
        one.overview?.destroy();
      }
    },
  };
}

/** The shade that a token has, from -1 to 1. */
function shadeOf(token: HTMLElement): number {
  return Number(token.style.getPropertyValue("--s")) * (token.classList.contains("against") ? -1 : 1);
}

/** The running text as it stands on the screen, as shapes. */
function picture(view: View, place: HTMLElement, media: readonly MediumView[]): Scene {
  const from = view.colours;
  const area = place.getBoundingClientRect();
  const shapes: Shape[] = [];
  const walk = (node: Node, style: { fill: string; size: number; weight: number }): void => {
    if (node instanceof Text) {
      for (const [text, box] of lines(node))
        shapes.push({ kind: "text", x: box.left - area.left, y: (box.top + box.bottom) / 2 - area.top, text, fill: style.fill, size: style.size, weight: style.weight });
      return;
    }
    if (!(node instanceof HTMLElement)) return;
    const css = getComputedStyle(node);
    if (node.classList.contains("word")) {
      const token = node.parentElement!;
      const part = shadeOf(token);
      for (const box of node.getClientRects())
        if (part !== 0)
          shapes.push({ kind: "rect", x: box.left - area.left, y: box.top - area.top, width: box.width, height: box.height, radius: 3, fill: shade(part, from) });
    } else if (node.parentElement?.classList.contains("whisker")) {
      const box = node.getBoundingClientRect();
      shapes.push({ kind: "rect", x: box.left - area.left, y: box.top - area.top, width: box.width, height: box.height, radius: box.width / 2, fill: css.backgroundColor });
      return;
    } else if (node.tagName === "I" && node.parentElement?.classList.contains("scale")) {
      const box = node.getBoundingClientRect();
      for (let n = 0; n < 24; n += 1) {
        const part = node.classList.contains("both") ? (n / 23) * 2 - 1 : n / 23;
        shapes.push({ kind: "rect", x: box.left - area.left + (n * box.width) / 24, y: box.top - area.top, width: box.width / 24 + 0.3, height: box.height, fill: shade(part, from) });
      }
    }
    for (const child of node.childNodes) walk(child, { fill: css.color, size: Number.parseFloat(css.fontSize), weight: Number(css.fontWeight) || 400 });
  };
  walk(place, { fill: from.ink, size: 16, weight: 400 });
  for (const medium of media) {
    const box = medium.element.getBoundingClientRect();
    shapes.push(...medium.scene().shapes.map((shape) => moved(shape, box.left - area.left, box.top - area.top)));
  }
  const pad = 12;
  return { width: area.width + 2 * pad, height: area.height + 2 * pad, shapes: shapes.map((shape) => moved(shape, pad, pad)) };
}

/** A text node cut where its lines break. */
function lines(node: Text): [string, DOMRect][] {
  const range = document.createRange();
  range.selectNodeContents(node);
  const boxes = [...range.getClientRects()].filter((box) => box.width > 0);
  if (boxes.length === 0 || node.data.trim() === "") return [];
  if (boxes.length === 1) return [[node.data, boxes[0]!]];
  const found: [string, DOMRect][] = [];
  let start = 0;
  let box: DOMRect | null = null;
  for (let at = 0; at < node.data.length; at += 1) {
    range.setStart(node, at);
    range.setEnd(node, at + 1);
    const own = range.getBoundingClientRect();
    if (own.width === 0) continue;
    if (box !== null && Math.abs(own.top - box.top) > box.height / 2) {
      found.push([node.data.slice(start, at), box]);
      start = at;
      box = null;
    }
    box ??= own;
  }
  if (box !== null) found.push([node.data.slice(start), box]);
  return found;
}
