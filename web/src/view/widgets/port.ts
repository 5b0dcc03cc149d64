/** What a widget is made from: the catalogue's words about one port. */

import type { Schema } from "./schema";

/** An input port as `/api/catalog` describes it. */
export interface PortSpec {
  readonly name: string;
  readonly type: string;
  readonly required: boolean;
  readonly optional: boolean;
  readonly help: string;
  readonly unit?: string | null;
  readonly widget?: string | null;
  readonly default?: unknown;
  readonly schema?: Schema | null;
}

export type WidgetKind =
  | "boolean"
  | "choice"
  | "curve"
  | "file"
  | "integer"
  | "list"
  | "model"
  | "multiline"
  | "none"
  | "number"
  | "object"
  | "seed"
  | "stages"
  | "text";

const NAMED: ReadonlySet<string> = new Set(["curve", "file", "model", "multiline", "seed", "stages"]);

/** The widget that a port asks for by name, or that its type and schema call for. */
export function widgetOf(port: PortSpec): WidgetKind {
  if (port.widget && NAMED.has(port.widget)) return port.widget as WidgetKind;
  if (!port.schema) return "none";
  if (port.schema.enum) return "choice";
  switch (port.schema.type) {
    case "boolean":
    case "integer":
    case "number":
      return port.schema.type;
    case "string":
      return "text";
    case "array":
      return "list";
    default:
      return "object";
  }
}

/** `guidance_schedule` as people write it: "Guidance schedule". Units leave the name, they stand beside the value. */
export function labelOf(port: Pick<PortSpec, "name" | "unit">): string {
  const bare = port.unit && port.name.endsWith(`_${port.unit}`) ? port.name.slice(0, -port.unit.length - 1) : port.name;
  return titled(bare);
}

/** A snake_case word as a title. */
export function titled(name: string): string {
  const words = name.replaceAll("_", " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** The value that counts: the one given, or the port's own. */
export function effective(port: PortSpec, value: unknown): unknown {
  return value === undefined ? port.default : value;
}
