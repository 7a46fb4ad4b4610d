/** The server's API, as far as the page uses it. The types are those of attnflow.serve.schema. */

export interface ModelView {
  name: string;
  summary: string;
  architecture: "encoder" | "decoder" | "encoder-decoder" | null;
  inputs: ("text" | "image")[];
  licence: string | null;
  loaded: boolean;
}

export interface ModelsView {
  models: ModelView[];
  methods: string[];
  capacities: string[];
  gradient: string[];
  defaults: { method: string; capacity: string };
  limits: { characters: number; tokens: number; generate: number; upload: number };
  kept: boolean;
  version: string;
}

export interface ResultView {
  id: string;
  kept: boolean;
  links: { page: string; view: string; json: string; html: string; svg: string };
}

export interface JobView {
  id: string;
  state: "queued" | "running" | "done" | "failed" | "cancelled";
  stage: string;
  done: number;
  total: number | null;
  ahead: number;
  seconds: number;
  result: ResultView | null;
  error: { kind: string; message: string; status: number } | null;
}

/** Asks the server; throws an Error whose message is the server's own sentence. */
export async function ask<T>(path: string, init?: RequestInit): Promise<T> {
  let answer: Response;
  try {
    answer = await fetch(path, init);
  } catch {
    throw new Error("The server does not answer: is it still running?");
  }
  const body: unknown = await answer.json().catch(() => null);
  if (!answer.ok) {
    const said = (body as { error?: { message?: string } } | null)?.error?.message;
    throw new Error(said ?? `The server answered ${answer.status}.`);
  }
  return body as T;
}

/** Starts a job: text as JSON, a file as a form that holds the options as JSON. */
export function start(options: Record<string, unknown>, file: File | null): Promise<JobView> {
  if (file === null) {
    const body = JSON.stringify(options);
    return ask("/api/explain", { method: "POST", headers: { "content-type": "application/json" }, body });
  }
  const form = new FormData();
  form.set("file", file);
  form.set("options", JSON.stringify(options));
  return ask("/api/explain/file", { method: "POST", body: form });
}

/** Follows a job until it is over; `seen` is told of every change. */
export function watch(id: string, seen: (job: JobView) => void): Promise<JobView> {
  return new Promise((resolve, reject) => {
    const events = new EventSource(`/api/jobs/${id}/events`);
    let lost = 0;
    events.addEventListener("job", (event) => {
      lost = 0;
      const job = JSON.parse((event as MessageEvent<string>).data) as JobView;
      seen(job);
      if (job.state === "done" || job.state === "failed" || job.state === "cancelled") {
        events.close();
        resolve(job);
      }
    });
    events.addEventListener("error", () => {
      // The browser reconnects by itself; a server that stays away is said so.
      lost += 1;
      if (lost >= 3 || events.readyState === EventSource.CLOSED) {
        events.close();
        reject(new Error("The connection to the server was lost: is it still running?"));
      }
    });
  });
}
