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

/** What the server says to a client that needs more than is kept: events from here on. */
export interface Forgotten {
  readonly type: "events_forgotten";
  readonly seq: number;
}

/** Whether events were lost, and from where they go on; null when the text says something else. */
export function readForgotten(text: string): Forgotten | null {
  if (!text.includes("events_forgotten")) return null;
  try {
    const found = JSON.parse(text) as Partial<Forgotten> | null;
    return found?.type === "events_forgotten" && typeof found.seq === "number" ? (found as Forgotten) : null;
  } catch {
    return null;
  }
}

/** Progress is not stored and has no number of its own: it carries that of the last event before it. */
export function isNumbered(event: RunEvent): boolean {
  return event.type !== "node_progress";
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
