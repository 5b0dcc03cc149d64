/** Ports of a node that are parameters of the open graph. */

import { useMemo } from "react";
import { graphOf, openGraphName, parseRef, targetsOf } from "../../model/document";
import { useEditor } from "../../store/context";
import type { EditorState } from "../../store/state";

export function useExposed(id: string): ReadonlySet<string> {
  // A text, so that a node is drawn again only when its own ports change.
  const names = useEditor((state) => exposedNames(state, id));
  return useMemo(() => new Set(names.split(" ").filter(Boolean)), [names]);
}

function exposedNames(state: EditorState, id: string): string {
  const graph = graphOf(state.history.present, openGraphName(state.path));
  return Object.values(graph.inputs ?? {})
    .flatMap(targetsOf)
    .map(parseRef)
    .filter((ref) => ref.node === id)
    .map((ref) => ref.port)
    .join(" ");
}
