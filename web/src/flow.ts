/** The flow panel: layers as columns, tokens as rows, ribbons as wide as their flow. */
import { scaleLog } from "d3-scale";
import { fit, inWindow, type Span, textWidth } from "./canvas.ts";
import { check, choice, h, perFrame, whenStill } from "./dom.ts";
import { facts, type Fact, spoken } from "./facts.ts";
import { buildFlow, type Flow, isFixed, lit, shownGroups, stacksOf } from "./flowgraph.ts";
import { FADED, legendShapes, ribbonShapes, topShapes } from "./flowpicture.ts";
import { type Box, columnsThatFit, type Layout, layOut, NODE, type Ribbon, type Space } from "./layout.ts";
import { counted, percent, single } from "./numbers.ts";
import type { FlowItem, Graph, Stack } from "./payload.ts";
import { boxAt, boxBeside, ribbonAt } from "./pointing.ts";
import { everyRow, joinRows, type Row } from "./rows.ts";
import { savePng, saveSvg } from "./saving.ts";
import { paint, type Scene, type Shape } from "./scene.ts";
import type { Colours } from "./theme.ts";
import type { Tip } from "./tip.ts";
import { fileName, type Panel, type State, type View } from "./view.ts";

/** Whether any of a ribbon lies in a range of heights. */
function reaches({ y0, y1, width, loop }: Ribbon, { top, bottom }: Span): boolean {
  return loop !== null || (Math.max(y0, y1) + width >= top && Math.min(y0, y1) - width <= bottom);
}

/** Ribbons that are drawn until the reader asks for more. */
const RIBBONS = 900;
/** Rows that are shown until the reader asks for more. */
const ROWS = 40;
/** From the slider, 0 to 1, to the part of the flow below which ribbons are hidden; its low end hides nothing. */
const LEAST = scaleLog().domain([1e-5, 0.2]).range([0, 1]).clamp(true);

type Mark = { box: number } | { player: number };

export function flowPanel(view: View, tip: Tip): Panel {
  const { payload } = view;
  let graph: Graph | null = null;
  let item: FlowItem | null = null;
  let flow: Flow | null = null;
  let layout: Layout | null = null;
  let drawn: Ribbon[] = [];
  let hidden = new Set<number>();
  let chosen = false; // whether the reader has chosen layers
  let threshold: number | null = null; // part of the flow; null: by itself
  let rowLimit: number | null = null;
  let showCut = true;
  let hovered: Mark | null = null;
  let pinned: Mark | null = null;
  let cursor: number | null = null;
  let width = 0;

  const base = h("canvas", { class: "base", "aria-hidden": "true" });
  const top = h("canvas", { class: "top", "aria-hidden": "true" });
  const picture = h(
    "div",
    {
      class: "picture",
      tabindex: 0,
      role: "application",
      "aria-roledescription": "flow diagram",
      "aria-label": "Flow diagram. Arrow keys move between nodes, Enter pins, Escape lets go.",
    },
    base,
    top,
  );
  const message = h("p", { class: "message" });
  const note = h("p", { class: "note" });
  const count = h("output", { class: "count" });
  const legend = h("ul", { class: "legend", "aria-label": "Legend" });
  const slider = h("input", { type: "range", "aria-label": "Hide ribbons below", min: 0, max: 1, step: 0.005, autocomplete: "off" });
  const sliderText = h("span", { class: "amount" });
  const sliderLabel = h("label", { class: "choice" }, h("span", {}, "Hide below"), slider, sliderText);
  const layers = h("div", { class: "layers", role: "group", "aria-label": "Layers shown" });
  const rowsPlace = h("span", { class: "place" });
  const whosePlace = h("span", { class: "place" });
  const cutBox = check("Minimum cut", showCut, (on) => {
    showCut = on;
    draw.ask();
  }, "Mark the edges that limit the flow: together they carry all of it.");
  const svg = h("button", { type: "button", onclick: () => saveSvg(fileName(view, "flow"), scene(), view.colours) }, "Save SVG");
  const png = h("button", { type: "button", onclick: () => void savePng(fileName(view, "flow"), scene(), view.colours) }, "Save PNG");
  const controls = h("div", { class: "controls" }, whosePlace, rowsPlace, sliderLabel, cutBox, h("span", { class: "save" }, svg, png));
  const layerLine = h("div", { class: "controls" }, layers);
  const element = h(
    "section",
    { class: "panel flow" },
    h("h2", {}, "Flow"),
    note,
    controls,
    layerLine,
    message,
    picture,
    legend,
    count,
  );

  // -- what to draw ----------------------------------------------------------------------------------------

  const held = (): FlowItem[] => view.result.flows.items.filter((found) => found.row === view.state.target);

  function pick(): void {
    const { flows } = view.result;
    const items = held();
    graph = flows.graph;
    const own = items.find((found) => found.player !== null && found.player === view.state.player);
    item = own ?? (items.some((found) => found === item) ? item : null) ?? items[0] ?? null;
    note.textContent = item ? [flows.note, item.omitted].filter(Boolean).join(" ") : "";
    const has = item !== null && graph !== null;
    for (const part of [picture, controls, layerLine, legend, count]) part.hidden = !has;
    message.hidden = has && !missesPlayer();
    message.replaceChildren(...explain());
    whosePlace.replaceChildren();
    if (items.length > 1 && items[0]!.player !== null)
      whosePlace.append(
        choice(
          "Flow of",
          items.map((found) => [String(found.player), payload.players[found.player!]!.label] as const),
          String(item?.player),
          (value) => {
            item = items.find((found) => String(found.player) === value)!;
            rebuild();
          },
        ).element,
      );
  }

  function missesPlayer(): boolean {
    const { player } = view.state;
    return player !== null && item?.player !== null && item?.player !== undefined && item.player !== player;
  }

  /** Why nothing, or something else than asked for, is drawn. */
  function explain(): (Node | string)[] {
    const { flows } = view.result;
    if (item && missesPlayer()) {
      const pinnedLabel = payload.players[view.state.player!]!.label;
      return [`No flow of “${pinnedLabel}” is held here; drawn is that of “${payload.players[item.player!]!.label}”.`];
    }
    if (item) return [];
    if (flows.items.length === 0) return [flows.note || "No flow is held here."];
    const rows = [...new Set(flows.items.map((found) => found.row))];
    return [
      `No flow is held for this target, to keep the page small; there is one for ${counted(rows.length, "target")}: `,
      ...rows.slice(0, 12).flatMap((row) => [
        h("button", { type: "button", class: "link", onclick: () => view.set({ target: row }) }, payload.targets[row]!.name),
        " ",
      ]),
    ];
  }

  function space(): Space {
    const { font } = view.colours;
    const narrow = width < 600;
    const [first, second] = graph ? stacksOf(graph).map((stack) => widest(stack, font)) : [];
    const end = textWidth(second === undefined ? view.target.name : `→ ${view.target.name}`, 13, font, 600) + 18;
    return {
      width,
      label: Math.max(Math.min((first ?? 0) + 14, narrow ? 104 : 170), 40),
      second: second === undefined ? 0 : Math.min(second + 16, narrow ? 64 : 170),
      end: Math.max(Math.min(end, narrow ? (second === undefined ? 96 : 72) : 150), 30),
    };
  }

  /** Width of the longest name of a stack's rows. */
  function widest(stack: Stack, font: string): number {
    const players = payload.players.filter((player) => player.nodes.some(([where]) => where === stack));
    const tokens = payload.sequences.find((some) => some.stack === stack)?.tokens ?? [];
    return [...players, ...tokens].reduce((most, { label }) => Math.max(most, textWidth(label, 13, font, 700)), 20);
  }

  /** Leaves out layers evenly until the rest fit, unless the reader has chosen. */
  function chooseLayers(): void {
    if (!graph || chosen) return;
    const groups = shownGroups(graph);
    const most = columnsThatFit(space(), stacksOf(graph).length);
    const free = groups.filter((group) => !isFixed(graph!, group));
    const room = Math.max(most - (groups.length - free.length), 0);
    const keep = new Set(
      Array.from({ length: Math.min(room, free.length) }, (_, n) => free[Math.floor(((n + 0.5) * free.length) / Math.min(room, free.length))]!),
    );
    hidden = new Set(free.filter((group) => !keep.has(group)));
  }

  function rebuild(): void {
    flow = null;
    if (!graph || !item || width === 0) return;
    chooseLayers();
    flow = buildFlow(graph, item, hidden);
    chips();
    arrange();
  }

  function allRows(): Row[][] {
    return stacksOf(graph!).map((stack) => everyRow(payload, stack, Math.max(...graph!.groups.filter((group) => group.stack === stack).map((group) => group.size))));
  }

  function arrange(): void {
    if (!graph || !flow || !item) return;
    const final = graph.groups[graph.final]!.stack;
    const targets = new Set(view.target.positions.length <= 8 ? view.target.positions : []);
    const every = allRows();
    const most = Math.max(...every.map((rows) => rows.length));
    const limit = rowLimit ?? (most > ROWS ? ROWS : most);
    const always = (row: Row): boolean =>
      (row.stack === final && row.positions.some((position) => targets.has(position))) ||
      (row.player !== null && row.player === view.state.player);
    const rows = every.flatMap((some) => joinRows(some, flow!, limit, always));
    rowsPlace.replaceChildren();
    if (most > 16) {
      const steps = [16, 24, 40, 64, 128].filter((step) => step < most);
      rowsPlace.append(
        choice(
          "Tokens",
          [...steps.map((step) => [String(step), `${step} that carry most`] as const), [String(most), `all ${most}`] as const],
          String(steps.includes(limit) ? limit : most),
          (value) => {
            rowLimit = Number(value);
            arrange();
          },
        ).element,
      );
    }
    layout = layOut(graph, flow, rows, shownGroups(graph).filter((group) => !hidden.has(group)), space());
    if (pinned && "box" in pinned) pinned = null;
    hovered = null;
    cursor = null;
    settled = false;
    select();
  }

  /** Chooses the ribbons that are drawn, and says what is not. */
  function select(): void {
    if (!layout || !flow) return;
    const { ribbons } = layout; // largest first
    const part = (ribbon: Ribbon): number => ribbon.flow / flow!.value;
    let least = threshold;
    if (least === null) least = ribbons.length > RIBBONS ? part(ribbons[RIBBONS - 1]!) : 0;
    // Wide ones first, so that none hides a narrower one; the residual stream below everything.
    const kept = ribbons.filter((ribbon) => part(ribbon) >= least);
    drawn = [...kept.filter((ribbon) => ribbon.same), ...kept.filter((ribbon) => !ribbon.same)];
    slider.value = String(least > 0 ? LEAST(least) : 0);
    sliderText.textContent = least > 0 ? `${percent(least)} of the flow` : "nothing";
    slider.setAttribute("aria-valuetext", sliderText.textContent);
    const left = ribbons.length - drawn.length;
    const joined = layout.rows.filter((row) => row.joined);
    const said = [
      left === 0
        ? `All ${counted(drawn.length, "ribbon")} shown.`
        : `${counted(drawn.length, "ribbon")} shown; ${counted(left, "ribbon")} below ${percent(least)} of the flow hidden.`,
      hidden.size > 0 ? `${counted(hidden.size, "layer")} folded into the next.` : "",
      joined.length > 0
        ? `${counted(joined.reduce((sum, row) => sum + row.positions.length, 0), "token")} that carry little joined in ${counted(joined.length, "row")}.`
        : "",
    ];
    count.textContent = said.filter(Boolean).join(" ");
    describe();
    legendItems();
    paintAll.ask();
  }

  function describe(): void {
    if (!layout || !flow || !item) return;
    const cutEdges = layout.ribbons.filter((ribbon) => ribbon.cut);
    const through = cutEdges.reduce((sum, ribbon) => sum + ribbon.flow, 0);
    cutBox.hidden = cutEdges.length === 0;
    const unit = view.result.unit;
    const value = `${single(item.value)}${unit ? ` ${unit}` : ""}`;
    picture.setAttribute(
      "aria-label",
      `Flow diagram: ${value} reach “${view.target.name}”` +
        `${item.player === null ? "" : ` from “${payload.players[item.player]!.label}”`}. ${count.textContent} ` +
        `The minimum cut crosses ${counted(cutEdges.length, "ribbon")} that carry ${single(through)}. ` +
        "Arrow keys move between nodes, Enter pins, Escape lets go. The numbers are in the table below.",
    );
  }

  function chips(): void {
    const of = graph!;
    const stacks = stacksOf(of);
    const focused = layers.contains((layers.getRootNode() as ShadowRoot).activeElement) ? (layers.getRootNode() as ShadowRoot).activeElement?.getAttribute("data-group") : null;
    layers.replaceChildren();
    const groups = shownGroups(of).filter((group) => !isFixed(of, group));
    layerLine.hidden = groups.length === 0 || !item;
    if (groups.length === 0) return;
    const toggle = (next: Set<number>): void => {
      hidden = next;
      chosen = true;
      rebuild();
    };
    for (const stack of stacks) {
      const own = groups.filter((group) => of.groups[group]!.stack === stack);
      if (own.length === 0) continue;
      layers.append(h("span", { class: "soft" }, stacks.length > 1 ? `${stack === "encoder" ? "Source" : "Decoder"} layers` : "Layers"));
      for (const group of own) {
        const layer = of.groups[group]!.layer;
        const shown = !hidden.has(group);
        layers.append(
          h(
            "button",
            {
              type: "button",
              class: "chip",
              "data-group": group,
              "aria-pressed": String(shown),
              "aria-label": `Layer ${layer}`,
              title: shown ? `Fold layer ${layer} into the next` : `Show layer ${layer}`,
              onclick: () => {
                const next = new Set(hidden);
                if (shown) next.add(group);
                else next.delete(group);
                toggle(next);
              },
            },
            String(layer),
          ),
        );
      }
    }
    layers.append(
      h("button", { type: "button", class: "link", onclick: () => toggle(new Set()) }, "All"),
      h("button", { type: "button", class: "link", onclick: () => toggle(new Set(groups)) }, "Ends only"),
    );
    if (focused) layers.querySelector<HTMLElement>(`[data-group="${focused}"]`)?.focus();
  }

  /** What is drawn, as `[colour, words]`; colours are also the names of the style sheet. */
  function kinds(): [keyof Colours & string, string][] {
    const every: [keyof Colours & string, string, boolean][] = [
      ["attention", "attention", drawn.some((ribbon) => !ribbon.same && ribbon.kind === "attention")],
      ["residual", "same token: residual stream, attention to itself", drawn.some((ribbon) => ribbon.same)],
      ["cross", "cross-attention", drawn.some((ribbon) => ribbon.kind === "cross")],
      ["closure", "a generated token, fed back by the node that decided it", drawn.some((ribbon) => ribbon.kind === "closure")],
      ["cut", "minimum cut: what limits the flow", showCut && layout!.ribbons.some((ribbon) => ribbon.cut)],
    ];
    return every.filter(([, , present]) => present).map(([name, text]) => [name, text]);
  }

  function legendItems(): void {
    legend.replaceChildren(...kinds().map(([name, text]) => h("li", {}, h("i", { class: name }), text)));
  }

  // -- drawing -------------------------------------------------------------------------------------------------

  /** What is lit: what is hovered, else what is pinned. */
  function mark(): Mark | null {
    if (hovered) return hovered;
    if (cursor !== null) return { box: cursor };
    if (pinned) return pinned;
    return view.state.player !== null ? { player: view.state.player } : null;
  }

  function seeds(of: Mark): number[] {
    if ("box" in of) return layout!.boxes[of.box]?.nodes ?? [];
    const player = payload.players[of.player];
    return (player?.nodes ?? []).flatMap(([stack, position]) => {
      const group = graph!.groups.findIndex((found) => found.stack === stack && found.layer === 0);
      const n = flow!.index.get(group * flow!.stride + position);
      return n === undefined ? [] : [n];
    });
  }

  function litParts(): Float64Array | null {
    const of = mark();
    if (!of || !flow || !layout) return null;
    const found = seeds(of);
    // A player without any drawn flow lights nothing, and says so by everything else standing back.
    return found.length > 0 || "player" in of ? lit(flow, found) : null;
  }

  function above(from: Colours, parts: Float64Array | null): Shape[] {
    const players = [view.state.player, hovered && "player" in hovered ? hovered.player : null];
    const boxes = [cursor, ...[hovered, pinned].map((of) => (of && "box" in of ? of.box : null))];
    const kept = <T>(items: (T | null)[]): Set<T> => new Set(items.filter((found): found is T => found !== null));
    const emphasis = { parts, players: kept(players), boxes: kept(boxes), cut: showCut };
    return topShapes({ graph: graph!, flow: flow!, layout: layout!, target: view.target }, emphasis, from);
  }

  /** The picture to keep: with its legend, as it stands on its own. */
  function scene(): Scene {
    const from = view.colours;
    const parts = litParts();
    const { width: wide, height } = layout!;
    const { shapes, height: below } = legendShapes(kinds(), wide, height + 10, from);
    return { width: wide, height: height + below + 10, shapes: [...ribbonShapes(drawn, from, parts ? FADED : 1), ...above(from, parts), ...shapes] };
  }

  let painted: readonly Ribbon[] | null = null; // the ribbons that stand on the lower canvas
  let drawnFor: Layout | null = null; // and the layout that they are of
  let settled = false; // whether the upper canvas is as it should be
  const paintAll = perFrame(() => {
    if (!layout || !flow || picture.hidden) return;
    const from = view.colours;
    const { width: wide, height } = layout;
    if (painted !== drawn) {
      // While the threshold moves only what is in the window is painted; the rest follows when it rests.
      const seen = painted !== null && drawnFor === layout ? inWindow(base) : null;
      paintRibbons(layout, from, seen);
      painted = drawn;
      drawnFor = layout;
      if (seen) paintRest.ask();
      else paintRest.stop();
    }
    if (settled) return;
    settled = true;
    const parts = litParts();
    base.style.opacity = String(parts ? FADED : 1);
    paint(fit(top, wide, height), { width: wide, height, shapes: above(from, parts) }, from.font);
  });
  function paintRibbons(at: Layout, from: Colours, seen: Span | null): void {
    const shown = seen ? drawn.filter((ribbon) => reaches(ribbon, seen)) : drawn;
    const context = fit(base, at.width, at.height, seen);
    context.save();
    if (seen) {
      context.beginPath();
      context.rect(0, seen.top, at.width, seen.bottom - seen.top);
      context.clip();
    }
    paint(context, { width: at.width, height: at.height, shapes: ribbonShapes(shown, from) }, from.font);
    context.restore();
  }

  const paintRest = whenStill(() => {
    if (layout && !picture.hidden) paintRibbons(layout, view.colours, null);
  });
  const draw = {
    /** Draws all but ribbons that have not changed. */
    ask: (): void => {
      settled = false;
      paintAll.ask();
    },
  };

  // -- pointing --------------------------------------------------------------------------------------------------

  const rowName = (box: Box): string => layout!.rows[box.row]!.label;
  const layerName = (box: Box): string => {
    const stacks = stacksOf(graph!).length > 1 ? `${box.stack === "encoder" ? "source" : "decoder"} ` : "";
    const { layer } = graph!.groups[box.group]!;
    return layer === 0 ? `${stacks}input` : `${stacks}layer ${layer}`;
  };

  function boxFacts(b: number): Fact[] {
    const box = layout!.boxes[b]!;
    const row = layout!.rows[box.row]!;
    const amount: Fact = ["Flow through", `${single(box.through)}, ${percent(box.through / flow!.value)} of it all`];
    if (row.player !== null && graph!.groups[box.group]!.layer === 0) return [...facts(view, row.player), amount];
    return [[row.label], ["At", layerName(box)], amount];
  }

  function ribbonFacts(ribbon: Ribbon): Fact[] {
    const [from, to] = [layout!.boxes[ribbon.from]!, layout!.boxes[ribbon.to]!];
    return [
      [`${rowName(from)} → ${rowName(to)}`],
      ["From", layerName(from)],
      ["To", layerName(to)],
      ["Flow", `${single(ribbon.flow)}, ${percent(ribbon.flow / flow!.value)} of it all`],
      ...(ribbon.cut ? [["Minimum cut", "crosses it"] as const] : []),
    ];
  }

  function point(event: PointerEvent): void {
    if (!layout) return;
    const area = top.getBoundingClientRect();
    const [x, y] = [event.clientX - area.left, event.clientY - area.top];
    const b = boxAt(graph!, layout, x, y);
    const r = b === null ? ribbonAt(drawn, x, y) : null;
    const before = hovered;
    hovered = b !== null ? { box: b } : null;
    cursor = null;
    if (b !== null) tip.show(boxFacts(b), event.clientX, event.clientY);
    else if (r !== null) tip.show(ribbonFacts(r), event.clientX, event.clientY);
    else tip.hide();
    picture.style.cursor = b !== null ? "pointer" : "default";
    if (JSON.stringify(before) !== JSON.stringify(hovered)) draw.ask();
  }

  function leave(): void {
    hovered = null;
    tip.hide();
    draw.ask();
  }

  function press(b: number | null): void {
    if (b === null) {
      pinned = null;
      view.set({ player: null });
    } else {
      const box = layout!.boxes[b]!;
      const row = layout!.rows[box.row]!;
      if (row.player !== null && graph!.groups[box.group]!.layer === 0) {
        pinned = null;
        view.pin(row.player);
      } else {
        pinned = pinned && "box" in pinned && pinned.box === b ? null : { box: b };
      }
    }
    draw.ask();
  }

  function key(event: KeyboardEvent): void {
    if (!layout || layout.boxes.length === 0) return;
    const { boxes } = layout;
    if (event.key === "Escape") {
      cursor = null;
      press(null);
      tip.hide();
      return;
    }
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      if (cursor !== null) press(cursor);
      return;
    }
    const moves: Record<string, [number, number]> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const move = moves[event.key];
    if (!move) return;
    event.preventDefault();
    const next = boxBeside(layout, cursor, move[0], move[1]);
    if (next === null) return;
    cursor = next;
    const area = top.getBoundingClientRect();
    const box = boxes[cursor]!;
    const lines = boxFacts(cursor);
    tip.show(lines, area.left + box.x + NODE, area.top + box.y);
    view.say(spoken(lines));
    draw.ask();
  }

  picture.addEventListener("pointermove", point);
  picture.addEventListener("pointerleave", leave);
  picture.addEventListener("keydown", key);
  picture.addEventListener("blur", () => {
    cursor = null;
    tip.hide();
    draw.ask();
  });
  picture.addEventListener("click", (event) => {
    const area = top.getBoundingClientRect();
    if (graph && layout) press(boxAt(graph, layout, event.clientX - area.left, event.clientY - area.top));
  });
  slider.addEventListener("input", () => {
    threshold = slider.valueAsNumber === 0 ? 0 : LEAST.invert(slider.valueAsNumber);
    select();
  });
  const watch = new ResizeObserver(([entry]) => {
    const next = Math.floor(entry!.contentRect.width);
    if (next === width || next === 0) return;
    width = next;
    rebuild();
  });
  watch.observe(element);
  pick();

  return {
    element,
    update: (changed: ReadonlySet<keyof State>) => {
      if (changed.has("result")) {
        threshold = null;
        rowLimit = null;
        chosen = false;
        pinned = null;
      }
      if (changed.has("target")) pinned = null;
      if (changed.has("result") || changed.has("target")) item = null;
      if (changed.has("result") || changed.has("target") || changed.has("player")) {
        const before = item;
        pick();
        if (item !== before || changed.has("result") || changed.has("target")) rebuild();
        else if (changed.has("player") && layout?.rows.some((row) => row.joined)) arrange();
        else draw.ask();
      }
    },
    light: (player) => {
      hovered = player === null ? null : { player };
      draw.ask();
    },
    repaint: () => {
      painted = null;
      draw.ask();
    },
    destroy: () => {
      watch.disconnect();
      paintAll.stop();
      paintRest.stop();
    },
  };
}
