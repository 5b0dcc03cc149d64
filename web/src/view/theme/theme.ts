/** Light or dark: what the system says, unless the person chose. */

export type ThemeChoice = "system" | "light" | "dark";

const KEY = "sdgraph.theme";
const dark = () => window.matchMedia("(prefers-color-scheme: dark)");

/** The choice that is remembered on this machine. */
export function chosenTheme(): ThemeChoice {
  const stored = localStorage.getItem(KEY);
  return stored === "light" || stored === "dark" ? stored : "system";
}

/** Show a theme and remember it. */
export function chooseTheme(choice: ThemeChoice): void {
  if (choice === "system") localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, choice);
  showTheme(choice);
}

/** Show the remembered theme, and follow the system while none is chosen. Returns what stops following. */
export function followTheme(): () => void {
  const follow = () => showTheme(chosenTheme());
  follow();
  const system = dark();
  system.addEventListener("change", follow);
  return () => system.removeEventListener("change", follow);
}

function showTheme(choice: ThemeChoice): void {
  const shown = choice === "system" ? (dark().matches ? "dark" : "light") : choice;
  document.documentElement.dataset["theme"] = shown;
}
