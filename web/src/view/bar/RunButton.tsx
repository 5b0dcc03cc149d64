/** The run button, which says before it is pressed what a run would do: "3 of 14 nodes, about 4 s". */

import { useShallow } from "zustand/react/shallow";
import { forecast, type RunForecast, shortTime } from "../../model/nodeplan";
import { isActive, type RunState } from "../../model/runstate";
import { useEditor } from "../../store/context";
import type { EditorState } from "../../store/state";
import { Keys } from "../canvas/KeyCaps";
import { Play, Stop } from "../ui/icons";
import { tip } from "../ui/Tip";
import styles from "./RunButton.module.css";

export function RunButton() {
  const start = useEditor((state) => state.startRun);
  const cancel = useEditor((state) => state.cancelRun);
  const running = useEditor((state) => isActive(state.run));
  const said = useEditor(useShallow(sayingOf));
  const progress = useEditor((state) => (isActive(state.run) ? progressOf(state.run) : null));
  if (running) {
    return (
      <div className={styles.running}>
        <span className={`numeric ${styles.forecast}`} role="status">
          {said.text}
        </span>
        <span className={styles.track} aria-hidden="true">
          <span style={{ width: `${Math.round(100 * (progress ?? 0))}%` }} />
        </span>
        <button
          type="button"
          className={styles.stop}
          onClick={() => void cancel()}
          {...tip(() => (
            <>
              Stop the run
              <Keys keys="mod+." />
            </>
          ))}
        >
          <Stop /> Stop
        </button>
      </div>
    );
  }
  return (
    <div className={styles.running}>
      <span className={`numeric ${styles.forecast}`} data-tone={said.tone} role="status">
        {said.text}
      </span>
      <button
        type="button"
        className={styles.run}
        disabled={said.tone === "none"}
        aria-label={`Run, ${said.text}`}
        onClick={() => void start()}
        {...tip(() => (
          <>
            Run
            <Keys keys="mod+enter" />
          </>
        ))}
      >
        <Play /> Run
      </button>
    </div>
  );
}

interface Saying {
  readonly tone: "none" | "bad" | "ready";
  readonly text: string;
}

/** What a run would do, or what the one that is going has done. */
function sayingOf(state: EditorState): Saying {
  const { run } = state;
  if (run !== null && isActive(run)) {
    if (run.phase === "queued") return { tone: "ready", text: "Waiting for its turn" };
    const nodes = Object.values(run.nodes);
    const done = nodes.filter((node) => node.status === "ran" || node.status === "hit").length;
    const total = Math.max(
      nodes.length,
      state.plan.plan === null ? 0 : forecast(state.plan.plan, state.history.present).total,
    );
    return { tone: "ready", text: `${done} of ${total} nodes done` };
  }
  const errors = state.problems.filter((problem) => problem.severity !== "warning").length;
  if (state.plan.status === "invalid" || errors > 0)
    return { tone: "bad", text: `${errors} problem${errors === 1 ? "" : "s"}` };
  if (state.plan.status === "offline") return { tone: "bad", text: "No connection" };
  if (state.plan.plan === null) return { tone: "none", text: state.plan.status === "planning" ? "Planning\u2026" : "" };
  return { tone: "ready", text: forecastText(forecast(state.plan.plan, state.history.present)) };
}

function forecastText({ run, total, seconds }: RunForecast): string {
  if (total === 0) return "Nothing to run";
  if (run === 0) return `All ${total} nodes cached`;
  const time = seconds === null ? "" : `, about ${shortTime(seconds)}`;
  return `${run} of ${total} nodes${time}`;
}

/** 0..1: nodes that are done, and parts of those that tell their steps. */
function progressOf(run: RunState | null): number | null {
  const nodes = Object.values(run?.nodes ?? {});
  if (nodes.length === 0) return null;
  const parts = nodes.map(({ status, done, total }) => {
    if (status === "ran" || status === "hit" || status === "failed" || status === "skipped") return 1;
    return status === "running" && done !== undefined && total ? done / total : 0;
  });
  return parts.reduce<number>((sum, part) => sum + part, 0) / nodes.length;
}
