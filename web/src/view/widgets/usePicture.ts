/** Addresses that an `<img>` can show, also where every request must carry the token. */

import { useEffect, useState } from "react";
import { session } from "../../api/session";
import { refreshPictures, usePictures } from "./pictures";

const UPLOADED = /^(?:upload|result):([0-9a-f]{16,128})(?:\.\w+)?$/;

/** The picture that a file port names, when the server can show it; null otherwise. */
export function useFilePicture(file: string): string | null {
  const shipped = file.startsWith("builtin:");
  const listed = usePictures(({ known }) => (shipped ? known?.find((one) => one.file === file)?.digest : undefined));
  const unasked = usePictures(({ known }) => known === null);
  useEffect(() => {
    if (shipped && unasked) void refreshPictures();
  }, [shipped, unasked]);
  const digest = UPLOADED.exec(file)?.[1] ?? listed;
  return useAddress(digest ? session().client.resultUrl(digest) : null);
}

/** The address of a server's picture for an `<img>`. With a token it is fetched, and its object URL revoked later. */
export function useAddress(url: string | null): string | null {
  const { client } = session();
  const [own, setOwn] = useState<string | null>(null);
  const guarded = client.token !== null;
  useEffect(() => {
    if (!guarded || url === null) return;
    const leave = new AbortController();
    let made: string | null = null;
    client
      .bytes(url, leave.signal)
      .then((blob) => {
        made = URL.createObjectURL(blob);
        setOwn(made);
      })
      .catch(() => setOwn(null));
    return () => {
      leave.abort();
      if (made !== null) URL.revokeObjectURL(made);
      setOwn(null);
    };
  }, [client, guarded, url]);
  return guarded ? own : url;
}
