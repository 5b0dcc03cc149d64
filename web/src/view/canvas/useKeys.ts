/** The keyboard and the clipboard of the canvas. */

import { useEffect } from "react";
import { FRAGMENT, readFragment } from "../../model/clipboard";
import { pictureIn } from "../widgets/upload";
import { ACTIONS } from "./actions";
import { type CanvasContext, spot } from "./context";
import * as edits from "./edits";
import { keyText, takesKeys } from "./keys";
import { pastePicture } from "./pictures";
import { ui, useCanvasUi } from "./ui";

export function useKeys(context: CanvasContext): void {
  useEffect(() => {
    const down = (event: KeyboardEvent) => press(context, event);
    const copied = (event: ClipboardEvent) => take(context, event);
    const pasted = (event: ClipboardEvent) => give(context, event);
    document.addEventListener("keydown", down);
    document.addEventListener("copy", copied);
    document.addEventListener("cut", copied);
    document.addEventListener("paste", pasted);
    return () => {
      document.removeEventListener("keydown", down);
      document.removeEventListener("copy", copied);
      document.removeEventListener("cut", copied);
      document.removeEventListener("paste", pasted);
    };
  }, [context]);
}

/** Keys with Control work everywhere; plain ones only where nobody types. */
const EVERYWHERE: ReadonlySet<string> = new Set(["run", "stop", "save", "save-as", "templates", "export"]);

function press(context: CanvasContext, event: KeyboardEvent): void {
  if (event.defaultPrevented || event.isComposing) return;
  const keys = keyText(event);
  const typing = takesKeys(event.target);
  const found = ACTIONS.find(
    (action) => action.keys?.includes(keys) && !action.native && (action.enabled?.(context) ?? true),
  );
  if (keys === "escape") {
    close(context, typing);
    return;
  }
  if (found === undefined || (typing && !EVERYWHERE.has(found.id))) return;
  // Tab walks through the page unless the canvas itself has the focus; Enter presses the button that has it.
  if (keys === "tab" && !onCanvas(event.target)) return;
  if (keys === "enter" && event.target instanceof HTMLElement && event.target.closest("button, a, summary")) return;
  event.preventDefault();
  found.run(context);
}

function onCanvas(target: EventTarget | null): boolean {
  if (target === document.body) return true;
  return target instanceof HTMLElement && target.closest(".react-flow") !== null && target.closest(".nodrag") === null;
}

function close(context: CanvasContext, typing: boolean): void {
  const { menu, palette, help } = useCanvasUi.getState();
  if (menu !== null) ui.closeMenu();
  else if (palette !== null) ui.closePalette();
  else if (help) ui.showHelp(false);
  else if (!typing) context.editor.getState().select([]);
}

/** Copy or cut: the selection as text, which other windows and editors can read. */
function take(context: CanvasContext, event: ClipboardEvent): void {
  if (takesKeys(event.target) || window.getSelection()?.isCollapsed === false) return;
  const fragment = edits.copySelected(context);
  if (fragment === null || event.clipboardData === null) return;
  event.clipboardData.setData("text/plain", JSON.stringify(fragment));
  event.preventDefault();
  if (event.type === "cut") edits.removeSelected(context, []);
}

function give(context: CanvasContext, event: ClipboardEvent): void {
  if (takesKeys(event.target) || event.defaultPrevented) return;
  const picture = pictureIn(event.clipboardData);
  if (picture !== null) {
    event.preventDefault();
    void pastePicture(context, picture);
    return;
  }
  const text = event.clipboardData?.getData("text/plain") ?? "";
  const fragment = readFragment(text);
  if (fragment !== null) {
    event.preventDefault();
    edits.pasteFragment(context, fragment, spot(context).place);
  } else if (text.includes(FRAGMENT)) {
    context.editor.getState().notify({ kind: "bad", text: "What was copied is damaged and can't be pasted." });
  }
}
