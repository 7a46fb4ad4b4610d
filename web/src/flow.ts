/** The flow panel: layers as columns, tokens as rows, ribbons as wide as their flow. */
import { scaleLog } from "d3-scale";
import { fit, shortened, textWidth } from "./canvas.ts";
import { check, choice, h, perFrame } from "./dom.ts";
import { facts, type Fact, spoken } from "./facts.ts";
import { buildFlow, type Flow, isFixed, lit, shownGroups } from "./flowgraph.ts";
import { columnsThatFit, type Box, type Layout, layOut, NODE, type Ribbon } from "./layout.ts";
import { counted, percent, single } from "./numbers.ts";
import type { FlowItem, Graph } from "./payload.ts";
import { everyRow, joinRows, type Row } from "./rows.ts";
import { savePng, saveSvg } from "./saving.ts";
import { heightAt, paint, type Scene, type Shape } from "./scene.ts";
import type { Colours } from "./theme.ts";
import type { Tip } from "./tip.ts";
import { fileName, type Panel, type State, type View } from "./view.ts";

/** Ribbons that are drawn until the reader asks for more. */
const RIBBONS = 900;
/** Rows that are shown until the reader asks for more. */
const ROWS = 40;
/** From the slider, 0 to 1, to the part of the flow below which ribbons are hidden; its low end hides nothing. */
const LEAST = scaleLog().domain([1e-5, 0.2]).range([0, 1]).clamp(true);

type Mark = { box: number } | { ribbon: number } | { player: number };

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

  function stacksOf(of: Graph): ("encoder" | "decoder")[] {
    return (["encoder", "decoder"] as const).filter((stack) => of.groups.some((group) => group.stack === stack));
  }

  function space(): { width: number; label: number; end: number } {
    const { font } = view.colours;
    const stacks = graph ? stacksOf(graph).length : 1;
    const names = [...payload.players.map((player) => player.label), ...payload.sequences.flatMap((some) => some.tokens.map((token) => token.label))];
    const widest = Math.max(...names.map((name) => textWidth(name, 13, font)), 20);
    const label = Math.min(widest + 14, width < 600 ? 92 / stacks + 18 : 170);
    const end = Math.min(textWidth(view.target.name, 13, font, 600) + 18, width < 600 ? 74 : 150);
    return { width, label: Math.max(label, 40), end: Math.max(end, 30) };
  }

  /** Leaves out layers evenly until the rest fit, unless the reader has chosen. */
  function chooseLayers(): void {
    if (!graph || chosen) return;
    const { label, end } = space();
    const groups = shownGroups(graph);
    const most = columnsThatFit(width, label, end, stacksOf(graph).length);
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
    select();
  }

  /** Chooses the ribbons that are drawn, and says what is not. */
  function select(): void {
    if (!layout || !flow) return;
    const parts = layout.ribbons.map((ribbon) => ribbon.flow / flow!.value).sort((a, b) => b - a);
    let least = threshold;
    if (least === null) least = parts.length > RIBBONS ? parts[RIBBONS - 1]! : 0;
    drawn = layout.ribbons.filter((ribbon) => ribbon.flow / flow!.value >= least);
    // Wide ones first, so that none hides a narrower one; the residual stream below everything.
    drawn.sort((a, b) => Number(b.same) - Number(a.same) || b.flow - a.flow);
    slider.value = String(least > 0 ? LEAST(least) : 0);
    sliderText.textContent = least > 0 ? `${percent(least)} of the flow` : "nothing";
    slider.setAttribute("aria-valuetext", sliderText.textContent);
    const left = layout.ribbons.length - drawn.length;
    const joined = layout.rows.filter((row) => row.joined);
    const parts2 = [
      left === 0
        ? `All ${counted(drawn.length, "ribbon")} shown.`
        : `${counted(drawn.length, "ribbon")} shown; ${counted(left, "ribbon")} below ${percent(least)} of the flow hidden, the largest with ${single(Math.max(...layout.ribbons.filter((ribbon) => ribbon.flow / flow!.value < least!).map((ribbon) => ribbon.flow)))}.`,
      hidden.size > 0 ? `${counted(hidden.size, "layer")} folded into the next.` : "",
      joined.length > 0
        ? `${counted(joined.reduce((sum, row) => sum + row.positions.length, 0), "token")} that carry little joined in ${counted(joined.length, "row")}.`
        : "",
    ];
    count.textContent = parts2.filter(Boolean).join(" ");
    describe();
    legendItems();
    draw.ask();
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

  function legendItems(): void {
    const kinds: [string, string, boolean][] = [
      ["attention", "attention", drawn.some((ribbon) => !ribbon.same && ribbon.kind === "attention")],
      ["residual", "same token: residual stream, attention to itself", drawn.some((ribbon) => ribbon.same)],
      ["cross", "cross-attention", drawn.some((ribbon) => ribbon.kind === "cross")],
      ["closure", "a generated token, fed back by the node that decided it", drawn.some((ribbon) => ribbon.kind === "closure")],
      ["cut", "minimum cut: what limits the flow", showCut && layout!.ribbons.some((ribbon) => ribbon.cut)],
    ];
    legend.replaceChildren(
      ...kinds.filter(([, , present]) => present).map(([name, text]) => h("li", {}, h("i", { class: name }), text)),
    );
  }

  // -- drawing -------------------------------------------------------------------------------------------------

  const colourOf = (ribbon: Ribbon, from: Colours): string =>
    ribbon.kind === "closure" ? from.closure : ribbon.kind === "cross" ? from.cross : ribbon.same ? from.residual : from.attention;

  function ribbonShapes(from: Colours): Shape[] {
    return drawn.map((ribbon): Shape => shapeOf(ribbon, ribbon.width, colourOf(ribbon, from), ribbon.same ? 0.32 : ribbon.loop ? 0.36 : 0.46));
  }

  function shapeOf(ribbon: Ribbon, wide: number, fill: string, alpha: number): Shape {
    if (ribbon.loop)
      return { kind: "path", points: ribbon.loop, stroke: fill, width: Math.max(wide, 0.75), alpha, round: 7 };
    const { x0, y0, x1, y1 } = ribbon;
    return { kind: "ribbon", x0, y0, x1, y1, width: wide, fill, alpha };
  }

  function topShapes(from: Colours, parts: Float64Array | null): Shape[] {
    const shapes: Shape[] = [];
    const at = layout!;
    const touched = new Set<number>();
    if (parts)
      for (const ribbon of [...at.ribbons].sort((a, b) => b.flow - a.flow)) {
        const amount = ribbon.edges.reduce((sum, edge) => sum + parts[edge]!, 0);
        if (amount * at.scale < 0.03) continue;
        touched.add(ribbon.from).add(ribbon.to);
        shapes.push(shapeOf(ribbon, amount * at.scale, ribbon.same ? from.soft : from.lit, ribbon.same ? 0.7 : 0.85));
      }
    at.boxes.forEach((box, b) => {
      const strong = !parts || touched.has(b);
      shapes.push({
        kind: "rect", x: box.x, y: box.y - box.height / 2, width: NODE, height: box.height, radius: Math.min(2, box.height / 2),
        fill: strong ? from.ink : from.line,
        ...(marked(b) ? { stroke: from.lit } : {}),
      });
    });
    if (showCut && !parts) shapes.push(...cutShapes(from));
    const carrying = new Set(at.boxes.map((box) => box.row));
    for (const label of at.labels) {
      const row = at.rows[label.row]!;
      const mine = row.player !== null && (row.player === view.state.player || (hovered !== null && "player" in hovered && hovered.player === row.player));
      shapes.push({
        kind: "text", x: label.x, y: label.y, text: shortened(row.label, label.space, label.size, from.font, mine ? 700 : 400), size: label.size, anchor: "end",
        fill: (row.quiet || !carrying.has(label.row)) && !mine ? from.soft : from.ink, weight: mine ? 700 : 400, halo: from.ground,
      });
    }
    shapes.push(...headings(from), ...targetShapes(from));
    return shapes;
  }

  function headings(from: Colours): Shape[] {
    const stacks = stacksOf(graph!);
    let last = -Infinity;
    return layout!.columns.flatMap((column): Shape[] => {
      const first = column.layer === 0;
      const text = first ? (stacks.length > 1 ? (column.stack === "encoder" ? "source" : "decoder") : "input") : String(column.layer);
      const half = textWidth(text, 12, from.font) / 2;
      const x = column.x + NODE / 2;
      if (x - half < last + 6) return [];
      last = x + half;
      return [{ kind: "text", x, y: 12, text, size: 12, anchor: "middle", fill: from.soft }];
    });
  }

  /** The target's name beside its node; of a set, beside the node that takes most. */
  function targetShapes(from: Colours): Shape[] {
    const at = layout!;
    const positions = new Set(view.target.positions);
    const ends = at.boxes.filter((box) => box.group === graph!.final && box.nodes.some((n) => positions.has(flow!.nodes[n]!.position)));
    if (ends.length === 0) return [];
    const best = ends.reduce((one, other) => (other.through > one.through ? other : one));
    const x = best.x + NODE + 7 + (at.ribbons.some((ribbon) => ribbon.loop) ? 20 : 0);
    const text = shortened(view.target.name, at.width - x - 2, 13, from.font, 600);
    // Of many positions together the name stands in their middle, beside one line.
    const [top, bottom] = [Math.min(...ends.map((box) => box.y - box.height / 2)), Math.max(...ends.map((box) => box.y + box.height / 2))];
    const many = ends.length > 3;
    const marks = many ? [{ y: (top + bottom) / 2, height: bottom - top }] : ends;
    const shapes: Shape[] = marks.map(({ y, height }) => ({
      kind: "rect", x: best.x + NODE + 2, y: y - Math.max(height, 4) / 2, width: 2.5, height: Math.max(height, 4), fill: from.lit,
    }));
    return [...shapes, { kind: "text", x, y: many ? (top + bottom) / 2 : best.y, text, size: 13, anchor: "start", fill: from.ink, weight: 600, halo: from.ground }];
  }

  /** A dashed line per gap through the middles of the ribbons that cross the cut, and a tick on each. */
  function cutShapes(from: Colours): Shape[] {
    const byGap = new Map<string, [number, number, number][]>();
    for (const ribbon of layout!.ribbons) {
      if (!ribbon.cut || ribbon.loop) continue;
      const x = (ribbon.x0 + ribbon.x1) / 2;
      const key = ribbon.kind === "cross" ? "cross" : x.toFixed(0);
      const at = ribbon.kind === "cross" ? ribbon.x1 - 14 : x;
      const points = byGap.get(key) ?? [];
      points.push([at, heightAt(ribbon, at), ribbon.width]);
      byGap.set(key, points);
    }
    const shapes: Shape[] = [];
    for (const points of byGap.values()) {
      points.sort((one, two) => one[1] - two[1]);
      const ends = points.map(([x, y]): [number, number] => [x, y]);
      const first = ends[0]!;
      const last = ends[ends.length - 1]!;
      shapes.push({
        kind: "path",
        points: [[first[0], first[1] - points[0]![2] / 2 - 8], ...ends, [last[0], last[1] + points[points.length - 1]![2] / 2 + 8]],
        stroke: from.cut, width: 1.5, dash: [5, 4],
      });
      for (const [x, y, wide] of points) {
        const half = Math.max(wide / 2, 2);
        shapes.push({ kind: "path", points: [[x, y - half], [x, y + half]], stroke: from.cut, width: 2.5 });
      }
    }
    return shapes;
  }

  const marked = (b: number): boolean =>
    (hovered !== null && "box" in hovered && hovered.box === b) || (pinned !== null && "box" in pinned && pinned.box === b) || cursor === b;

  /** What is lit: what is hovered, else what is pinned. */
  function mark(): Mark | null {
    if (hovered) return hovered;
    if (cursor !== null) return { box: cursor };
    if (pinned) return pinned;
    return view.state.player !== null ? { player: view.state.player } : null;
  }

  function seeds(of: Mark): number[] {
    if ("box" in of) return layout!.boxes[of.box]?.nodes ?? [];
    if ("ribbon" in of) return [];
    const player = payload.players[of.player];
    return (player?.nodes ?? []).flatMap(([stack, position]) => {
      const group = graph!.groups.findIndex((found) => found.stack === stack && found.layer === 0);
      const n = flow!.index.get(group * flow!.stride + position);
      return n === undefined ? [] : [n];
    });
  }

  function litParts(): Float64Array | null {
    const of = mark();
    if (!of || !flow || !layout || "ribbon" in of) return null;
    const found = seeds(of);
    // A player without any drawn flow lights nothing, and says so by everything else standing back.
    return found.length > 0 || "player" in of ? lit(flow, found) : null;
  }

  function scene(): Scene {
    const from = view.colours;
    return { width: layout!.width, height: layout!.height, shapes: [...ribbonShapes(from), ...topShapes(from, litParts())] };
  }

  let painted: unknown = null;
  const draw = perFrame(() => {
    if (!layout || !flow || picture.hidden) return;
    const from = view.colours;
    const { width: wide, height } = layout;
    const key = [drawn, from.ground, wide, height].join();
    const stale = painted === null || key !== painted || lastDrawn !== drawn;
    if (stale) {
      paint(fit(base, wide, height), { width: wide, height, shapes: ribbonShapes(from) }, from.font);
      painted = key;
      lastDrawn = drawn;
    }
    const parts = litParts();
    base.style.opacity = parts ? "0.28" : "1";
    paint(fit(top, wide, height), { width: wide, height, shapes: topShapes(from, parts) }, from.font);
  });
  let lastDrawn: Ribbon[] | null = null;

  // -- pointing --------------------------------------------------------------------------------------------------

  function boxAt(x: number, y: number): number | null {
    let best: number | null = null;
    let distance = Infinity;
    layout!.boxes.forEach((box, b) => {
      const dx = Math.abs(x - box.x - NODE / 2);
      const dy = Math.max(Math.abs(y - box.y) - box.height / 2, 0);
      if (dx < 9 && dy < 5 && dx + 2 * dy < distance) {
        distance = dx + 2 * dy;
        best = b;
      }
    });
    if (best !== null) return best;
    // A label stands for its row's input.
    for (const label of layout!.labels)
      if (x <= label.x + 4 && x > label.x - label.space && Math.abs(y - label.y) <= label.size / 2 + 1) {
        const input = layout!.boxes.findIndex((box) => box.row === label.row && graph!.groups[box.group]!.layer === 0);
        return input >= 0 ? input : null;
      }
    return null;
  }

  function ribbonAt(x: number, y: number): number | null {
    let best: number | null = null;
    let narrow = Infinity;
    for (const ribbon of drawn) {
      if (ribbon.loop || x < ribbon.x0 || x > ribbon.x1) continue;
      if (Math.abs(y - heightAt(ribbon, x)) <= Math.max(ribbon.width / 2, 2) && ribbon.width < narrow) {
        narrow = ribbon.width;
        best = layout!.ribbons.indexOf(ribbon);
      }
    }
    return best;
  }

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

  function ribbonFacts(r: number): Fact[] {
    const ribbon = layout!.ribbons[r]!;
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
    const b = boxAt(x, y);
    const r = b === null ? ribbonAt(x, y) : null;
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
    const { boxes, columns } = layout;
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
    if (cursor === null) cursor = boxes.reduce((best, box, b) => (box.group === columns[0]!.group && box.y < (boxes[best]!.group === columns[0]!.group ? boxes[best]!.y : Infinity) ? b : best), 0);
    else {
      const here = boxes[cursor]!;
      const column = columns.findIndex((found) => found.group === here.group);
      const [dx, dy] = move;
      const group = columns[column + dx]?.group;
      const candidates = boxes
        .map((box, b) => ({ box, b }))
        .filter(({ box, b }) => b !== cursor && box.group === group && (dy === 0 || (box.y - here.y) * dy > 0));
      if (candidates.length === 0) return;
      cursor = candidates.reduce((one, other) => (Math.abs(other.box.y - here.y) < Math.abs(one.box.y - here.y) ? other : one)).b;
    }
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
    press(boxAt(event.clientX - area.left, event.clientY - area.top));
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
      draw.stop();
    },
  };
}
