/** Where weights come from: one of those known here, or any reference that sdgraph understands. */

import { useSyncExternalStore } from "react";
import { Field } from "./Field";
import { modelProblem, models } from "./models";
import { effective, labelOf } from "./port";
import { SearchSelect } from "./SearchSelect";
import type { WidgetProps } from "./types";

export function ModelWidget({ port, value, onChange, problem }: WidgetProps) {
  const current = String(effective(port, value) ?? "");
  const listed = useSyncExternalStore(models.subscribe, models.list);
  const options = [...new Set([String(port.default ?? ""), ...listed].filter(Boolean))];
  const take = (given: string) => {
    models.remember(given.trim());
    onChange(given.trim());
  };
  return (
    <Field label={labelOf(port)} help={port.help} problem={problem ?? modelProblem(current)} stacked>
      {(ids) => (
        <SearchSelect
          ids={ids}
          options={options}
          value={current}
          onChange={take}
          free
          placeholder="builtin:, hf:org/name, or a path"
        />
      )}
    </Field>
  );
}
