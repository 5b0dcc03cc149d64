/** Automatic layout: layers from left to right, by elkjs in a worker, both loaded when they are first asked for. */

import type { ELK, ElkNode } from "elkjs/lib/elk-api";
import { type GraphEntry, parseRef } from "../../model/document";
import type { Dict } from "../../model/json";
import type { Box, Point } from "../../model/view";
import { GAP_PX } from "./flow";

const OPTIONS = {
  "elk.algorithm": "layered",
  "elk.direction": "RIGHT",
  "elk.spacing.nodeNode": "40",
  "elk.layered.spacing.nodeNodeBetweenLayers": String(GAP_PX),
  "elk.layered.nodePlacement.strategy": "NETWORK_SIMPLEX",
  "elk.layered.considerModelOrder.strategy": "NODES_AND_EDGES",
  "elk.separateConnectedComponents": "true",
  "elk.spacing.componentComponent": "64",
};

let engine: Promise<ELK> | null = null;

/** Places for boxes by the links between them; the whole keeps its upper left corner. */
export async function layoutPlaces(graph: GraphEntry, boxes: Dict<Box>): Promise<Dict<Point>> {
  const ids = Object.keys(boxes);
  if (ids.length === 0) return {};
  const left = Math.min(...Object.values(boxes).map((box) => box.x));
  const top = Math.min(...Object.values(boxes).map((box) => box.y));
  engine ??= start();
  const laid = await (await engine).layout(elkGraph(graph, boxes));
  return Object.fromEntries((laid.children ?? []).map(({ id, x = 0, y = 0 }) => [id, { x: left + x, y: top + y }]));
}

function elkGraph(graph: GraphEntry, boxes: Dict<Box>): ElkNode {
  const children = Object.entries(boxes).map(([id, { width, height }]) => ({ id, width, height }));
  const inside = new Set(Object.keys(boxes));
  const edges = Object.entries(graph.nodes).flatMap(([id, node]) =>
    Object.entries(node.links ?? {}).flatMap(([port, ref]) => {
      const source = parseRef(ref).node;
      if (!inside.has(id) || !inside.has(source)) return [];
      return [{ id: `${id}.${port}`, sources: [source], targets: [id] }];
    }),
  );
  return { id: "root", layoutOptions: OPTIONS, children, edges };
}

async function start(): Promise<ELK> {
  const [{ default: Elk }, { default: worker }] = await Promise.all([
    import("elkjs/lib/elk-api"),
    import("elkjs/lib/elk-worker.min.js?url"),
  ]);
  return new Elk({ workerFactory: () => new Worker(worker) });
}
