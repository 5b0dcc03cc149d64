/** Runs and files. */

import { dialogs } from "../../panels/dialogs";
import { ask } from "../../ui/ask";
import type { CanvasContext } from "../context";
import { saveImage } from "../image";
import { type Action, state } from "./action";

export async function saveAs(context: CanvasContext): Promise<void> {
  const { file, history } = state(context);
  const usual = file.name ?? history.present.name ?? "";
  const name = await ask({ title: "Save as", label: "Name", value: usual, confirm: "Save" });
  if (name !== null && name !== "") await state(context).saveAs(name);
}

function save(context: CanvasContext): void {
  const { file } = state(context);
  if (file.name === null || file.shipped) void saveAs(context);
  else void state(context).save();
}

export const FILES: readonly Action[] = [
  {
    id: "run",
    title: "Run",
    section: "Run and files",
    keys: ["mod+enter"],
    run: (context) => void state(context).startRun(),
  },
  {
    id: "stop",
    title: "Stop the run",
    section: "Run and files",
    keys: ["mod+."],
    run: (context) => void state(context).cancelRun(),
  },
  { id: "save", title: "Save", section: "Run and files", keys: ["mod+s"], run: save },
  {
    id: "save-as",
    title: "Save as",
    section: "Run and files",
    keys: ["mod+shift+s"],
    run: (context) => void saveAs(context),
  },
  {
    id: "templates",
    title: "Open a workflow or template",
    section: "Run and files",
    keys: ["mod+o"],
    run: () => dialogs.open("templates"),
  },
  { id: "export", title: "Export", section: "Run and files", keys: ["mod+e"], run: () => dialogs.open("export") },
  {
    id: "image",
    title: "Save a picture of the graph",
    section: "Run and files",
    run: (context) => void saveImage(context),
  },
];
