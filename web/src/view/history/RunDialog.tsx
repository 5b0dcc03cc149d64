/** All about one run: its pictures, what went in, what each node cost and why it ran; opens its workflow again. */

import { useEffect, useState } from "react";
import { sentence } from "../../api/problems";
import { session } from "../../api/session";
import { type NodeReport, picturesOf, type Run } from "../../api/types";
import { useEditor } from "../../store/context";
import { inOrder } from "../inputs/order";
import { Dialog } from "../panels/Dialog";
import { dialogs } from "../panels/dialogs";
import { ago, bytes, duration, oneLine, STATUS_WORDS } from "../panels/format";
import { WholePicture } from "../panels/Thumbnail";
import controls from "../widgets/controls.module.css";
import { Compare, Download, OpenFile, Retry } from "../widgets/icons";
import { labelOf } from "../widgets/port";
import styles from "./RunDialog.module.css";

export function RunDialog({ id }: { readonly id: string }) {
  const [run, setRun] = useState<Run | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  useEffect(() => {
    session()
      .client.run(id)
      .then(setRun)
      .catch((error: unknown) => setProblem(sentence(error)));
  }, [id]);
  return (
    <Dialog title={run?.name || "Run"} onClose={dialogs.close} wide aside={run && <Actions run={run} />}>
      {problem && <p role="alert">{problem}</p>}
      {run && <Content run={run} />}
    </Dialog>
  );
}

function Actions({ run }: { readonly run: Run }) {
  const openDocument = useEditor((state) => state.openDocument);
  const notify = useEditor((state) => state.notify);
  const again = () =>
    session()
      .client.retry(run.run_id)
      .then(() => notify({ kind: "good", text: "The run waits again." }))
      .catch((error: unknown) => notify({ kind: "bad", text: sentence(error) }));
  return (
    <span className={controls.row}>
      <button type="button" className={controls.button} onClick={again}>
        <Retry /> Run again
      </button>
      <button
        type="button"
        className={`${controls.button} ${controls.primary}`}
        onClick={() => {
          openDocument(run.workflow);
          dialogs.close();
        }}
      >
        <OpenFile /> Open workflow
      </button>
    </span>
  );
}

function Content({ run }: { readonly run: Run }) {
  const pictures = picturesOf(run);
  return (
    <div className={styles.columns}>
      <div className={styles.pictures}>
        {pictures.map(([name, picture]) => (
          <figure key={`${name} ${picture.digest}`}>
            <WholePicture picture={picture} alt={`Output ${name}`} />
            <figcaption className={styles.caption}>
              <span>
                {name}
                {picture.width_px && ` · ${picture.width_px} × ${picture.height_px} px`}
              </span>
              <button
                type="button"
                className={`${controls.button} ${controls.plain}`}
                onClick={() => dialogs.compare(picture)}
              >
                <Compare /> Compare
              </button>
              <a
                className={`${controls.button} ${controls.plain}`}
                href={session().client.resultUrl(picture.digest)}
                download
              >
                <Download /> Save
              </a>
            </figcaption>
          </figure>
        ))}
        {pictures.length === 0 && <p className={styles.faint}>This run made no pictures.</p>}
      </div>
      <div className={styles.facts}>
        <Facts run={run} />
        {run.problems.map((one) => (
          <p key={one.message} className={styles.problem}>
            {one.node && <b>{one.node}: </b>}
            {one.message} {one.hint}
          </p>
        ))}
        <Pairs title="Inputs" pairs={inOrder(Object.keys(run.inputs)).map((name) => pairOf(name, run.inputs[name]))} />
        <Nodes nodes={run.nodes} />
      </div>
    </div>
  );
}

/** "Width", "64 px". */
function pairOf(name: string, value: unknown): readonly [string, string] {
  const unit = name.endsWith("_px") ? "px" : null;
  return [labelOf({ name, unit }), unit ? `${oneLine(value)} ${unit}` : oneLine(value)];
}

function Facts({ run }: { readonly run: Run }) {
  const facts = [
    STATUS_WORDS[run.status],
    run.elapsed_s ? duration(run.elapsed_s) : "",
    run.peak_memory_bytes ? `${bytes(run.peak_memory_bytes)} at most` : "",
    ago(run.created_at, Date.now()),
  ];
  return <p className={styles.faint}>{facts.filter(Boolean).join(" · ")}</p>;
}

function Pairs({ title, pairs }: { readonly title: string; readonly pairs: readonly (readonly [string, string])[] }) {
  if (pairs.length === 0) return null;
  return (
    <section>
      <h3 className={styles.title}>{title}</h3>
      <dl className={styles.pairs}>
        {pairs.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

const NODE_WORDS: Readonly<Record<NodeReport["status"], string>> = {
  ran: "ran",
  hit: "cached",
  failed: "failed",
  skipped: "skipped",
};

function Nodes({ nodes }: { readonly nodes: Readonly<Record<string, NodeReport>> }) {
  const rows = Object.entries(nodes).sort(([, left], [, right]) => (right.elapsed_s ?? 0) - (left.elapsed_s ?? 0));
  if (rows.length === 0) return null;
  return (
    <section>
      <h3 className={styles.title}>Nodes</h3>
      <table className={styles.nodes}>
        <thead className="visually-hidden">
          <tr>
            <th>Node</th>
            <th>What happened</th>
            <th>Time</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(([id, node]) => (
            <tr key={id} title={node.reason ?? ""}>
              <td>{id}</td>
              <td data-status={node.status}>{NODE_WORDS[node.status]}</td>
              <td className="numeric">{node.elapsed_s ? duration(node.elapsed_s) : ""}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
