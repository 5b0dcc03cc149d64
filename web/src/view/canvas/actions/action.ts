/** What an action of the canvas is, and when it can be done. */

import type { CanvasContext } from "../context";
import { now } from "../context";

export type Section = "Add" | "Edit" | "Nodes" | "Arrange" | "View" | "Run and files";

export interface Action {
  readonly id: string;
  readonly title: string;
  readonly section: Section;
  /** Such as "mod+shift+z"; `mod` is Command on a Mac and Control elsewhere. */
  readonly keys?: readonly string[];
  /** The browser does it by itself on these keys (copy, cut, paste), so that they are only listed. */
  readonly native?: boolean;
  readonly enabled?: (context: CanvasContext) => boolean;
  readonly run: (context: CanvasContext) => void;
}

export const state = (context: CanvasContext) => context.editor.getState();
export const some = (context: CanvasContext) => now(context).selected.nodes.length > 0;
export const several = (context: CanvasContext) => now(context).selected.nodes.length > 1;
export const anything = (context: CanvasContext) => state(context).selection.size > 0;
