/** What every widget has around it: label, help, unit, the way back to the default, and what is wrong. */

import { type ReactNode, useId } from "react";
import styles from "./Field.module.css";
import { Words } from "./Words";

/** Ids by which a control refers to its label and its texts. */
export interface FieldIds {
  readonly id: string;
  readonly describedBy: string | undefined;
  readonly invalid: boolean;
}

export interface FieldProps {
  readonly label: string;
  readonly help?: string;
  /** What is wrong with the value; shown in words, never by colour alone. */
  readonly problem?: string | null | undefined;
  /** The control below its label, not beside it. */
  readonly stacked?: boolean;
  /** There when the value is not the default. */
  readonly onReset?: (() => void) | undefined;
  readonly resetTo?: string;
  /** At the end of the label's line: counts, small buttons. */
  readonly aside?: ReactNode;
  /** The control is several controls: the label names a group. */
  readonly group?: boolean;
  readonly children: (ids: FieldIds) => ReactNode;
}

export function Field(props: FieldProps) {
  const id = useId();
  const { label, help, problem, stacked = false, onReset, group = false } = props;
  const told = [help ? `${id}-help` : "", problem ? `${id}-problem` : ""].filter(Boolean).join(" ");
  const name = (
    <span className={styles.name} title={help}>
      {label}
    </span>
  );
  return (
    <div
      className={styles.field}
      data-stacked={stacked}
      data-bad={Boolean(problem)}
      {...(group ? { role: "group", "aria-labelledby": `${id}-label` } : {})}
    >
      <div className={styles.head}>
        {group ? <span id={`${id}-label`}>{name}</span> : <label htmlFor={id}>{name}</label>}
        {onReset && (
          <button
            type="button"
            className={styles.reset}
            onClick={onReset}
            aria-label={`Reset ${label}`}
            title={`Reset to ${props.resetTo ?? "the default"}`}
          />
        )}
        {props.aside && <span className={styles.aside}>{props.aside}</span>}
      </div>
      <div className={styles.control}>
        {props.children({ id, describedBy: told || undefined, invalid: Boolean(problem) })}
      </div>
      {help && (
        <span id={`${id}-help`} className="visually-hidden">
          {help}
        </span>
      )}
      {problem && (
        <p id={`${id}-problem`} className={styles.problem} role="status">
          <Words>{problem}</Words>
        </p>
      )}
    </div>
  );
}
