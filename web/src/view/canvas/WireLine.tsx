/** A link on the canvas, in the colour of what travels along it. */

import { BaseEdge, type EdgeProps, getBezierPath } from "@xyflow/react";
import { type CSSProperties, memo } from "react";
import { useEditor } from "../../store/context";
import type { Wire } from "./flow";
import { statusOf } from "./nodeState";
import { typeColor } from "./ports";
import styles from "./Wires.module.css";

export const WireLine = memo(function WireLine(props: EdgeProps<Wire>) {
  const { data, selected = false, target, sourceX, sourceY, targetX, targetY, sourcePosition, targetPosition } = props;
  const color = useEditor((state) => typeColor(state.catalog, data?.type ?? "Any"));
  const flowing = useEditor((state) => statusOf(state, target).tone === "running");
  const [path] = getBezierPath({ sourceX, sourceY, targetX, targetY, sourcePosition, targetPosition, curvature: 0.3 });
  return (
    <g
      className={styles.wire}
      style={{ "--type": color } as CSSProperties}
      data-selected={selected}
      data-flowing={flowing}
    >
      <BaseEdge id={props.id} path={path} interactionWidth={18} />
    </g>
  );
});
