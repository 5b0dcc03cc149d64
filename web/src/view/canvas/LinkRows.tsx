/** Inputs that come over links, and outputs, in rows beside each other. */

import { memo } from "react";
import type { InputPort, OutputPort } from "../../model/catalog";
import { own } from "../../model/json";
import { portLabel } from "../../model/names";
import { tip } from "../ui/Tip";
import styles from "./NodeCard.module.css";
import { PortHandle, PortPlace } from "./PortHandle";
import { ui } from "./ui";

export interface LinkRowsProps {
  readonly id: string;
  readonly inputs: readonly InputPort[];
  readonly outputs: readonly OutputPort[];
  readonly read: string;
  /** What the inputs are linked from. */
  readonly links: Readonly<Record<string, string>> | undefined;
  /** Names of inputs that the graph exposes: something outside feeds them. */
  readonly exposed: ReadonlySet<string>;
  /** Without words: the ports of a folded node. */
  readonly bare?: boolean;
  /** Only the places of ports that links need: nobody can aim at one from afar. */
  readonly far?: boolean;
}

export const LinkRows = memo(function LinkRows(props: LinkRowsProps) {
  const { id, inputs, outputs, read, links, exposed, bare = false, far = false } = props;
  const isRead = new Set(read.split(" "));
  const rows = Array.from(
    { length: Math.max(inputs.length, outputs.length) },
    (_, row) => [inputs[row], outputs[row]] as const,
  );
  return (
    <div className={styles.links} data-bare={bare}>
      {rows.map(([input, output]) => (
        <div key={`${input?.name} ${output?.name}`} className={styles.link}>
          {input && (
            <Input
              id={id}
              port={input}
              connected={own(links, input.name) !== undefined}
              exposed={exposed.has(input.name)}
              far={far}
              bare={bare}
            />
          )}
          {output && <Output id={id} port={output} connected={isRead.has(output.name)} bare={bare} far={far} />}
        </div>
      ))}
    </div>
  );
});

interface InputProps {
  readonly id: string;
  readonly port: InputPort;
  readonly connected: boolean;
  readonly exposed: boolean;
  readonly bare: boolean;
  readonly far: boolean;
}

function Input({ id, port, connected, exposed, bare, far }: InputProps) {
  const missing = port.required && !connected && !exposed;
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the pointer's short way; the menu and keys do it too
    <span
      className={styles.input}
      data-missing={missing}
      data-optional={port.optional}
      data-exposed={exposed}
      onContextMenu={menu(id, port.name, "input")}
    >
      {!far && <PortHandle node={id} port={port.name} side="input" type={port.type} connected={connected || exposed} />}
      {far && connected && <PortPlace port={port.name} side="input" />}
      {!bare && !far && (
        <span className={styles.word} {...tip(() => <PortTip port={port} />)}>
          {portLabel(port.name, port.unit)}
        </span>
      )}
    </span>
  );
}

interface OutputProps {
  readonly id: string;
  readonly port: OutputPort;
  readonly connected: boolean;
  readonly bare: boolean;
  readonly far: boolean;
}

function Output({ id, port, connected, bare, far }: OutputProps) {
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the pointer's short way; the menu and keys do it too
    <span className={styles.output} onContextMenu={menu(id, port.name, "output")}>
      {!bare && !far && (
        <span className={styles.word} {...tip(() => <PortTip port={port} />)}>
          {portLabel(port.name)}
        </span>
      )}
      {!far && <PortHandle node={id} port={port.name} side="output" type={port.type} connected={connected} />}
      {far && connected && <PortPlace port={port.name} side="output" />}
    </span>
  );
}

export function PortTip({ port }: { readonly port: InputPort | OutputPort }) {
  return (
    <>
      <p>
        <b>{portLabel(port.name)}</b> <small>{port.type}</small>
      </p>
      {port.help && <p>{port.help}</p>}
    </>
  );
}

/** Opens the menu of a port. */
export function menu(node: string, port: string, side: "input" | "output") {
  return (event: { preventDefault(): void; stopPropagation(): void; clientX: number; clientY: number }) => {
    event.preventDefault();
    event.stopPropagation();
    ui.openMenu({ at: { x: event.clientX, y: event.clientY }, target: { kind: "port", ref: { node, port }, side } });
  };
}
