/** The link that is being drawn; over a port that does not take it, it says why. */

import { type ConnectionLineComponentProps, getBezierPath } from "@xyflow/react";
import type { CSSProperties } from "react";
import { useEditor } from "../../store/context";
import { typeColor } from "./ports";
import { useCanvasUi } from "./ui";
import styles from "./Wires.module.css";

export function ConnectionLine(props: ConnectionLineComponentProps) {
  const { fromX, fromY, toX, toY, fromPosition, toPosition, connectionStatus } = props;
  const type = useCanvasUi((state) => state.connecting?.type ?? "Any");
  const color = useEditor((state) => typeColor(state.catalog, type));
  const [path] = getBezierPath({
    sourceX: fromX,
    sourceY: fromY,
    targetX: toX,
    targetY: toY,
    sourcePosition: fromPosition,
    targetPosition: toPosition,
    curvature: 0.3,
  });
  return (
    <g className={styles.drawn} style={{ "--type": color } as CSSProperties} data-status={connectionStatus ?? "open"}>
      <path d={path} />
      <circle cx={toX} cy={toY} r={4} />
    </g>
  );
}
