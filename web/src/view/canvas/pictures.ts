/** A picture pasted on the canvas: the selected node that loads one takes it, or a new one. */

import { sentence } from "../../api/problems";
import { session } from "../../api/session";
import { graphOf } from "../../model/document";
import { own } from "../../model/json";
import { addNode, freshNodeId, newNode } from "../../model/nodes";
import { setValue } from "../../model/values";
import { type CanvasContext, now, snapped, spot } from "./context";

const LOAD = "image.load";

export async function pastePicture(context: CanvasContext, picture: File): Promise<void> {
  const { place } = spot(context);
  const { notify } = context.editor.getState();
  try {
    const { file } = await session().client.upload(picture);
    put(context, file, { x: snapped(place.x), y: snapped(place.y) });
  } catch (error) {
    notify({ kind: "bad", text: sentence(error) });
  }
}

function put(context: CanvasContext, file: string, place: { x: number; y: number }): void {
  const { state, doc, at, selected } = now(context);
  const [chosen = ""] = selected.nodes;
  const takes = selected.nodes.length === 1 && own(graphOf(doc, at).nodes, chosen)?.type === LOAD;
  const id = takes ? chosen : freshNodeId(doc, at, LOAD);
  const label = takes ? "Change file" : "Paste a picture";
  state.apply(
    (before) => {
      const there = takes ? before : addNode(before, at, id, newNode(state.catalog, LOAD), place);
      return setValue(there, at, id, "file", file);
    },
    { label },
  );
  state.select([id]);
}
