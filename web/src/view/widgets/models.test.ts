import { describe, expect, it, vi } from "vitest";
import { kindsOf, models, offered } from "./models";

const INSTALLED = [
  { source: "builtin:shapes", kind: "checkpoint", what: "Stable Diffusion", bytes: 9 },
  { source: "styles/neon.safetensors", kind: "lora", what: "LoRA", bytes: 2 },
  { source: "vae-ft", kind: "vae", what: "VAE", bytes: 3 },
  { source: "detector", kind: "other", what: "", bytes: 1 },
];

describe("what the port of a loader offers", () => {
  it.each([
    ["sd.load_checkpoint", ["checkpoint"]],
    ["sd.load_vae", ["vae", "checkpoint"]],
    ["sd.load_text_encoder", ["text_encoder", "checkpoint"]],
    ["control.load", ["controlnet"]],
    ["control.load_ip_adapter", ["ip_adapter"]],
    ["control.load_image_encoder", ["image_encoder"]],
    ["model.lora_denoiser", ["lora"]],
    ["text.embedding", ["embedding"]],
    ["image.load_safety_checker", ["other"]],
  ])("%s loads %j", (type, kinds) => expect(kindsOf(type)).toEqual(kinds));

  it("is its default, what is installed of its kind, and what was typed in before", () => {
    expect(offered("model.lora", "builtin:shapes/lora", INSTALLED, ["my/own", "vae-ft"])).toEqual([
      "builtin:shapes/lora",
      "styles/neon.safetensors",
      "my/own",
    ]);
  });

  it("names synthetic checkpoints where checkpoints are loaded", () => {
    expect(offered("sd.load_checkpoint", "builtin:shapes", INSTALLED, [])).toContain("synthetic:sdxl");
    expect(offered("model.lora", "", INSTALLED, [])).not.toContain("synthetic:sdxl");
  });
});

it("is asked for again after a while, and at once when nobody answered", async () => {
  const ask = vi.fn(async () => ({ models: INSTALLED }));
  ask.mockRejectedValueOnce(new Error("away"));
  for (const now_ms of [0, 1, 2, 30_000]) await models.refresh(ask, now_ms);
  expect(ask).toHaveBeenCalledTimes(3);
  expect(models.installed()).toEqual(INSTALLED);
});
