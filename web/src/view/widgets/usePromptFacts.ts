/** What a prompt comes to: counted here at once, and by the server's tokenizer when typing pauses. */

import { useEffect, useMemo, useState } from "react";
import { session } from "../../api/session";
import { approximateTokens, type Segment, segments } from "./promptText";

export interface PromptFacts {
  readonly tokens: number;
  readonly segments: readonly Segment[];
  /** From the tokenizer itself, not an estimate. */
  readonly exact: boolean;
}

const PAUSE_MS = 350;

/** `syntax` null: the text is no prompt, and nobody is asked. */
export function usePromptFacts(prompt: string, syntax: string | null): PromptFacts {
  const near = useMemo(
    () => ({ tokens: approximateTokens(prompt), segments: segments(prompt), exact: false }),
    [prompt],
  );
  const [known, setKnown] = useState<{ readonly prompt: string; readonly tokens: number } | null>(null);
  useEffect(() => {
    if (syntax === null || prompt === "") return;
    const leave = new AbortController();
    const timer = setTimeout(() => {
      session()
        .client.tokens(syntax, prompt, leave.signal)
        .then((found) => setKnown({ prompt, tokens: found.tokens }))
        .catch(() => undefined); // The estimate stays.
    }, PAUSE_MS);
    return () => {
      clearTimeout(timer);
      leave.abort();
    };
  }, [prompt, syntax]);
  return known?.prompt === prompt ? { ...near, tokens: known.tokens, exact: true } : near;
}
