/** Events of runs, as the socket sends them. */

export type EventType =
  | "run_queued"
  | "run_started"
  | "node_cached"
  | "node_started"
  | "node_progress"
  | "node_finished"
  | "node_failed"
  | "run_finished";

/** One event. Which of the optional fields are there follows from `type`. */
export interface RunEvent {
  readonly seq: number;
  readonly run_id: string;
  readonly type: EventType;
  readonly node?: string;
  readonly [field: string]: unknown;
}

/** The event in a text message; null when it is none. */
export function readEvent(text: string): RunEvent | null {
  try {
    const found = JSON.parse(text) as Partial<RunEvent> | null;
    const complete = typeof found?.seq === "number" && typeof found.type === "string";
    return complete && typeof found.run_id === "string" ? (found as RunEvent) : null;
  } catch {
    return null;
  }
}
