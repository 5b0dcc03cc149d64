/** Two pictures over each other with a line to drag between them. */

import { type CSSProperties, type PointerEvent, useState } from "react";
import { session } from "../../api/session";
import type { Picture } from "../../api/types";
import { Dialog } from "../panels/Dialog";
import { dialogs } from "../panels/dialogs";
import { useAddress } from "../widgets/usePicture";
import styles from "./Comparer.module.css";

export function Comparer({ pictures }: { readonly pictures: readonly [Picture, Picture] }) {
  return (
    <Dialog title="Compare" onClose={dialogs.closeComparer} wide>
      <Slider left={pictures[0]} right={pictures[1]} />
    </Dialog>
  );
}

const SMALL_PX = 256;

/** The slider alone, also for two outputs beside each other. */
export function Slider({ left, right }: { readonly left: Picture; readonly right: Picture }) {
  const [share, setShare] = useState(50);
  const { client } = session();
  const before = useAddress(client.resultUrl(left.digest));
  const after = useAddress(client.resultUrl(right.digest));
  const follow = (event: PointerEvent<HTMLDivElement>) => {
    if (event.type === "pointermove" && event.buttons === 0) return;
    const box = event.currentTarget.getBoundingClientRect();
    setShare(Math.min(100, Math.max(0, ((event.clientX - box.left) / box.width) * 100)));
  };
  const ratio = (left.width_px ?? 1) / (left.height_px ?? 1);
  return (
    <div
      className={styles.comparer}
      data-small={(left.width_px ?? SMALL_PX) < SMALL_PX}
      style={{ "--share": `${share}%`, "--ratio": ratio } as CSSProperties}
      onPointerDown={follow}
      onPointerMove={follow}
    >
      {after && <img src={after} alt="On the right: 2" draggable={false} />}
      {before && <img src={before} alt="On the left: 1" className={styles.before} draggable={false} />}
      <span className={styles.tag}>1</span>
      <span className={`${styles.tag} ${styles.second}`}>2</span>
      <span className={styles.line} aria-hidden="true" />
      <input
        type="range"
        className={styles.range}
        min={0}
        max={100}
        value={Math.round(share)}
        aria-label="How much of the first picture is shown"
        onChange={(event) => setShare(Number(event.target.value))}
      />
    </div>
  );
}
