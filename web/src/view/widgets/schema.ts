/** The part of JSON Schema that pydantic writes for ports: references, unions, ranges, objects. */

export interface Schema {
  readonly type?: string;
  readonly $ref?: string;
  readonly $defs?: Readonly<Record<string, Schema>>;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly default?: unknown;
  readonly description?: string;
  readonly title?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly prefixItems?: readonly Schema[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly multipleOf?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly maxLength?: number;
  readonly discriminator?: { readonly propertyName: string; readonly mapping?: Readonly<Record<string, string>> };
}

export type Definitions = Readonly<Record<string, Schema>>;

const PREFIX = "#/$defs/";

/** The schema that a reference stands for; any other schema as it is. */
export function resolve(schema: Schema, defs: Definitions): Schema {
  let found = schema;
  for (let hops = 0; found.$ref?.startsWith(PREFIX) && hops < 16; hops++) {
    const target = defs[found.$ref.slice(PREFIX.length)];
    if (!target) return found;
    const { $ref: _, ...own } = found;
    found = { ...target, ...own };
  }
  return found;
}

/** A schema that also admits null, as the schema without it. */
export function nullable(schema: Schema, defs: Definitions): { readonly schema: Schema; readonly nullable: boolean } {
  const resolved = resolve(schema, defs);
  const rest = resolved.anyOf?.filter((one) => one.type !== "null");
  if (!resolved.anyOf || !rest || rest.length === resolved.anyOf.length) return { schema: resolved, nullable: false };
  const [only] = rest;
  const inner = rest.length === 1 && only ? resolve(only, defs) : { anyOf: rest };
  const { anyOf: _, ...own } = resolved;
  return { schema: { ...inner, ...own }, nullable: true };
}

/** One form that a tagged union can take. */
export interface Variant {
  readonly tag: string;
  readonly schema: Schema;
}

/** The forms of a tagged union with the property that tells them apart; null for anything else. */
export function variantsOf(
  schema: Schema,
  defs: Definitions,
): { readonly by: string; readonly all: readonly Variant[] } | null {
  const by = schema.discriminator?.propertyName;
  if (by === undefined || !schema.oneOf) return null;
  const all = schema.oneOf.map((one) => {
    const found = resolve(one, defs);
    const tag = found.properties?.[by];
    return { tag: String(tag?.const ?? tag?.default ?? ""), schema: found };
  });
  return { by, all: all.filter((one) => one.tag !== "") };
}

/** A value to start from when a person adds one. */
export function blank(schema: Schema, defs: Definitions): unknown {
  const found = resolve(schema, defs);
  if (found.default !== undefined && found.default !== null) return found.default;
  if (found.const !== undefined) return found.const;
  if (found.enum) return found.enum[0];
  const union = variantsOf(found, defs);
  if (union?.all[0]) return blank(union.all[0].schema, defs);
  const inner = nullable(found, defs);
  if (inner.nullable) return blank(inner.schema, defs);
  return blankOfType(found, defs);
}

function blankOfType(schema: Schema, defs: Definitions): unknown {
  switch (schema.type) {
    case "boolean":
      return false;
    case "integer":
    case "number":
      return Math.max(schema.minimum ?? 0, Math.min(0, schema.maximum ?? 0));
    case "string":
      return "";
    case "array":
      return (schema.prefixItems ?? []).map((one) => blank(one, defs));
    case "object":
      return blankObject(schema, defs);
    default:
      return null;
  }
}

/** Only what must be there: fields with defaults are left out, as in canonical files. Tags are always written. */
function blankObject(schema: Schema, defs: Definitions): Record<string, unknown> {
  const fields = Object.entries(schema.properties ?? {});
  const needed = fields.filter(([name, field]) => schema.required?.includes(name) || field.const !== undefined);
  return Object.fromEntries(needed.map(([name, field]) => [name, blank(field, defs)]));
}
