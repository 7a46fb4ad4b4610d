/** The web app's page: asks, shows progress, shows the result, and keeps its link in the address bar. */
import { ask, type JobView, type ModelsView, type ResultView, start, watch } from "./api.ts";
import type { Theme } from "../mount.ts";
import { byId, Form } from "./form.ts";

/** The view's bundle, handed out beside this page's own script. */
const BUNDLE: string = "/assets/attnflow.js";

const form = byId<HTMLFormElement>("form");
const result = byId("result");
const error = byId("error");
let shown: { destroy(): void } | null = null;
let theme: Theme = "auto";
let running: string | null = null;

function fail(message: string): void {
  error.textContent = message;
  error.hidden = false;
}

function clear(): void {
  error.hidden = true;
  result.hidden = true;
  shown?.destroy();
  shown = null;
}

function report(job: JobView): void {
  const stage = job.stage.charAt(0).toUpperCase() + job.stage.slice(1);
  const count = job.total ? ` · ${job.done.toLocaleString("en")} of ${job.total.toLocaleString("en")}` : "";
  const ahead = job.ahead > 0 ? ` · ${job.ahead} before this one` : "";
  byId("stage").textContent = stage + count + ahead;
  const bar = byId<HTMLProgressElement>("bar");
  if (job.total) {
    bar.max = job.total;
    bar.value = job.done;
  } else {
    bar.removeAttribute("value");
  }
}

async function show(found: ResultView): Promise<void> {
  const [{ mount }, payload] = await Promise.all([
    import(BUNDLE) as Promise<typeof import("../attnflow.ts")>,
    ask<{ headline?: string }>(found.links.view),
  ]);
  result.hidden = false;
  shown?.destroy();
  shown = mount(byId("view"), payload, {
    theme,
    onTheme: (chosen) => {
      theme = chosen;
      document.documentElement.dataset["theme"] = chosen;
    },
  });
  for (const name of ["json", "html", "svg"] as const) byId<HTMLAnchorElement>(name).href = found.links[name];
  byId("kept").textContent = found.kept ? "" : "The link works until the server stops.";
  document.title = payload.headline ? `${payload.headline} · attnflow` : "attnflow";
}

async function explain(ready: Form): Promise<void> {
  clear();
  const go = byId<HTMLButtonElement>("go");
  const progress = byId("progress");
  go.disabled = true;
  try {
    const job = await start(ready.options(), ready.upload);
    running = job.id;
    report(job);
    progress.hidden = false;
    byId<HTMLButtonElement>("cancel").disabled = false;
    progress.scrollIntoView({ block: "nearest" });
    const end = await watch(job.id, report);
    if (end.error) throw new Error(end.error.message);
    if (end.state === "cancelled") fail("Cancelled.");
    if (end.result) {
      await show(end.result);
      history.pushState({ result: end.result.id }, "", end.result.links.page);
      progress.hidden = true;
      result.focus({ preventScroll: true });
      result.scrollIntoView({ block: "start" });
    }
  } catch (problem) {
    fail(problem instanceof Error ? problem.message : String(problem));
  } finally {
    running = null;
    go.disabled = false;
    progress.hidden = true;
  }
}

/** Shows what the address names: a saved result, or the empty form. */
async function follow(): Promise<void> {
  const name = /^\/r\/([\w-]+)$/.exec(location.pathname)?.[1];
  clear();
  byId<HTMLDetailsElement>("ask").open = name === undefined;
  if (name === undefined) {
    document.title = "attnflow";
    return;
  }
  try {
    await show(await ask<ResultView>(`/api/results/${name}`));
  } catch (problem) {
    byId<HTMLDetailsElement>("ask").open = true;
    fail(problem instanceof Error ? problem.message : String(problem));
  }
}

byId("cancel").addEventListener("click", () => {
  if (running === null) return;
  byId<HTMLButtonElement>("cancel").disabled = true;
  ask<JobView>(`/api/jobs/${running}`, { method: "DELETE" }).then(report, (problem: Error) => fail(problem.message));
});
byId("copy").addEventListener("click", () => {
  navigator.clipboard.writeText(location.href).then(
    () => (byId("kept").textContent = "Copied."),
    () => (byId("kept").textContent = "The browser does not allow copying here: take the address above."),
  );
});
addEventListener("popstate", () => void follow());
void follow();
ask<ModelsView>("/api/models")
  .then((offer) => {
    const ready = new Form(offer); // from here on the form can be used
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (running === null) void explain(ready);
    });
    byId("text").addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
    });
  })
  .catch((problem: Error) => {
    byId("model-hint").textContent = "The server's models are not known: load this page again.";
    form.removeAttribute("aria-busy");
    fail(problem.message);
  });
