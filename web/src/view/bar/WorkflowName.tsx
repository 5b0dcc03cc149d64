/** The workflow's name, which can be changed in place, and whether it is saved. */

import { type KeyboardEvent, useState } from "react";
import { useEditor } from "../../store/context";
import type { FileState } from "../../store/state";
import { tip } from "../ui/Tip";
import controls from "../widgets/controls.module.css";
import styles from "./TopBar.module.css";

const STATES: Readonly<Record<FileState["state"], string>> = {
  kept: "Saved",
  changed: "Unsaved changes",
  saving: "Saving\u2026",
  failed: "Not saved",
  "changed-elsewhere": "Changed elsewhere",
};

export function WorkflowName() {
  const name = useEditor((state) => state.history.present.name ?? "");
  const file = useEditor((state) => state.file);
  const apply = useEditor((state) => state.apply);
  const [editing, setEditing] = useState(false);
  const rename = (text: string) => {
    setEditing(false);
    if (text.trim() !== name) apply((doc) => ({ ...doc, name: text.trim() }), { label: "Rename workflow" });
  };
  const keys = (event: KeyboardEvent<HTMLInputElement>) => {
    event.stopPropagation();
    if (event.key === "Enter") event.currentTarget.blur();
    if (event.key === "Escape") setEditing(false);
  };
  return (
    <div className={styles.workflow}>
      {editing ? (
        <input
          className={styles.field}
          // biome-ignore lint/a11y/noAutofocus: the person asked to rename
          autoFocus
          defaultValue={name}
          aria-label="Name of the workflow"
          onFocus={(event) => event.target.select()}
          onKeyDown={keys}
          onBlur={(event) => rename(event.target.value)}
        />
      ) : (
        <button
          type="button"
          className={styles.name}
          onClick={() => setEditing(true)}
          title={`Rename ${name || "the workflow"}`}
        >
          {name || "Untitled"}
        </button>
      )}
      <State file={file} />
    </div>
  );
}

function State({ file }: { readonly file: FileState }) {
  const resolve = useEditor((state) => state.resolveConflict);
  if (file.state === "changed-elsewhere") {
    return (
      <span className={styles.conflict} role="alert">
        Changed in another window
        <button type="button" className={controls.button} onClick={() => void resolve("mine")}>
          Keep mine
        </button>
        <button type="button" className={controls.button} onClick={() => void resolve("theirs")}>
          Take theirs
        </button>
      </span>
    );
  }
  const draft = file.name === null || file.shipped;
  const text =
    draft && file.state !== "failed"
      ? file.shipped && file.state === "kept"
        ? "Template"
        : "Draft"
      : STATES[file.state];
  const more = draft
    ? "Kept in this browser. Save it to keep it on the server."
    : `On the server as \u201c${file.name}\u201d.`;
  return (
    <span className={styles.state} data-state={draft ? "draft" : file.state} role="status" {...tip(() => more)}>
      {text}
    </span>
  );
}
