/** A sentence in which `code` between backticks is set as code. */

import { Fragment } from "react";

export function Words({ children }: { readonly children: string }) {
  // Parts at odd places stood between backticks.
  return children.split("`").map((part, at) => {
    const key = `${at} ${part}`;
    return at % 2 === 1 ? <code key={key}>{part}</code> : <Fragment key={key}>{part}</Fragment>;
  });
}
