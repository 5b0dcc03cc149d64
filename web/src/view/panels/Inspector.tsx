/** All about the selected node: what it is, why it would run, its ports with their widgets, and what it made. */

import { useMemo } from "react";
import { openGraphName } from "../../model/document";
import { inspect } from "../../model/inspect";
import { own } from "../../model/json";
import { nodePlans } from "../../model/nodeplan";
import { setLabel } from "../../model/nodes";
import type { NodePorts } from "../../model/ports";
import { useEditor } from "../../store/context";
import controls from "../widgets/controls.module.css";
import { Field } from "../widgets/Field";
import { Words } from "../widgets/Words";
import { duration } from "./format";
import styles from "./Inspector.module.css";
import { InspectorPort } from "./InspectorPort";
import { Nothing, Panel } from "./Panel";

const ACTION_WORDS = { run: "Will run", hit: "Cached", maybe: "May run", unused: "Not needed" } as const;

export function Inspector() {
  const selection = useEditor((state) => state.selection);
  const catalog = useEditor((state) => state.catalog);
  const doc = useEditor((state) => state.history.present);
  const path = useEditor((state) => state.path);
  const at = openGraphName(path);
  const nodes = [...selection].filter((id) => !id.startsWith("@"));
  const [only] = nodes;
  const ports = only === undefined ? undefined : inspect(catalog, doc, at).ports.get(only);
  if (only === undefined || ports === undefined) {
    return (
      <Panel>
        <Nothing title="Nothing selected">Select a node to see its ports, its help, and why it would run.</Nothing>
      </Panel>
    );
  }
  if (nodes.length > 1) {
    return (
      <Panel>
        <Nothing title={`${nodes.length} nodes selected`}>Copy, align, group or collapse them from their menu.</Nothing>
      </Panel>
    );
  }
  return (
    <Panel>
      <Head id={only} ports={ports} at={at} />
      {path.length === 0 && <Plan id={only} />}
      <div className={styles.ports}>
        {ports.inputs.map((port) => (
          <InspectorPort key={`${only}.${port.name}`} node={only} port={port} at={at} />
        ))}
      </div>
      <Outputs ports={ports} />
    </Panel>
  );
}

function Head({ id, ports, at }: { readonly id: string; readonly ports: NodePorts; readonly at: string | null }) {
  const doc = useEditor((state) => state.history.present);
  const apply = useEditor((state) => state.apply);
  const node = own(at === null ? doc.nodes : (own(doc.graphs, at)?.nodes ?? {}), id);
  return (
    <header className={styles.head}>
      <h2 className={styles.title}>{node?.label || ports.title}</h2>
      <p className={styles.kind}>
        <code>{id}</code> · <code>{node?.type}</code>
      </p>
      {ports.kind === "unknown" && (
        <p className={styles.unknown}>No installed pack has this type. The node is kept as it is and cannot run.</p>
      )}
      <details className={styles.doc}>
        <summary>
          <Words>{ports.doc.split("\n\n")[0]?.replaceAll("\n", " ") ?? ""}</Words>
        </summary>
        <p>
          <Words>{ports.doc.split("\n\n").slice(1).join("\n\n")}</Words>
        </p>
      </details>
      <Field label="Name">
        {(ids) => (
          <div className={controls.box}>
            <input
              key={id}
              id={ids.id}
              className={controls.text}
              defaultValue={node?.label ?? ""}
              placeholder={ports.title}
              onBlur={(event) => apply((before) => setLabel(before, at, id, event.target.value), { label: "Rename" })}
            />
          </div>
        )}
      </Field>
    </header>
  );
}

/** Why the node would run: the reason, and what changed. */
function Plan({ id }: { readonly id: string }) {
  const plan = useEditor((state) => state.plan.plan);
  const row = useMemo(() => (plan ? nodePlans(plan, "").get(id) : undefined), [plan, id]);
  const began = useEditor((state) => own(state.plan.plan?.nodes, id)?.began_at);
  const run = useEditor((state) => own(state.run?.nodes, id));
  const reveal = useEditor((state) => state.reveal);
  if (!row) return null;
  return (
    <section className={styles.plan} data-action={row.action} aria-label="Plan">
      <p>
        <b>{ACTION_WORDS[row.action]}</b>
        {row.action === "run" && row.estimated_s ? (
          <span className="numeric"> about {duration(row.estimated_s)}</span>
        ) : null}
        {run?.elapsed_s ? <span className="numeric"> · took {duration(run.elapsed_s)}</span> : null}
      </p>
      <p>{row.reason}</p>
      {row.changes.map((change) => (
        <p key={change.port} className={styles.change}>
          {change.port} <s>{change.from}</s> → <b>{change.to}</b>
        </p>
      ))}
      {began && began !== id && (
        <button type="button" className={styles.jump} onClick={() => reveal(began)}>
          Show where it began: {began}
        </button>
      )}
    </section>
  );
}

function Outputs({ ports }: { readonly ports: NodePorts }) {
  const types = useEditor((state) => state.catalog.port_types);
  if (ports.outputs.length === 0) return null;
  return (
    <section className={styles.outputs} aria-label="Outputs">
      <h3>Outputs</h3>
      {ports.outputs.map((port) => (
        <p key={port.name} title={port.help}>
          <span className={styles.dot} style={{ background: own(types, port.type)?.color ?? "var(--line-control)" }} />
          {port.name} <span className={styles.type}>{port.type}</span>
        </p>
      ))}
    </section>
  );
}
