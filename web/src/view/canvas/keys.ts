/** Keys as text: "mod+shift+z". */

const MAC = /Mac|iP(hone|ad)/.test(globalThis.navigator?.platform ?? "");

/** The text of a pressed key; `mod` is Command on a Mac and Control elsewhere. */
export function keyText(
  event: Pick<KeyboardEvent, "key" | "ctrlKey" | "metaKey" | "altKey" | "shiftKey" | "code">,
  mac = MAC,
): string {
  const letter = /^Key([A-Z])$/.exec(event.code)?.[1]?.toLowerCase();
  // With Alt a Mac writes other letters; without it the layout's letter counts.
  const key = event.altKey && letter ? letter : event.key.toLowerCase();
  const printable = key.length === 1 && !/[a-z0-9]/.test(key);
  const parts = [
    (mac ? event.metaKey : event.ctrlKey) ? "mod" : "",
    (mac ? event.ctrlKey : event.metaKey) ? "other" : "",
    event.altKey ? "alt" : "",
    // "?" and "+" are written with Shift on some keyboards and without on others.
    event.shiftKey && !printable ? "shift" : "",
    key === " " ? "space" : key,
  ];
  return parts.filter(Boolean).join("+");
}

const SIGNS: Readonly<Record<string, string>> = {
  arrowup: "\u2191",
  arrowdown: "\u2193",
  arrowleft: "\u2190",
  arrowright: "\u2192",
  enter: "Enter",
  delete: "Del",
  backspace: "\u232b",
  tab: "Tab",
  home: "Home",
  escape: "Esc",
  alt: MAC ? "\u2325" : "Alt",
  shift: MAC ? "\u21e7" : "Shift",
  mod: MAC ? "\u2318" : "Ctrl",
};

/** The keys as they are printed on the keyboard. */
export function keyCaps(keys: string): string[] {
  if (keys === "+") return ["+"];
  return keys.split("+").map((key) => SIGNS[key] ?? key.toUpperCase());
}

/** Whether an element takes the keys itself. */
export function takesKeys(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || target.closest("dialog, [role=menu], [role=listbox]") !== null) return true;
  if (target instanceof HTMLInputElement) return target.type !== "checkbox" && target.type !== "button";
  return target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
}
