"""The tiny models of every family, and the diffusers pipelines that they are compared with."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor

from sdgraph.models.quiet import quiet
from sdgraph.models.source import resolve

TINY = {
    "sd1": "synthetic:sd15-tiny",
    "sd2": "synthetic:sd21-tiny",
    "sdxl": "synthetic:sdxl-tiny",
    "sdxl_refiner": "synthetic:sdxl_refiner-tiny",
    "sd3": "synthetic:sd3-tiny",
    "flux": "synthetic:flux-tiny",
    "flux_schnell": "synthetic:flux_schnell-tiny",
}


@cache
def pipeline(name: str) -> Any:
    """The diffusers pipeline of a tiny model, without progress bars."""
    from diffusers.pipelines.pipeline_utils import DiffusionPipeline

    with quiet():
        found: Any = DiffusionPipeline.from_pretrained(str(resolve(TINY[name])))
    found.set_progress_bar_config(disable=True)
    return found


def encoded(name: str, text: str, **options: Any) -> tuple[Tensor, Tensor | None]:
    """The embedding and the pooled vector of diffusers' `encode_prompt`."""
    pipe = pipeline(name)
    with torch.no_grad():
        if name in ("sd1", "sd2"):
            return pipe.encode_prompt(text, "cpu", 1, False, **options)[0], None
        if name.startswith("flux"):
            embedding, pooled, _ = pipe.encode_prompt(text, None, device="cpu", **options)
            return embedding, pooled
        more = (text, text) if name == "sd3" else (text,)
        embedding, _, pooled, _ = pipe.encode_prompt(
            text, *more, device="cpu", do_classifier_free_guidance=False, **options
        )
        return embedding, pooled
