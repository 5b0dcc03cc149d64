/** A port that holds an object: a guider, an early stop, or whatever a pack describes by a schema. */

import type { Json } from "../../model/json";
import { effective, labelOf } from "./port";
import { RawJson, SchemaField } from "./SchemaField";
import type { WidgetProps } from "./types";

export function ObjectWidget({ port, value, onChange }: WidgetProps) {
  const { schema } = port;
  const current = effective(port, value) as Json | undefined;
  if (!schema || !(schema.properties || schema.oneOf || schema.anyOf || schema.$ref)) {
    return <RawJson label={labelOf(port)} value={current} onChange={onChange} />;
  }
  const described = { ...schema, description: port.help };
  return (
    <SchemaField name={port.name} schema={described} defs={schema.$defs ?? {}} value={current} onChange={onChange} />
  );
}
