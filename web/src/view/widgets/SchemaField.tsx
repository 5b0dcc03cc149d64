/** A field for any value whose JSON Schema pydantic wrote: the way into guiders, early stop, windows, stages. */

import type { Json } from "../../model/json";
import { BooleanWidget } from "./BooleanWidget";
import { Choice, ChoiceWidget } from "./ChoiceWidget";
import { CurveWidget } from "./CurveWidget";
import controls from "./controls.module.css";
import { Field } from "./Field";
import { ListEditor } from "./ListWidget";
import { NumberField, NumberWidget } from "./NumberWidget";
import { rangeOf } from "./numbers";
import { type PortSpec, titled } from "./port";
import styles from "./SchemaField.module.css";
import { blank, type Definitions, nullable, type Schema, variantsOf } from "./schema";
import { TextWidget } from "./TextWidget";
import { Words } from "./Words";

export interface SchemaFieldProps {
  readonly name: string;
  readonly schema: Schema;
  readonly defs: Definitions;
  readonly value: Json | undefined;
  readonly onChange: (value: Json | undefined) => void;
  readonly required?: boolean;
}

type Fields = { readonly [name: string]: Json };

export function SchemaField({ name, schema, defs, value, onChange, required = false }: SchemaFieldProps) {
  const inner = nullable(schema, defs);
  const port = portOf(name, inner.schema, required, inner.nullable);
  const shared = { port, value: value ?? undefined, onChange };
  if (name === "guidance") return <CurveWidget {...shared} />;
  if (variantsOf(inner.schema, defs))
    return <UnionField name={name} schema={inner.schema} defs={defs} value={value} onChange={onChange} />;
  if (inner.nullable)
    return <MaybeField name={name} schema={inner.schema} defs={defs} value={value} onChange={onChange} />;
  if (inner.schema.enum) return <ChoiceWidget {...shared} />;
  switch (inner.schema.type) {
    case "boolean":
      return <BooleanWidget {...shared} />;
    case "integer":
    case "number":
      return <NumberWidget {...shared} />;
    case "string":
      return <TextWidget {...shared} />;
    case "array":
      return <ListEditor label={titled(name)} schema={inner.schema} defs={defs} value={value} onChange={onChange} />;
    default:
      return <ObjectFields schema={inner.schema} defs={defs} value={asFields(value)} onChange={onChange} />;
  }
}

/** The properties of an object, one field each. What is left out keeps its default. */
export function ObjectFields(props: {
  readonly schema: Schema;
  readonly defs: Definitions;
  readonly value: Fields;
  readonly onChange: (value: Fields) => void;
  readonly only?: readonly string[];
}) {
  const { schema, defs, value, onChange } = props;
  const names = Object.entries(schema.properties ?? {})
    .filter(([name, field]) => field.const === undefined && (props.only?.includes(name) ?? true))
    .map(([name]) => name);
  const set = (name: string, next: Json | undefined) => {
    const { [name]: _, ...rest } = value;
    onChange(next === undefined ? rest : { ...rest, [name]: next });
  };
  return (
    <div className={styles.fields}>
      {names.map((name) => (
        <SchemaField
          key={name}
          name={name}
          schema={schema.properties?.[name] ?? {}}
          defs={defs}
          value={value[name]}
          onChange={(next) => set(name, next)}
          required={schema.required?.includes(name) ?? false}
        />
      ))}
    </div>
  );
}

type PartProps = Omit<SchemaFieldProps, "required">;

/** One of several forms: which one, and its fields. */
export function UnionField({ name, schema, defs, value, onChange }: PartProps) {
  const union = variantsOf(schema, defs);
  if (!union) return null;
  const fields = asFields(value ?? (schema.default as Json | undefined));
  const tag = String(fields[union.by] ?? union.all[0]?.tag ?? "");
  const chosen = union.all.find((one) => one.tag === tag);
  const take = (wanted: string) => {
    const next = union.all.find((one) => one.tag === wanted);
    if (next) onChange({ ...asFields(blank(next.schema, defs) as Json), [union.by]: wanted });
  };
  return (
    <div className={styles.union}>
      <Field label={titled(name)} help={chosen?.schema.description ?? ""}>
        {(ids) => (
          <Choice
            ids={ids}
            label={titled(name)}
            options={union.all.map((one) => one.tag)}
            value={tag}
            onChange={take}
          />
        )}
      </Field>
      {chosen && (
        <p className={styles.says}>
          <Words>{firstParagraph(chosen.schema.description)}</Words>
        </p>
      )}
      {chosen && <ObjectFields schema={chosen.schema} defs={defs} value={fields} onChange={onChange} />}
    </div>
  );
}

/** A value that may be left out: numbers by an empty field, everything else by a switch. */
function MaybeField({ name, schema, defs, value, onChange }: PartProps) {
  if (schema.type === "number" || schema.type === "integer") {
    return (
      <Field label={titled(name)} help={schema.description ?? ""}>
        {(ids) => (
          <NumberField
            ids={ids}
            value={typeof value === "number" ? value : Number.NaN}
            range={rangeOf(schema)}
            placeholder="automatic"
            onChange={onChange}
            onEmpty={() => onChange(undefined)}
          />
        )}
      </Field>
    );
  }
  const on = value !== undefined && value !== null;
  const port = { ...portOf(name, { type: "boolean" }, false, false), help: schema.description ?? "" };
  return (
    <div className={styles.union}>
      <BooleanWidget
        port={port}
        value={on}
        onChange={(wanted) => onChange(wanted ? (blank(schema, defs) as Json) : undefined)}
      />
      {on && (
        <div className={styles.inset}>
          <SchemaField name={name} schema={schema} defs={defs} value={value} onChange={onChange} />
        </div>
      )}
    </div>
  );
}

/** A value that nobody made a field for, as JSON. */
export function RawJson({
  label,
  value,
  onChange,
}: {
  readonly label: string;
  readonly value: Json | undefined;
  readonly onChange: (value: Json) => void;
}) {
  return (
    <Field label={label} stacked>
      {(ids) => (
        <div className={controls.box}>
          <textarea
            id={ids.id}
            className={`nodrag nowheel ${controls.area} ${styles.raw}`}
            defaultValue={value === undefined ? "" : JSON.stringify(value, null, 2)}
            rows={3}
            spellCheck={false}
            onBlur={(event) => {
              const found = parsed(event.target.value);
              if (found !== undefined) onChange(found);
            }}
          />
        </div>
      )}
    </Field>
  );
}

function parsed(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

function portOf(name: string, schema: Schema, required: boolean, optional: boolean): PortSpec {
  return { name, type: "", required, optional, help: schema.description ?? "", default: schema.default, schema };
}

export function asFields(value: Json | undefined): Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

export function firstParagraph(text = ""): string {
  return text.split("\n\n")[0]?.replaceAll("\n", " ") ?? "";
}
