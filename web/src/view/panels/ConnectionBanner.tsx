/** Says that the server can't be reached, and when the next attempt is. Silent while all is well. */

import { useEffect, useState, useSyncExternalStore } from "react";
import { session } from "../../api/session";
import type { Connection } from "../../api/socket";
import { Retry, Warning } from "../widgets/icons";
import styles from "./ConnectionBanner.module.css";

/** Short breaks are nobody's business. */
const PATIENCE_ATTEMPTS = 1;

export function useConnection(): Connection {
  return useSyncExternalStore(
    (listener) => session().onConnection(listener),
    () => session().connection(),
  );
}

export function ConnectionBanner() {
  const connection = useConnection();
  const [lost, setLost] = useState(false);
  const waiting = connection.state === "waiting" ? connection : null;
  useEffect(() => {
    if (connection.state === "open") setLost(false);
    else if (waiting && waiting.attempt >= PATIENCE_ATTEMPTS) setLost(true);
  }, [connection.state, waiting]);
  if (!lost) return null;
  return (
    <div className={styles.banner} role="status">
      <Warning />
      <span>
        The server does not answer. Your work is kept here.{" "}
        {waiting ? <Countdown until={waiting.retryAt} /> : "Trying again…"}
      </span>
      <button type="button" onClick={() => session().retry()}>
        <Retry /> Try now
      </button>
    </div>
  );
}

function Countdown({ until }: { readonly until: number }) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 500);
    return () => clearInterval(timer);
  }, []);
  return <span aria-hidden="true">Next attempt in {Math.max(1, Math.ceil((until - now) / 1000))} s.</span>;
}
