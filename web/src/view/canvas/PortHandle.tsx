/** The dot at the side of a node that links start and end at; from afar, when nobody can see or press it, only its place. */

import { Handle, Position } from "@xyflow/react";
import type { CSSProperties } from "react";
import type { PortRef } from "../../model/document";
import { accepts } from "../../model/porttypes";
import { useEditor } from "../../store/context";
import { inHandle, outHandle } from "./flow";
import styles from "./PortHandle.module.css";
import { typeColor } from "./ports";
import { type OpenEnd, useCanvasUi } from "./ui";

export interface PortHandleProps extends PortRef {
  readonly side: "input" | "output";
  readonly type: string;
  readonly connected: boolean;
  /** Its value can be typed in, so that the link is the exception. */
  readonly quiet?: boolean;
}

export function PortHandle({ node, port, side, type, connected, quiet = false }: PortHandleProps) {
  const color = useEditor((state) => typeColor(state.catalog, type));
  // Only the answer is read, so that a node is drawn again when a link starts or ends, and not at every move.
  const fit = useCanvasUi((state) => fitting(state.connecting, node, side, type));
  return (
    <Handle
      type={side === "input" ? "target" : "source"}
      position={side === "input" ? Position.Left : Position.Right}
      id={side === "input" ? inHandle(port) : outHandle(port)}
      className={styles.handle}
      style={{ "--type": color } as CSSProperties}
      data-connected={connected}
      data-quiet={quiet}
      data-list={type.startsWith("List[")}
      data-fit={fit}
      role="img"
      aria-label={`${side === "input" ? "Input" : "Output"} ${port}, ${type}${connected ? ", connected" : ""}`}
    />
  );
}

/** Where a link ends, for what measures it: no dot, nothing to press, and so nothing that has to listen. */
export function PortPlace({ port, side, quiet = false }: Pick<PortHandleProps, "port" | "side" | "quiet">) {
  const [kind, position, id] =
    side === "input" ? ["target", Position.Left, inHandle(port)] : ["source", Position.Right, outHandle(port)];
  return (
    <div
      className={`react-flow__handle react-flow__handle-${position} ${kind} ${styles.handle}`}
      data-handleid={id}
      data-handlepos={position}
      data-quiet={quiet}
    />
  );
}

function fitting(end: OpenEnd | null, node: string, side: "input" | "output", type: string): "idle" | "yes" | "no" {
  if (end === null) return "idle";
  if (end.side === side || end.node === node) return end.node === node && end.side === side ? "idle" : "no";
  return (side === "input" ? accepts(type, end.type) : accepts(end.type, type)) ? "yes" : "no";
}
