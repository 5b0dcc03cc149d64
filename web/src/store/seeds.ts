/** Seeds that are drawn anew before every run, by "node.port" or by the name of an input. */

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
