/** The pictures that the server has for `file` ports. */

import { create } from "zustand";
import { sentence } from "../../api/problems";
import { session } from "../../api/session";
import type { PictureSource } from "../../api/types";

interface Pictures {
  /** null: nobody has asked yet. */
  readonly known: readonly PictureSource[] | null;
  readonly problem: string | null;
}

export const usePictures = create<Pictures>(() => ({ known: null, problem: null }));

let asking: Promise<void> | null = null;

/** Ask for the list; several who ask at once get one answer. */
export function refreshPictures(): Promise<void> {
  asking ??= session()
    .client.pictures()
    .then(({ pictures }) => usePictures.setState({ known: pictures, problem: null }))
    .catch((error: unknown) => usePictures.setState({ problem: sentence(error) }))
    .finally(() => {
      asking = null;
    });
  return asking;
}

/** What a picture is called: those that ship have names, uploads only a size. */
export function pictureName({ file, origin, width_px, height_px }: PictureSource): string {
  const size = width_px && height_px ? `${width_px} × ${height_px} px` : "picture";
  return origin === "builtin" ? file.replace(/^builtin:/, "") : size;
}

/** Where the arrows lead from picture `at` of `count` in rows of `columns`; null: the key is none of them. */
export function stepTo(key: string, at: number, count: number, columns: number): number | null {
  const to = { ArrowLeft: at - 1, ArrowRight: at + 1, ArrowUp: at - columns, ArrowDown: at + columns };
  if (key === "Home") return 0;
  if (key === "End") return count - 1;
  const next = (to as Record<string, number | undefined>)[key];
  if (next === undefined) return null;
  return next < 0 || next >= count ? at : next;
}
