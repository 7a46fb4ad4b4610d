/** Elements from data. Text is set as text, never as markup: whatever a token says, it is shown, not run. */

type Value = string | number | boolean | null | undefined | EventListener | ((event: never) => void);
export type Child = Node | string | null | undefined | false;

/** Makes an element; keys that start with "on" are listeners, true and false set or leave out an attribute. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, Value> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value as EventListener);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, String(value));
  }
  element.append(...children.filter((child): child is Node | string => child !== null && child !== undefined && child !== false));
  return element;
}

let counter = 0;

/** An id that no other instance on the page has. */
export function fresh(name: string): string {
  counter += 1;
  return `attnflow-${name}-${counter}`;
}

/** A labelled check box. */
export function check(label: string, checked: boolean, change: (on: boolean) => void, title?: string): HTMLLabelElement {
  const input = h("input", { type: "checkbox", autocomplete: "off" });
  input.checked = checked;
  input.addEventListener("change", () => change(input.checked));
  return h("label", { class: "check", title }, input, label);
}

/** A labelled drop-down list of `[value, text]`. */
export function choice(
  label: string,
  options: readonly (readonly [string, string])[],
  value: string,
  change: (value: string) => void,
): { element: HTMLLabelElement; set(value: string): void } {
  const select = h("select", { autocomplete: "off", "aria-label": label }, ...options.map(([key, text]) => h("option", { value: key }, text)));
  select.value = value;
  select.addEventListener("change", () => change(select.value));
  return {
    element: h("label", { class: "choice" }, h("span", {}, label), select),
    set: (next) => {
      select.value = next;
    },
  };
}

/** Calls `work` when nobody has asked for it for a moment. */
export function whenStill(work: () => void, milliseconds = 150): { ask(): void; stop(): void } {
  let waiting = 0;
  const stop = (): void => window.clearTimeout(waiting);
  return {
    ask: () => {
      stop();
      waiting = window.setTimeout(work, milliseconds);
    },
    stop,
  };
}

/** Calls `work` once per frame at most, however often it is asked. */
export function perFrame(work: () => void): { ask(): void; stop(): void } {
  let waiting = 0;
  return {
    ask: () => {
      if (waiting === 0)
        waiting = requestAnimationFrame(() => {
          waiting = 0;
          work();
        });
    },
    stop: () => cancelAnimationFrame(waiting),
  };
}
