import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";

const CSS = readFileSync(new URL("./tokens.css", import.meta.url), "utf8");

function tokens(theme: "light" | "dark"): Map<string, string> {
  const [light = "", dark = ""] = CSS.split(':root[data-theme="dark"]');
  const read = (text: string) =>
    [...text.matchAll(/--([\w-]+): (#[0-9a-f]{6});/g)].map(([, name = "", value = ""]) => [name, value] as const);
  return new Map(theme === "light" ? read(light) : [...read(light), ...read(dark)]);
}

/** Relative luminance (WCAG 2.2). */
function luminance(hex: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5]
    .map((at) => Number.parseInt(hex.slice(at, at + 2), 16) / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(a: string, b: string): number {
  const [dark = 0, light = 0] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (light + 0.05) / (dark + 0.05);
}

const SURFACES = ["surface-app", "surface-panel", "surface-raised", "surface-sunken", "surface-hover"];
const TEXTS: readonly (readonly [string, readonly string[]])[] = [
  ["text", [...SURFACES, "surface-active", "surface-canvas", "accent-soft", "warn-soft"]],
  ["text-muted", [...SURFACES, "surface-active", "accent-soft"]],
  ["text-faint", ["surface-panel", "surface-raised", "surface-sunken"]],
  ["text-on-accent", ["accent"]],
  ["text-on-tooltip", ["surface-tooltip"]],
  ["accent-text", ["surface-raised", "surface-panel", "accent-soft"]],
  ["ok", ["surface-raised", "surface-panel", "ok-soft"]],
  ["run", ["surface-raised", "surface-panel", "run-soft"]],
  ["warn", ["surface-raised", "surface-panel", "warn-soft"]],
  ["bad", ["surface-raised", "surface-panel", "bad-soft"]],
];
const MARKS: readonly (readonly [string, readonly string[]])[] = [
  ["line-control", ["surface-raised", "surface-panel"]],
  ["focus", ["surface-raised", "surface-canvas"]],
  ["accent", ["surface-raised", "surface-canvas"]],
];

describe.each(["light", "dark"] as const)("in the %s theme", (theme) => {
  const colors = tokens(theme);
  const of = (name: string) => colors.get(name) ?? "#ff00ff";

  test.each(TEXTS.flatMap(([text, surfaces]) => surfaces.map((surface) => [text, surface] as const)))(
    "%s is readable on %s (4.5:1)",
    (text, surface) => {
      expect(contrast(of(text), of(surface))).toBeGreaterThanOrEqual(4.5);
    },
  );

  test.each(MARKS.flatMap(([mark, surfaces]) => surfaces.map((surface) => [mark, surface] as const)))(
    "%s is seen on %s (3:1)",
    (mark, surface) => {
      expect(contrast(of(mark), of(surface))).toBeGreaterThanOrEqual(3);
    },
  );

  test("every category has a colour that is seen on a node (3:1)", () => {
    const categories = [...colors].filter(([name]) => name.startsWith("category-"));
    expect(categories.length).toBeGreaterThan(10);
    for (const [name, color] of categories)
      expect(contrast(color, of("surface-raised")), name).toBeGreaterThanOrEqual(3);
  });
});
