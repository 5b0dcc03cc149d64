/** What actions of the canvas work with. */

import type { ReactFlowInstance } from "@xyflow/react";
import { type GraphName, openGraphName, type WorkflowDocument } from "../../model/document";
import { type Box, commentsOf, groupsOf, type Point } from "../../model/view";
import type { EditorStore } from "../../store/editor";
import type { EditorState } from "../../store/state";
import { type CanvasNode, NODE_WIDTH, sortSelection, type Wire } from "./flow";

export interface CanvasContext {
  readonly editor: EditorStore;
  readonly flow: ReactFlowInstance<CanvasNode, Wire>;
  /** Where the pointer was last, in CSS pixels of the window. */
  readonly pointer: () => Point;
  /** The canvas' rectangle in the window. */
  readonly frame: () => DOMRect;
}

/** A node that was never drawn is taken to be so high. */
const USUAL_HEIGHT = 200;

export function now(context: CanvasContext): {
  state: EditorState;
  doc: WorkflowDocument;
  at: GraphName;
  selected: ReturnType<typeof sortSelection>;
} {
  const state = context.editor.getState();
  const { history, path, selection } = state;
  return { state, doc: history.present, at: openGraphName(path), selected: sortSelection(selection) };
}

/** The place of a node on the canvas as it is drawn. */
export function boxOf(context: CanvasContext, id: string): Box | null {
  const node = context.flow.getNode(id);
  if (node === undefined) return null;
  const width = node.measured?.width ?? node.width ?? NODE_WIDTH;
  const height = node.measured?.height ?? node.height ?? USUAL_HEIGHT;
  return { ...node.position, width, height };
}

export function boxesOf(context: CanvasContext, ids: readonly string[]): Record<string, Box> {
  return Object.fromEntries(
    ids.flatMap((id) => {
      const box = boxOf(context, id);
      return box === null ? [] : [[id, box] as const];
    }),
  );
}

/** Where something new goes: at the pointer when it is over the canvas, else in the middle. */
export function spot(context: CanvasContext): { at: Point; place: Point } {
  const { left, top, right, bottom } = context.frame();
  const pointer = context.pointer();
  const over = pointer.x > left && pointer.x < right && pointer.y > top && pointer.y < bottom;
  const at = over ? pointer : { x: (left + right) / 2 - 160, y: top + (bottom - top) / 4 };
  return { at, place: context.flow.screenToFlowPosition(at) };
}

/** Everything in the open graph, as it is selected. */
export function allIds(context: CanvasContext): string[] {
  return context.flow.getNodes().map((node) => node.id);
}

export function framesOf(doc: WorkflowDocument, at: GraphName) {
  return { groups: groupsOf(doc, at), comments: commentsOf(doc, at) };
}

/** What places on the canvas are multiples of. */
export const GRID_PX = 8;

export function snapped(value: number): number {
  return Math.round(value / GRID_PX) * GRID_PX;
}
