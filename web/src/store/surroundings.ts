/** What the store needs of the world. Tests give another one. */

import type { DocumentJson, PlanAnswer, PlanRequest, Run, Versioned } from "../api/types";

/** The part of the API client that the store uses. */
export interface EditorApi {
  catalog(): Promise<unknown>;
  plan(request: PlanRequest, signal?: AbortSignal): Promise<PlanAnswer>;
  enqueue(request: PlanRequest): Promise<{ readonly run_id: string }>;
  run(id: string): Promise<Run>;
  cancel(id: string): Promise<void>;
  workflow(name: string): Promise<Versioned>;
  save(name: string, document: DocumentJson, seen: string | null): Promise<string>;
}

/** Something said to other windows of this browser. */
export interface Word {
  readonly kind: "saved";
  readonly name: string;
  readonly version: string;
}

export interface Surroundings {
  readonly api: EditorApi;
  readonly now_ms: () => number;
  readonly later: (call: () => void, ms: number) => unknown;
  readonly never: (timer: unknown) => void;
  /** Tell other windows; `hear` is called with what they tell. */
  readonly tell: (word: Word) => void;
  readonly hear: (listener: (word: Word) => void) => void;
  /**
   * Keep a text under a name; null forgets it. It is this window's over reloads, and the first one of a new window, so
   * that two windows don't overwrite each other's.
   */
  readonly keep: (name: string, text: string | null) => void;
  readonly kept: (name: string) => string | null;
}

/** The browser's world around a client. */
export function browserSurroundings(api: EditorApi): Surroundings {
  const channel = "BroadcastChannel" in window ? new BroadcastChannel("sdgraph") : null;
  return {
    api,
    now_ms: () => performance.now(),
    later: (call, ms) => window.setTimeout(call, ms),
    never: (timer) => window.clearTimeout(timer as number),
    tell: (word) => channel?.postMessage(word),
    hear: (listener) => channel?.addEventListener("message", (event: MessageEvent<Word>) => listener(event.data)),
    keep: (name, text) => {
      for (const storage of [sessionStorage, localStorage]) store(storage, name, text);
    },
    kept: (name) => sessionStorage.getItem(name) ?? localStorage.getItem(name),
  };
}

function store(storage: Storage, name: string, text: string | null): void {
  try {
    if (text === null) storage.removeItem(name);
    else storage.setItem(name, text);
  } catch {
    // No room, or storage is off: a workflow with a name is still kept on the server.
  }
}

/** Calls something once after a pause; a further call starts the pause again. */
export class Pause {
  private timer: unknown = null;

  constructor(
    private readonly around: Surroundings,
    private readonly ms: number,
    private readonly call: () => void,
  ) {}

  start(): void {
    this.stop();
    this.timer = this.around.later(() => {
      this.timer = null;
      this.call();
    }, this.ms);
  }

  stop(): void {
    if (this.timer !== null) this.around.never(this.timer);
    this.timer = null;
  }
}
