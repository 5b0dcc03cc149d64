/** The queue as people see it: what runs, what waits in the order of its turn, what has ended. */

import type { RunRow } from "../../api/types";

export interface Turns {
  readonly running: readonly RunRow[];
  readonly waiting: readonly RunRow[];
  /** Newest first. */
  readonly ended: readonly RunRow[];
}

export function inTurn(runs: readonly RunRow[]): Turns {
  const of = (status: string) => runs.filter((run) => run.status === status);
  return {
    running: of("running"),
    waiting: of("queued").sort(
      (left, right) => right.priority - left.priority || (left.position ?? 0) - (right.position ?? 0),
    ),
    ended: runs
      .filter((run) => run.status !== "running" && run.status !== "queued")
      .sort((left, right) => (right.finished_at ?? "").localeCompare(left.finished_at ?? "")),
  };
}

/** One wish to the server: a run right before another one. */
export interface Before {
  readonly run: string;
  readonly before: string;
}

/** What brings a run to place `to` of the queue. Behind the last one means: all that stood behind it go before it. */
export function movesTo(waiting: readonly RunRow[], id: string, to: number): readonly Before[] {
  const others = waiting.filter((run) => run.run_id !== id).map((run) => run.run_id);
  const next = others[to];
  if (next !== undefined) return [{ run: id, before: next }];
  const from = waiting.findIndex((run) => run.run_id === id);
  return others.slice(Math.max(0, from)).map((run) => ({ run, before: id }));
}
