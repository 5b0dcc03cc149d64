/** What nodes made, in small, by the key of their results: asked for while somebody looks, a few at once, and kept. */

import { ApiError, OfflineError } from "./problems";
import type { NodePreview } from "./types";

/** Null: nobody keeps that result. Undefined: not known yet. */
export type Known = NodePreview | null | undefined;

export interface ResultsOptions {
  readonly ask: (key: string, signal: AbortSignal) => Promise<NodePreview>;
  readonly later?: (call: () => void, ms: number) => unknown;
}

type Listener = () => void;

const AT_ONCE = 6;
const KEPT = 1000;
/** A worker that starts answers soon; a server that is away not before long. */
const AGAIN_MS = 3000;
/** A result may be told of a moment before it is stored. */
const MISSES = 2;

/** Has a lifecycle: watching a key asks for it, and the last watcher who leaves takes the question back. */
export class NodeResults {
  private readonly known = new Map<string, NodePreview | null>();
  private readonly watchers = new Map<string, Set<Listener>>();
  private readonly asking = new Map<string, AbortController>();
  private readonly waiting = new Set<string>();
  private readonly misses = new Map<string, number>();
  private readonly later: (call: () => void, ms: number) => unknown;

  constructor(private readonly options: ResultsOptions) {
    this.later = options.later ?? ((call, ms) => setTimeout(call, ms));
  }

  get(key: string): Known {
    return this.known.get(key);
  }

  /** Call `listener` when the answer is there; returns what ends that. */
  watch(key: string, listener: Listener): () => void {
    const all = this.watchers.get(key) ?? new Set();
    this.watchers.set(key, all.add(listener));
    this.want(key);
    return () => {
      all.delete(listener);
      if (all.size > 0) return;
      this.watchers.delete(key);
      this.waiting.delete(key);
      this.asking.get(key)?.abort();
    };
  }

  /** A result of this key was made: where there was none, it can be asked for once more. */
  renew(key: string): void {
    if (this.known.get(key) !== null) return;
    this.known.delete(key);
    this.misses.delete(key);
    if (this.watchers.has(key)) this.want(key);
  }

  private want(key: string): void {
    if (this.known.has(key) || this.asking.has(key)) return;
    this.waiting.add(key);
    this.next();
  }

  private next(): void {
    for (const key of this.waiting) {
      if (this.asking.size >= AT_ONCE) return;
      this.waiting.delete(key);
      void this.ask(key);
    }
  }

  private async ask(key: string): Promise<void> {
    const leave = new AbortController();
    this.asking.set(key, leave);
    try {
      this.keep(key, await this.options.ask(key, leave.signal));
    } catch (error) {
      this.failed(key, error, leave.signal.aborted);
    } finally {
      this.asking.delete(key);
      if (leave.signal.aborted && this.watchers.has(key)) this.want(key); // watched again meanwhile
      this.next();
    }
  }

  private failed(key: string, error: unknown, left: boolean): void {
    if (left) return;
    const passing = error instanceof OfflineError || (error instanceof ApiError && error.status === 503);
    const misses = (this.misses.get(key) ?? 0) + Number(!passing);
    this.misses.set(key, misses);
    if (misses > MISSES) this.keep(key, null);
    else this.later(() => this.watchers.has(key) && this.want(key), AGAIN_MS);
  }

  private keep(key: string, found: NodePreview | null): void {
    this.known.set(key, found);
    const [oldest] = this.known.keys();
    if (this.known.size > KEPT && oldest !== undefined && !this.watchers.has(oldest)) this.known.delete(oldest);
    for (const listener of this.watchers.get(key) ?? []) listener();
  }
}
