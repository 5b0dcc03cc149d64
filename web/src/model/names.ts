/** Ids and names that are free, and how types read. */

import { GRAPH_PREFIX } from "./document";

/** `base`, or `base_2`, `base_3`, ... : the first that is not taken. Characters that an id can't have become "_". */
export function freshName(base: string, taken: (name: string) => boolean): string {
  const clean = base
    .replace(/[^A-Za-z0-9_-]+/g, "_")
    .replace(/^[_-]+|[_-]+$/g, "")
    .slice(0, 56);
  const stem = clean.replace(/_\d+$/, "") || "node";
  if (!taken(clean || "node")) return clean || "node";
  for (let count = 2; ; count++) if (!taken(`${stem}_${count}`)) return `${stem}_${count}`;
}

/** What a node of a type is called at first: "vae_decode" for "sd.vae_decode". */
export function stemOf(type: string): string {
  if (type.startsWith(GRAPH_PREFIX)) return type.slice(GRAPH_PREFIX.length).replace(/\.json$/, "");
  return type.slice(type.lastIndexOf(".") + 1);
}

/** A port's name as people read it: "height_px" is "height", because the unit stands beside the value. */
export function portLabel(name: string, unit?: string): string {
  const bare = unit !== undefined && name.endsWith(`_${unit}`) ? name.slice(0, -unit.length - 1) : name;
  return bare.replaceAll("_", " ");
}
