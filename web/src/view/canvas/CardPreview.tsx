/** What a node made: the picture while it appears, and at the end what the workflow gives, large, or the rest, small. */

import { useMemo } from "react";
import { session } from "../../api/session";
import { isPicture } from "../../api/types";
import { own } from "../../model/json";
import { useEditor } from "../../store/context";
import { dialogs } from "../panels/dialogs";
import { useAddress } from "../widgets/usePicture";
import type { Distance } from "./distance";
import styles from "./NodeCard.module.css";
import { madeOf, openPrefix, statusOf } from "./nodeState";
import { SmallResult } from "./SmallResult";
import { useLive } from "./useResult";

const LARGE_PX = 512;
const SHOWN = 4;

export interface CardPreviewProps {
  readonly id: string;
  readonly distance: Distance;
}

export function CardPreview({ id, distance }: CardPreviewProps) {
  const running = useEditor((state) => statusOf(state, id).tone === "running");
  const prefix = useEditor(openPrefix);
  const results = useEditor((state) => (prefix === null ? undefined : own(state.run?.results, prefix + id)));
  const live = useLive(`${prefix ?? ""}${id}`, running);
  const made = useMade(id);
  if (results !== undefined && results.length > 0 && !running)
    return <Results values={results} stale={made.some((one) => one.stale)} distance={distance} />;
  if (made.length === 0) return live === undefined ? null : <SmallResult made={null} live={live} distance={distance} />;
  return made.map((one, place) => (
    <SmallResult key={one.path} made={one} live={place === 0 ? live : undefined} distance={distance} />
  ));
}

/** As a text while it is compared, so that a node is drawn again only when its own results change. */
function useMade(id: string) {
  const text = useEditor((state) => JSON.stringify(madeOf(state, id)));
  return useMemo(() => JSON.parse(text) as ReturnType<typeof madeOf>, [text]);
}

interface ResultsProps {
  readonly values: readonly unknown[];
  readonly stale: boolean;
  readonly distance: Distance;
}

function Results({ values, stale, distance }: ResultsProps) {
  const pictures = values.filter(isPicture);
  const texts = values.filter((value) => !isPicture(value));
  return (
    <div className={styles.made} data-stale={stale}>
      {pictures.length > 0 && (
        <div className={styles.pictures} data-count={Math.min(pictures.length, SHOWN)}>
          {pictures.slice(0, SHOWN).map((picture) => (
            <Result
              key={picture.digest}
              digest={picture.digest}
              ratio={(picture.width_px ?? 1) / (picture.height_px ?? 1)}
              tiny={distance === "tiny"}
            />
          ))}
        </div>
      )}
      {pictures.length > SHOWN && <p className={styles.rest}>and {pictures.length - SHOWN} more</p>}
      {texts.length > 0 && <pre className={styles.text}>{texts.map(textOf).join("\n")}</pre>}
    </div>
  );
}

interface ResultProps {
  readonly digest: string;
  readonly ratio: number;
  readonly tiny: boolean;
}

function Result({ digest, ratio, tiny }: ResultProps) {
  const run = useEditor((state) => state.run?.id);
  const url = useAddress(session().client.resultUrl(digest, LARGE_PX));
  const style = { aspectRatio: ratio };
  if (url === null || tiny) return <span className={styles.empty} style={style} />;
  return (
    <button
      type="button"
      className="nodrag"
      aria-label="Show the picture large"
      onClick={() => run !== undefined && dialogs.open("run", { run })}
    >
      <img src={url} alt="Result" draggable={false} loading="lazy" style={style} />
    </button>
  );
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value, null, 1);
}
