/** Whether what stands behind an element is dark: notebooks have themes of their own, whatever the system prefers. */
export function ground(element: Element): "dark" | "light" | "auto" {
  // Styles are told in any colour space: a drawn pixel is not.
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const brush = canvas.getContext("2d", { willReadFrequently: true })!;
  let at: Element | null = element;
  while (at) {
    brush.clearRect(0, 0, 1, 1);
    brush.fillStyle = getComputedStyle(at).backgroundColor;
    brush.fillRect(0, 0, 1, 1);
    const [red, green, blue, opacity] = brush.getImageData(0, 0, 1, 1).data as unknown as [number, number, number, number];
    if (opacity > 127) return 0.2126 * red + 0.7152 * green + 0.0722 * blue < 128 ? "dark" : "light";
    const root: Node = at.getRootNode();
    at = at.parentElement ?? (root instanceof ShadowRoot ? root.host : null);
  }
  return "auto";
}
