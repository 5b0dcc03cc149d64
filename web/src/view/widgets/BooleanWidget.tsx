/** Yes or no, as a switch. */

import styles from "./BooleanWidget.module.css";
import { Field } from "./Field";
import { effective, labelOf } from "./port";
import type { WidgetProps } from "./types";

export function BooleanWidget({ port, value, onChange, problem }: WidgetProps) {
  return (
    <Field label={labelOf(port)} help={port.help} problem={problem}>
      {(ids) => (
        <input
          id={ids.id}
          type="checkbox"
          role="switch"
          className={`nodrag ${styles.switch}`}
          checked={effective(port, value) === true}
          aria-checked={effective(port, value) === true}
          aria-describedby={ids.describedBy}
          onChange={(event) => onChange(event.target.checked)}
        />
      )}
    </Field>
  );
}
