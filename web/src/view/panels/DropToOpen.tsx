/** Drop a picture or a workflow file anywhere on the editor: the workflow inside is opened. */

import { type DragEvent, type ReactNode, useState } from "react";
import { sentence } from "../../api/problems";
import { useEditor } from "../../store/context";
import { OpenFile } from "../widgets/icons";
import styles from "./DropToOpen.module.css";
import { documentIn } from "./openFile";

export function DropToOpen({ children }: { readonly children: ReactNode }) {
  const [over, setOver] = useState(false);
  const openDocument = useEditor((state) => state.openDocument);
  const notify = useEditor((state) => state.notify);
  const take = (event: DragEvent) => {
    const [file] = event.dataTransfer.files;
    if (!file) return;
    event.preventDefault();
    documentIn(file)
      .then((found) => openDocument(found))
      .catch((error: unknown) => notify({ kind: "bad", text: sentence(error) }));
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: dropping is an extra way; the menu opens files too
    <div
      className={styles.whole}
      onDragOver={(event) => {
        if (!event.dataTransfer.types.includes("Files")) return;
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={(event) => event.currentTarget === event.target && setOver(false)}
      onDropCapture={() => setOver(false)} // a widget may take the drop for itself
      onDrop={take}
    >
      {children}
      {over && (
        <div className={styles.veil}>
          <p>
            <OpenFile /> Drop a picture or a workflow to open it
          </p>
        </div>
      )}
    </div>
  );
}
