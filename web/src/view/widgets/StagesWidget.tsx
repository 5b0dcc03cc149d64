/** The stages of the staged sampler: a strip that shows the whole way at once, and a card for each stage. */

import { type CSSProperties, useEffect, useRef, useState } from "react";
import type { Json } from "../../model/json";
import { pathOf } from "./CurveCanvas";
import controls from "./controls.module.css";
import { Field } from "./Field";
import { type Guidance, scaleAt, summary } from "./guidance";
import { Cross, Down, Plus, Up } from "./icons";
import { effective, labelOf } from "./port";
import { ObjectFields } from "./SchemaField";
import styles from "./StagesWidget.module.css";
import { resolve, type Schema } from "./schema";
import { guidanceOf, move, remove, replace, type Stage, solverOf, spans, split, stepsOf } from "./stages";
import type { WidgetProps } from "./types";

const FIRST = ["steps", "until", "solver", "guidance"] as const;

export function StagesWidget({ port, value, onChange, problem }: WidgetProps) {
  const stages = (effective(port, value) as readonly Stage[] | undefined) ?? [{}];
  const [open, setOpen] = useState(0);
  const follow = useFollowing();
  const defs = port.schema?.$defs ?? {};
  const schema = resolve(port.schema?.items ?? {}, defs);
  const set = (next: readonly Stage[]) => onChange(next as unknown as Json);
  const total = stages.reduce((sum, stage) => sum + stepsOf(stage), 0);
  return (
    <Field
      label={labelOf(port)}
      help={port.help}
      problem={problem}
      stacked
      group
      aside={<span className="numeric">{total} steps</span>}
    >
      {() => (
        <div className={styles.editor}>
          <Strip stages={stages} open={open} onOpen={setOpen} />
          <ol ref={follow.list} className={styles.cards}>
            {stages.map((stage, at) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: a stage is its place in the list
              <li key={at} className={styles.card} data-open={at === open}>
                <Head
                  stage={stage}
                  at={at}
                  count={stages.length}
                  isOpen={at === open}
                  onToggle={() => setOpen(at === open ? -1 : at)}
                  onSplit={() => set(split(stages, at))}
                  onMove={(by) => {
                    set(move(stages, at, by));
                    setOpen(at + by);
                    follow.to(at + by, by);
                  }}
                  onRemove={() => set(remove(stages, at))}
                />
                {at === open && (
                  <Body
                    schema={schema}
                    defs={defs}
                    stage={stage}
                    last={at === stages.length - 1}
                    onChange={(next) => set(replace(stages, at, next))}
                  />
                )}
              </li>
            ))}
          </ol>
        </div>
      )}
    </Field>
  );
}

/** The focus goes along with a stage that is moved, so that it can be moved on. */
function useFollowing() {
  const list = useRef<HTMLOListElement>(null);
  const next = useRef<{ readonly at: number; readonly by: number } | null>(null);
  useEffect(() => {
    if (next.current === null) return;
    const { at, by } = next.current;
    next.current = null;
    list.current?.children[at]?.querySelector<HTMLElement>(`[data-by="${by}"]`)?.focus();
  });
  const to = (at: number, by: number) => {
    next.current = { at, by };
  };
  return { list, to };
}

/** All stages on the way from noise to picture, as wide as their share of it, each with its course of guidance. */
function Strip({
  stages,
  open,
  onOpen,
}: {
  readonly stages: readonly Stage[];
  readonly open: number;
  readonly onOpen: (at: number) => void;
}) {
  const top = Math.max(...stages.flatMap((stage) => [0, 0.5, 1].map((at) => scaleAt(guidanceOf(stage), at))), 2) * 1.15;
  return (
    <div className={styles.strip}>
      {spans(stages).map(([from, to], at) => (
        <button
          // biome-ignore lint/suspicious/noArrayIndexKey: a stage is its place in the list
          key={at}
          type="button"
          className={`nodrag ${styles.span}`}
          data-open={at === open}
          style={{ "--share": Math.max(0.06, to - from) } as CSSProperties}
          onClick={() => onOpen(at)}
          aria-label={`Stage ${at + 1}, ${percent(from)} to ${percent(to)}, guidance ${summary(guidanceOf(stages[at] ?? {}))}`}
        >
          <Spark guidance={guidanceOf(stages[at] ?? {})} top={top} />
        </button>
      ))}
    </div>
  );
}

function Spark({ guidance, top }: { readonly guidance: Guidance; readonly top: number }) {
  return (
    <svg viewBox="10 6 240 84" preserveAspectRatio="none" aria-hidden="true">
      <path d={`${pathOf(guidance, top)}V96H10Z`} className={styles.sparkFill} />
      <path d={pathOf(guidance, top)} className={styles.spark} vectorEffect="non-scaling-stroke" />
    </svg>
  );
}

interface HeadProps {
  readonly stage: Stage;
  readonly at: number;
  readonly count: number;
  readonly isOpen: boolean;
  readonly onToggle: () => void;
  readonly onSplit: () => void;
  readonly onMove: (by: -1 | 1) => void;
  readonly onRemove: () => void;
}

function Head({ stage, at, count, isOpen, onToggle, onSplit, onMove, onRemove }: HeadProps) {
  const name = `stage ${at + 1}`;
  const plain = `nodrag ${controls.button} ${controls.plain}`;
  return (
    <div className={styles.head}>
      <button type="button" className={`nodrag ${styles.title}`} aria-expanded={isOpen} onClick={onToggle}>
        <b>{at + 1}</b>
        <span className="numeric">
          {stepsOf(stage)} × {solverOf(stage)}
        </span>
        <span className={styles.faint}>{summary(guidanceOf(stage))}</span>
      </button>
      <button
        type="button"
        className={plain}
        data-by={-1}
        aria-disabled={at === 0}
        onClick={() => at === 0 || onMove(-1)}
        aria-label={`Move ${name} up`}
      >
        <Up />
      </button>
      <button
        type="button"
        className={plain}
        data-by={1}
        aria-disabled={at === count - 1}
        onClick={() => at === count - 1 || onMove(1)}
        aria-label={`Move ${name} down`}
      >
        <Down />
      </button>
      <button
        type="button"
        className={plain}
        onClick={onSplit}
        aria-label={`Split ${name} in two`}
        title="Split in two"
      >
        <Plus />
      </button>
      <button type="button" className={plain} disabled={count < 2} onClick={onRemove} aria-label={`Remove ${name}`}>
        <Cross />
      </button>
    </div>
  );
}

interface BodyProps {
  readonly schema: Schema;
  readonly defs: Readonly<Record<string, Schema>>;
  readonly stage: Stage;
  readonly last: boolean;
  readonly onChange: (stage: Stage) => void;
}

/** What people change first, and the rest behind a fold. The last stage ends at the picture. */
function Body({ schema, defs, stage, last, onChange }: BodyProps) {
  const first = FIRST.filter((name) => !(last && name === "until"));
  const rest = Object.keys(schema.properties ?? {}).filter((name) => !(FIRST as readonly string[]).includes(name));
  const shared = { schema, defs, value: stage, onChange };
  return (
    <div className={styles.body}>
      <ObjectFields {...shared} only={first} />
      <details>
        <summary className={styles.more}>More</summary>
        <ObjectFields {...shared} only={rest} />
      </details>
    </div>
  );
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}
