/** A button for an action, with its name and keys as tooltip. */

import type { ReactNode } from "react";
import { tip } from "../ui/Tip";
import styles from "./ActionButton.module.css";
import type { Action } from "./actions/action";
import { Keys } from "./KeyCaps";
import { useCanvas } from "./provide";

export interface ActionButtonProps {
  readonly action: Action;
  readonly icon: ReactNode;
  readonly disabled?: boolean;
  readonly wide?: boolean;
  /** What the icon says in letters: it begins the button's name then. */
  readonly says?: string;
}

export function ActionButton({ action, icon, disabled = false, wide = false, says }: ActionButtonProps) {
  const context = useCanvas();
  return (
    <button
      type="button"
      className={styles.button}
      data-wide={wide}
      aria-label={says === undefined ? action.title : `${says}: ${action.title}`}
      disabled={disabled}
      onClick={() => action.run(context)}
      {...tip(() => (
        <>
          {action.title}
          {action.keys?.[0] && <Keys keys={action.keys[0]} />}
        </>
      ))}
    >
      {icon}
    </button>
  );
}
