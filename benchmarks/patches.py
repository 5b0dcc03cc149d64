"""What the LoRA and the embedding that ship with `builtin:shapes` do, measured on pictures that sdgraph draws.

The LoRA: which share of the pictures has its style, and which shows the right objects in the right relation, at several
strengths. The embedding: which share of the pictures shows what the word means, with it and without it. The judges go
by colours and contours (`training.shapes.judge`, `training.shapes.neon`) and use no model.

    python benchmarks/patches.py [--assets FOLDER] [--count N] [--steps N] [--seed N] [--json FILE] [--grid FILE]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sdgraph_nodes.embedding import TextEmbedding
from sdgraph_nodes.empty_latents import EmptyLatents
from sdgraph_nodes.encode_text import EncodeText
from sdgraph_nodes.load_checkpoint import LoadCheckpoint
from sdgraph_nodes.lora import DenoiserLora
from sdgraph_nodes.sampler import Sampler
from sdgraph_nodes.vae import VaeDecode

from benchmarks.adherence import write_grid
from sdgraph import Executor, MemoryStore, Payloads, Registry, Workflow, build_graph, make_plan
from training.shapes.captions import write_caption
from training.shapes.embedding import is_bee, sample_bee, write_bee_caption
from training.shapes.judge import judge
from training.shapes.neon import is_neon, sample_neon
from training.shapes.world import Scene

ASSETS = Path(__file__).resolve().parents[1] / "sdgraph" / "assets" / "shapes"
STRENGTHS = (0.0, 0.5, 1.0)
GUIDANCE = 3.0
IMAGE_PX = 64

Case = tuple[Scene, str]


class Studio:
    """Draws captions with the built-in model; the model stays in memory."""

    def __init__(self, assets: Path, steps: int) -> None:
        self.assets = assets
        self.steps = steps
        self._registry = Registry.installed()
        self._store = MemoryStore(Payloads(self._registry.port_types))
        self._executor = Executor(self._registry, self._store)

    def draw(self, caption: str, seed: int, *, strength: float = 0.0, word: bool = False) -> np.ndarray:
        """A picture, uint8 RGB [H, W, 3]."""
        workflow = Workflow("patches")
        sd = workflow.add("sd", LoadCheckpoint(source=str(self.assets))).out
        text_encoder = sd.text_encoder
        if word:
            text_encoder = workflow.add(
                "word", TextEmbedding(text_encoder=text_encoder, source=self._part("embedding_bee"))
            ).out.text_encoder
        lora = workflow.add(
            "lora", DenoiserLora(denoiser=sd.denoiser, source=self._part("lora_neon"), strength=strength)
        ).out
        prompts = [
            workflow.add(name, EncodeText(text_encoder=text_encoder, prompt=text)).out.conditioning
            for name, text in (("positive", caption), ("negative", ""))
        ]
        start = workflow.add("start", EmptyLatents(width_px=IMAGE_PX, height_px=IMAGE_PX)).out
        sampler = Sampler(
            denoiser=lora.denoiser,
            latents=start.latents,
            positive=prompts[0],
            negative=prompts[1],
            guidance=GUIDANCE,
            seed=seed,
            steps=self.steps,
        )
        sample = workflow.add("sample", sampler).out
        image = workflow.add("image", VaeDecode(vae=sd.vae, latents=sample.latents)).out
        workflow.output("image", image.image)
        report = self._executor.run(make_plan(build_graph(workflow.to_document(), self._registry), self._store))
        if report.problems:
            raise SystemExit("\n".join(str(problem) for problem in report.problems))
        return report.outputs["image"].to_uint8()[0]

    def _part(self, name: str) -> str:
        return str(self.assets / name)


def cases_of(
    count: int,
    rng: np.random.Generator,
    sample: Callable[[np.random.Generator], Scene],
    write: Callable[[Scene, np.random.Generator], str],
) -> list[Case]:
    """Scenes of combinations that no training step has seen, each with a caption that names the relation."""
    cases: list[Case] = []
    while len(cases) < count:
        scene = sample(rng)
        caption = write(scene, rng)
        if scene.relation is None or " and " not in caption:
            cases.append((scene, caption))
    return cases


def share(values: Sequence[bool]) -> float:
    """Of the values that are true, 0..1."""
    return float(np.mean(values))


def measure_lora(studio: Studio, count: int, seed: int) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Shares of pictures with the style and with the right objects, by strength; and some pictures."""
    rng = np.random.default_rng([seed, 1])
    cases = cases_of(count, rng, lambda rng: sample_neon(rng, held_out=True, pair_share=0.5), write_caption)
    figures: dict[str, Any] = {"cases": count}
    shown: list[np.ndarray] = []
    for strength in STRENGTHS:
        pictures = [studio.draw(caption, seed + i, strength=strength) for i, (_, caption) in enumerate(cases)]
        verdicts = [judge(scene, picture) for (scene, _), picture in zip(cases, pictures, strict=True)]
        figures[f"{strength:g}"] = {
            "style": share([is_neon(picture) for picture in pictures]),
            "correct": share([verdict.correct for verdict in verdicts]),
        }
        shown += pictures[:12]
    return figures, shown


def measure_word(studio: Studio, count: int, seed: int) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Shares of pictures that show the word's meaning, without and with it, alone and beside other objects."""
    figures: dict[str, Any] = {"cases": count}
    shown: list[np.ndarray] = []
    for kind, pair_share in (("single", 0.0), ("pair", 1.0)):
        rng = np.random.default_rng([seed, 2, round(pair_share)])
        sampled = cases_of(count, rng, lambda rng, pair=pair_share: sample_bee(rng, True, pair), write_bee_caption)
        for word in (False, True):
            pictures = [studio.draw(caption, seed + i, word=word) for i, (_, caption) in enumerate(sampled)]
            right = [judge(scene, picture).correct for (scene, _), picture in zip(sampled, pictures, strict=True)]
            entry = figures.setdefault("with" if word else "without", {})
            entry[kind] = share(right)
            if kind == "single":
                entry["striped"] = share([is_bee(picture) for picture in pictures])
            shown += pictures[:12]
    return figures, shown


def print_table(figures: dict[str, Any]) -> None:
    """The figures as people read them."""
    for strength in STRENGTHS:
        entry = figures["lora"][f"{strength:g}"]
        print(f"LoRA at {strength:3.1f}     style {entry['style']:.2f}, objects right {entry['correct']:.2f}")
    for name in ("without", "with"):
        entry = figures["word"][name]
        print(f"{name:7s} the word  one object {entry['single']:.2f}, of it striped {entry['striped']:.2f}, "
              f"two objects {entry['pair']:.2f}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=cast(str, __doc__).splitlines()[0])
    parser.add_argument("--assets", type=Path, default=ASSETS)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--grid", type=Path)
    options = parser.parse_args()
    studio = Studio(options.assets, options.steps)
    lora, styled = measure_lora(studio, options.count, options.seed)
    word, bees = measure_word(studio, options.count, options.seed)
    figures = {"steps": options.steps, "seed": options.seed, "lora": lora, "word": word}
    print_table(figures)
    if options.grid:
        write_grid(options.grid, [*styled, *bees])
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
