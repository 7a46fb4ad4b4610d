/** The entry: `mount(element, payload, options)`; by default the widget; and mounting by itself what a page holds. */
import { ground } from "./ground.ts";
import { mount, type MountOptions } from "./mount.ts";
import widget from "./widget.ts";

export { ground, mount, type MountOptions };
export default widget;

// A page says what to show in `<script type="application/json" data-attnflow>`: each such element is
// shown in the element before it, once, however often the bundle is loaded.
for (const script of document.querySelectorAll<HTMLScriptElement>('script[type="application/json"][data-attnflow]')) {
  const place = script.previousElementSibling;
  if (!(place instanceof HTMLElement) || script.dataset["attnflow"] === "mounted") continue;
  const whole = script.dataset["attnflow"] === "page";
  script.dataset["attnflow"] = "mounted";
  mount(place, JSON.parse(script.textContent ?? "null"), {
    // The page around takes the theme too, so that no edge of it stays behind.
    onTheme: (theme) => {
      if (whole) document.documentElement.style.colorScheme = theme === "auto" ? "light dark" : theme;
    },
  });
}
