/**
 * The token of a server off loopback: it comes in the fragment of the address (`/#token=...`), which browsers send to
 * nobody, is kept for this tab only, and is taken out of the address so that a copied link does not carry it.
 */

const KEY = "sdgraph.token";

/** The token of this tab; reads it from the address first. */
export function takeToken(
  place: Location = window.location,
  store: Storage = window.sessionStorage,
  past: History = window.history,
): string | null {
  const fragment = new URLSearchParams(place.hash.slice(1));
  const given = fragment.get("token");
  if (given === null) return store.getItem(KEY);
  store.setItem(KEY, given);
  fragment.delete("token");
  const rest = fragment.toString();
  past.replaceState(past.state, "", `${place.pathname}${place.search}${rest ? `#${rest}` : ""}`);
  return given;
}

/** Keep the token that a person typed. */
export function keepToken(token: string, store: Storage = window.sessionStorage): void {
  store.setItem(KEY, token);
}
