/** Several values of one kind: add, remove, move. Numbers can also be pasted as a list. */

import type { Json } from "../../model/json";
import controls from "./controls.module.css";
import { Field } from "./Field";
import { Cross, Plus } from "./icons";
import styles from "./ListWidget.module.css";
import { NumberField } from "./NumberWidget";
import { parseNumber, rangeOf } from "./numbers";
import { effective, labelOf } from "./port";
import { asFields, ObjectFields } from "./SchemaField";
import { blank, type Definitions, resolve, type Schema } from "./schema";
import type { WidgetProps } from "./types";

export function ListWidget({ port, value, onChange, problem }: WidgetProps) {
  const schema = port.schema ?? {};
  const current = effective(port, value) as Json | undefined;
  return (
    <ListEditor
      label={labelOf(port)}
      help={port.help}
      problem={problem}
      schema={schema}
      defs={schema.$defs ?? {}}
      value={current}
      onChange={onChange}
    />
  );
}

export interface ListEditorProps {
  readonly label: string;
  readonly help?: string;
  readonly problem?: string | null | undefined;
  readonly schema: Schema;
  readonly defs: Definitions;
  readonly value: Json | undefined;
  readonly onChange: (value: Json) => void;
}

export function ListEditor({ label, help = "", problem, schema, defs, value, onChange }: ListEditorProps) {
  const items = Array.isArray(value) ? (value as readonly Json[]) : [];
  const item = resolve(schema.items ?? {}, defs);
  const full = schema.maxItems !== undefined && items.length >= schema.maxItems;
  const set = (at: number, next: Json) => onChange(items.map((one, place) => (place === at ? next : one)));
  return (
    <Field
      label={label}
      help={help}
      problem={problem}
      stacked
      group
      aside={
        <button
          type="button"
          className={`nodrag ${controls.button} ${controls.plain}`}
          disabled={full}
          onClick={() => onChange([...items, blank(item, defs) as Json])}
          aria-label={`Add to ${label.toLowerCase()}`}
          title={full ? `At most ${schema.maxItems}` : "Add one"}
        >
          <Plus />
        </button>
      }
    >
      {() =>
        items.length > 0 && (
          <ol className={styles.items}>
            {items.map((one, at) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: an entry is its place in the list
              <li key={at} className={styles.item}>
                <Entry
                  label={`${label} ${at + 1}`}
                  schema={item}
                  defs={defs}
                  value={one}
                  onChange={(next) => set(at, next)}
                  onPasted={(many) => onChange([...items.slice(0, at), ...many, ...items.slice(at + 1)])}
                />
                <button
                  type="button"
                  className={`nodrag ${controls.button} ${controls.plain}`}
                  onClick={() => onChange(items.filter((_, place) => place !== at))}
                  aria-label={`Remove ${label.toLowerCase()} ${at + 1}`}
                >
                  <Cross />
                </button>
              </li>
            ))}
          </ol>
        )
      }
    </Field>
  );
}

interface EntryProps {
  readonly label: string;
  readonly schema: Schema;
  readonly defs: Definitions;
  readonly value: Json;
  readonly onChange: (value: Json) => void;
  readonly onPasted: (values: readonly Json[]) => void;
}

function Entry({ label, schema, defs, value, onChange, onPasted }: EntryProps) {
  const ids = { id: label.replaceAll(" ", "-"), describedBy: undefined, invalid: false };
  if (schema.type === "number" || schema.type === "integer") {
    return (
      <div
        className={styles.grow}
        onPaste={(event) => {
          const many = numbersIn(event.clipboardData.getData("text"));
          if (many.length < 2) return;
          event.preventDefault();
          onPasted(many);
        }}
      >
        <label htmlFor={ids.id} className="visually-hidden">
          {label}
        </label>
        <NumberField ids={ids} value={Number(value)} range={rangeOf(schema)} onChange={onChange} />
      </div>
    );
  }
  if (schema.type === "string") {
    return (
      <div className={`${controls.box} ${styles.grow}`}>
        <input
          className={`nodrag ${controls.text}`}
          aria-label={label}
          defaultValue={String(value)}
          onBlur={(event) => onChange(event.target.value)}
        />
      </div>
    );
  }
  return (
    <div className={styles.grow}>
      <ObjectFields schema={schema} defs={defs} value={asFields(value)} onChange={onChange} />
    </div>
  );
}

/** The numbers of a pasted text: one a line, or with commas, semicolons, spaces between. */
export function numbersIn(text: string): readonly number[] {
  return text
    .split(/[\s,;]+/)
    .filter(Boolean)
    .map(parseNumber)
    .filter(Number.isFinite);
}
