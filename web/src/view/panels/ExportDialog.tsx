/** The workflow in other forms: the file, a Python program, a request to the API from a shell or from Python. */

import { useEffect, useState } from "react";
import { sentence } from "../../api/problems";
import { session } from "../../api/session";
import type { DocumentJson } from "../../api/types";
import { inputValues } from "../../model/exposed";
import { useEditor } from "../../store/context";
import controls from "../widgets/controls.module.css";
import { Copy, Download } from "../widgets/icons";
import { Words } from "../widgets/Words";
import { Dialog } from "./Dialog";
import { dialogs } from "./dialogs";
import styles from "./ExportDialog.module.css";
import { curlCall, fileName, fileText, pythonCall } from "./exports";

const KINDS = [
  ["json", "File", "The workflow as a file. `sdgraph run` takes it, and dropping it on the canvas opens it."],
  ["python", "Python", "A program that builds the same workflow with sdgraph's own classes."],
  ["curl", "curl", "A request that queues a run on this server."],
  ["client", "Python client", "The same from Python, waiting for the pictures."],
] as const;

type Kind = (typeof KINDS)[number][0];

export function ExportDialog() {
  const [kind, setKind] = useState<Kind>("json");
  const text = useText(kind);
  const name = useEditor((state) => fileName(state.history.present.name ?? "", kind));
  const says = KINDS.find(([one]) => one === kind)?.[2];
  return (
    <Dialog title="Export" onClose={dialogs.close}>
      <div className={styles.tabs} role="tablist" aria-label="Form">
        {KINDS.map(([one, word]) => (
          <button key={one} type="button" role="tab" aria-selected={one === kind} onClick={() => setKind(one)}>
            {word}
          </button>
        ))}
      </div>
      <p className={styles.says}>
        <Words>{says ?? ""}</Words>
      </p>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard */}
      <pre className={styles.text} role="tabpanel" aria-label={kind} tabIndex={0}>
        {text}
      </pre>
      <div className={`${controls.row} ${styles.actions}`}>
        <CopyButton text={text} />
        <button type="button" className={`${controls.button} ${controls.primary}`} onClick={() => download(name, text)}>
          <Download /> Save {name}
        </button>
      </div>
    </Dialog>
  );
}

function useText(kind: Kind): string {
  const doc = useEditor((state) => state.history.present);
  const [python, setPython] = useState("…");
  useEffect(() => {
    if (kind !== "python") return;
    session()
      .client.python(doc as unknown as DocumentJson)
      .then(setPython)
      .catch((error: unknown) => setPython(`# ${sentence(error)}`));
  }, [kind, doc]);
  const call = {
    origin: window.location.origin,
    token: session().client.token !== null,
    document: doc,
    inputs: inputValues(doc),
  };
  switch (kind) {
    case "json":
      return fileText(doc);
    case "python":
      return python;
    case "curl":
      return curlCall(call);
    case "client":
      return pythonCall(call);
  }
}

function CopyButton({ text }: { readonly text: string }) {
  const [done, setDone] = useState(false);
  return (
    <button
      type="button"
      className={controls.button}
      onClick={() => void navigator.clipboard.writeText(text).then(() => setDone(true))}
      onBlur={() => setDone(false)}
    >
      <Copy /> {done ? "Copied" : "Copy"}
    </button>
  );
}

/** Hand a text to the browser as a file. */
export function download(name: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}
