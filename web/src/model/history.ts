/** Undo and redo: documents are immutable, so that history is a list of them. */

import type { WorkflowDocument } from "./document";

/** A document that can be returned to. */
export interface Moment {
  readonly document: WorkflowDocument;
  /** What the person did after it, for menus: "Move nodes". */
  readonly label: string;
}

export interface History {
  readonly present: WorkflowDocument;
  readonly past: readonly Moment[];
  readonly future: readonly Moment[];
  /** Changes of one gesture carry one key and become one step; null ends the gesture. */
  readonly gesture: { readonly key: string; readonly at_ms: number } | null;
}

export interface Change {
  readonly label: string;
  /** Key of the gesture, for example "value sample.steps" while a slider is dragged. */
  readonly merge?: string;
  readonly at_ms: number;
}

const LIMIT = 500;
const GESTURE_MS = 1200;

export function startHistory(document: WorkflowDocument): History {
  return { present: document, past: [], future: [], gesture: null };
}

/** The history with a changed document. The same document adds nothing. */
export function record(history: History, document: WorkflowDocument, change: Change): History {
  if (document === history.present) return history;
  const gesture = change.merge === undefined ? null : { key: change.merge, at_ms: change.at_ms };
  if (continues(history.gesture, gesture)) return { ...history, present: document, future: [], gesture };
  const past = [...history.past, { document: history.present, label: change.label }].slice(-LIMIT);
  return { present: document, past, future: [], gesture };
}

/** The history with a document that replaces the present one without a step of its own, for example measured sizes. */
export function amend(history: History, document: WorkflowDocument): History {
  return document === history.present ? history : { ...history, present: document };
}

export function undo(history: History): History {
  const last = history.past.at(-1);
  if (last === undefined) return history;
  return {
    present: last.document,
    past: history.past.slice(0, -1),
    future: [{ document: history.present, label: last.label }, ...history.future],
    gesture: null,
  };
}

export function redo(history: History): History {
  const [next, ...future] = history.future;
  if (next === undefined) return history;
  const past = [...history.past, { document: history.present, label: next.label }];
  return { present: next.document, past, future, gesture: null };
}

/** Ends a gesture, so that the next change is a step of its own even with the same key. */
export function settle(history: History): History {
  return history.gesture === null ? history : { ...history, gesture: null };
}

function continues(before: History["gesture"], now: History["gesture"]): boolean {
  return before !== null && now !== null && before.key === now.key && now.at_ms - before.at_ms <= GESTURE_MS;
}
