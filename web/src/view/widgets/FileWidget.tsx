/** A picture: drop it, paste it, choose a file or one that the server has; or name a file that is on the server. A mask can be painted over it. */

import { type ClipboardEvent, type DragEvent, useState } from "react";
import { type PortAddress, parseAddress } from "../../model/address";
import { useEditorStore } from "../../store/context";
import controls from "./controls.module.css";
import { Field } from "./Field";
import styles from "./FileWidget.module.css";
import { Brush, Cross, Grid, Picture as PictureIcon } from "./icons";
import { MaskDialog } from "./MaskDialog";
import { isMask, withMask } from "./maskNodes";
import { PicturesDialog } from "./PicturesDialog";
import { effective, labelOf } from "./port";
import type { WidgetProps } from "./types";
import { pictureIn, useUpload } from "./upload";
import { useFilePicture } from "./usePicture";

export interface FileProps extends WidgetProps {
  /** Which port it is, "picture.file"; without it no mask can be painted, as nobody would know where it goes. */
  readonly at?: string | undefined;
}

export function FileWidget({ port, value, onChange, problem, at }: FileProps) {
  const file = String(effective(port, value) ?? "");
  const [over, setOver] = useState(false);
  const [painting, setPainting] = useState(false);
  const [choosing, setChoosing] = useState(false);
  const upload = useUpload(onChange);
  const picture = useFilePicture(file);
  const onDrop = (event: DragEvent) => {
    const dropped = pictureIn(event.dataTransfer);
    setOver(false);
    if (!dropped) return;
    event.preventDefault();
    event.stopPropagation(); // The canvas would open the picture's workflow.
    upload.send(dropped);
  };
  const onPaste = (event: ClipboardEvent) => {
    const pasted = pictureIn(event.clipboardData);
    if (!pasted) return;
    event.preventDefault();
    event.stopPropagation();
    upload.send(pasted);
  };
  return (
    <Field label={labelOf(port)} help={port.help} problem={upload.problem ?? problem} stacked>
      {(ids) => (
        // biome-ignore lint/a11y/noStaticElementInteractions: dropping and pasting are extra ways; the button is the plain one
        <div
          className={`nodrag ${styles.drop}`}
          data-over={over}
          onDragOver={(event) => {
            event.preventDefault();
            setOver(true);
          }}
          onDragLeave={() => setOver(false)}
          onDrop={onDrop}
          onPaste={onPaste}
        >
          {picture ? (
            <img className={styles.picture} src={picture} alt={`Shown: ${file}`} draggable={false} />
          ) : (
            <span className={styles.empty}>
              <PictureIcon />
              {upload.busy ? "Sending…" : "Drop or paste a picture"}
            </span>
          )}
          <div className={styles.ways}>
            <label className={controls.button}>
              Choose…
              <input
                type="file"
                accept="image/*"
                className="visually-hidden"
                onChange={(event) => event.target.files?.[0] && upload.send(event.target.files[0])}
              />
            </label>
            <button
              type="button"
              className={controls.button}
              onClick={() => setChoosing(true)}
              aria-label="Choose a picture that is on the server"
              title="Pictures on the server"
            >
              <Grid />
            </button>
            {picture && at !== undefined && (
              <button type="button" className={controls.button} onClick={() => setPainting(true)}>
                <Brush /> Mask
              </button>
            )}
            <div className={styles.named}>
              <div className={controls.box} data-bad={ids.invalid}>
                <input
                  id={ids.id}
                  className={controls.text}
                  value={file}
                  placeholder="builtin:pair.png"
                  aria-describedby={ids.describedBy}
                  aria-invalid={ids.invalid}
                  onChange={(event) => onChange(event.target.value)}
                />
              </div>
              {file !== "" && (
                <button
                  type="button"
                  className={`${controls.button} ${controls.plain}`}
                  onClick={() => onChange("")}
                  aria-label="Take the picture out"
                >
                  <Cross />
                </button>
              )}
            </div>
          </div>
          {choosing && (
            <PicturesDialog
              file={file}
              onClose={() => setChoosing(false)}
              onChoose={(chosen) => {
                onChange(chosen);
                setChoosing(false);
              }}
            />
          )}
          {painting && picture && at !== undefined && (
            <MaskPainting at={parseAddress(at)} picture={picture} onClose={() => setPainting(false)} />
          )}
        </div>
      )}
    </Field>
  );
}

/** Paints, sends, and puts the mask into the graph. */
function MaskPainting({ at, picture, onClose }: { at: PortAddress; picture: string; onClose: () => void }) {
  const { getState } = useEditorStore();
  const keep = (file: string) => {
    getState().apply((doc) => withMask(getState().catalog, doc, at.graph, at.node, file), { label: "Paint a mask" });
    onClose();
  };
  const upload = useUpload(keep);
  return (
    <MaskDialog
      picture={picture}
      repaint={isMask(getState().history.present, at.graph, at.node)}
      problem={upload.problem}
      onClose={onClose}
      onDone={upload.send}
    />
  );
}
