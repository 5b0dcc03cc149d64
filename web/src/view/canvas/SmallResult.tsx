/** What a node gave, small: pictures in a strip of fixed height, so that nothing jumps, and a line of words. */

import type { NodePreview, OutputPreview, Picture } from "../../api/types";
import type { Made } from "../../model/made";
import { portLabel } from "../../model/names";
import { tip } from "../ui/Tip";
import { useAddress } from "../widgets/usePicture";
import type { Distance } from "./distance";
import styles from "./NodeCard.module.css";
import { useResult } from "./useResult";

/** Fewer pixels than this are shown as squares: blurred they would look like something they are not. */
const COARSE_PX = 48;

export interface SmallResultProps {
  readonly made: Made | null;
  /** The address of what is being drawn. */
  readonly live: string | undefined;
  readonly distance: Distance;
}

export function SmallResult({ made, live, distance }: SmallResultProps) {
  const found = useResult(made?.key ?? null, distance !== "tiny");
  const outputs = outputsOf(found, made?.ports ?? null);
  const pictures = outputs.flatMap(([name, { pictures = [] }]) => pictures.map((picture) => ({ name, picture })));
  const words = [...new Set(outputs.map(([, { text }]) => text).filter(Boolean))];
  if (live === undefined && pictures.length === 0 && words.length === 0) return null;
  return (
    <div className={styles.made} data-stale={live === undefined && (made?.stale ?? false)}>
      {(live !== undefined || pictures.length > 0) && (
        <div className={styles.small}>
          {live !== undefined && distance !== "tiny" && <img src={live} alt="What is being drawn" draggable={false} />}
          {live === undefined &&
            distance !== "tiny" &&
            pictures.map((one) => <Small key={one.picture.digest} {...one} />)}
        </div>
      )}
      {words.length > 0 && (
        <p className={styles.words} {...tip(() => <Outputs outputs={outputs} />)}>
          {distance !== "tiny" && words.join(" \u00b7 ")}
        </p>
      )}
    </div>
  );
}

type Shown = readonly (readonly [string, OutputPreview])[];

function outputsOf(found: NodePreview | null | undefined, ports: readonly string[] | null): Shown {
  return Object.entries(found?.outputs ?? {}).filter(([name]) => ports === null || ports.includes(name));
}

function Small({ name, picture }: { readonly name: string; readonly picture: Picture }) {
  const url = useAddress(picture.url);
  const coarse = (picture.width_px ?? COARSE_PX) < COARSE_PX;
  return url === null ? null : (
    <img src={url} alt={`Preview of ${portLabel(name).toLowerCase()}`} data-coarse={coarse} draggable={false} />
  );
}

function Outputs({ outputs }: { readonly outputs: Shown }) {
  return outputs.map(([name, { text, approximate }]) => (
    <p key={name}>
      <b>{portLabel(name)}</b> {text}
      {approximate && " (its picture is approximate)"}
    </p>
  ));
}
