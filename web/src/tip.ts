/** The box beside the pointer or the focused element that says what is there. */
import { h } from "./dom.ts";

export interface Tip {
  element: HTMLElement;
  /** Shows lines of `[term, text]` (a lone text is a heading) at a point in the view's own coordinates. */
  show(lines: readonly (readonly [string, string] | readonly [string])[], x: number, y: number): void;
  hide(): void;
}

export function tip(frame: HTMLElement): Tip {
  const element = h("div", { class: "tip", "aria-hidden": "true" });
  element.hidden = true;
  return {
    element,
    show: (lines, x, y) => {
      element.replaceChildren(
        ...lines.flatMap((line) =>
          line.length === 1 ? [h("b", { dir: "auto" }, line[0])] : [h("span", {}, line[0]), h("span", { class: "value" }, line[1])],
        ),
      );
      element.hidden = false;
      const box = frame.getBoundingClientRect();
      const { offsetWidth: width, offsetHeight: height } = element;
      const left = Math.max(4, Math.min(x - box.left + 14, box.width - width - 4));
      const below = y + 18 + height < window.innerHeight;
      element.style.left = `${left}px`;
      element.style.top = `${below ? y - box.top + 18 : Math.max(4, y - box.top - height - 14)}px`;
    },
    hide: () => {
      element.hidden = true;
    },
  };
}
