/** What people change most comes first, and sides belong together; the rest by name, as in the file. */
const FIRST = ["prompt", "negative", "image", "mask", "seed", "width_px", "height_px", "steps", "guidance"];

export function inOrder(names: readonly string[]): readonly string[] {
  const rank = (name: string) => {
    const at = FIRST.indexOf(name);
    return at < 0 ? FIRST.length : at;
  };
  return [...names].sort((left, right) => rank(left) - rank(right));
}
