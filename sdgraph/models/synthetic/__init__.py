"""Synthetic models: a real architecture with seeded random weights, for tests and benchmarks.

`synthetic:sd15`, `sd21`, `sdxl`, `sdxl_refiner`, `sd3` and `flux` have the size of the published models (up to 33 GB
on disk); each has a `-tiny` sibling. They are made once and kept as ordinary diffusers folders.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from sdgraph.errors import ModelError
from sdgraph.models.home import models_home
from sdgraph.models.synthetic.recipes import RECIPES, Recipe

VERSION = 8
"""Count it up when the same recipe makes different weights."""
_SEED = 20260101


def synthetic_folder(name: str) -> Path:
    """The folder of `synthetic:NAME`, made at first use (this imports torch).

    Raises ModelError [model-kind-unsupported] for a name that has no recipe.
    """
    recipe = RECIPES.get(name)
    if recipe is None:
        raise ModelError(
            "model-kind-unsupported",
            f"There is no synthetic model `{name}`.",
            f"Known: {', '.join(f'`synthetic:{known}`' for known in RECIPES)}.",
        )
    folder = models_home() / "synthetic" / f"{name}-{VERSION}"
    if not folder.is_dir():
        _build_whole(recipe, folder)
    return folder


def _build_whole(recipe: Recipe, folder: Path) -> None:
    """Build beside the place and move in one step, so that nobody sees half a model."""
    import torch

    from sdgraph.models.quiet import quiet
    from sdgraph.models.synthetic.build import build

    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=folder.parent))
    try:
        with quiet(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(_SEED)
            build(recipe, work)
        os.replace(work, folder)
    except OSError:
        # Another process was faster; its model is the same.
        if not folder.is_dir():
            raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
