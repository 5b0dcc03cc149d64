/** The workflow as a small app: its exposed inputs as a form, a button, and what it draws. */

import { isPicture, type Picture } from "../../api/types";
import { openGraphName, parseRef, targetsOf, type WorkflowDocument } from "../../model/document";
import { setInput } from "../../model/exposed";
import { type Json, own } from "../../model/json";
import { inputOf } from "../../model/ports";
import { isActive } from "../../model/runstate";
import { resetValue } from "../../model/values";
import { useEditor } from "../../store/context";
import { dialogs } from "../panels/dialogs";
import { Nothing, Panel } from "../panels/Panel";
import { WholePicture } from "../panels/Thumbnail";
import controls from "../widgets/controls.module.css";
import { Compare, Stop } from "../widgets/icons";
import { PortWidget, syntaxIn } from "../widgets/PortWidget";
import styles from "./InputsPanel.module.css";
import { inOrder } from "./order";

export function InputsPanel() {
  const doc = useEditor((state) => state.history.present);
  const open = useEditor((state) => openGraphName(state.path));
  const names = Object.keys(doc.inputs ?? {});
  if (names.length === 0) {
    return (
      <Panel>
        <Nothing title="No inputs yet">
          Expose a port: press the pin beside it in the inspector. Exposed ports make a form here, and parameters of the
          command line and the API.
        </Nothing>
      </Panel>
    );
  }
  return (
    <Panel>
      {doc.description && open === null && <p className={styles.says}>{doc.description}</p>}
      <form className={styles.form} onSubmit={(event) => event.preventDefault()} aria-label="Inputs of the workflow">
        {inOrder(names).map((name) => (
          <Input key={name} name={name} doc={doc} />
        ))}
        <RunBar />
      </form>
      <Results />
    </Panel>
  );
}

function Input({ name, doc }: { readonly name: string; readonly doc: WorkflowDocument }) {
  const catalog = useEditor((state) => state.catalog);
  const apply = useEditor((state) => state.apply);
  const problems = useEditor((state) => state.problems);
  const targets = targetsOf(own(doc.inputs, name) ?? []).map(parseRef);
  const [first] = targets;
  const node = first && own(doc.nodes, first.node);
  if (!first || !node) return null;
  const type = own(catalog.nodes, node.type)?.inputs.find((port) => port.name === first.port);
  const port = { ...(type ?? inputOf(catalog, doc, null, name)), name };
  const problem = problems.find((one) => targets.some((ref) => ref.node === one.node && ref.port === one.port));
  const options = { label: `Change ${name}`, merge: `input ${name}` };
  const change = (value: Json | undefined) => {
    if (value !== undefined) return apply((before) => setInput(before, name, value), options);
    apply((before) => targets.reduce((left, ref) => resetValue(left, null, ref.node, ref.port), before), options);
  };
  return (
    <PortWidget
      port={port}
      value={own(node.values, first.port)}
      onChange={change}
      problem={problem?.message}
      at={`${first.node}.${first.port}`}
      nodeType={node.type}
      syntax={syntaxIn(node.values)}
    />
  );
}

function RunBar() {
  const run = useEditor((state) => state.run);
  const start = useEditor((state) => state.startRun);
  const cancel = useEditor((state) => state.cancelRun);
  return isActive(run) ? (
    <button type="button" className={controls.button} onClick={() => void cancel()}>
      <Stop /> Stop
    </button>
  ) : (
    <button type="button" className={`${controls.button} ${controls.primary}`} onClick={() => void start()}>
      Run
    </button>
  );
}

function Results() {
  const run = useEditor((state) => state.run);
  const pictures = Object.entries(run?.outputs ?? {}).flatMap(([name, values]) =>
    values.filter(isPicture).map((picture) => [name, picture] as const),
  );
  if (pictures.length === 0) return null;
  return (
    <section className={styles.results} aria-label="Results">
      {pictures.map(([name, picture]) => (
        <Result key={`${name} ${picture.digest}`} name={name} picture={picture} />
      ))}
    </section>
  );
}

function Result({ name, picture }: { readonly name: string; readonly picture: Picture }) {
  return (
    <figure>
      <WholePicture picture={picture} alt={`Output ${name}`} />
      <figcaption className={styles.caption}>
        {name}
        <button
          type="button"
          className={`${controls.button} ${controls.plain}`}
          onClick={() => dialogs.compare(picture)}
        >
          <Compare /> Compare
        </button>
      </figcaption>
    </figure>
  );
}
