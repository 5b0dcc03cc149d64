"""How well the built-in model draws what a prompt says: held-out captions, judged by colours and contours.

    python benchmarks/adherence.py [--count 200] [--guidance 3] [--json result.json] [--grid grid.png]

Singles: colour and shape right. Pairs: both objects and their relation right. Canny and depth: mean overlap
(intersection over union) of the picture's foreground with the drawn objects whose edges or relief guided it; "both" is
both at once, each at half its strength. The judge uses no model; see `training/shapes/judge.py`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from training.shapes.captions import write_caption
from training.shapes.controlnet import edges_of
from training.shapes.depth import depth_of
from training.shapes.drawing import draw, scene_mask
from training.shapes.judge import Verdict, foreground_mask, judge
from training.shapes.world import Scene, sample_split

ASSETS = Path(__file__).resolve().parents[1] / "sdgraph" / "assets" / "shapes"
IMAGE_PX = 64
BATCH = 50
GUIDED: dict[str, tuple[tuple[str, ...], float]] = {
    "canny": (("canny",), 1.0),
    "depth": (("depth",), 1.0),
    "both": (("canny", "depth"), 0.5),
}
"""The controls of each guided kind, and the strength of each."""


@dataclass(frozen=True)
class Sampling:
    """How pictures are sampled."""

    assets: Path
    steps: int
    guidance: float
    seed: int


@dataclass(frozen=True)
class Case:
    """A held-out scene, the caption given to the model and, for guided sampling, the drawn picture."""

    scene: Scene
    caption: str
    picture: np.ndarray


@dataclass(frozen=True)
class Scores:
    """Shares of the cases of one kind, 0..1."""

    cases: int
    correct: float
    count: float
    colours: float
    shapes: float
    objects: float
    relation: float
    background: float


def sample_pictures(
    sampling: Sampling,
    captions: Sequence[str],
    controls: Sequence[tuple[str, Sequence[np.ndarray]]] = (),
    strength: float = 1.0,
) -> np.ndarray:
    """Pictures of captions, uint8 RGB [N, 64, 64, 3].

    `controls` are names of ControlNets with their control images, float [3, H, W] in 0..1, one per caption.
    """
    import torch

    pipeline = _load_pipeline(sampling.assets, [name for name, _ in controls])
    pictures: list[np.ndarray] = []
    for first in range(0, len(captions), BATCH):
        part = slice(first, first + BATCH)
        generator = [torch.Generator().manual_seed(sampling.seed + index) for index in range(len(captions))[part]]
        hints = [torch.from_numpy(np.stack(images[part])) for _, images in controls]
        extra = {"image": hints, "controlnet_conditioning_scale": [strength] * len(hints)} if hints else {}
        result = pipeline(
            list(captions[part]),
            num_inference_steps=sampling.steps,
            guidance_scale=sampling.guidance,
            generator=generator,
            output_type="np",
            **extra,
        )
        pictures.append(np.rint(result.images * 255.0).astype(np.uint8))
    return np.concatenate(pictures)


def _load_pipeline(assets: Path, controls: Sequence[str] = ()) -> Any:
    """The assets as a diffusers pipeline with DPM-Solver++(2M)."""
    import torch

    from training.shapes.libraries import (
        ControlNetModel,
        DPMSolverMultistepScheduler,
        StableDiffusionControlNetPipeline,
        StableDiffusionPipeline,
    )

    pipeline = StableDiffusionPipeline.from_pretrained(assets, dtype=torch.float32)
    pipeline.scheduler = DPMSolverMultistepScheduler.from_config(pipeline.scheduler.config)
    if controls:
        nets = [
            ControlNetModel.from_pretrained(assets / f"controlnet_{name}", dtype=torch.float32) for name in controls
        ]
        pipeline = StableDiffusionControlNetPipeline(
            **pipeline.components, controlnet=nets, requires_safety_checker=False
        )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def held_out_cases(count: int, pair_share: float, seed: int) -> list[Case]:
    """Scenes of combinations that no training step has seen, each with a caption that leaves no relation out."""
    rng = np.random.default_rng([seed, round(10 * pair_share)])
    cases: list[Case] = []
    while len(cases) < count:
        scene = sample_split(rng, held_out=True, pair_share=pair_share)
        caption = write_caption(scene, rng)
        names_all = scene.relation is None or " and " not in caption
        if names_all and "background" in caption:
            cases.append(Case(scene, caption, draw(scene, IMAGE_PX)))
    return cases


def score(verdicts: Sequence[Verdict]) -> Scores:
    """The shares of verdicts that hold."""

    def share(name: str) -> float:
        return float(np.mean([getattr(verdict, name) for verdict in verdicts]))

    names = ("correct", "count", "colours", "shapes", "objects", "relation", "background")
    return Scores(len(verdicts), **{name: share(name) for name in names})


def overlap(picture: np.ndarray, scene: Scene) -> float:
    """Intersection over union of a picture's foreground with the objects as drawn."""
    seen, drawn = foreground_mask(picture), scene_mask(scene, picture.shape[0])
    return float((seen & drawn).sum() / max((seen | drawn).sum(), 1))


def measure(sampling: Sampling, count: int, kinds: Sequence[str]) -> tuple[dict[str, Any], list[np.ndarray]]:
    """The figures of every kind asked for, and some of the pictures they come from."""
    figures: dict[str, Any] = {}
    shown: list[np.ndarray] = []
    for kind, pair_share in (("single", 0.0), ("pair", 1.0)):
        if kind in kinds:
            figures[kind], pictures = measure_captions(sampling, held_out_cases(count, pair_share, sampling.seed))
            shown.extend(pictures[:24])
    for kind in (kind for kind in GUIDED if kind in kinds):
        figures[kind], pictures = measure_guided(sampling, held_out_cases(count, 0.5, sampling.seed + 1), kind)
        shown.extend(pictures[:24])
    if "seconds" in kinds:
        figures["seconds_per_picture"] = seconds_per_picture(sampling)
    return figures, shown


def measure_captions(sampling: Sampling, cases: Sequence[Case]) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Scores of pictures sampled from captions alone, with every failure in words; and the pictures."""
    pictures = sample_pictures(sampling, [case.caption for case in cases])
    verdicts = [judge(case.scene, picture) for case, picture in zip(cases, pictures, strict=True)]
    wrong = [
        f"{case.caption} -> {', '.join(f'{item.colour} {item.shape}' for item in verdict.found)}"
        for case, verdict in zip(cases, verdicts, strict=True)
        if not verdict.correct
    ]
    return {**asdict(score(verdicts)), "wrong": wrong}, list(pictures)


def measure_guided(sampling: Sampling, cases: Sequence[Case], kind: str) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Overlaps of pictures guided by control images of drawn ones; and control images and pictures in turn."""
    names, strength = GUIDED[kind]
    controls = [(name, [control_image(name, case) for case in cases]) for name in names]
    pictures = sample_pictures(sampling, [case.caption for case in cases], controls, strength)
    overlaps = [overlap(picture, case.scene) for case, picture in zip(cases, pictures, strict=True)]
    hints = [[np.rint(hint.transpose(1, 2, 0) * 255).astype(np.uint8) for hint in images] for _, images in controls]
    shown = [picture for group in zip(*hints, pictures, strict=True) for picture in group]
    return {"cases": len(cases), "mean_iou": float(np.mean(overlaps)), "min_iou": float(np.min(overlaps))}, shown


def control_image(name: str, case: Case) -> np.ndarray:
    """The control image of a case, float32 [3, H, W] in 0..1."""
    return edges_of(case.picture) if name == "canny" else depth_of(case.scene, IMAGE_PX)


def shipped_kinds(assets: Path) -> list[str]:
    """Every kind whose ControlNets are among the assets."""
    guided = [
        kind for kind, (names, _) in GUIDED.items() if all((assets / f"controlnet_{name}").is_dir() for name in names)
    ]
    return ["single", "pair", *guided, "seconds"]


def seconds_per_picture(sampling: Sampling, pictures: int = 5) -> float:
    """Median time of one picture on its own, after one to warm up; loading the model does not count."""
    import torch

    pipeline = _load_pipeline(sampling.assets)
    times_s: list[float] = []
    for index in range(pictures + 1):
        started = time.perf_counter()
        pipeline(
            "a large red star on a blue background",
            num_inference_steps=sampling.steps,
            guidance_scale=sampling.guidance,
            generator=torch.Generator().manual_seed(index),
            output_type="np",
        )
        times_s.append(time.perf_counter() - started)
    return float(np.median(times_s[1:]))


def write_grid(path: Path, pictures: Sequence[np.ndarray], columns: int = 12) -> None:
    """Pictures side by side, twice enlarged."""
    blank = np.full_like(pictures[0], 255)
    padded = [*pictures, *[blank] * (-len(pictures) % columns)]
    rows = [np.concatenate(padded[first : first + columns], axis=1) for first in range(0, len(padded), columns)]
    grid = np.concatenate(rows)[..., ::-1]
    cv2.imwrite(str(path), cv2.resize(grid, None, fx=2.0, fy=2.0, interpolation=cv2.INTER_NEAREST))


def print_table(figures: dict[str, Any]) -> None:
    """The figures as people read them."""
    for kind in ("single", "pair"):
        if kind in figures:
            parts = [f"{name} {value:.3f}" for name, value in figures[kind].items() if isinstance(value, float)]
            print(f"{kind:8s} {', '.join(parts)}  (of {figures[kind]['cases']})")
    for kind in (kind for kind in GUIDED if kind in figures):
        print(f"{kind:8s} mean IoU {figures[kind]['mean_iou']:.3f}, smallest {figures[kind]['min_iou']:.3f}")
    if "seconds_per_picture" in figures:
        print(f"time     {figures['seconds_per_picture']:.2f} s a picture")


def main() -> None:
    parser = argparse.ArgumentParser(description=cast(str, __doc__).splitlines()[0])
    parser.add_argument("--assets", type=Path, default=ASSETS)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, nargs="+", default=[3.0], help="several values: a sweep")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", help="of single, pair, canny, depth, both, seconds; default: all")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--grid", type=Path)
    options = parser.parse_args()
    sampling = Sampling(options.assets, options.steps, options.guidance[0], options.seed)
    kinds = options.kinds or shipped_kinds(options.assets)
    results: list[dict[str, Any]] = []
    for guidance in options.guidance:
        figures, shown = measure(replace(sampling, guidance=guidance), options.count, kinds)
        print(f"guidance {guidance:g}, {options.steps} steps")
        print_table(figures)
        results.append({"guidance": guidance, "steps": options.steps, "seed": options.seed, **figures})
        if options.grid:
            write_grid(options.grid, shown)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
