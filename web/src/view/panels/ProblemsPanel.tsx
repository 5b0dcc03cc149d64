/** Everything that is wrong with the workflow, errors first; a press shows where. */

import { useEditor } from "../../store/context";
import { Failure, Good, Warning } from "../widgets/icons";
import { Words } from "../widgets/Words";
import { Nothing, Panel } from "./Panel";
import styles from "./ProblemsPanel.module.css";
import { listed, placeOf } from "./problemList";

export function ProblemsPanel() {
  const problems = useEditor((state) => state.problems);
  const run = useEditor((state) => state.run);
  const reveal = useEditor((state) => state.reveal);
  const all = listed([...problems, ...(run?.problems ?? [])]);
  if (all.length === 0) {
    return (
      <Panel>
        <Nothing title="No problems">
          <Good /> The workflow can run.
        </Nothing>
      </Panel>
    );
  }
  return (
    <Panel>
      <ul className={styles.list} aria-label="Problems">
        {all.map((problem) => (
          <li key={`${problem.code} ${problem.node} ${problem.port} ${problem.message}`}>
            <button
              type="button"
              className={styles.problem}
              data-severity={problem.severity ?? "error"}
              disabled={!problem.node}
              onClick={() => problem.node && reveal(problem.node, problem.port ?? undefined)}
            >
              <span className={styles.mark}>
                {problem.severity === "warning" ? <Warning /> : <Failure />}
                <span className="visually-hidden">{problem.severity === "warning" ? "Warning:" : "Error:"}</span>
              </span>
              <span className={styles.words}>
                {placeOf(problem) && <span className={styles.place}>{placeOf(problem)}</span>}
                <span>
                  <Words>{problem.message}</Words>
                </span>
                {problem.hint && (
                  <span className={styles.hint}>
                    <Words>{problem.hint}</Words>
                  </span>
                )}
                <code className={styles.code}>{problem.code}</code>
              </span>
            </button>
          </li>
        ))}
      </ul>
    </Panel>
  );
}
