/** The form: what the server offers, what is chosen, and which questions a choice makes sense of. */
import type { ModelsView, ModelView } from "./api.ts";

export function byId<T extends HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`The page has no element #${id}.`);
  return found as T;
}

const value = (id: string): string => byId<HTMLInputElement | HTMLSelectElement>(id).value;
const show = (id: string, shown: boolean): void => {
  byId(id).hidden = !shown;
};

export class Form {
  private file: File | null = null;
  private picture = "";

  constructor(private readonly offer: ModelsView) {
    if (offer.models.length === 0) throw new Error("This server offers no model.");
    const models = byId<HTMLSelectElement>("model");
    models.append(...offer.models.map((model) => new Option(model.name, model.name)));
    byId("methods").append(...chips("method", offer.methods, offer.defaults.method));
    byId("capacities").append(...chips("capacity", offer.capacities, offer.defaults.capacity));
    byId<HTMLTextAreaElement>("text").maxLength = offer.limits.characters;
    byId("text-hint").textContent = `Up to ${offer.limits.tokens} tokens.`;
    byId<HTMLInputElement>("generate").max = String(offer.limits.generate);
    byId("form").addEventListener("change", () => this.settle());
    this.listenForFiles();
    this.settle();
    byId<HTMLFieldSetElement>("questions").disabled = false;
    byId("form").removeAttribute("aria-busy");
  }

  get model(): ModelView {
    const found = this.offer.models.find((model) => model.name === value("model"));
    if (found === undefined) throw new Error("This server offers no model.");
    return found;
  }

  /** The chosen file, for a model that reads one. */
  get upload(): File | null {
    return this.reads("image") ? this.file : null;
  }

  /** The request, without what is not asked; throws an Error that says what is missing. */
  options(): Record<string, unknown> {
    const methods = chosen("method");
    const capacities = chosen("capacity");
    if (methods.length === 0) throw new Error("Choose at least one method.");
    if (capacities.length === 0) throw new Error("Choose at least one capacity.");
    const options: Record<string, unknown> = { model: this.model.name };
    // What is preset is left to the server, which takes the nearest that the model allows and says so.
    if (methods.join() !== this.offer.defaults.method) options["method"] = methods.length === 1 ? methods[0] : methods;
    if (capacities.join() !== this.offer.defaults.capacity) {
      options["capacity"] = capacities.length === 1 ? capacities[0] : capacities;
    }
    if (this.reads("text") && value("text") !== "") options["text"] = value("text");
    if (this.reads("text")) options["players"] = value("players");
    if (this.upload === null && this.reads("text") && value("text").trim() === "") throw new Error("Type a text to explain.");
    if (this.upload === null && !this.reads("text")) throw new Error("Choose a picture to explain.");
    if (value("target") === "all") options["target"] = "all";
    if (value("target") === "position") options["target"] = whole("position", "Position");
    if (value("residual") === "open") options["residual"] = "open";
    if (value("residual") === "number") options["residual"] = number("weight", "Weight");
    if (!byId("generate-field").hidden && value("generate") !== "0") {
      options["generate"] = whole("generate", "Generate tokens");
      options["prefix"] = value("prefix");
    }
    if (!byId("output-field").hidden) {
      const output = value("output").trim();
      if (output !== "") options["output"] = /^[+-]?\d+$/.test(output) ? Number(output) : output;
      if (byId<HTMLInputElement>("signed").checked) options["signed"] = true;
    }
    return options;
  }

  private reads(kind: "text" | "image"): boolean {
    return this.model.inputs.includes(kind);
  }

  /** Shows the questions that make sense for what is chosen. */
  private settle(): void {
    const { architecture, summary, licence } = this.model;
    byId("model-hint").textContent = [summary, architecture, licence].filter((part) => part).join(" · ");
    const gradient = chosen("capacity").length > 0 && chosen("capacity").every((name) => this.offer.gradient.includes(name));
    show("text-field", this.reads("text"));
    show("file-field", this.reads("image"));
    show("players-field", this.reads("text"));
    show("position-field", value("target") === "position");
    show("generate-field", this.reads("text") && architecture !== "encoder");
    show("prefix-field", !byId("generate-field").hidden && value("generate") !== "0");
    show("weight-field", value("residual") === "number");
    show("output-field", gradient);
    show("signed-field", gradient);
  }

  private listenForFiles(): void {
    const input = byId<HTMLInputElement>("file");
    const drop = byId("drop");
    input.addEventListener("change", () => this.take(input.files?.[0] ?? null));
    for (const name of ["dragenter", "dragover"]) {
      drop.addEventListener(name, (event) => {
        event.preventDefault();
        drop.classList.add("over");
      });
    }
    for (const name of ["dragleave", "drop"]) drop.addEventListener(name, () => drop.classList.remove("over"));
    drop.addEventListener("drop", (event) => {
      event.preventDefault();
      this.take(event.dataTransfer?.files[0] ?? null);
    });
  }

  private take(file: File | null): void {
    const preview = byId<HTMLImageElement>("preview");
    URL.revokeObjectURL(this.picture);
    const most = this.offer.limits.upload;
    const fits = file !== null && file.type.startsWith("image/") && file.size <= most;
    this.file = fits ? file : null;
    preview.hidden = !fits;
    if (file !== null && fits) {
      this.picture = URL.createObjectURL(file);
      preview.src = this.picture;
      preview.alt = `Preview of ${file.name}`;
      byId("file-hint").textContent = file.name;
    } else if (file !== null) {
      const limit = Math.floor(most / 1e6);
      byId("file-hint").textContent = `${file.name} cannot be used: expected a picture of up to ${limit} MB.`;
    }
  }
}

function chips(name: string, values: string[], preset: string): HTMLLabelElement[] {
  return values.map((each) => {
    const label = document.createElement("label");
    const input = document.createElement("input");
    Object.assign(input, { type: "checkbox", name, value: each, checked: each === preset });
    label.append(input, each);
    return label;
  });
}

function chosen(name: string): string[] {
  return [...document.querySelectorAll<HTMLInputElement>(`input[name="${name}"]:checked`)].map((input) => input.value);
}

function number(id: string, name: string): number {
  const found = byId<HTMLInputElement>(id).valueAsNumber;
  if (Number.isNaN(found)) throw new Error(`${name}: expected a number.`);
  return found;
}

function whole(id: string, name: string): number {
  const found = number(id, name);
  if (!Number.isInteger(found)) throw new Error(`${name}: expected a whole number, found ${found}.`);
  return found;
}
