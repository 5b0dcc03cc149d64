/** A link on the canvas, in the colour of what travels along it. */

import { BaseEdge, type EdgeProps, getBezierPath } from "@xyflow/react";
import { type CSSProperties, memo } from "react";
import { useEditor } from "../../store/context";
import { useDistance } from "./distance";
import type { Wire } from "./flow";
import { statusOf } from "./nodeState";
import { typeColor } from "./ports";
import { useCanvasUi } from "./ui";
import styles from "./Wires.module.css";

/** How wide a line can be grasped; nobody aims at one from afar. */
const GRIP_PX = 18;

export const WireLine = memo(function WireLine(props: EdgeProps<Wire>) {
  const { data, selected = false, target, sourceX, sourceY, targetX, targetY, sourcePosition, targetPosition } = props;
  const color = useEditor((state) => typeColor(state.catalog, data?.type ?? "Any"));
  const flowing = useEditor((state) => statusOf(state, target).tone === "running");
  const taking = useCanvasUi((state) => state.target === props.id);
  const tiny = useDistance() === "tiny";
  const [path] = getBezierPath({ sourceX, sourceY, targetX, targetY, sourcePosition, targetPosition, curvature: 0.3 });
  return (
    <g
      className={styles.wire}
      style={{ "--type": color } as CSSProperties}
      data-selected={selected}
      data-flowing={flowing}
      data-target={taking}
    >
      <BaseEdge id={props.id} path={path} interactionWidth={tiny ? 0 : GRIP_PX} />
    </g>
  );
});
