/** Keys as they are printed on the keyboard. */

import { keyCaps } from "./keys";

export function Keys({ keys }: { readonly keys: string }) {
  return keyCaps(keys).map((cap) => <kbd key={cap}>{cap}</kbd>);
}
