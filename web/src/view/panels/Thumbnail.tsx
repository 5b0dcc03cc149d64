/** A picture of the server, small or whole; shows its place until it is there. */

import { session } from "../../api/session";
import type { Picture } from "../../api/types";
import { Picture as PictureIcon } from "../widgets/icons";
import { useAddress } from "../widgets/usePicture";
import styles from "./Thumbnail.module.css";

const SMALL_PX = 256;

export interface ThumbnailProps {
  readonly picture: Picture | undefined;
  readonly alt: string;
}

export function Thumbnail({ picture, alt }: ThumbnailProps) {
  const url = useAddress(picture ? session().client.resultUrl(picture.digest, SMALL_PX) : null);
  return (
    <span className={styles.frame} data-small={(picture?.width_px ?? SMALL_PX) < SMALL_PX}>
      {url ? <img src={url} alt={alt} loading="lazy" draggable={false} /> : <PictureIcon />}
    </span>
  );
}

/** The picture itself. */
export function WholePicture({ picture, alt }: ThumbnailProps) {
  const url = useAddress(picture ? session().client.resultUrl(picture.digest) : null);
  return url ? (
    <img className={styles.whole} data-small={(picture?.width_px ?? SMALL_PX) < SMALL_PX} src={url} alt={alt} />
  ) : null;
}
