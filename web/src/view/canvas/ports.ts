/** Which ports a node shows, and the colours of their types. */

import type { Catalog, InputPort } from "../../model/catalog";
import type { NodeEntry } from "../../model/document";
import { own } from "../../model/json";
import type { Look } from "../../model/view";

/** Ports that people look for first; a node with many shows these before anything is typed in. */
const FIRST: ReadonlySet<string> = new Set([
  "prompt",
  "text",
  "source",
  "file",
  "seed",
  "steps",
  "guidance",
  "strength",
  "solver",
  "sigmas",
  "stages",
  "width_px",
  "height_px",
  "value",
  "filename",
]);
/** A node with so many values or fewer shows all of them. */
const FEW = 3;

/** Ports without a value that can be typed in: they stand beside the outputs. */
export function linkPorts(inputs: readonly InputPort[]): InputPort[] {
  return inputs.filter((port) => port.schema === undefined);
}

export function valuePorts(inputs: readonly InputPort[]): InputPort[] {
  return inputs.filter((port) => port.schema !== undefined);
}

/** The values that a node shows: all of few, else those that are first, set, linked or exposed. */
export function shownValues(
  inputs: readonly InputPort[],
  entry: NodeEntry,
  look: Look,
  exposed: ReadonlySet<string>,
): InputPort[] {
  const values = valuePorts(inputs);
  if (look.open || values.length <= FEW) return values;
  return values.filter(
    ({ name, required }) =>
      required ||
      FIRST.has(name) ||
      exposed.has(name) ||
      own(entry.values, name) !== undefined ||
      own(entry.links, name) !== undefined,
  );
}

const VALUE_COLORS: Readonly<Record<string, string>> = {
  Int: "var(--type-number)",
  Float: "var(--type-number)",
  Bool: "var(--type-bool)",
  String: "var(--type-text)",
  Choice: "var(--type-text)",
};

/** The colour of a type's ports and links. */
export function typeColor(catalog: Catalog, type: string): string {
  const bare = /^List\[(.*)\]$/.exec(type)?.[1] ?? type;
  return own(catalog.port_types, bare)?.color ?? own(VALUE_COLORS, bare) ?? "var(--type-other)";
}
