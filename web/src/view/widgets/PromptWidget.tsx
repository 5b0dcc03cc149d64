/**
 * A prompt: grows with its text, colours what is weighted, counts tokens. Ctrl+Up and Ctrl+Down weigh the selection.
 *
 * The coloured copy lies exactly under a transparent text area, so that typing, selection and spelling stay the
 * browser's own.
 */

import { type KeyboardEvent, useEffect, useRef, useState } from "react";
import controls from "./controls.module.css";
import { Field, type FieldIds } from "./Field";
import styles from "./PromptWidget.module.css";
import { effective, labelOf } from "./port";
import { CHUNK_TOKENS, reweigh, type Segment } from "./promptText";
import type { WidgetProps } from "./types";
import { usePromptFacts } from "./usePromptFacts";

export interface PromptProps extends WidgetProps {
  /** How weights are written; the value of the node's `syntax` port. */
  readonly syntax?: string | undefined;
}

const STEP = 0.1;

export function PromptWidget({ port, value, onChange, problem, syntax = "auto" }: PromptProps) {
  const current = String(effective(port, value) ?? "");
  const [text, setText] = useState(current);
  useEffect(() => setText(current), [current]);
  const isPrompt = port.name.includes("prompt");
  const facts = usePromptFacts(text, isPrompt ? syntax : null);
  const edit = (next: string) => {
    setText(next);
    onChange(next);
  };
  return (
    <Field
      label={labelOf(port)}
      help={port.help}
      problem={problem}
      stacked
      aside={isPrompt && text !== "" && <TokenCount tokens={facts.tokens} exact={facts.exact} />}
    >
      {(ids) => <PromptArea ids={ids} text={text} segments={isPrompt ? facts.segments : []} onChange={edit} />}
    </Field>
  );
}

function TokenCount({ tokens, exact }: { readonly tokens: number; readonly exact: boolean }) {
  const chunks = Math.max(1, Math.ceil(tokens / CHUNK_TOKENS));
  const title = `${exact ? "" : "About "}${tokens} tokens${chunks > 1 ? `, encoded in ${chunks} parts of ${CHUNK_TOKENS}` : ""}`;
  return (
    <span className="numeric" title={title}>
      {exact ? "" : "≈ "}
      {tokens} {tokens === 1 ? "token" : "tokens"}
      {chunks > 1 && ` · ${chunks} parts`}
    </span>
  );
}

interface AreaProps {
  readonly ids: FieldIds;
  readonly text: string;
  readonly segments: readonly Segment[];
  readonly onChange: (text: string) => void;
}

function PromptArea({ ids, text, segments, onChange }: AreaProps) {
  const area = useRef<HTMLTextAreaElement>(null);
  const weigh = (event: KeyboardEvent<HTMLTextAreaElement>) => {
    const up = event.key === "ArrowUp";
    if (!(event.ctrlKey || event.metaKey) || !(up || event.key === "ArrowDown")) return;
    event.preventDefault();
    const { selectionStart, selectionEnd } = event.currentTarget;
    const next = reweigh(text, selectionStart, selectionEnd, up ? STEP : -STEP);
    onChange(next.text);
    requestAnimationFrame(() => area.current?.setSelectionRange(next.start, next.end));
  };
  return (
    <div className={`${controls.box} ${styles.stack}`} data-bad={ids.invalid}>
      <div className={`${controls.area} ${styles.under}`} aria-hidden="true">
        {segments.length > 0
          ? // biome-ignore lint/suspicious/noArrayIndexKey: a segment is its place in the text
            segments.map((one, at) => <Weighted key={at} segment={one} />)
          : text}
        {"\u200b"}
      </div>
      <textarea
        ref={area}
        id={ids.id}
        className={`nodrag nowheel ${controls.area} ${styles.over}`}
        value={text}
        rows={1}
        spellCheck="true"
        aria-describedby={ids.describedBy}
        aria-invalid={ids.invalid}
        onChange={(event) => onChange(event.target.value)}
        onKeyDown={weigh}
      />
    </div>
  );
}

/** Heavier than 1 in one colour, lighter in another, the stronger the further. */
function Weighted({ segment }: { readonly segment: Segment }) {
  if (segment.weight === 1) return <span>{segment.text}</span>;
  const share = Math.min(100, Math.round(30 + Math.abs(Math.log2(Math.max(0.05, Math.abs(segment.weight)))) * 90));
  const hue = segment.weight > 1 ? "var(--warn)" : "var(--run)";
  return (
    <mark
      className={styles.weighted}
      style={{ background: `color-mix(in srgb, ${hue} ${Math.round(share / 3)}%, transparent)` }}
    >
      {segment.text}
    </mark>
  );
}
