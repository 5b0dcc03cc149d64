/** Groups and comments: frames on the canvas, which are no part of what runs. */

import type { GraphName, WorkflowDocument } from "./document";
import { type Dict, own, put, without } from "./json";
import { freshName } from "./names";
import { type Box, type Comment, commentsOf, type Group, groupsOf, withPart } from "./view";

export type FrameKind = "group" | "comment";

export function freshFrame(doc: WorkflowDocument, at: GraphName, kind: FrameKind): string {
  const all: Dict<Box> = kind === "group" ? groupsOf(doc, at) : commentsOf(doc, at);
  return freshName(kind, (id) => own(all, id) !== undefined);
}

export function addGroup(doc: WorkflowDocument, at: GraphName, id: string, group: Group): WorkflowDocument {
  return withPart(doc, at, "@groups", put(groupsOf(doc, at), id, rounded(group)));
}

export function addComment(doc: WorkflowDocument, at: GraphName, id: string, comment: Comment): WorkflowDocument {
  return withPart(doc, at, "@comments", put(commentsOf(doc, at), id, rounded(comment)));
}

export function changeGroup(doc: WorkflowDocument, at: GraphName, id: string, change: Partial<Group>) {
  const before = own(groupsOf(doc, at), id);
  return before === undefined || isSame(before, change) ? doc : addGroup(doc, at, id, { ...before, ...change });
}

export function changeComment(doc: WorkflowDocument, at: GraphName, id: string, change: Partial<Comment>) {
  const before = own(commentsOf(doc, at), id);
  return before === undefined || isSame(before, change) ? doc : addComment(doc, at, id, { ...before, ...change });
}

/** Remove frames; what lies in a group stays. */
export function removeFrames(
  doc: WorkflowDocument,
  at: GraphName,
  groups: Iterable<string>,
  comments: Iterable<string>,
): WorkflowDocument {
  const [allGroups, allComments] = [groupsOf(doc, at), commentsOf(doc, at)];
  const [keptGroups, keptComments] = [without(allGroups, groups), without(allComments, comments)];
  let left = doc;
  if (keptGroups !== allGroups) left = withPart(left, at, "@groups", keptGroups);
  if (keptComments !== allComments) left = withPart(left, at, "@comments", keptComments);
  return left;
}

/** Whether one box lies in another with its centre, which is what a group moves along. */
export function liesIn(box: Box, frame: Box): boolean {
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  return x >= frame.x && x <= frame.x + frame.width && y >= frame.y && y <= frame.y + frame.height;
}

function rounded<T extends Box>(box: T): T {
  return {
    ...box,
    x: Math.round(box.x),
    y: Math.round(box.y),
    width: Math.round(box.width),
    height: Math.round(box.height),
  };
}

function isSame<T extends object>(before: T, change: Partial<T>): boolean {
  return Object.entries(change).every(([name, value]) => before[name as keyof T] === value);
}
