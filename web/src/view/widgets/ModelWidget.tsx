/** Where weights come from: one of those on the server's machine, or any reference that sdgraph understands. */

import { useSyncExternalStore } from "react";
import { session } from "../../api/session";
import { bytes } from "../panels/format";
import { Field } from "./Field";
import { modelProblem, models, offered } from "./models";
import { effective, labelOf } from "./port";
import { SearchSelect } from "./SearchSelect";
import type { WidgetProps } from "./types";

export interface ModelProps extends WidgetProps {
  /** The type of the node, which says what kind of model it loads. */
  readonly nodeType: string;
}

export function ModelWidget({ port, value, onChange, problem, nodeType }: ModelProps) {
  const current = String(effective(port, value) ?? "");
  const used = useSyncExternalStore(models.subscribe, models.used);
  const installed = useSyncExternalStore(models.subscribe, models.installed);
  const options = offered(nodeType, String(port.default ?? ""), installed, used);
  const take = (given: string) => {
    models.remember(given.trim());
    onChange(given.trim());
  };
  const about = (source: string) => {
    const found = installed.find((model) => model.source === source);
    return found === undefined ? "" : `${found.what}, ${bytes(found.bytes)}`;
  };
  return (
    <Field label={labelOf(port)} help={port.help} problem={problem ?? modelProblem(current)} stacked>
      {(ids) => (
        <SearchSelect
          ids={ids}
          options={options}
          value={current}
          onChange={take}
          onOpen={() => void models.refresh(() => session().client.models(), performance.now())}
          about={about}
          free
          placeholder="builtin:, hf:org/name, or a path"
        />
      )}
    </Field>
  );
}
