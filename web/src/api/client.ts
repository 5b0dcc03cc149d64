/** The API as functions. Every failure is an `ApiError` with the server's problems, or an `OfflineError`. */

import { errorOf, OfflineError } from "./problems";
import type * as api from "./types";

export interface ClientOptions {
  /** Where the server is; the page's own origin when left out. */
  readonly base?: string;
  readonly token?: string | null;
  readonly fetch?: typeof fetch;
}

type Answer<T> = Promise<T>;
interface Sent {
  readonly body?: BodyInit | null;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

export class Client {
  readonly token: string | null;
  private readonly base: string;
  private readonly fetch: typeof fetch;

  constructor(options: ClientOptions = {}) {
    this.base = options.base ?? "";
    this.token = options.token ?? null;
    this.fetch = options.fetch ?? ((...given) => globalThis.fetch(...given));
  }

  catalog(): Answer<unknown> {
    return this.json("GET", "/api/catalog");
  }

  check(request: api.PlanRequest, signal?: AbortSignal): Answer<api.CheckAnswer> {
    return this.json("POST", "/api/check", request, signal);
  }

  plan(request: api.PlanRequest, signal?: AbortSignal): Answer<api.PlanAnswer> {
    return this.json("POST", "/api/plan", request, signal);
  }

  enqueue(request: api.PlanRequest): Answer<{ readonly run_id: string }> {
    return this.json("POST", "/api/runs", request);
  }

  /** Runs, newest first. */
  runs(query: api.RunQuery = {}, signal?: AbortSignal): Answer<api.RunPage> {
    const asked = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
    const terms = new URLSearchParams(asked.map(([name, value]) => [name, String(value)]));
    return this.json("GET", `/api/runs?${terms}`, undefined, signal);
  }

  run(id: string): Answer<api.Run> {
    return this.json("GET", `/api/runs/${encodeURIComponent(id)}`);
  }

  /** The models that are on the server's machine. */
  models(): Answer<api.ModelList> {
    return this.json("GET", "/api/models");
  }

  /** The pictures that `file` ports can name: those that ship by name, then uploads, the newest first. */
  pictures(): Answer<{ readonly pictures: readonly api.PictureSource[] }> {
    return this.json("GET", "/api/pictures");
  }

  /** What a node gave, in small, by the key of its result. */
  preview(key: string, signal?: AbortSignal): Answer<api.NodePreview> {
    return this.json("GET", `/api/previews/${encodeURIComponent(key)}`, undefined, signal);
  }

  async cancel(id: string): Promise<void> {
    await this.send("DELETE", `/api/runs/${encodeURIComponent(id)}`);
  }

  /** Queue a run that has ended once more. */
  retry(id: string): Answer<{ readonly run_id: string }> {
    return this.json("POST", `/api/runs/${encodeURIComponent(id)}/retry`, {});
  }

  /** Change what a waiting run's turn is: its priority, or the run that it shall go before. */
  reorder(id: string, change: { readonly priority: number } | { readonly before: string }): Answer<unknown> {
    return this.json("PATCH", `/api/runs/${encodeURIComponent(id)}`, change);
  }

  async workflows(): Promise<readonly api.WorkflowEntry[]> {
    return (await this.json<{ workflows: readonly api.WorkflowEntry[] }>("GET", "/api/workflows")).workflows;
  }

  async workflow(name: string): Promise<api.Versioned> {
    const response = await this.send("GET", `/api/workflows/${encodeURIComponent(name)}`);
    return { document: await response.json(), version: versionOf(response) };
  }

  /** Save. `seen` is the version that was opened, "" for a new name; `null` overwrites. 412 when it has changed. */
  async save(name: string, document: api.DocumentJson, seen: string | null): Promise<string> {
    const headers = { ...JSON_BODY, ...expecting(seen) };
    const sent = { body: JSON.stringify(document), headers };
    return versionOf(await this.send("PUT", `/api/workflows/${encodeURIComponent(name)}`, sent));
  }

  async remove(name: string): Promise<void> {
    await this.send("DELETE", `/api/workflows/${encodeURIComponent(name)}`);
  }

  /** Keep a picture on the server for `file` ports. */
  async upload(picture: Blob): Promise<api.Upload> {
    const sent = { body: picture, headers: { "Content-Type": picture.type || "application/octet-stream" } };
    return (await this.send("POST", "/api/uploads", sent)).json();
  }

  /** The workflow inside a PNG that sdgraph wrote, or of a JSON file of this or another tool. */
  async open(file: Blob): Promise<api.DocumentJson> {
    const type = file.type || "application/octet-stream";
    const response = await this.send("POST", "/api/open", { body: file, headers: { "Content-Type": type } });
    const answer = (await response.json()) as { workflow?: api.DocumentJson } & api.DocumentJson;
    return answer.workflow ?? answer;
  }

  /** The Python program that builds a workflow. */
  async python(workflow: api.DocumentJson): Promise<string> {
    return (await this.json<{ text: string }>("POST", "/api/export", { workflow, kind: "python" })).text;
  }

  tokens(syntax: string, prompt: string, signal?: AbortSignal): Answer<api.Tokens> {
    return this.json("POST", "/api/tokens", { syntax, prompt }, signal);
  }

  /** Where a picture is; with `thumbnail_px` a small copy of it. */
  resultUrl(digest: string, thumbnail_px?: number): string {
    const small = thumbnail_px === undefined ? "" : `?thumbnail_px=${thumbnail_px}`;
    return `${this.base}/api/results/${encodeURIComponent(digest)}${small}`;
  }

  /** The content behind an address of this server, with the token that an `<img>` can't send. */
  async bytes(url: string, signal?: AbortSignal): Promise<Blob> {
    return (await this.send("GET", url, signal ? { signal } : {})).blob();
  }

  /** Where the event socket is. */
  get socketUrl(): string {
    const url = new URL(`${this.base}/api/events`, globalThis.location?.href ?? "http://localhost");
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    if (this.token) url.searchParams.set("token", this.token);
    return url.href;
  }

  private async json<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
    const content = body === undefined ? {} : { body: JSON.stringify(body), headers: JSON_BODY };
    const response = await this.send(method, path, { ...content, ...(signal ? { signal } : {}) });
    return response.json() as Promise<T>;
  }

  private async send(method: string, path: string, sent: Sent = {}): Promise<Response> {
    const headers = { Accept: "application/json", ...this.authorization(), ...sent.headers };
    const response = await this.reach(`${this.base}${path}`, { method, ...sent, headers });
    if (!response.ok) throw await errorOf(response);
    return response;
  }

  private async reach(url: string, init: RequestInit): Promise<Response> {
    try {
      return await this.fetch(url, init);
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") throw error;
      throw new OfflineError();
    }
  }

  private authorization(): Record<string, string> {
    return this.token ? { Authorization: `Bearer ${this.token}` } : {};
  }
}

const JSON_BODY = { "Content-Type": "application/json" };

function expecting(seen: string | null): Record<string, string> {
  if (seen === null) return {};
  return seen === "" ? { "If-None-Match": "*" } : { "If-Match": `"${seen}"` };
}

function versionOf(response: Response): string {
  return (response.headers.get("ETag") ?? "").replace(/^W\//, "").replaceAll('"', "");
}
