/** A number: a slider where the range is one that can be aimed at, and a field that takes exact values and sums. */

import { type CSSProperties, type KeyboardEvent, useEffect, useState } from "react";
import controls from "./controls.module.css";
import { Field, type FieldIds } from "./Field";
import styles from "./NumberWidget.module.css";
import { fitted, type NumberRange, nudge, numberProblem, parseNumber, rangeOf, shown, slides } from "./numbers";
import { effective, labelOf } from "./port";
import { bend, NOTCHES, notchOf, valueAt } from "./scale";
import type { WidgetProps } from "./types";

export function NumberWidget({ port, value, onChange, problem }: WidgetProps) {
  const range = rangeOf(port.schema ?? {});
  const current = Number(effective(port, value) ?? Number.NaN);
  const usual = typeof port.default === "number" ? port.default : null;
  const given = value === undefined || value === null ? null : numberProblem(current, range, port.unit ?? "");
  return (
    <Field
      label={labelOf(port)}
      help={port.help}
      problem={problem ?? given}
      onReset={value !== undefined && usual !== null && value !== usual ? () => onChange(undefined) : undefined}
      resetTo={usual === null ? "" : shown(usual)}
    >
      {(ids) => (
        <div className={styles.pair}>
          {slides(range) && (
            <Slider label={labelOf(port)} value={current} range={range} usual={usual} onChange={onChange} />
          )}
          <NumberField ids={ids} value={current} range={range} unit={port.unit ?? ""} onChange={onChange} />
        </div>
      )}
    </Field>
  );
}

interface SliderProps {
  readonly label: string;
  readonly value: number;
  readonly range: NumberRange & { low: number; high: number };
  readonly usual: number | null;
  readonly onChange: (value: number) => void;
}

function Slider({ label, value, range, usual, onChange }: SliderProps) {
  const exponent = bend(range, usual);
  const notch = notchOf(Number.isFinite(value) ? value : range.low, range, exponent);
  return (
    <input
      type="range"
      className={`nodrag ${styles.slider}`}
      min={0}
      max={NOTCHES}
      value={notch}
      style={{ "--filled": `${(100 * notch) / NOTCHES}%` } as CSSProperties}
      aria-label={`${label} slider`}
      aria-valuetext={shown(value)}
      onChange={(event) => onChange(valueAt(Number(event.target.value), range, exponent))}
      onKeyDown={(event) => stepByKey(event, value, range, onChange)}
    />
  );
}

export interface NumberFieldProps {
  readonly ids: FieldIds;
  readonly value: number;
  readonly range: NumberRange;
  readonly unit?: string;
  readonly placeholder?: string;
  readonly onChange: (value: number) => void;
  readonly onEmpty?: () => void;
}

/** The text field of a number: Enter or leaving it takes the text, Escape takes it back, arrows step. */
export function NumberField({ ids, value, range, unit = "", placeholder, onChange, onEmpty }: NumberFieldProps) {
  const [text, setText] = useState<string | null>(null);
  const written = Number.isFinite(value) ? shown(value) : "";
  // biome-ignore lint/correctness/useExhaustiveDependencies: a value from elsewhere ends the editing
  useEffect(() => setText(null), [value]);
  const take = () => {
    if (text === null) return;
    const found = parseNumber(text);
    if (text.trim() === "" && onEmpty) onEmpty();
    else if (Number.isFinite(found)) onChange(fitted(found, range));
    setText(null);
  };
  return (
    <div className={controls.box} data-bad={ids.invalid}>
      <input
        id={ids.id}
        className={`nodrag ${controls.text} ${controls.number}`}
        inputMode={range.whole ? "numeric" : "decimal"}
        autoComplete="off"
        value={text ?? written}
        placeholder={placeholder}
        aria-describedby={ids.describedBy}
        aria-invalid={ids.invalid}
        onFocus={(event) => event.target.select()}
        onChange={(event) => setText(event.target.value)}
        onBlur={take}
        onKeyDown={(event) => {
          if (event.key === "Enter") take();
          else if (event.key === "Escape" && text !== null) {
            setText(null);
            event.stopPropagation();
          } else stepByKey(event, value, range, onChange);
        }}
      />
      {unit && <span className={controls.unit}>{unit}</span>}
    </div>
  );
}

/** Up and Down step by one, with Shift by ten, with Alt by a tenth. */
function stepByKey(event: KeyboardEvent, value: number, range: NumberRange, onChange: (value: number) => void) {
  const isSlider = (event.target as HTMLInputElement).type === "range";
  const up = event.key === "ArrowUp" || (isSlider && event.key === "ArrowRight");
  const down = event.key === "ArrowDown" || (isSlider && event.key === "ArrowLeft");
  if (!up && !down) return;
  event.preventDefault();
  const from = Number.isFinite(value) ? value : (range.low ?? 0);
  onChange(nudge(from, up ? 1 : -1, range, event.shiftKey ? 10 : event.altKey ? 0.1 : 1));
}
