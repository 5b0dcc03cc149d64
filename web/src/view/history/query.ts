/** What is typed into the history's search field: words, and inputs as `name:value`. */

import type { RunQuery } from "../../api/types";

const INPUT = /(?:^|\s)([A-Za-z_]\w*):("[^"]*"|\S+)/;

/** The first `name:value` is an input; everything else is words. */
export function queryOf(text: string): Pick<RunQuery, "search" | "input"> {
  const found = INPUT.exec(text);
  const words = (found ? text.replace(found[0], " ") : text).trim().replace(/\s+/g, " ");
  const value = found?.[2]?.replace(/^"|"$/g, "");
  return { ...(words ? { search: words } : {}), ...(found ? { input: `${found[1]}:${value}` } : {}) };
}
