/** A picture: drop it, paste it, choose it; or name a file that is on the server. A mask can be painted over it. */

import { type ClipboardEvent, type DragEvent, useState } from "react";
import controls from "./controls.module.css";
import { Field } from "./Field";
import styles from "./FileWidget.module.css";
import { Brush, Cross, Picture as PictureIcon } from "./icons";
import { MaskDialog } from "./MaskDialog";
import { effective, labelOf } from "./port";
import type { WidgetProps } from "./types";
import { pictureIn, useUpload } from "./upload";
import { useFilePicture } from "./usePicture";

export function FileWidget({ port, value, onChange, problem }: WidgetProps) {
  const file = String(effective(port, value) ?? "");
  const [over, setOver] = useState(false);
  const [painting, setPainting] = useState(false);
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
          <div className={controls.row}>
            <label className={controls.button}>
              Choose…
              <input
                type="file"
                accept="image/*"
                className="visually-hidden"
                onChange={(event) => event.target.files?.[0] && upload.send(event.target.files[0])}
              />
            </label>
            {picture && (
              <button type="button" className={controls.button} onClick={() => setPainting(true)}>
                <Brush /> Mask
              </button>
            )}
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
          {painting && picture && (
            <MaskDialog
              picture={picture}
              onClose={() => setPainting(false)}
              onDone={(painted) => {
                setPainting(false);
                upload.send(painted);
              }}
            />
          )}
        </div>
      )}
    </Field>
  );
}
