/** React Flow's nodes after a change of the document: what it measured, and where something is being dragged, stays. */

import type { CanvasNode } from "./flow";

export function merged(
  before: readonly CanvasNode[],
  now: readonly CanvasNode[],
  selection: ReadonlySet<string>,
): CanvasNode[] {
  const last = new Map(before.map((node) => [node.id, node]));
  const next = now.map((node) => {
    const old = last.get(node.id);
    const selected = selection.has(node.id);
    if (old === undefined) return { ...node, selected };
    const position = old.dragging ? old.position : node.position;
    if (isSame(old, node) && old.selected === selected && samePlace(old, position)) return old;
    const kept = old.measured === undefined ? {} : { measured: old.measured };
    return { ...node, ...kept, position, selected, dragging: old.dragging ?? false } as CanvasNode;
  });
  return next.length === before.length && next.every((node, index) => node === before[index])
    ? (before as CanvasNode[])
    : next;
}

function isSame(old: CanvasNode, node: CanvasNode): boolean {
  return (
    old.type === node.type &&
    old.data === node.data &&
    old.width === node.width &&
    old.height === node.height &&
    old.style?.width === node.style?.width &&
    old.ariaLabel === node.ariaLabel
  );
}

function samePlace(old: CanvasNode, position: { x: number; y: number }): boolean {
  return old.position.x === position.x && old.position.y === position.y;
}
