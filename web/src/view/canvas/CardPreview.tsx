/** What a node made: the picture while it appears, and the pictures and values at the end. */

import { useSyncExternalStore } from "react";
import { session } from "../../api/session";
import { isPicture } from "../../api/types";
import { own } from "../../model/json";
import { useEditor } from "../../store/context";
import { dialogs } from "../panels/dialogs";
import { useAddress } from "../widgets/usePicture";
import styles from "./NodeCard.module.css";
import { openPrefix, statusOf } from "./nodeState";

const SMALL_PX = 512;
const SHOWN = 4;

export function CardPreview({ id }: { readonly id: string }) {
  const running = useEditor((state) => statusOf(state, id).tone === "running");
  const prefix = useEditor(openPrefix);
  const results = useEditor((state) => (prefix === null ? undefined : own(state.run?.results, prefix + id)));
  if (running) return <Live node={`${prefix ?? ""}${id}`} />;
  if (results === undefined || results.length === 0) return null;
  const pictures = results.filter(isPicture);
  const values = results.filter((value) => !isPicture(value));
  return (
    <div className={styles.made}>
      {pictures.length > 0 && (
        <div className={styles.pictures} data-count={Math.min(pictures.length, SHOWN)}>
          {pictures.slice(0, SHOWN).map((picture) => (
            <Result key={picture.digest} digest={picture.digest} />
          ))}
        </div>
      )}
      {pictures.length > SHOWN && <p className={styles.rest}>and {pictures.length - SHOWN} more</p>}
      {values.length > 0 && <pre className={styles.text}>{values.map(text).join("\n")}</pre>}
    </div>
  );
}

function Live({ node }: { readonly node: string }) {
  const { previews } = session();
  const url = useSyncExternalStore(
    (listener) => previews.subscribe(listener),
    () => previews.get(node),
  );
  if (url === undefined) return null;
  return (
    <div className={styles.made}>
      <img className={styles.live} src={url} alt="What is being drawn" draggable={false} />
    </div>
  );
}

function Result({ digest }: { readonly digest: string }) {
  const run = useEditor((state) => state.run?.id);
  const url = useAddress(session().client.resultUrl(digest, SMALL_PX));
  if (url === null) return <span className={styles.empty} />;
  return (
    <button
      type="button"
      className="nodrag"
      aria-label="Show the picture large"
      onClick={() => run !== undefined && dialogs.open("run", { run })}
    >
      <img src={url} alt="Result" draggable={false} loading="lazy" />
    </button>
  );
}

function text(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value, null, 1);
}
