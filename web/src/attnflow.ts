/** The entry: `mount(element, payload, options)`, and mounting by itself what a page holds. */
import { type MountOptions, mount } from "./mount.ts";

export { mount, type MountOptions };

// A page says what to show in `<script type="application/json" data-attnflow>`: each such element is
// shown in the element before it, once, however often the bundle is loaded.
for (const script of document.querySelectorAll<HTMLScriptElement>('script[type="application/json"][data-attnflow]')) {
  const place = script.previousElementSibling;
  if (place instanceof HTMLElement && script.dataset["attnflow"] !== "mounted") {
    script.dataset["attnflow"] = "mounted";
    mount(place, JSON.parse(script.textContent ?? "null"));
  }
}
