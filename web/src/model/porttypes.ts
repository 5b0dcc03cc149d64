/** Which types may feed which: the rules of `sdgraph/core/porttype.py`. */

export const ANY = "Any";

const WIDENINGS: ReadonlySet<string> = new Set(["Int>Float", "Choice>String", "String>Choice"]);

/** Whether an output of type `source` may feed an input of type `target`. */
export function accepts(target: string, source: string): boolean {
  return target === source || target === ANY || source === ANY || WIDENINGS.has(`${source}>${target}`);
}

/** The type name of a plain value: what a generic node hands on of it. */
export function typeOfValue(value: unknown): string {
  if (typeof value === "boolean") return "Bool";
  if (typeof value === "string") return "String";
  if (typeof value === "number") return Number.isInteger(value) ? "Int" : "Float";
  return ANY;
}
