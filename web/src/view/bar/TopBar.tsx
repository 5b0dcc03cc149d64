/** The bar at the top: menu and name of the workflow, undo, theme, and the run button. */

import { type ReactNode, useState } from "react";
import { useEditor } from "../../store/context";
import { ActionButton } from "../canvas/ActionButton";
import { action } from "../canvas/actions";
import { useCanvasUi } from "../canvas/ui";
import { chooseTheme, chosenTheme, type ThemeChoice } from "../theme/theme";
import { Auto, Moon, Redo, Sidebar, Sun, Undo } from "../ui/icons";
import { tip } from "../ui/Tip";
import { FileMenu } from "./FileMenu";
import { RunButton } from "./RunButton";
import styles from "./TopBar.module.css";
import { WorkflowName } from "./WorkflowName";

export function TopBar() {
  const past = useEditor((state) => state.history.past.length > 0);
  const future = useEditor((state) => state.history.future.length > 0);
  const library = useCanvasUi((state) => state.library);
  return (
    <header className={styles.bar}>
      <div className={styles.side}>
        <FileMenu />
        <span aria-hidden="true" className={styles.line} />
        <WorkflowName />
      </div>
      <div className={styles.tools} role="toolbar" aria-label="Tools">
        <span className={styles.pressed} data-pressed={library}>
          <ActionButton action={action("library")} icon={<Sidebar />} />
        </span>
        <span aria-hidden="true" className={styles.line} />
        <ActionButton action={action("undo")} icon={<Undo />} disabled={!past} />
        <ActionButton action={action("redo")} icon={<Redo />} disabled={!future} />
        <span aria-hidden="true" className={styles.line} />
        <ThemeButton />
      </div>
      <RunButton />
    </header>
  );
}

const NEXT: Readonly<Record<ThemeChoice, ThemeChoice>> = { system: "light", light: "dark", dark: "system" };
const SHOWN: Readonly<Record<ThemeChoice, readonly [string, ReactNode]>> = {
  system: ["Theme: as the system", <Auto key="auto" />],
  light: ["Theme: light", <Sun key="sun" />],
  dark: ["Theme: dark", <Moon key="moon" />],
};

function ThemeButton() {
  const [theme, setTheme] = useState<ThemeChoice>(chosenTheme);
  const [name, icon] = SHOWN[theme];
  const next = () => {
    chooseTheme(NEXT[theme]);
    setTheme(NEXT[theme]);
  };
  return (
    <button type="button" className={styles.icon} aria-label={name} onClick={next} {...tip(() => name)}>
      {icon}
    </button>
  );
}
