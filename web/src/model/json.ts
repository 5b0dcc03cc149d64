/** JSON values, and records read without meeting what every object inherits. */

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

export type Dict<T> = Readonly<Record<string, T>>;

/** The entry under `key`, not something inherited: a node may be called "constructor". */
export function own<T>(record: Dict<T> | undefined, key: string): T | undefined {
  return record !== undefined && Object.hasOwn(record, key) ? record[key] : undefined;
}

/** The record with one entry set. */
export function put<T>(record: Dict<T> | undefined, key: string, value: T): Dict<T> {
  return { ...record, [key]: value };
}

/** The record without some entries; the same object when it has none of them. */
export function without<T>(record: Dict<T>, keys: Iterable<string>): Dict<T> {
  const gone = new Set(keys);
  const kept = Object.entries(record).filter(([key]) => !gone.has(key));
  return kept.length === Object.keys(record).length ? record : Object.fromEntries(kept);
}

/** Whether two values are the same JSON; objects are compared without regard to the order of their names. */
export function sameJson(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return a === b;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const [left, right] = [Object.keys(a), Object.keys(b)];
  return (
    left.length === right.length &&
    left.every((key) => Object.hasOwn(b, key) && sameJson(a[key as keyof typeof a], b[key as keyof typeof b]))
  );
}
