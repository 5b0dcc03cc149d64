/** Pictures on their way from a drop, the clipboard or a canvas to the server. */

import { useCallback, useState } from "react";
import { sentence } from "../../api/problems";
import { session } from "../../api/session";

/** The first picture of a drop or a paste. */
export function pictureIn(transfer: DataTransfer | null): File | null {
  return [...(transfer?.files ?? [])].find((file) => file.type.startsWith("image/")) ?? null;
}

export interface Uploading {
  readonly busy: boolean;
  readonly problem: string | null;
  send(picture: Blob): void;
}

/** Sends pictures; `onSent` gets what a file port takes. */
export function useUpload(onSent: (file: string) => void): Uploading {
  const [state, setState] = useState<{ busy: boolean; problem: string | null }>({ busy: false, problem: null });
  const send = useCallback(
    (picture: Blob) => {
      setState({ busy: true, problem: null });
      session()
        .client.upload(picture)
        .then((kept) => {
          setState({ busy: false, problem: null });
          onSent(kept.file);
        })
        .catch((error: unknown) => setState({ busy: false, problem: sentence(error) }));
    },
    [onSent],
  );
  return { ...state, send };
}
