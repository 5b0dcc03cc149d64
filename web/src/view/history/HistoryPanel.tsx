/** What was drawn: pictures with search by words and by the value of an input. A press opens all about a run. */

import { useDeferredValue, useState } from "react";
import { picturesOf, type RunRow } from "../../api/types";
import { dialogs, useDialogs } from "../panels/dialogs";
import { ago, oneLine, STATUS_WORDS } from "../panels/format";
import { Nothing, Panel } from "../panels/Panel";
import { Thumbnail } from "../panels/Thumbnail";
import { useRuns } from "../panels/useRuns";
import controls from "../widgets/controls.module.css";
import { Compare } from "../widgets/icons";
import { SearchField } from "../widgets/SearchField";
import styles from "./HistoryPanel.module.css";
import { queryOf } from "./query";

export function HistoryPanel() {
  const [text, setText] = useState("");
  const asked = useDeferredValue(text);
  const { runs, loading, problem, more, loadMore } = useRuns({ ...queryOf(asked), limit: 40 });
  const ended = runs.filter((run) => run.status !== "queued" && run.status !== "running");
  return (
    <Panel
      bar={
        <SearchField
          value={text}
          onChange={setText}
          placeholder="Words, or seed:7"
          label="Search the history by words of the prompt, or by an input as name:value"
        />
      }
    >
      {ended.length > 0 && (
        <ul className={styles.grid} aria-label="Runs, newest first">
          {ended.map((run) => (
            <Card key={run.run_id} run={run} />
          ))}
        </ul>
      )}
      {ended.length === 0 && !loading && <Empty searched={asked !== ""} problem={problem} />}
      {more && (
        <button type="button" className={`${controls.button} ${styles.more}`} onClick={loadMore}>
          Show older ones
        </button>
      )}
    </Panel>
  );
}

function Empty({ searched, problem }: { readonly searched: boolean; readonly problem: string | null }) {
  if (problem) return <Nothing title={problem} />;
  if (searched) return <Nothing title="Nothing found">Search by words of the prompt, or by an input: seed:7.</Nothing>;
  return <Nothing title="No pictures yet">What your runs draw is kept here, with the workflow that drew it.</Nothing>;
}

function Card({ run }: { readonly run: RunRow }) {
  const pinned = useDialogs((state) => state.pinned);
  const pictures = picturesOf(run);
  const picture = pictures[0]?.[1];
  const words = oneLine(run.inputs["prompt"] ?? run.name) || run.name;
  const when = ago(run.created_at, Date.now());
  return (
    <li className={styles.card}>
      <button type="button" className={styles.open} onClick={() => dialogs.open("run", { run: run.run_id })}>
        <Thumbnail picture={picture} alt="" />
        {pictures.length > 1 && (
          <span className={styles.count}>
            {pictures.length} <span className="visually-hidden">pictures</span>
          </span>
        )}
        {run.status !== "done" && (
          <span className={styles.status} data-status={run.status}>
            {STATUS_WORDS[run.status]}{" "}
          </span>
        )}
        <span className={styles.words} title={words}>
          {words}{" "}
        </span>
        <span className={styles.when}>{when}</span>
      </button>
      {picture && (
        <button
          type="button"
          className={styles.compare}
          aria-pressed={pinned?.digest === picture.digest}
          onClick={() => dialogs.compare(picture)}
          aria-label={pinned ? "Compare with the picture chosen before" : "Choose to compare"}
          title={pinned ? "Compare with the picture chosen before" : "Choose to compare"}
        >
          <Compare />
        </button>
      )}
    </li>
  );
}
