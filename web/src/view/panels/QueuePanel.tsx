/** Runs that wait or go on: drag to reorder, or use the buttons; raise, cancel, try again. */

import { useState } from "react";
import { sentence } from "../../api/problems";
import { session } from "../../api/session";
import type { RunRow } from "../../api/types";
import { useEditor } from "../../store/context";
import { Nothing, Panel } from "./Panel";
import styles from "./QueuePanel.module.css";
import { QueueRow } from "./QueueRow";
import { type Before, inTurn, movesTo } from "./queueOrder";
import { useRuns } from "./useRuns";

export function QueuePanel() {
  const { runs, problem, refresh, loading } = useRuns({ limit: 100 });
  const notify = useEditor((state) => state.notify);
  const { running, waiting, ended } = inTurn(runs);
  const doing = (work: Promise<unknown>) =>
    void work.then(refresh).catch((error: unknown) => notify({ kind: "bad", text: sentence(error) }));
  if (!loading && runs.length === 0) {
    return (
      <Panel>
        <Nothing title={problem ?? "Nothing waits"}>Press Run, and what is to be done appears here.</Nothing>
      </Panel>
    );
  }
  return (
    <Panel>
      <Section title="Running" empty="Nothing runs.">
        {running.map((run) => (
          <QueueRow key={run.run_id} run={run} onCancel={() => doing(session().client.cancel(run.run_id))} />
        ))}
      </Section>
      <Waiting runs={waiting} doing={doing} />
      <Section title="Ended last">
        {ended.slice(0, 8).map((run) => (
          <QueueRow key={run.run_id} run={run} onRetry={() => doing(session().client.retry(run.run_id))} />
        ))}
      </Section>
    </Panel>
  );
}

/** One after the other: each wish is about the order that the one before left. */
async function reorder(moves: readonly Before[]): Promise<void> {
  for (const { run, before } of moves) await session().client.reorder(run, { before });
}

interface WaitingProps {
  readonly runs: readonly RunRow[];
  readonly doing: (work: Promise<unknown>) => void;
}

function Waiting({ runs, doing }: WaitingProps) {
  const [held, setHeld] = useState<string | null>(null);
  const { client } = session();
  const place = (id: string, at: number) => doing(reorder(movesTo(runs, id, at)));
  const fromBelow = (id: string, at: number) => runs.findIndex((run) => run.run_id === id) > at;
  return (
    <Section title={`Waiting (${runs.length})`} empty="Nothing waits.">
      {runs.map((run, at) => (
        <QueueRow
          key={run.run_id}
          run={run}
          onCancel={() => doing(client.cancel(run.run_id))}
          onMove={(by) => place(run.run_id, at + by)}
          onPriority={(priority) => doing(client.reorder(run.run_id, { priority }))}
          first={at === 0}
          last={at === runs.length - 1}
          onDragStart={() => setHeld(run.run_id)}
          onDropped={() => {
            if (held !== null && held !== run.run_id) place(held, at);
            setHeld(null);
          }}
          lands={held === null || held === run.run_id ? null : fromBelow(held, at) ? "before" : "behind"}
        />
      ))}
    </Section>
  );
}

function Section({
  title,
  empty,
  children,
}: {
  readonly title: string;
  readonly empty?: string;
  readonly children: React.ReactNode[];
}) {
  if (children.length === 0 && !empty) return null;
  return (
    <section className={styles.section} aria-label={title}>
      <h3 className={styles.title}>{title}</h3>
      {children.length > 0 ? <ol className={styles.list}>{children}</ol> : <p className={styles.empty}>{empty}</p>}
    </section>
  );
}
