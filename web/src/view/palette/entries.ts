/** What the palette offers, and the order in which a search finds it. */

import type { Catalog } from "../../model/catalog";
import { graphsUsing } from "../../model/collapse";
import { GRAPH_PREFIX, type GraphName, type WorkflowDocument } from "../../model/document";
import { match } from "../../model/fuzzy";
import { own } from "../../model/json";
import { type NodePorts, portsOfSubgraph, portsOfType } from "../../model/ports";
import { accepts } from "../../model/porttypes";
import type { OpenEnd } from "../canvas/ui";
import { categoryText, titleText } from "../canvas/words";

export interface Entry {
  /** The node's type. */
  readonly type: string;
  readonly title: string;
  readonly category: string;
  readonly doc: string;
  readonly ports: NodePorts;
}

export interface Found extends Entry {
  /** Positions of the title's letters that the query found. */
  readonly at: readonly number[];
}

/** Every node type, and the workflow's subgraphs that the open graph may use. */
export function entriesOf(catalog: Catalog, doc: WorkflowDocument, at: GraphName): Entry[] {
  const nodes = Object.values(catalog.nodes).map((type) => entry(type.type, titleText(type.title), portsOfType(type)));
  const forbidden = at === null ? new Set<string>() : graphsUsing(doc, at);
  const graphs = Object.keys(doc.graphs ?? {}).filter((name) => !forbidden.has(name));
  return [...graphs.map((name) => entry(GRAPH_PREFIX + name, name, portsOfSubgraph(catalog, doc, name))), ...nodes];
}

/** Entries through which an open end can be connected; those of the very type come first. */
export function fitting(entries: readonly Entry[], end: OpenEnd): Entry[] {
  const types = (ports: NodePorts) => (end.side === "output" ? ports.inputs : ports.outputs).map((port) => port.type);
  const fits = (type: string) => (end.side === "output" ? accepts(type, end.type) : accepts(end.type, type));
  const exact = (found: Entry) => types(found.ports).includes(end.type);
  return entries.filter((found) => types(found.ports).some(fits)).sort((a, b) => Number(exact(b)) - Number(exact(a)));
}

const RECENT_WORTH = 2;
/** What is found in the category alone comes after what is found in the title. */
const CATEGORY_COST = 5;

/** Entries by how well they match; `recent` are types that were added lately, the last one first. */
export function search(entries: readonly Entry[], query: string, recent: readonly string[] = []): Found[] {
  if (query.trim() === "") return entries.map((found) => ({ ...found, at: [] }));
  return entries
    .flatMap((found) => {
      const title = match(query, found.title);
      const whole = match(query, `${categoryText(found.category)} ${found.title}`);
      const type = match(query, found.type);
      const scores = [title && title.score + 3, whole && whole.score - CATEGORY_COST, type && type.score - 2].filter(
        (score) => score !== null && score !== undefined,
      );
      if (scores.length === 0) return [];
      const bonus = recent.includes(found.type) ? RECENT_WORTH : 0;
      return [{ found: { ...found, at: title?.at ?? [] }, score: Math.max(...scores) + bonus }];
    })
    .sort((a, b) => b.score - a.score)
    .map(({ found }) => found);
}

function entry(type: string, title: string, ports: NodePorts): Entry {
  return { type, title, category: ports.category, doc: ports.doc, ports };
}

const RECENT = "sdgraph.recent-nodes";
const RECENT_COUNT = 6;

/** Types that were added lately in this browser. */
export function recentTypes(): string[] {
  try {
    const found = JSON.parse(localStorage.getItem(RECENT) ?? "[]") as unknown;
    return Array.isArray(found) ? found.filter((type) => typeof type === "string") : [];
  } catch {
    return [];
  }
}

export function remember(type: string): void {
  const types = [type, ...recentTypes().filter((other) => other !== type)].slice(0, RECENT_COUNT);
  localStorage.setItem(RECENT, JSON.stringify(types));
}

/** Categories in the order in which people need them; others follow by name. */
const ORDER = [
  "sd",
  "prompt",
  "conditioning",
  "image",
  "latents",
  "mask",
  "control",
  "model",
  "sample",
  "text",
  "value",
];

/** Entries by category; types of `recent` come first, as a group of their own. */
export function grouped(entries: readonly Found[], catalog: Catalog, recent: readonly string[]): [string, Found[]][] {
  const lately = recent.flatMap((type) => entries.filter((found) => found.type === type));
  const groups = new Map<string, Found[]>(lately.length > 0 ? [["Recent", lately]] : []);
  const rank = (found: Found) => (ORDER.indexOf(found.category) + ORDER.length + 1) % (ORDER.length + 1);
  for (const found of entries.toSorted((a, b) => rank(a) - rank(b))) {
    const name =
      own(catalog.nodes, found.type) === undefined ? "Subgraphs of this workflow" : categoryText(found.category);
    groups.set(name, [...(groups.get(name) ?? []), found]);
  }
  return [...groups];
}
