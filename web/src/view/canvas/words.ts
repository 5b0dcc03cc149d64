/** How node types and categories read to people. */

const ACRONYMS: Readonly<Record<string, string>> = {
  vae: "VAE",
  lora: "LoRA",
  ip: "IP",
  t2i: "T2I",
  cfg: "CFG",
  sd: "SD",
};

const CATEGORIES: Readonly<Record<string, string>> = {
  sd: "Stable Diffusion",
  sample: "Stages",
  value: "Values",
  image: "Images",
  mask: "Masks",
  model: "Models",
  prompt: "Prompts",
  subgraph: "Subgraphs",
};

/** A title with its abbreviations spelled as the field does: "Load vae" is "Load VAE". */
export function titleText(title: string): string {
  return title.replace(/[A-Za-z0-9]+/g, (word) => ACRONYMS[word.toLowerCase()] ?? word);
}

export function categoryText(category: string): string {
  return CATEGORIES[category] ?? category.charAt(0).toUpperCase() + category.slice(1).replaceAll("_", " ");
}

/** A hue for each category, so that nodes of one kind are known at a glance: CSS custom property of tokens. */
export function categoryColor(category: string): string {
  return KNOWN.has(category) ? `var(--category-${category})` : "var(--category-other)";
}

const KNOWN: ReadonlySet<string> = new Set([
  "sd",
  "sample",
  "conditioning",
  "control",
  "image",
  "latents",
  "mask",
  "model",
  "prompt",
  "text",
  "value",
  "subgraph",
]);
