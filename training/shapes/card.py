"""Stage `card`: the model card beside the assets, filled with figures that were measured and with nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training.shapes.checkpoint import load_checkpoint
from training.shapes.drawing import draw
from training.shapes.export import assets_bytes
from training.shapes.pictures import to_tensor
from training.shapes.settings import Settings
from training.shapes.vae import load_vae, psnr_db
from training.shapes.world import BACKGROUNDS, COLOURS, SHAPES, sample_split

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "adherence.py"
GUIDANCE = 3.0
SEED = 1
SWEEP = ("--guidance", "1", "3", "5.5", "7.5", "--count", "100", "--seed", "0", "--kinds", "single", "pair")
"""Arguments of the sweep: its captions are not those of the main figures."""
RECONSTRUCTIONS = 200
GUIDED = {"canny": "canny-guided", "depth": "depth-guided", "both": "guided by both, each at strength 0.5"}
PATCHES = BENCHMARK.with_name("patches.py")
PARTS = {
    "vae": "vae",
    "tiny": "vae_tiny",
    "unet": "unet + text_encoder",
    "controlnet": "controlnet_canny",
    "depth": "controlnet_depth",
    "lora": "lora_neon",
    "embedding": "embedding_bee",
}


def write_card(settings: Settings) -> Path:
    """Measure the exported model and write `README.md` beside it."""
    figures = _measure(settings, "adherence", "--guidance", str(GUIDANCE), "--seed", str(SEED))[0]
    sweep = _measure(settings, "sweep", *SWEEP)
    patches = _measure(settings, "patches", "--count", "100", "--seed", str(SEED), program=PATCHES)
    card = settings.assets_dir / "README.md"
    card.write_text("\n".join(_lines(settings, figures, sweep, patches)) + "\n")
    return card


@torch.inference_mode()
def reconstruction_psnr_db(settings: Settings) -> float:
    """Peak signal-to-noise ratio of the autoencoder's round trip over held-out scenes."""
    rng = np.random.default_rng([settings.seed, 6])
    scenes = [sample_split(rng, held_out=True) for _ in range(RECONSTRUCTIONS)]
    pictures = to_tensor(np.stack([draw(scene, settings.image_px) for scene in scenes]))
    vae = load_vae(settings)
    restored = vae.decode(vae.encode(pictures).latent_dist.mean).sample.clamp(-1, 1)
    return psnr_db(float((restored - pictures).square().mean()))


def _measure(settings: Settings, name: str, *arguments: str, program: Path = BENCHMARK) -> Any:
    """What a benchmark says of the exported assets; that of adherence has one entry per guidance."""
    path = settings.work_dir / f"{name}.json"
    command = [sys.executable, str(program), "--assets", str(settings.assets_dir), "--json", str(path)]
    subprocess.run([*command, *arguments], check=True)
    return json.loads(path.read_text())


def _patch_lines(patches: dict[str, Any]) -> Iterator[str]:
    """What the LoRA and the learnt word do."""
    lora, word = patches["lora"], patches["word"]
    yield ""
    yield f"`python benchmarks/patches.py --count {lora['cases']} --seed {patches['seed']}`, captions as above; the"
    yield "judges look at pixels only. `lora_neon` draws outlines on black; `embedding_bee` is a striped yellow circle."
    yield ""
    yield "| LoRA strength | Style | Objects and their relation right |"
    yield "|---|---|---|"
    for strength in ("0", "0.5", "1"):
        yield f"| {strength} | {lora[strength]['style']:.0%} | {lora[strength]['correct']:.0%} |"
    yield ""
    yield "| Prompts with the word | One object right | Its stripes | Two objects and their relation |"
    yield "|---|---|---|---|"
    for name in ("without", "with"):
        found = word[name]
        yield f"| {name} the embedding | {found['single']:.0%} | {found['striped']:.0%} | {found['pair']:.0%} |"


def _lines(
    settings: Settings, figures: dict[str, Any], sweep: list[dict[str, Any]], patches: dict[str, Any]
) -> Iterator[str]:
    single, pair = figures["single"], figures["pair"]
    yield "# builtin:shapes"
    yield ""
    yield "A small latent diffusion model of the Stable Diffusion kind, trained by `make train-shapes` on drawn"
    yield f"pictures. It draws one or two flat shapes on {settings.image_px}x{settings.image_px} pixels, and nothing"
    yield "else: it is meant for trying workflows, for tests and for examples, without any download."
    yield ""
    yield f"* Shapes: {', '.join(SHAPES)}; small or large; outlined or striped when large (rings are never outlined)."
    yield f"* Colours: {', '.join(COLOURS)}."
    yield f"* Backgrounds: {', '.join(BACKGROUNDS)}; mostly white when the prompt names none."
    yield '* Relations of two shapes: "left of", "right of", "above", "below".'
    yield ""
    yield "## Measured"
    yield ""
    yield f"`python benchmarks/adherence.py --seed {SEED}`: {figures['steps']} steps of DPM-Solver++(2M), guidance"
    yield f"{figures['guidance']:g}, captions of combinations never trained on."
    yield "The judge goes by colours and contours and uses no model."
    yield ""
    yield "| What | Figure |"
    yield "|---|---|"
    yield f"| one object: colour and shape right, of {single['cases']} | {single['correct']:.1%} |"
    yield f"| two objects: both and their relation right, of {pair['cases']} | {pair['correct']:.1%} |"
    yield f"| two objects: both right, whatever their relation | {pair['objects']:.1%} |"
    yield f"| background right, one object / two | {single['background']:.1%} / {pair['background']:.1%} |"
    for kind, name in GUIDED.items():
        guided = figures[kind]
        yield f"| {name}: mean IoU with the drawn objects, of {guided['cases']} | {guided['mean_iou']:.3f} |"
    yield f"| seconds a picture, two CPU cores | {figures['seconds_per_picture']:.2f} |"
    yield f"| autoencoder round trip of held-out scenes | {reconstruction_psnr_db(settings):.1f} dB PSNR |"
    yield f"| all assets | {assets_bytes(settings.assets_dir) / 1e6:.1f} MB |"
    yield ""
    yield "Guidance matters; with 100 other captions of each kind (`--seed 0`):"
    yield ""
    yield "| Guidance | One object | Two objects and their relation |"
    yield "|---|---|---|"
    for entry in sweep:
        yield f"| {entry['guidance']:g} | {entry['single']['correct']:.0%} | {entry['pair']['correct']:.0%} |"
    yield from _patch_lines(patches)
    yield ""
    yield "## Parts"
    yield ""
    yield "| Part | Parameters | Training steps |"
    yield "|---|---|---|"
    for stage, part in PARTS.items():
        state = load_checkpoint(settings.work_dir / f"{stage}.pt")
        if state is not None:
            count = sum(value.numel() for value in state["model"].values())
            yield f"| `{part}` | {count / 1e6:.2f} M | {state['step']} |"
    yield ""
    yield "The UNet predicts velocity; timesteps trail; the scaled-linear schedule from 0.00085 to 0.02 keeps 1.5 % of"
    yield "the signal at its last step. The text encoder reads 77 tokens; its vocabulary comes from the captions and a"
    yield "list of common prompt words. The weights are fp16 safetensors, under the licence of the project."
