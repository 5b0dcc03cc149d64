/** One of several: two or three are shown at once, more drop down, and long lists can be searched. */

import styles from "./ChoiceWidget.module.css";
import controls from "./controls.module.css";
import { Field, type FieldIds } from "./Field";
import { effective, labelOf, titled } from "./port";
import { SearchSelect } from "./SearchSelect";
import type { WidgetProps } from "./types";

const AT_ONCE = 3;
/** Letters that have room beside each other on a node. */
const ROOM = 15;
const LONG = 9;

export function ChoiceWidget({ port, value, onChange, problem }: WidgetProps) {
  const options = (port.schema?.enum ?? []).map(String);
  const current = String(effective(port, value) ?? "");
  const unknown = options.includes(current) ? null : `There is no "${current}" here.`;
  const few = options.length <= AT_ONCE && options.join("").length <= ROOM;
  return (
    <Field
      label={labelOf(port)}
      help={port.help}
      problem={problem ?? unknown}
      group={few}
      onReset={value !== undefined && value !== port.default ? () => onChange(undefined) : undefined}
      resetTo={String(port.default ?? "")}
    >
      {(ids) => (
        <Choice ids={ids} label={labelOf(port)} options={options} value={current} onChange={onChange} few={few} />
      )}
    </Field>
  );
}

export interface ChoiceProps {
  readonly ids: FieldIds;
  readonly label: string;
  readonly options: readonly string[];
  readonly value: string;
  readonly onChange: (value: string) => void;
  readonly few?: boolean;
}

/** The control alone. */
export function Choice({ ids, label, options, value, onChange, few = false }: ChoiceProps) {
  if (few) return <Segments label={label} options={options} value={value} onChange={onChange} />;
  if (options.length > LONG) return <SearchSelect ids={ids} options={options} value={value} onChange={onChange} />;
  return (
    <div className={controls.box} data-bad={ids.invalid}>
      <select
        id={ids.id}
        className={`nodrag ${controls.text} ${styles.select}`}
        value={value}
        aria-describedby={ids.describedBy}
        aria-invalid={ids.invalid}
        onChange={(event) => onChange(event.target.value)}
      >
        {!options.includes(value) && <option value={value}>{value}</option>}
        {options.map((option) => (
          <option key={option} value={option}>
            {titled(option)}
          </option>
        ))}
      </select>
    </div>
  );
}

function Segments({ label, options, value, onChange }: Omit<ChoiceProps, "ids">) {
  return (
    <div className={styles.segments} role="radiogroup" aria-label={label}>
      {options.map((option) => (
        <label key={option} className={`nodrag ${styles.segment}`} data-on={option === value}>
          <input
            type="radio"
            className="visually-hidden"
            checked={option === value}
            onChange={() => onChange(option)}
          />
          {titled(option)}
        </label>
      ))}
    </div>
  );
}
