/** Pictures and data to keep: as files that the browser saves, without asking the network for anything. */
import type { Scene } from "./scene.ts";
import { toSvg } from "./scene.ts";
import type { Colours } from "./theme.ts";

export function save(name: string, content: Blob): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

export function saveSvg(name: string, scene: Scene, from: Colours): void {
  save(`${name}.svg`, new Blob([toSvg(scene, from)], { type: "image/svg+xml" }));
}

/** Saves the scene at twice its size, for print and dense screens. */
export async function savePng(name: string, scene: Scene, from: Colours): Promise<void> {
  const factor = Math.min(2, Math.sqrt(64e6 / Math.max(scene.width * scene.height, 1)));
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(toSvg(scene, from))}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(scene.width * factor);
  canvas.height = Math.round(scene.height * factor);
  canvas.getContext("2d")!.drawImage(image, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise<Blob | null>((done) => canvas.toBlob(done, "image/png"));
  if (blob === null) throw new Error("The browser could not make a PNG of this picture: save it as SVG.");
  save(`${name}.png`, blob);
}
