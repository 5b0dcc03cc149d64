/** Seeds that are drawn anew before every run, by the address of their port. */

import { parseAddress } from "../model/address";
import { graphOf, type WorkflowDocument } from "../model/document";
import { own } from "../model/json";
import { setValue } from "../model/values";

/** Short enough to read and to say; the engine takes up to 2^53 - 1. */
const READABLE = 2 ** 32 - 1;

/** A seed from 0 to `high`. */
export function randomSeed(high: number = READABLE): number {
  const drawn = crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
  return drawn % (Math.min(high, READABLE) + 1);
}

const listeners = new Set<() => void>();
let rolling: ReadonlySet<string> = new Set();

/** Which seeds roll. It belongs to the window, not to the file: a run's document carries the seed that was used. */
export const rolls = {
  has: (at: string): boolean => rolling.has(at),
  all: (): readonly string[] => [...rolling],
  set(at: string, on: boolean): void {
    const rest = [...rolling].filter((one) => one !== at);
    rolling = new Set(on ? [...rest, at] : rest);
    for (const listener of listeners) listener();
  },
  clear(): void {
    rolling = new Set();
    for (const listener of listeners) listener();
  },
  subscribe(listener: () => void): () => void {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
};

/** The document with a new seed wherever one rolls; ports that are gone or linked are left alone. */
export function rolled(doc: WorkflowDocument, draw: () => number = randomSeed): WorkflowDocument {
  return rolls.all().reduce((before, at) => {
    const { graph, node, port } = parseAddress(at);
    const entry = own(graphOf(before, graph).nodes, node);
    const fixed = entry === undefined || own(entry.links, port) !== undefined;
    return fixed ? before : setValue(before, graph, node, port, draw());
  }, doc);
}
