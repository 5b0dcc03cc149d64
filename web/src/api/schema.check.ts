/** What the editor reads is in what the server sends, and what it sends is what the server takes: checked by tsc. */

import type * as server from "./schema";
import type * as editor from "./types";

type Given<Sent, Read> = Sent extends Read ? true : never;

export const CHECKED: readonly true[] = [
  true satisfies Given<server.CheckAnswer, editor.CheckAnswer>,
  true satisfies Given<server.PlanAnswer, editor.PlanAnswer>,
  true satisfies Given<server.RunOut, editor.Run>,
  true satisfies Given<server.RunRow, editor.RunRow>,
  true satisfies Given<server.RunList, editor.RunPage>,
  true satisfies Given<server.ModelList, editor.ModelList>,
  true satisfies Given<server.NodePreview, editor.NodePreview>,
  true satisfies Given<server.TokensAnswer, editor.Tokens>,
  true satisfies Given<server.WorkflowEntry, editor.WorkflowEntry>,
  true satisfies Given<editor.PlanRequest, server.PlanRequest>,
];
