/** Dragging: groups take along what lies in them, a loose node goes into a link, and all of it is one step of undo. */

import { useMemo, useRef } from "react";
import { liesIn } from "../../model/frames";
import type { Point } from "../../model/view";
import { boxesOf, boxOf, type CanvasContext } from "./context";
import { moveTo } from "./edits";
import { type CanvasNode, partOf } from "./flow";
import { createInserting } from "./inserting";
import type { Moving } from "./useMoving";

interface Carried {
  readonly group: string;
  readonly start: Point;
  /** What lies in the group and is not dragged by itself, with its place at the start. */
  readonly inside: Readonly<Record<string, Point>>;
}

export function useDragging(context: CanvasContext, moving: Moving) {
  const carried = useRef<readonly Carried[]>([]);
  return useMemo(() => {
    const inserting = createInserting(context);
    const moved = (nodes: readonly CanvasNode[]): Record<string, Point> => {
      const own = Object.fromEntries(nodes.map((node) => [node.id, node.position]));
      const along = carried.current.flatMap(({ group, start, inside }) => {
        const to = own[group];
        if (to === undefined) return [];
        return Object.entries(inside).map(
          ([id, at]) => [id, { x: at.x + to.x - start.x, y: at.y + to.y - start.y }] as const,
        );
      });
      return { ...own, ...Object.fromEntries(along) };
    };
    return {
      onNodeDragStart(_: unknown, __: unknown, nodes: CanvasNode[]) {
        moving.nodes();
        const dragged = new Set(nodes.map((node) => node.id));
        carried.current = nodes
          .filter((node) => partOf(node.id, "group") !== null)
          .map((node) => ({ group: node.id, start: node.position, inside: insideOf(context, node.id, dragged) }));
      },
      onNodeDrag(_: unknown, __: unknown, nodes: CanvasNode[]) {
        inserting.over(nodes);
        if (carried.current.length === 0) return;
        const places = moved(nodes);
        context.flow.setNodes((all) =>
          all.map((node) => {
            const place = places[node.id];
            return place === undefined || nodes.some((one) => one.id === node.id) ? node : { ...node, position: place };
          }),
        );
      },
      onNodeDragStop(_: unknown, __: unknown, nodes: CanvasNode[]) {
        moving.end();
        if (!inserting.drop(nodes)) moveTo(context, moved(nodes));
        carried.current = [];
      },
    };
  }, [context, moving]);
}

function insideOf(context: CanvasContext, group: string, dragged: ReadonlySet<string>): Record<string, Point> {
  const frame = boxOf(context, group);
  const others = context.flow
    .getNodes()
    .map((node) => node.id)
    .filter((id) => id !== group && !dragged.has(id));
  const inside = Object.entries(boxesOf(context, others)).filter(([, box]) => frame !== null && liesIn(box, frame));
  return Object.fromEntries(inside.map(([id, { x, y }]) => [id, { x, y }]));
}
