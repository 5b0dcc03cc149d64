/** A node that nothing is linked to goes into the link that it is dragged onto. */

import { type Curve, curveOf, distanceInside } from "../../model/curve";
import type { WorkflowDocument } from "../../model/document";
import { inserted } from "../../model/insert";
import { placeNodes } from "../../model/view";
import { type CanvasContext, now } from "./context";
import type { CanvasNode, CardNode } from "./flow";
import { useCanvasUi } from "./ui";

export interface Inserting {
  /** Nodes are dragged: shows the link that they would go into. */
  over(nodes: readonly CanvasNode[]): void;
  /** They are dropped; whether they went into a link, which is one step of undo with the movement. */
  drop(nodes: readonly CanvasNode[]): boolean;
}

export function createInserting(context: CanvasContext): Inserting {
  /** The document with the dragged node in a link, by the link; null where its types don't permit that. */
  const known = new Map<string, WorkflowDocument | null>();
  let of: WorkflowDocument | null = null;
  const into = (id: string, wire: string) => {
    const { doc } = now(context);
    if (doc !== of) known.clear();
    of = doc;
    const found = known.get(wire);
    if (found !== undefined) return found;
    const made = documentWith(context, id, wire);
    known.set(wire, made);
    return made;
  };
  const say = (target: string | null) => {
    if (useCanvasUi.getState().target !== target) useCanvasUi.setState({ target });
  };
  return {
    over(nodes) {
      const node = looseNode(nodes);
      if (node !== null) say(linksUnder(context, node).find((wire) => into(node.id, wire) !== null) ?? null);
    },
    drop(nodes) {
      const { target } = useCanvasUi.getState();
      const node = looseNode(nodes);
      const found = node === null || target === null ? null : into(node.id, target);
      say(null);
      known.clear();
      if (node === null || found === null) return false;
      const { state, at } = now(context);
      state.apply(() => placeNodes(found, at, { [node.id]: node.position }), { label: "Insert node" });
      return true;
    },
  };
}

/** The one node that is dragged, when it has no links. */
function looseNode(nodes: readonly CanvasNode[]): CardNode | null {
  const [node] = nodes;
  if (node === undefined || nodes.length > 1 || node.type !== "card") return null;
  const linked = Object.keys(node.data.entry.links ?? {}).length > 0 || node.data.read !== "";
  return linked ? null : node;
}

function documentWith(context: CanvasContext, id: string, wire: string): WorkflowDocument | null {
  const { state, doc, at } = now(context);
  const { source, target } = context.flow.getEdge(wire)?.data ?? {};
  return source === undefined || !target ? null : inserted(state.catalog, doc, at, id, { source, target });
}

/** The links that a node lies on, those first that come nearest to the pointer. */
function linksUnder(context: CanvasContext, { position, measured }: CardNode): string[] {
  const box = { ...position, width: measured?.width ?? 0, height: measured?.height ?? 0 };
  const pointer = context.flow.screenToFlowPosition(context.pointer(), { snapToGrid: false });
  return drawnLinks()
    .flatMap(({ wire, curve }) => {
      const distance = distanceInside(curve, box, pointer);
      return distance === null ? [] : [{ wire, distance }];
    })
    .sort((a, b) => a.distance - b.distance)
    .map(({ wire }) => wire);
}

/** Links in view with their curves, in the canvas' coordinates: what is drawn is what people aim at. */
function drawnLinks(): { readonly wire: string; readonly curve: Curve }[] {
  const drawn = document.querySelectorAll<SVGGElement>(".react-flow__edge");
  return Array.from(drawn).flatMap((link) => {
    const wire = link.getAttribute("data-id");
    const curve = curveOf(link.querySelector(".react-flow__edge-path")?.getAttribute("d") ?? "");
    return wire === null || curve === null ? [] : [{ wire, curve }];
  });
}
