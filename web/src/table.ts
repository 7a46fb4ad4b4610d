/** The numbers behind the pictures, as tables that can be read, sorted and copied. */
import { check, h } from "./dom.ts";
import { bottleneckText, intervalText } from "./facts.ts";
import { counted, digits } from "./numbers.ts";
import type { Result } from "./payload.ts";
import { fraction, most } from "./shading.ts";
import type { Panel, View } from "./view.ts";

/** Rows that are laid out until the reader asks for all. */
const ROWS = 60;

export function tablePanel(view: View): Panel {
  const { payload } = view;
  let byScore = false;
  let all = false;
  const place = h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Scores of the players" });
  const more = h("button", {
    type: "button",
    onclick: () => {
      all = true;
      fill();
    },
  });
  const body = h(
    "details",
    { class: "numbers" },
    h("summary", {}, "Numbers"),
    h("div", { class: "controls" }, check("Highest first", byScore, (on) => {
      byScore = on;
      fill();
    })),
    place,
    more,
  );
  const element = h("section", { class: "panel" }, body);
  body.addEventListener("toggle", () => fill());

  function cells(result: Result, j: number, end: number): (HTMLElement | null)[] {
    const row = view.state.target;
    const decimals = result.decimals[row]!;
    const number = (value: number, name = ""): HTMLElement => h("td", { class: name }, digits(value, decimals));
    const part = fraction(result.scores[row]![j]!, end);
    const bar = h("td", { class: "bar", "aria-hidden": "true" }, h("i", { class: part < 0 ? "against" : "" }));
    (bar.firstElementChild as HTMLElement).style.width = `${Math.abs(part) * 100}%`;
    return [
      number(result.scores[row]![j]!, "score"),
      result.stderr ? number(result.stderr[row]![j]!) : null,
      result.supporting ? number(result.supporting[row]![j]!) : null,
      result.opposing ? number(result.opposing[row]![j]!) : null,
      bar,
      result.upper ? h("td", {}, intervalText(result, row, j)) : null,
      result.bottleneck ? h("td", {}, bottleneckText(result, row, j)) : null,
    ];
  }

  function fill(): void {
    if (!body.open) return;
    const { result } = view;
    const row = view.state.target;
    const several = payload.results.length > 1;
    const order = byScore
      ? [...payload.order].sort((a, b) => Math.abs(result.scores[row]![b]!) - Math.abs(result.scores[row]![a]!))
      : payload.order;
    const shown = all ? order : order.slice(0, ROWS);
    more.hidden = shown.length === order.length;
    more.textContent = `Show all ${counted(order.length, "player")}`;
    const unit = result.unit ? h("small", {}, result.unit) : null;
    const head = (text: string, extra: Node | null = null): HTMLElement => h("th", { scope: "col" }, text, extra && " ", extra);
    const end = most(payload, result, [row], "none");
    const heads = several
      ? payload.results.map((other) => head(other.name, other.unit ? h("small", {}, other.unit) : null))
      : [
          head("Score", unit),
          result.stderr ? head("± error") : null,
          result.supporting ? head("For") : null,
          result.opposing ? head("Against") : null,
          h("td", { class: "bar", "aria-hidden": "true" }),
          result.upper ? head("Interval") : null,
          result.bottleneck ? head("Bottleneck") : null,
        ];
    place.replaceChildren(
      h(
        "table",
        { class: "players" },
        h("caption", {}, `Scores for “${view.target.name}”${several ? ". Places: the top of each result." : ""}`),
        h("thead", {}, h("tr", {}, head("Position"), h("th", { scope: "col", class: "name" }, "Player"), ...heads)),
        h(
          "tbody",
          {},
          ...shown.map((j) => {
            const player = payload.players[j]!;
            const numbers = several
              ? payload.results.map((other, r) =>
                  h("td", {}, digits(other.scores[row]![j]!, other.decimals[row]!), " ", h("small", {}, payload.comparison?.places[row]?.[r]?.[j] ?? "")),
                )
              : cells(result, j, end);
            const name = h("th", { scope: "row", class: "name" }, h("bdi", {}, player.label));
            return h("tr", { class: player.quiet ? "quiet" : "" }, h("td", {}, player.place), name, ...numbers);
          }),
        ),
      ),
    );
  }

  return { element, update: () => fill() };
}

/** How far the results agree: one table of rank correlations, one of shared top players. */
export function agreementPanel(view: View): Panel {
  const place = h("div", { class: "agreement" });
  const element = h("section", { class: "panel" }, h("h2", {}, "Agreement"), place);
  function fill(): void {
    const part = view.payload.comparison!;
    const row = view.state.target;
    const table = (title: string, values: string[][]): HTMLElement =>
      h(
        "div",
        { class: "scroll", tabindex: 0, role: "region", "aria-label": title },
        h("p", { class: "note" }, title),
        h(
          "table",
          { "aria-label": title },
          h("thead", {}, h("tr", {}, h("td"), ...part.names.map((name) => h("th", { scope: "col" }, name)))),
          h(
            "tbody",
            {},
            ...values.map((line, a) =>
              h("tr", {}, h("th", { scope: "row", class: "name" }, part.names[a]), ...line.map((text, b) => h("td", { class: a === b ? "soft" : "" }, text))),
            ),
          ),
        ),
      );
    const correlations = part.correlations[row]!;
    const meaning = correlations.flat().includes("–") ? `${part.correlation} ${part.no_order}` : part.correlation;
    place.replaceChildren(table(meaning, correlations), table(part.overlap, part.overlaps[row]!));
  }
  fill();
  return { element, update: (changed) => changed.has("target") && fill() };
}
