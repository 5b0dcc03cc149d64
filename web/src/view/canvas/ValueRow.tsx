/** A value of a node: its widget, or what it is linked from. */

import { memo } from "react";
import { formatAddress } from "../../model/address";
import type { InputPort } from "../../model/catalog";
import { openGraphName } from "../../model/document";
import type { Json } from "../../model/json";
import { portLabel } from "../../model/names";
import { resetValue, setValue } from "../../model/values";
import { useEditor } from "../../store/context";
import { tip } from "../ui/Tip";
import { PortWidget } from "../widgets/PortWidget";
import type { Distance } from "./distance";
import { menu, PortTip } from "./LinkRows";
import styles from "./NodeCard.module.css";
import { problemsAt } from "./nodeState";
import { PortHandle, PortPlace } from "./PortHandle";

export interface ValueRowProps {
  readonly id: string;
  readonly port: InputPort;
  readonly link: string | undefined;
  readonly value: Json | undefined;
  readonly nodeType: string;
  /** How the node writes the weights of a prompt; undefined for its default. */
  readonly syntax: string | undefined;
  readonly exposed: boolean;
  readonly distance: Distance;
}

export const ValueRow = memo(function ValueRow(props: ValueRowProps) {
  const { id, port, link, value, nodeType, syntax, exposed, distance } = props;
  const far = distance !== "near";
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the pointer's short way; the menu and keys do it too
    <div className={styles.value} data-exposed={exposed} onContextMenu={far ? undefined : menu(id, port.name, "input")}>
      {distance === "tiny" ? (
        <PortPlace port={port.name} side="input" quiet />
      ) : (
        <PortHandle node={id} port={port.name} side="input" type={port.type} connected={link !== undefined} quiet />
      )}
      {distance === "tiny" ? (
        <div className={styles.plain} />
      ) : link !== undefined || far ? (
        <div className={styles.plain} {...tip(() => <PortTip port={port} />)}>
          <span>{portLabel(port.name, port.unit)}</span>
          <span className={styles.shown}>{link ?? brief(value ?? port.default, port.unit)}</span>
        </div>
      ) : (
        <Widget id={id} port={port} value={value} nodeType={nodeType} syntax={syntax} />
      )}
      {exposed && <span className={styles.pin} title="An input of the workflow" />}
    </div>
  );
});

interface WidgetProps {
  readonly id: string;
  readonly port: InputPort;
  readonly value: Json | undefined;
  readonly nodeType: string;
  readonly syntax: string | undefined;
}

function Widget({ id, port, value, nodeType, syntax }: WidgetProps) {
  const apply = useEditor((state) => state.apply);
  const at = useEditor((state) => openGraphName(state.path));
  const problem = useEditor((state) => problemsAt(state, id).find((found) => found.port === port.name)?.message);
  const change = (given: Json | undefined) => {
    const options = { label: `Set ${portLabel(port.name, port.unit)}`, merge: `value ${at} ${id}.${port.name}` };
    apply(
      (doc) => (given === undefined ? resetValue(doc, at, id, port.name) : setValue(doc, at, id, port.name, given)),
      options,
    );
  };
  return (
    // Keys belong to the widget: Delete in a field must not delete the node.
    <div className={`nodrag nopan ${styles.widget}`}>
      <PortWidget
        port={port}
        value={value}
        onChange={change}
        problem={problem}
        at={formatAddress(at, { node: id, port: port.name })}
        nodeType={nodeType}
        syntax={syntax}
      />
    </div>
  );
}

/** A value in a few letters, for nodes that are far away. */
function brief(value: Json | undefined, unit: string | undefined): string {
  if (value === undefined || value === null || value === "") return "\u2013";
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  return (text.length > 28 ? `${text.slice(0, 27)}\u2026` : text) + (unit ? ` ${unit}` : "");
}
