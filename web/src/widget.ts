/** The widget: what anywidget calls, wherever it runs, with the model that Python holds and an element to fill. */
import { ground } from "./ground.ts";
import { mount, type Theme } from "./mount.ts";

/** What every host of anywidget offers of a model. */
interface Model {
  get(name: string): unknown;
  set(name: string, value: unknown): void;
  save_changes(): void;
  on(name: string, listener: () => void): void;
  off(name: string, listener: () => void): void;
}

const WATCHED = ["change:payload", "change:theme"];

/** Draws the model's payload in `el`, again whenever it changes; returns what takes it away. */
function render({ model, el }: { model: Model; el: HTMLElement }): () => void {
  let view: { destroy(): void } | null = null;
  const draw = (): void => {
    view?.destroy();
    el.replaceChildren();
    const asked = model.get("theme") as Theme;
    view = mount(el, model.get("payload"), {
      theme: asked === "auto" ? ground(el) : asked,
      onSelect: (selection) => {
        model.set("selection", selection);
        model.save_changes();
      },
    });
  };
  draw();
  // One name a call: not every host knows lists of names.
  for (const name of WATCHED) model.on(name, draw);
  return () => {
    for (const name of WATCHED) model.off(name, draw);
    view?.destroy();
  };
}

export default { render };
