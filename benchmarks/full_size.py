"""The models of published size: whether each is built as its makers say, and whether one of them draws.

    python -m benchmarks.full_size [--draw NAME] [--json]

Every part of every full-size synthetic model is made on PyTorch's meta device, which knows shapes but holds no numbers,
and its parameters are counted and compared with the published figure. `--draw sd15` also builds that model with its
weights (in a folder that is removed afterwards), compares names and shapes in its files with those of the parts, and
runs one step at 128x128 pixels by a workflow. Larger ones need the memory that the table shows, in the stored numbers.
Exit code 1 when a count is further than 2 % from the published one, a name or shape differs, or a picture is not one.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sdgraph.models.quiet import quiet
from sdgraph.models.synthetic.recipes import RECIPES, Recipe

Shapes = dict[str, tuple[int, ...]]
NAMES = ("sd15", "sd21", "sdxl", "sdxl_refiner", "sd3", "flux")
TOLERANCE = 0.02
SIDE_PX = 128
_BYTES = {"float32": 4, "bfloat16": 2}

_CLIP_L, _CLIP_G, _T5 = 123e6, 694e6, 4.7e9
_DENOISERS = {"sd15": 859.5e6, "sd21": 865e6, "sdxl": 2.567e9, "sdxl_refiner": 2.3e9, "sd3": 2.0e9, "flux": 11.9e9}
_TEXTS: Mapping[str, Mapping[str, float]] = {
    "sd15": {"text_encoder": _CLIP_L},
    "sd21": {"text_encoder": 340e6},
    "sdxl": {"text_encoder": _CLIP_L, "text_encoder_2": _CLIP_G},
    "sdxl_refiner": {"text_encoder_2": _CLIP_G},
    "sd3": {"text_encoder": _CLIP_L, "text_encoder_2": _CLIP_G, "text_encoder_3": _T5},
    "flux": {"text_encoder": _CLIP_L, "text_encoder_2": _T5},
}
_VAE = 84e6
"""Published sizes: the model cards of Stable Diffusion 1 and 2 (CompVis, Stability AI), Podell et al. 2023
(arXiv:2307.01952, table 1), Esser et al. 2024 (arXiv:2403.03206), Radford et al. 2021 and OpenCLIP for CLIP, Black
Forest Labs for FLUX.1; rounded as they give them, or as their files count."""


@dataclass(frozen=True)
class Part:
    """A part of a model."""

    model: str
    part: str
    kind: str
    """Its class."""
    parameters: int
    published: float
    tensors: int
    stored_bytes: int

    @property
    def passed(self) -> bool:
        """Whether the count is the published one."""
        return abs(self.parameters / self.published - 1) <= TOLERANCE


@dataclass(frozen=True)
class Drawing:
    """A model that was built with weights, and drew one step."""

    model: str
    tensors: int
    """In its files."""
    differing: tuple[str, ...]
    """Names that are missing, further, or of another shape there."""
    folder_bytes: int
    build_s: float
    draw_s: float
    peak_memory_bytes: int
    finite: bool

    @property
    def passed(self) -> bool:
        """Whether all is as described, and the picture has numbers."""
        return not self.differing and self.finite


def published(model: str, part: str) -> float:
    """Parameters of a part by what its makers say."""
    if part == "vae":
        return _VAE
    return _TEXTS[model].get(part) or _DENOISERS[model]


def module_of(recipe: Recipe, part: str) -> Any:
    """A part without numbers, by its published configuration."""
    import diffusers
    import torch
    import transformers

    config = recipe.config(part)
    with quiet(), torch.device("meta"):
        if part.startswith("text_encoder"):
            kind: Any = getattr(transformers, config["architectures"][0])
            return kind(kind.config_class(**config))
        return getattr(diffusers, config["_class_name"]).from_config(config)


def parts(model: str) -> Iterable[Part]:
    """Every part of a model, counted."""
    recipe = RECIPES[model]
    for part in recipe.parts():
        module = module_of(recipe, part)
        count = sum(parameter.numel() for parameter in module.parameters())
        size = count * _BYTES[recipe.dtype]
        yield Part(model, part, type(module).__name__, count, published(model, part), len(module.state_dict()), size)


def draw(model: str) -> Drawing:
    """Build `synthetic:MODEL` with weights and run one step."""
    from sdgraph.models.source import resolve

    with tempfile.TemporaryDirectory() as home:
        os.environ["SDGRAPH_HOME"] = home
        started = time.perf_counter()
        folder = resolve(f"synthetic:{model}")
        built = time.perf_counter()
        files = _stored(folder)
        picture = _picture(model)
        drawn = time.perf_counter()
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    described = {
        f"{part}/{name}": tuple(tensor.shape)
        for part in RECIPES[model].parts()
        for name, tensor in module_of(RECIPES[model], part).state_dict().items()
    }
    differing = {name for name in files.keys() | described.keys() if files.get(name) != described.get(name)}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Drawing(
        model, len(files), tuple(sorted(differing)), size, built - started, drawn - built, peak, _is_picture(picture)
    )


def _stored(folder: Path) -> Shapes:
    from sdgraph.models.header import read_header

    return {
        f"{path.parent.name}/{name}": shape
        for path in folder.glob("*/*.safetensors")
        if path.parent.name != "vae_tiny"
        for name, shape in read_header(path).shapes.items()
    }


def _picture(model: str) -> Any:
    """[1, 3, H, W], one step of a workflow."""
    from sdgraph_nodes.empty_latents import EmptyLatents
    from sdgraph_nodes.encode_text import EncodeText
    from sdgraph_nodes.load_checkpoint import LoadCheckpoint
    from sdgraph_nodes.sampler import Sampler
    from sdgraph_nodes.vae import VaeDecode

    from benchmarks.parity_cases import run_workflow
    from sdgraph.core.workflow import Workflow

    wf = Workflow("full size")
    sd = wf.add("sd", LoadCheckpoint(source=f"synthetic:{model}")).out
    prompt = wf.add("prompt", EncodeText(text_encoder=sd.text_encoder, prompt="a red circle")).out.conditioning
    start = wf.add("start", EmptyLatents(width_px=SIDE_PX, height_px=SIDE_PX)).out.latents
    sampler = Sampler(denoiser=sd.denoiser, positive=prompt, latents=start, steps=1, guidance=1.0)
    latents = wf.add("sample", sampler).out.latents
    wf.output("image", wf.add("image", VaeDecode(vae=sd.vae, latents=latents)).out.image)
    return run_workflow(wf)["image"].pixels


def _is_picture(pixels: Any) -> bool:
    import numpy as np

    return pixels.shape == (1, 3, SIDE_PX, SIDE_PX) and bool(np.isfinite(pixels).all()) and float(pixels.std()) > 0


def table(rows: Sequence[Part]) -> str:
    """Counts in Markdown."""
    lines = ["| Model | Part | Class | Parameters | Published | Tensors | Stored |", "|---|---|---|---|---|---|---|"]
    lines += [
        f"| `synthetic:{row.model}` | {row.part} | {row.kind} | {row.parameters:,} | {row.published / 1e6:,.5g} M | "
        f"{row.tensors} | {row.stored_bytes / 1e9:.2f} GB |"
        for row in rows
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Build, count, print, and say by the exit code whether all is as published."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draw", choices=NAMES, help="build this model with weights and run one step")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    chosen = parser.parse_args(arguments)
    rows = [row for name in NAMES for row in parts(name)]
    drawn = draw(chosen.draw) if chosen.draw else None
    if chosen.json:
        found = {"parts": [asdict(row) | {"passed": row.passed} for row in rows], "drawn": drawn and asdict(drawn)}
        print(json.dumps(found))
    else:
        print(table(rows))
    if drawn and not chosen.json:
        print(
            f"\nsynthetic:{drawn.model}: {drawn.tensors} tensors in files of {drawn.folder_bytes / 1e9:.2f} GB, "
            f"{len(drawn.differing)} of another name or shape than described; built in {drawn.build_s:.0f} s, one step "
            f"at {SIDE_PX}x{SIDE_PX} px with loading in {drawn.draw_s:.0f} s, peak memory "
            f"{drawn.peak_memory_bytes / 1e9:.1f} GB, picture {'finite' if drawn.finite else 'broken'}"
        )
    return 0 if all(row.passed for row in rows) and (drawn is None or drawn.passed) else 1


if __name__ == "__main__":
    sys.exit(main())
