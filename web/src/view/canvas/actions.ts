/** Every action of the canvas. Menus, keyboard and cheat sheet are made of this. */

import type { Action } from "./actions/action";
import { ADDING } from "./actions/adding";
import { ARRANGING } from "./actions/arranging";
import { EDITING } from "./actions/editing";
import { FILES } from "./actions/files";
import { NODES } from "./actions/nodes";
import { VIEWING } from "./actions/viewing";

export const ACTIONS: readonly Action[] = [...ADDING, ...EDITING, ...NODES, ...ARRANGING, ...VIEWING, ...FILES];

/** An action by its id. */
export function action(id: string): Action {
  const found = ACTIONS.find((one) => one.id === id);
  if (found === undefined) throw new Error(`There is no action ${id}`);
  return found;
}
