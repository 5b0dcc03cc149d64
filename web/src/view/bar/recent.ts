/** Workflows that were open lately in this browser, by name. */

const KEY = "sdgraph.recent";
const COUNT = 6;

export function recentNames(): string[] {
  try {
    const found = JSON.parse(localStorage.getItem(KEY) ?? "[]") as unknown;
    return Array.isArray(found) ? found.filter((name) => typeof name === "string") : [];
  } catch {
    return [];
  }
}

export function rememberName(name: string): void {
  const names = [name, ...recentNames().filter((other) => other !== name)].slice(0, COUNT + 1);
  localStorage.setItem(KEY, JSON.stringify(names));
}
