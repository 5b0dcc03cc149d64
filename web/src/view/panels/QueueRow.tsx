/** One run of the queue. Buttons that can do nothing keep the focus, so that a run can be moved to the end by keyboard. */

import { useState } from "react";
import type { RunRow } from "../../api/types";
import { Cross, Down, Grip, Retry, Stop, Up } from "../widgets/icons";
import { ago, oneLine, STATUS_WORDS } from "./format";
import styles from "./QueuePanel.module.css";

export interface QueueRowProps {
  readonly run: RunRow;
  readonly first?: boolean;
  readonly last?: boolean;
  readonly onCancel?: () => void;
  readonly onRetry?: () => void;
  readonly onMove?: (by: -1 | 1) => void;
  readonly onPriority?: (priority: number) => void;
  readonly onDragStart?: () => void;
  readonly onDropped?: () => void;
  /** On which side of this one a run would land that is dragged here. */
  readonly lands?: "before" | "behind" | null;
}

const PRIORITIES = [
  [10, "High"],
  [0, "Normal"],
  [-10, "Low"],
] as const;

export function QueueRow({
  run,
  first,
  last,
  onCancel,
  onRetry,
  onMove,
  onPriority,
  onDragStart,
  onDropped,
  lands,
}: QueueRowProps) {
  const name = run.name || "untitled";
  const prompt = run.inputs["prompt"];
  const called = prompt === undefined ? name : `${name}: ${oneLine(prompt)}`;
  const [over, setOver] = useState(false);
  const leave = () => setOver(false);
  return (
    <li
      className={styles.row}
      draggable={onDragStart !== undefined}
      onDragStart={onDragStart}
      data-lands={over ? lands : null}
      onDragOver={(event) => {
        if (!lands) return;
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={leave}
      onDrop={() => {
        leave();
        onDropped?.();
      }}
    >
      {onDragStart && <Grip />}
      <span className={styles.status} data-status={run.status} title={STATUS_WORDS[run.status]} />
      <span className={styles.words}>
        <span className={styles.name}>{name}</span>
        <span className={styles.faint}>
          {run.cancelling ? "Stopping…" : STATUS_WORDS[run.status]} · {ago(run.created_at, Date.now())}
          {prompt !== undefined && ` · ${oneLine(prompt)}`}
        </span>
      </span>
      {onPriority && (
        <select
          className={styles.priority}
          value={run.priority}
          aria-label={`Priority of ${called}`}
          onChange={(event) => onPriority(Number(event.target.value))}
        >
          {!PRIORITIES.some(([value]) => value === run.priority) && (
            <option value={run.priority}>{run.priority}</option>
          )}
          {PRIORITIES.map(([value, word]) => (
            <option key={value} value={value}>
              {word}
            </option>
          ))}
        </select>
      )}
      {onMove && (
        <>
          <button
            type="button"
            aria-disabled={first}
            onClick={() => first || onMove(-1)}
            aria-label={`Move ${called} up`}
          >
            <Up />
          </button>
          <button
            type="button"
            aria-disabled={last}
            onClick={() => last || onMove(1)}
            aria-label={`Move ${called} down`}
          >
            <Down />
          </button>
        </>
      )}
      {onRetry && (
        <button type="button" onClick={onRetry} aria-label={`Run ${called} again`} title="Run again">
          <Retry />
        </button>
      )}
      {onCancel && (
        <button
          type="button"
          onClick={onCancel}
          disabled={run.cancelling}
          aria-label={`Cancel ${called}`}
          title="Cancel"
        >
          {run.status === "running" ? <Stop /> : <Cross />}
        </button>
      )}
    </li>
  );
}
