/** Which graph is open: the way from the workflow to the subgraph. */

import { useEditor } from "../../store/context";
import { Chevron } from "../ui/icons";
import styles from "./Canvas.module.css";

export function Breadcrumbs() {
  const path = useEditor((state) => state.path);
  const name = useEditor((state) => state.history.present.name || "Workflow");
  const leave = useEditor((state) => state.leaveGraph);
  if (path.length === 0) return null;
  return (
    <nav className={styles.crumbs} aria-label="Open graph">
      <button type="button" onClick={() => leave(path.length)}>
        {name}
      </button>
      {path.map((graph, level) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the place in the path is what a level is
        <span key={`${level} ${graph}`}>
          <Chevron />
          <button
            type="button"
            aria-current={level === path.length - 1 ? "page" : undefined}
            disabled={level === path.length - 1}
            onClick={() => leave(path.length - 1 - level)}
          >
            {graph}
          </button>
        </span>
      ))}
    </nav>
  );
}
