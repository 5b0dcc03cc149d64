"""The diffusers pipeline that this room is compared with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline

from sdgraph.models.quiet import quiet


def reference_pipeline(folder: Path, **components: Any) -> StableDiffusionPipeline:
    """The pipeline of a diffusers folder, without progress bars."""
    with quiet():
        pipeline: StableDiffusionPipeline = StableDiffusionPipeline.from_pretrained(str(folder), **components)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
