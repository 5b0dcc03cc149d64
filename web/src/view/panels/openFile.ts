/** Workflows out of files: JSON is read here, pictures and other tools' files by the server. */

import { session } from "../../api/session";
import type { DocumentJson } from "../../api/types";

const SCHEMA = /^sdgraph\/workflow@/;

/** The workflow inside a file. Throws an ApiError or Error that says what the file is not. */
export async function documentIn(file: File): Promise<DocumentJson> {
  const own = file.name.endsWith(".json") || file.type === "application/json" ? ownDocument(await file.text()) : null;
  return own ?? session().client.open(file);
}

/** The document in a text, when it is one of sdgraph; null when it is something else, which the server may know. */
export function ownDocument(text: string): DocumentJson | null {
  try {
    const found = JSON.parse(text) as { schema?: unknown } | null;
    return typeof found?.schema === "string" && SCHEMA.test(found.schema) ? (found as DocumentJson) : null;
  } catch {
    return null;
  }
}
