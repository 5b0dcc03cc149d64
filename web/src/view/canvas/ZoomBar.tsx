/** Zoom, layout and help, at the lower left of the canvas. */

import { useStore } from "@xyflow/react";
import { Fit, Help, Layout, Minus, Plus } from "../ui/icons";
import { ActionButton } from "./ActionButton";
import { action } from "./actions";
import styles from "./Canvas.module.css";

export function ZoomBar() {
  const percent = useStore((state) => Math.round(state.transform[2] * 100));
  return (
    <div className={styles.zoom} role="toolbar" aria-label="View">
      <ActionButton action={action("zoom-out")} icon={<Minus />} />
      <ActionButton
        action={action("zoom-one")}
        icon={<span className="numeric">{percent}%</span>}
        says={`${percent}%`}
        wide
      />
      <ActionButton action={action("zoom-in")} icon={<Plus />} />
      <ActionButton action={action("fit")} icon={<Fit />} />
      <span className={styles.gap} />
      <ActionButton action={action("layout")} icon={<Layout />} />
      <ActionButton action={action("help")} icon={<Help />} />
    </div>
  );
}
