/** The editor's window: bar, library, canvas, panels, and what lies over them. */

import { ReactFlowProvider } from "@xyflow/react";
import { useEffect, useState } from "react";
import { session } from "../api/session";
import { EditorProvider, useEditor } from "../store/context";
import { createEditor, type Editor } from "../store/editor";
import { browserSurroundings } from "../store/surroundings";
import styles from "./App.module.css";
import { TopBar } from "./bar/TopBar";
import { Canvas } from "./canvas/Canvas";
import { ContextMenuHost } from "./canvas/ContextMenu";
import { DistanceProvider } from "./canvas/distance";
import { HelpHost } from "./canvas/HelpDialog";
import { CanvasProvider } from "./canvas/provide";
import { useCanvasUi } from "./canvas/ui";
import { Library } from "./palette/Library";
import { LinkPickerHost } from "./palette/LinkPicker";
import { PaletteHost } from "./palette/Palette";
import { ConnectionBanner } from "./panels/ConnectionBanner";
import { Dialogs } from "./panels/Dialogs";
import { Dock } from "./panels/Dock";
import { DropToOpen } from "./panels/DropToOpen";
import { AskHost } from "./ui/ask";
import { Notices } from "./ui/Notices";
import { TipHost } from "./ui/Tip";

export function App() {
  const [editor] = useState(open);
  useEffect(() => follow(editor), [editor]);
  return (
    <EditorProvider store={editor.store}>
      <ReactFlowProvider>
        <CanvasProvider>
          <DropToOpen>
            <Window />
          </DropToOpen>
          <PaletteHost />
          <LinkPickerHost />
          <ContextMenuHost />
          <HelpHost />
          <Dialogs />
          <AskHost />
          <Notices />
          <TipHost />
        </CanvasProvider>
      </ReactFlowProvider>
    </EditorProvider>
  );
}

function Window() {
  const library = useCanvasUi((state) => state.library);
  const failed = useEditor((state) => state.loading === "failed");
  const name = useEditor((state) => state.history.present.name);
  useEffect(() => {
    document.title = name ? `${name} \u2013 sdgraph` : "sdgraph";
  }, [name]);
  return (
    <div className={styles.window} data-library={library}>
      <TopBar />
      <ConnectionBanner />
      {library && <Library />}
      <main className={styles.main} aria-label="Workflow graph">
        {failed ? (
          <Failed />
        ) : (
          <DistanceProvider>
            <Canvas />
          </DistanceProvider>
        )}
      </main>
      <Dock />
    </div>
  );
}

function Failed() {
  const problems = useEditor((state) => state.problems);
  return (
    <div className={styles.failed} role="alert">
      <h1>The editor could not start</h1>
      <p>{problems[0]?.message ?? "The server did not answer."}</p>
      <button type="button" onClick={() => location.reload()}>
        Try again
      </button>
    </div>
  );
}

function open(): Editor {
  return createEditor(browserSurroundings(session().client));
}

let started = false;

/** Start once: React mounts twice while developing. */
function follow(editor: Editor): () => void {
  if (!started) void editor.start();
  started = true;
  const leave = [session().onEvent((event) => editor.receive(event)), session().onMissed(() => void editor.catchUp())];
  return () => {
    for (const end of leave) end();
  };
}
