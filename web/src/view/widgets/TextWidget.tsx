/** A short text; taken when the field is left or Enter is pressed. */

import { useEffect, useState } from "react";
import controls from "./controls.module.css";
import { Field } from "./Field";
import { effective, labelOf } from "./port";
import type { WidgetProps } from "./types";

export function TextWidget({ port, value, onChange, problem }: WidgetProps) {
  const current = String(effective(port, value) ?? "");
  const [text, setText] = useState(current);
  useEffect(() => setText(current), [current]);
  const take = () => text !== current && onChange(text);
  return (
    <Field label={labelOf(port)} help={port.help} problem={problem}>
      {(ids) => (
        <div className={controls.box} data-bad={ids.invalid}>
          <input
            id={ids.id}
            className={`nodrag ${controls.text}`}
            value={text}
            maxLength={port.schema?.maxLength}
            aria-describedby={ids.describedBy}
            aria-invalid={ids.invalid}
            onChange={(event) => setText(event.target.value)}
            onBlur={take}
            onKeyDown={(event) => event.key === "Enter" && take()}
          />
        </div>
      )}
    </Field>
  );
}
