/** The pictures that the server has already, to choose one: uploads, the newest first, and what ships. */

import { type KeyboardEvent, useEffect } from "react";
import type { PictureSource } from "../../api/types";
import { Dialog } from "../panels/Dialog";
import { Thumbnail } from "../panels/Thumbnail";
import styles from "./PicturesDialog.module.css";
import { pictureName, refreshPictures, stepTo, usePictures } from "./pictures";

interface PicturesDialogProps {
  /** The picture that the port names. */
  readonly file: string;
  readonly onChoose: (file: string) => void;
  readonly onClose: () => void;
}

export function PicturesDialog({ file, onChoose, onClose }: PicturesDialogProps) {
  const { known, problem } = usePictures();
  useEffect(() => void refreshPictures(), []);
  const of = (origin: PictureSource["origin"]) => known?.filter((one) => one.origin === origin) ?? [];
  const shared = { file, onChoose };
  return (
    <Dialog title="Pictures on the server" onClose={onClose} wide>
      {problem && <p role="alert">{problem}</p>}
      <Shelf title="Uploaded, newest first" pictures={of("upload")} {...shared} />
      <Shelf title="Examples" pictures={of("builtin")} {...shared} />
      {known?.length === 0 && <p>There are none yet. Drop one on the field, paste it, or choose a file.</p>}
    </Dialog>
  );
}

interface ShelfProps extends Pick<PicturesDialogProps, "file" | "onChoose"> {
  readonly title: string;
  readonly pictures: readonly PictureSource[];
}

/** One stop of the Tab key; arrows go from picture to picture. */
function Shelf({ title, pictures, file, onChoose }: ShelfProps) {
  if (pictures.length === 0) return null;
  const chosen = pictures.findIndex((one) => one.file === file);
  const stop = Math.max(0, chosen);
  return (
    <section className={styles.shelf}>
      <h3 className={styles.title}>{title}</h3>
      <ul className={styles.grid} aria-label={title} onKeyDown={walk}>
        {pictures.map((picture, at) => (
          <li key={picture.file}>
            <button
              type="button"
              className={styles.card}
              tabIndex={at === stop ? 0 : -1}
              aria-current={at === chosen}
              title={picture.file}
              onClick={() => onChoose(picture.file)}
            >
              <Thumbnail picture={picture} alt="" />
              {pictureName(picture)}
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

function walk(event: KeyboardEvent<HTMLUListElement>): void {
  const cards = [...event.currentTarget.querySelectorAll("button")];
  const at = cards.indexOf(document.activeElement as HTMLButtonElement);
  const columns = cards.filter((card) => card.offsetTop === cards[0]?.offsetTop).length;
  const to = stepTo(event.key, at, cards.length, columns);
  if (at < 0 || to === null) return;
  event.preventDefault();
  cards[to]?.focus();
}
