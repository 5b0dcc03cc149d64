/** Runs of the server, kept up to date by its events. */

import { useCallback, useEffect, useState } from "react";
import { problemsOf, sentence } from "../../api/problems";
import { session } from "../../api/session";
import type { RunQuery, RunRow } from "../../api/types";

export interface RunList {
  readonly runs: readonly RunRow[];
  readonly loading: boolean;
  readonly problem: string | null;
  /** Whether there are older ones. */
  readonly more: boolean;
  loadMore(): void;
  refresh(): void;
}

/** Events come in bursts; one question answers a burst. */
const SETTLE_MS = 150;
const CHANGES: ReadonlySet<string> = new Set(["run_queued", "run_started", "run_finished"]);
/** A server without queue says that it has no such route: there are no runs then. */
const ABSENT: ReadonlySet<string> = new Set(["route-unknown", "method-unknown"]);

export function useRuns(query: RunQuery): RunList {
  const [state, setState] = useState<Omit<RunList, "loadMore" | "refresh" | "more"> & { next: string | null }>(BEFORE);
  const [turn, setTurn] = useState(0);
  const asked = JSON.stringify(query);
  const refresh = useCallback(() => setTurn((last) => last + 1), []);

  // biome-ignore lint/correctness/useExhaustiveDependencies: `turn` asks the same again
  useEffect(() => {
    const leave = new AbortController();
    session()
      .client.runs(JSON.parse(asked) as RunQuery, leave.signal)
      .then((page) => setState({ runs: page.runs, next: page.next ?? null, loading: false, problem: null }))
      .catch((error: unknown) => {
        if (leave.signal.aborted) return;
        const absent = problemsOf(error).some((one) => ABSENT.has(one.code));
        setState({ runs: [], next: null, loading: false, problem: absent ? null : sentence(error) });
      });
    return () => leave.abort();
  }, [asked, turn]);

  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const soon = () => {
      clearTimeout(timer);
      timer = setTimeout(refresh, SETTLE_MS);
    };
    const leave = session().onEvent((event) => CHANGES.has(event.type) && soon());
    const back = session().onConnection((connection) => connection.state === "open" && soon());
    return () => {
      clearTimeout(timer);
      leave();
      back();
    };
  }, [refresh]);

  const loadMore = useCallback(() => {
    if (state.next === null) return;
    session()
      .client.runs({ ...(JSON.parse(asked) as RunQuery), before: state.next })
      .then((page) => setState((last) => ({ ...last, runs: [...last.runs, ...page.runs], next: page.next ?? null })))
      .catch((error: unknown) => setState((last) => ({ ...last, problem: sentence(error) })));
  }, [asked, state.next]);

  return { ...state, more: state.next !== null, loadMore, refresh };
}

const BEFORE = { runs: [], loading: true, problem: null, next: null };
