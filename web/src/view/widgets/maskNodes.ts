/** Where a painted mask goes in a graph: into the picture that is a mask already, or into nodes of its own. */

import type { Catalog } from "../../model/catalog";
import { connect, readersOf } from "../../model/connect";
import { type GraphName, graphOf, type PortRef, type WorkflowDocument } from "../../model/document";
import { own } from "../../model/json";
import { addNode, freshNodeId, newNode, setLabel } from "../../model/nodes";
import { setValue } from "../../model/values";
import { positionOf } from "../../model/view";

const LOAD = "image.load";
const TO_MASK = "mask.from_image";
const BELOW = 340;
const BESIDE = 320;

/** Whether what the node loads is used as a mask. */
export function isMask(doc: WorkflowDocument, at: GraphName, id: string): boolean {
  const readers = readersOf(doc, at, { node: id, port: "image" });
  return readers.some((reader) => own(graphOf(doc, at).nodes, reader.node)?.type === TO_MASK);
}

/**
 * The document with a mask that was painted over what node `id` loads. Nodes that used the picture's own transparency
 * use the painted mask instead.
 */
export function withMask(
  catalog: Catalog,
  doc: WorkflowDocument,
  at: GraphName,
  id: string,
  file: string,
): WorkflowDocument {
  if (isMask(doc, at, id)) return setValue(doc, at, id, "file", file);
  const label = `Mask over ${id}`;
  const painted = Object.entries(graphOf(doc, at).nodes).find(([, node]) => node.type === LOAD && node.label === label);
  if (painted) return setValue(doc, at, painted[0], "file", file);
  const { x, y } = positionOf(doc, at, id) ?? { x: 0, y: 0 };
  const load = freshNodeId(doc, at, LOAD);
  const loading = addNode(doc, at, load, newNode(catalog, LOAD), { x, y: y + BELOW });
  const mask = freshNodeId(loading, at, TO_MASK);
  const added = addNode(loading, at, mask, newNode(catalog, TO_MASK), { x: x + BESIDE, y: y + BELOW });
  const named = setLabel(setValue(added, at, load, "file", file), at, load, label);
  const linked = connect(named, at, { node: load, port: "image" }, { node: mask, port: "image" });
  const give = (before: WorkflowDocument, to: PortRef) => connect(before, at, { node: mask, port: "mask" }, to);
  return readersOf(doc, at, { node: id, port: "mask" }).reduce(give, linked);
}
