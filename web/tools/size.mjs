// Prints what a browser fetches before the editor works, compressed, and fails above the budget.
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const BUDGET_BYTES = 600_000;
const FOLDER = new URL("../../sdgraph/assets/web/", import.meta.url);

const page = readFileSync(new URL("index.html", FOLDER), "utf8");
const named = [...page.matchAll(/(?:src|href)="\/(assets\/[^"]+)"/g)].map(([, name]) => name);
const style = named.filter((name) => name.endsWith(".css")).map((name) => readFileSync(new URL(name, FOLDER), "utf8"));
// The style sheet names the font's files by the letters that they have; a page in English needs the Latin one.
const fonts = [...style.join("").matchAll(/assets\/(inter-latin-wght[^)"]+\.woff2)/g)].map(
  ([, name]) => `assets/${name}`,
);

let total = gzipSync(page).length;
for (const name of [...named, ...new Set(fonts)]) {
  const content = readFileSync(new URL(name, FOLDER));
  const size = name.endsWith(".woff2") ? content.length : gzipSync(content, { level: 9 }).length;
  total += size;
  console.log(`${String(size).padStart(8)} ${name}`);
}
console.log(`${String(total).padStart(8)} bytes at first load, of at most ${BUDGET_BYTES}`);
if (total > BUDGET_BYTES) process.exit(1);
