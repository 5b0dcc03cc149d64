/** The course of guidance over a stage, drawn: drag points, double-click to add one, Delete removes it. */

import type { Json } from "../../model/json";
import { Choice } from "./ChoiceWidget";
import { CurveCanvas } from "./CurveCanvas";
import styles from "./CurveWidget.module.css";
import controls from "./controls.module.css";
import { Field } from "./Field";
import { type Guidance, type GuidanceKind, handlesOf, KINDS, type Point, scaleAt, turnInto } from "./guidance";
import { NumberField } from "./NumberWidget";
import type { NumberRange } from "./numbers";
import { effective, labelOf } from "./port";
import type { WidgetProps } from "./types";

const SCALES: NumberRange = { low: 0, high: 100, openLow: false, openHigh: false, step: 0.1, whole: false };
const SHARES: NumberRange = { low: 0, high: 1, openLow: false, openHigh: false, step: 0.01, whole: false };
const START: Guidance = { kind: "cosine", start: 7.5, end: 3 };

export function CurveWidget({ port, value, onChange, problem }: WidgetProps) {
  const guidance = effective(port, value) as Guidance | null | undefined;
  const set = (next: Guidance | null) => onChange(next as unknown as Json);
  return (
    <Field
      label={labelOf(port)}
      help={port.help}
      problem={problem}
      stacked
      group
      aside={
        port.optional && (
          <button
            type="button"
            className={`nodrag ${controls.button} ${controls.plain}`}
            onClick={() => set(guidance ? null : START)}
          >
            {guidance ? "Remove" : "Draw a course"}
          </button>
        )
      }
    >
      {() => guidance && <GuidanceEditor label={labelOf(port)} guidance={guidance} onChange={set} />}
    </Field>
  );
}

export interface GuidanceEditorProps {
  readonly label: string;
  readonly guidance: Guidance;
  readonly onChange: (guidance: Guidance) => void;
}

/** Kind, curve and exact numbers of a course. */
export function GuidanceEditor({ label, guidance, onChange }: GuidanceEditorProps) {
  const kind = KINDS.find((one) => one.kind === guidance.kind);
  const byLabel = (wanted: string) => KINDS.find((one) => one.label === wanted)?.kind ?? guidance.kind;
  return (
    <div className={styles.editor}>
      <Choice
        ids={{ id: `${label}-kind`, describedBy: undefined, invalid: false }}
        label={`Kind of ${label.toLowerCase()}`}
        options={KINDS.map((one) => one.label)}
        value={kind?.label ?? guidance.kind}
        onChange={(wanted) => onChange(turnInto(guidance, byLabel(wanted) as GuidanceKind))}
        few
      />
      <CurveCanvas label={label} guidance={guidance} onChange={onChange} />
      <Numbers guidance={guidance} onChange={onChange} />
      <p className={styles.help}>{kind?.help}</p>
    </div>
  );
}

/** The same as fields: exact, and without a mouse. */
function Numbers({ guidance, onChange }: Omit<GuidanceEditorProps, "label">) {
  switch (guidance.kind) {
    case "constant":
      return (
        <Entry label="Scale" value={scaleAt(guidance, 0)} onChange={(scale) => onChange({ ...guidance, scale })} />
      );
    case "linear":
    case "cosine":
      return (
        <div className={styles.numbers}>
          <Entry label="From" value={guidance.start} onChange={(start) => onChange({ ...guidance, start })} />
          <Entry label="To" value={guidance.end} onChange={(end) => onChange({ ...guidance, end })} />
        </div>
      );
    case "interval":
      return (
        <div className={styles.numbers}>
          <Entry label="Scale" value={guidance.scale} onChange={(scale) => onChange({ ...guidance, scale })} />
          <Entry
            label="From"
            share
            value={guidance.start ?? 0}
            onChange={(start) => onChange({ ...guidance, start })}
          />
          <Entry label="To" share value={guidance.end ?? 1} onChange={(end) => onChange({ ...guidance, end })} />
        </div>
      );
    case "piecewise":
      return <PointList points={handlesOf(guidance)} />;
  }
}

function PointList({ points }: { readonly points: readonly Point[] }) {
  return (
    <p className={`${styles.help} numeric`}>
      {points.map(([progress, scale]) => `${Math.round(progress * 100)} %: ${scale}`).join("  ·  ")}
    </p>
  );
}

interface EntryProps {
  readonly label: string;
  readonly value: number;
  readonly share?: boolean;
  readonly onChange: (value: number) => void;
}

function Entry({ label, value, share = false, onChange }: EntryProps) {
  return (
    <Field label={label}>
      {(ids) => <NumberField ids={ids} value={value} range={share ? SHARES : SCALES} onChange={onChange} />}
    </Field>
  );
}
