/** A node's pictures from the session: what is being drawn, and what was made. */

import { useCallback, useState, useSyncExternalStore } from "react";
import type { Known } from "../../api/results";
import { session } from "../../api/session";

const nothing = () => () => undefined;

/** The address of the newest picture of a node that runs, or of a node inside it. */
export function useLive(path: string, running: boolean): string | undefined {
  const { previews } = session();
  return useSyncExternalStore(running ? previews.subscribe : nothing, () =>
    running ? previews.under(path) : undefined,
  );
}

/** What a result looks like; asked for while `wanted`. Until another one is known, the last one stays. */
export function useResult(key: string | null, wanted: boolean): Known {
  const { results } = session();
  const watch = useCallback(
    (listener: () => void) => (key !== null && wanted ? results.watch(key, listener) : () => undefined),
    [key, wanted, results],
  );
  const found = useSyncExternalStore(watch, () => (key === null ? undefined : results.get(key)));
  const [last, setLast] = useState<Known>(found);
  if (found !== undefined && found !== last) setLast(found);
  return found === undefined ? last : found;
}
