/** The cheat sheet: every action and its keys. */

import { Dialog } from "../panels/Dialog";
import { ACTIONS } from "./actions";
import type { Section } from "./actions/action";
import styles from "./HelpDialog.module.css";
import { Keys } from "./KeyCaps";
import { ui, useCanvasUi } from "./ui";

const SECTIONS: readonly Section[] = ["Add", "Edit", "Nodes", "Arrange", "View", "Run and files"];

const BY_POINTER: readonly (readonly [string, string])[] = [
  ["Double-click the canvas", "Add a node there"],
  ["Drag from a port to the canvas", "Add a node that fits"],
  ["Drag a link off its port", "Move or remove the link"],
  ["Double-click a link", "Lead it through a point"],
  ["Drag a loose node onto a link", "Insert it there"],
  ["Double-click a title", "Rename, or open the subgraph"],
  ["Shift and drag", "Select an area"],
];

export function HelpHost() {
  const open = useCanvasUi((state) => state.help);
  if (!open) return null;
  return (
    <Dialog title="Keyboard and mouse" wide onClose={() => ui.showHelp(false)}>
      <div className={styles.sheet}>
        {SECTIONS.map((section) => (
          <section key={section}>
            <h3>{section}</h3>
            <dl>
              {ACTIONS.filter((action) => action.section === section && action.keys).map((action) => (
                <div key={action.id}>
                  <dt>{action.title}</dt>
                  <dd>
                    <Keys keys={action.keys?.[0] ?? ""} />
                  </dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
        <section>
          <h3>Mouse</h3>
          <dl>
            {BY_POINTER.map(([how, what]) => (
              <div key={how}>
                <dt>{what}</dt>
                <dd className={styles.how}>{how}</dd>
              </div>
            ))}
          </dl>
        </section>
      </div>
    </Dialog>
  );
}
