/** What is seen of the graph. */

import * as edits from "../edits";
import { showAll, showSelected } from "../fitting";
import { ui } from "../ui";
import { type Action, anything } from "./action";

/** How long the view takes to get there: the eye can follow. */
const MOVE_MS = 200;

export const VIEWING: readonly Action[] = [
  {
    id: "fit",
    title: "Show all",
    section: "View",
    keys: [".", "home"],
    run: (context) => showAll(context, MOVE_MS),
  },
  {
    id: "fit-selection",
    title: "Show the selection",
    section: "View",
    keys: ["z"],
    enabled: anything,
    run: (context) => showSelected(context, MOVE_MS),
  },
  {
    id: "zoom-in",
    title: "Zoom in",
    section: "View",
    keys: ["+", "="],
    run: (context) => void context.flow.zoomIn({ duration: 120 }),
  },
  {
    id: "zoom-out",
    title: "Zoom out",
    section: "View",
    keys: ["-"],
    run: (context) => void context.flow.zoomOut({ duration: 120 }),
  },
  {
    id: "zoom-one",
    title: "Actual size",
    section: "View",
    keys: ["0"],
    run: (context) => void context.flow.zoomTo(1, { duration: 120 }),
  },
  {
    id: "to-source",
    title: "Go to what feeds the node",
    section: "View",
    keys: ["alt+arrowleft"],
    run: (context) => edits.walk(context, "sources"),
  },
  {
    id: "to-reader",
    title: "Go to what reads the node",
    section: "View",
    keys: ["alt+arrowright"],
    run: (context) => edits.walk(context, "readers"),
  },
  {
    id: "to-above",
    title: "Go to the node above",
    section: "View",
    keys: ["alt+arrowup"],
    run: (context) => edits.walk(context, "above"),
  },
  {
    id: "to-below",
    title: "Go to the node below",
    section: "View",
    keys: ["alt+arrowdown"],
    run: (context) => edits.walk(context, "below"),
  },
  { id: "library", title: "Show or hide the library", section: "View", keys: ["n"], run: () => ui.toggleLibrary() },
  { id: "help", title: "Keyboard", section: "View", keys: ["?"], run: () => ui.showHelp(true) },
];
