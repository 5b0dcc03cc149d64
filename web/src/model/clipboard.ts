/** Copying nodes, within a workflow and between workflows and windows. */

import { graphsUsing } from "./collapse";
import {
  formatRef,
  GRAPH_PREFIX,
  type GraphEntry,
  type GraphName,
  graphOf,
  type NodeEntry,
  parseRef,
  subgraphName,
  unlinked,
  type WorkflowDocument,
  withGraph,
} from "./document";
import { addComment, addGroup, freshFrame } from "./frames";
import { type Dict, own, put, sameJson, without } from "./json";
import { freshName } from "./names";
import { mapEntries, relinked } from "./nodes";
import {
  type Comment,
  commentsOf,
  type Group,
  groupsOf,
  type Look,
  looksOf,
  type Point,
  placeNodes,
  positionOf,
  setLook,
} from "./view";

export const FRAGMENT = "sdgraph/fragment@1";

/** A part of a workflow by itself, as it lies on the clipboard. */
export interface Fragment {
  readonly schema: typeof FRAGMENT;
  readonly nodes: Dict<NodeEntry>;
  /** Subgraphs that the nodes use, and those that these use. */
  readonly graphs: Dict<GraphEntry>;
  readonly places: Dict<Point>;
  readonly looks: Dict<Look>;
  readonly groups: readonly Group[];
  readonly comments: readonly Comment[];
}

export interface Pasted {
  readonly document: WorkflowDocument;
  /** Ids of what was added: nodes, and groups and comments as they are selected. */
  readonly added: readonly string[];
  /** Nodes that were left out, because a subgraph can't contain itself. */
  readonly refused: readonly string[];
}

/** Nodes, groups and comments as a fragment. Links from nodes outside stay in it: `paste` says what becomes of them. */
export function copy(
  doc: WorkflowDocument,
  at: GraphName,
  ids: ReadonlySet<string>,
  frames: { readonly groups: ReadonlySet<string>; readonly comments: ReadonlySet<string> },
): Fragment {
  const nodes = chosen(graphOf(doc, at).nodes, ids);
  const places = Object.keys(nodes).flatMap((id) => {
    const place = positionOf(doc, at, id);
    return place === undefined ? [] : [[id, place] as const];
  });
  return {
    schema: FRAGMENT,
    nodes,
    graphs: usedGraphs(doc, Object.values(nodes)),
    places: Object.fromEntries(places),
    looks: chosen(looksOf(doc, at), ids),
    groups: Object.values(chosen(groupsOf(doc, at), frames.groups)),
    comments: Object.values(chosen(commentsOf(doc, at), frames.comments)),
  };
}

/**
 * Add a fragment, moved by `offset`, with ids of its own. Links between its nodes stay; with `outer`, so do links from
 * nodes of this graph.
 */
export function paste(doc: WorkflowDocument, at: GraphName, fragment: Fragment, offset: Point, outer = false): Pasted {
  const { document: prepared, renamed: graphs } = bringGraphs(doc, fragment.graphs);
  const forbidden = at === null ? new Set<string>() : containing(prepared, at);
  const refused = Object.entries(fragment.nodes).flatMap(([id, node]) => {
    const name = subgraphName(node.type);
    return name !== null && forbidden.has(graphs.get(name) ?? name) ? [id] : [];
  });
  const nodes = without(fragment.nodes, refused);
  const ids = freshIds(prepared, at, Object.keys(nodes));
  const before = graphOf(prepared, at).nodes;
  const stays = (source: string) => ids.has(source) || (outer && own(before, source) !== undefined);
  const entries = Object.entries(nodes).map(([id, node]) => {
    const kept = unlinked(node, (ref) => !stays(parseRef(ref).node));
    const linked = relinked(kept, (ref) => {
      const { node: from, port } = parseRef(ref);
      return formatRef({ node: ids.get(from) ?? from, port });
    });
    const name = subgraphName(node.type);
    const type = name === null ? node.type : GRAPH_PREFIX + (graphs.get(name) ?? name);
    return [ids.get(id) ?? id, { ...linked, type }] as const;
  });
  let added = withGraph(prepared, at, { nodes: { ...before, ...Object.fromEntries(entries) } });
  added = placeNodes(added, at, movedBy(fragment.places, ids, offset));
  for (const [id, look] of Object.entries(fragment.looks))
    if (ids.has(id)) added = setLook(added, at, ids.get(id) ?? id, look);
  const frames: string[] = [];
  for (const group of fragment.groups) {
    const id = freshFrame(added, at, "group");
    added = addGroup(added, at, id, { ...group, x: group.x + offset.x, y: group.y + offset.y });
    frames.push(`@group:${id}`);
  }
  for (const comment of fragment.comments) {
    const id = freshFrame(added, at, "comment");
    added = addComment(added, at, id, { ...comment, x: comment.x + offset.x, y: comment.y + offset.y });
    frames.push(`@comment:${id}`);
  }
  return { document: added, added: [...ids.values(), ...frames], refused };
}

/** The fragment in a text of the clipboard; a whole workflow counts as one. Null for anything else. */
export function readFragment(text: string): Fragment | null {
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isRecord(found) || !isRecord(found["nodes"]) || !Object.values(found["nodes"]).every(isNode)) return null;
  if (found["schema"] === FRAGMENT) return { ...emptyFragment(), ...(found as Partial<Fragment>) };
  const doc = found as unknown as WorkflowDocument;
  if (typeof doc.schema !== "string" || !doc.schema.startsWith("sdgraph/workflow@")) return null;
  const all = (record: Dict<unknown>) => new Set(Object.keys(record));
  const frames = { groups: all(groupsOf(doc, null)), comments: all(commentsOf(doc, null)) };
  return copy(doc, null, all(doc.nodes), frames);
}

function emptyFragment(): Fragment {
  return { schema: FRAGMENT, nodes: {}, graphs: {}, places: {}, looks: {}, groups: [], comments: [] };
}

/** Put a fragment's subgraphs into the document; another one of the same name makes it take a new name. */
function bringGraphs(doc: WorkflowDocument, graphs: Dict<GraphEntry>) {
  const renamed = new Map<string, string>();
  for (const [name, graph] of Object.entries(graphs)) {
    const there = own(doc.graphs, name);
    if (there !== undefined && sameJson(there, graph)) continue;
    const taken = (fresh: string) => own(doc.graphs, fresh) !== undefined || [...renamed.values()].includes(fresh);
    renamed.set(name, there === undefined ? name : freshName(name, taken));
  }
  if (renamed.size === 0) return { document: doc, renamed };
  const rename = (node: NodeEntry): NodeEntry => {
    const fresh = renamed.get(subgraphName(node.type) ?? "");
    return fresh === undefined ? node : { ...node, type: GRAPH_PREFIX + fresh };
  };
  const brought = [...renamed].map(([name, fresh]) => {
    const graph = own(graphs, name) ?? { nodes: {} };
    return [fresh, { ...graph, nodes: mapEntries(graph.nodes, (id, node) => [id, rename(node)]) }] as const;
  });
  return { document: { ...doc, graphs: { ...doc.graphs, ...Object.fromEntries(brought) } }, renamed };
}

function usedGraphs(doc: WorkflowDocument, nodes: readonly NodeEntry[]): Dict<GraphEntry> {
  const used = new Set(nodes.map((node) => subgraphName(node.type)).filter((name) => name !== null));
  for (const name of used)
    for (const node of Object.values(graphOf(doc, name).nodes)) {
      const inner = subgraphName(node.type);
      if (inner !== null) used.add(inner);
    }
  return chosen(doc.graphs ?? {}, used);
}

/** Subgraphs that may not be used in the graph `at`, because they contain it. */
function containing(doc: WorkflowDocument, at: string): ReadonlySet<string> {
  return graphsUsing(doc, at);
}

function freshIds(doc: WorkflowDocument, at: GraphName, ids: readonly string[]): Map<string, string> {
  const { nodes } = graphOf(doc, at);
  const used = new Set<string>();
  return new Map(
    ids.map((id) => {
      const fresh = freshName(id, (name) => own(nodes, name) !== undefined || used.has(name));
      used.add(fresh);
      return [id, fresh];
    }),
  );
}

function movedBy(places: Dict<Point>, ids: ReadonlyMap<string, string>, offset: Point): Dict<Point> {
  return Object.entries(places).reduce<Dict<Point>>((moved, [id, place]) => {
    const fresh = ids.get(id);
    return fresh === undefined ? moved : put(moved, fresh, { x: place.x + offset.x, y: place.y + offset.y });
  }, {});
}

function chosen<T>(record: Dict<T>, keys: ReadonlySet<string>): Dict<T> {
  return Object.fromEntries(Object.entries(record).filter(([key]) => keys.has(key)));
}

function isRecord(found: unknown): found is Record<string, unknown> {
  return typeof found === "object" && found !== null && !Array.isArray(found);
}

function isNode(found: unknown): boolean {
  return isRecord(found) && typeof found["type"] === "string";
}
