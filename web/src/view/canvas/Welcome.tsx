/** What an empty canvas says: how to begin. */

import { graphOf, openGraphName } from "../../model/document";
import { useEditor } from "../../store/context";
import { dialogs } from "../panels/dialogs";
import controls from "../widgets/controls.module.css";
import { action } from "./actions";
import styles from "./Canvas.module.css";
import { Keys } from "./KeyCaps";
import { useCanvas } from "./provide";

export function Welcome() {
  const context = useCanvas();
  const empty = useEditor((state) => {
    const graph = graphOf(state.history.present, openGraphName(state.path));
    return state.loading === "ready" && Object.keys(graph.nodes).length === 0;
  });
  if (!empty) return null;
  return (
    <div className={styles.welcome}>
      <h2>Start a workflow</h2>
      <p>Open a template, drop a picture that sdgraph made, or add the first node.</p>
      <div>
        <button
          type="button"
          className={`${controls.button} ${controls.primary}`}
          onClick={() => dialogs.open("templates")}
        >
          Browse templates
        </button>
        <button type="button" className={controls.button} onClick={() => action("add").run(context)}>
          Add a node <Keys keys="tab" />
        </button>
      </div>
    </div>
  );
}
