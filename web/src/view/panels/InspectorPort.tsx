/** One input port in the inspector: its widget or what feeds it, and the pin that exposes it as a parameter. */

import { formatAddress } from "../../model/address";
import { type InputPort, takesValue } from "../../model/catalog";
import { disconnect } from "../../model/connect";
import { type GraphName, graphOf } from "../../model/document";
import { exposedAs, exposeInput, hideInput } from "../../model/exposed";
import { type Json, own } from "../../model/json";
import { resetValue, setValue } from "../../model/values";
import { useEditor } from "../../store/context";
import controls from "../widgets/controls.module.css";
import { Field } from "../widgets/Field";
import { Cross, Pin } from "../widgets/icons";
import { PortWidget, syntaxIn } from "../widgets/PortWidget";
import { labelOf } from "../widgets/port";
import styles from "./Inspector.module.css";

interface InspectorPortProps {
  readonly node: string;
  readonly port: InputPort;
  readonly at: GraphName;
}

export function InspectorPort({ node: id, port, at }: InspectorPortProps) {
  const doc = useEditor((state) => state.history.present);
  const apply = useEditor((state) => state.apply);
  const problems = useEditor((state) => state.problems);
  const graph = graphOf(doc, at);
  const node = own(graph.nodes, id);
  const ref = { node: id, port: port.name };
  const link = own(node?.links, port.name);
  const exposed = exposedAs(graph, ref);
  const problem = problems.find((one) => one.node === id && one.port === port.name)?.message;
  const change = (value: Json | undefined) =>
    apply(
      (before) =>
        value === undefined ? resetValue(before, at, id, port.name) : setValue(before, at, id, port.name, value),
      { label: `Change ${port.name}`, merge: `value ${at ?? ""} ${id}.${port.name}` },
    );
  return (
    <div className={styles.port}>
      {link !== undefined || !takesValue(port) ? (
        <Linked
          port={port}
          link={link}
          problem={problem}
          onCut={() => apply((before) => disconnect(before, at, ref), { label: "Disconnect" })}
        />
      ) : (
        <PortWidget
          port={port}
          value={own(node?.values, port.name)}
          onChange={change}
          problem={problem}
          at={formatAddress(at, ref)}
          nodeType={node?.type ?? ""}
          syntax={syntaxIn(node?.values)}
        />
      )}
      {takesValue(port) && (
        <button
          type="button"
          className={styles.pin}
          aria-pressed={exposed !== null}
          onClick={() =>
            apply((before) => (exposed === null ? exposeInput(before, at, ref) : hideInput(before, at, ref)), {
              label: exposed === null ? "Expose" : "Hide",
            })
          }
          aria-label={exposed === null ? `Expose ${port.name} as an input` : `No longer expose ${port.name}`}
          title={exposed === null ? "Expose as an input of the workflow" : `Exposed as ${exposed}`}
        >
          <Pin />
        </button>
      )}
    </div>
  );
}

interface LinkedProps {
  readonly port: InputPort;
  readonly link: string | undefined;
  readonly problem: string | undefined;
  readonly onCut: () => void;
}

function Linked({ port, link, problem, onCut }: LinkedProps) {
  const types = useEditor((state) => state.catalog.port_types);
  const reveal = useEditor((state) => state.reveal);
  const color = own(types, port.type)?.color ?? "var(--line-control)";
  return (
    <Field label={labelOf(port)} help={port.help} problem={problem} group>
      {() => (
        <div className={controls.row}>
          <span className={styles.dot} style={{ background: link ? color : "transparent", borderColor: color }} />
          {link ? (
            <button
              type="button"
              className={styles.jump}
              title={`Show ${link}`}
              onClick={() => reveal(link.slice(0, link.lastIndexOf(".")))}
            >
              {link}
            </button>
          ) : (
            <span className={styles.type}>
              {port.type}
              {port.required ? ", needed" : ""}
            </span>
          )}
          {link && (
            <button
              type="button"
              className={`${controls.button} ${controls.plain}`}
              onClick={onCut}
              aria-label={`Disconnect ${port.name}`}
            >
              <Cross />
            </button>
          )}
        </div>
      )}
    </Field>
  );
}
