/** The strip at a node's foot: its plan, progress or problems in one line; pointing at it says why. */

import { useShallow } from "zustand/react/shallow";
import { useEditor, useEditorStore } from "../../store/context";
import { Check, Clock, Dashed, Play, Warn } from "../ui/icons";
import { tip } from "../ui/Tip";
import styles from "./NodeCard.module.css";
import { explanationOf, statusOf, type Tone } from "./nodeState";

const MARKS: Readonly<Record<Tone, (() => React.ReactNode) | null>> = {
  none: null,
  hit: Check,
  done: Check,
  run: Play,
  maybe: Clock,
  unused: Dashed,
  running: null,
  bad: Warn,
  warn: Warn,
};

export interface CardStripProps {
  readonly id: string;
  /** Only its colour can be made out. */
  readonly tiny: boolean;
}

export function CardStrip({ id, tiny }: CardStripProps) {
  const status = useEditor(useShallow((state) => statusOf(state, id)));
  const store = useEditorStore();
  if (status.tone === "none") return null;
  if (tiny) return <footer className={styles.strip} data-tone={status.tone} title={status.text} />;
  const Mark = MARKS[status.tone];
  return (
    <footer
      className={styles.strip}
      data-tone={status.tone}
      {...tip(() => <Why {...explanationOf(store.getState(), id)} />)}
    >
      {Mark ? <Mark /> : <Ring progress={status.progress} />}
      <span className="numeric">{status.text}</span>
    </footer>
  );
}

function Why({ title, lines }: { readonly title: string; readonly lines: readonly string[] }) {
  if (title === "") return null;
  return (
    <>
      <p>
        <b>{title}</b>
      </p>
      {lines.map((line) => (
        <p key={line}>{line}</p>
      ))}
    </>
  );
}

const AROUND = 2 * Math.PI * 6;

function Ring({ progress }: { readonly progress: number | null }) {
  const shown = progress ?? 0.25;
  return (
    <svg
      className={styles.ring}
      data-unknown={progress === null}
      viewBox="0 0 16 16"
      width="1rem"
      height="1rem"
      aria-hidden="true"
    >
      <circle cx="8" cy="8" r="6" />
      <circle cx="8" cy="8" r="6" strokeDasharray={`${AROUND * shown} ${AROUND}`} transform="rotate(-90 8 8)" />
    </svg>
  );
}
