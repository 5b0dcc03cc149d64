"""A LoRA and an embedding for the tiny model, made once per process."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import torch

from sdgraph.models.checkpoint import read_checkpoint
from sdgraph.models.pool import ModelPool
from tests.models.loras import kohya, layers, write


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="sdgraph-tests-")  # goes with the process


@cache
def tiny_lora(source: str) -> Path:
    """A LoRA with random numbers for every layer of the model's denoiser."""
    with ModelPool().lease(read_checkpoint(source).denoiser) as unet:
        return write(Path(_folder().name) / "lora.safetensors", kohya("lora_unet_", layers(unet)))


@cache
def tiny_embedding(source: str) -> Path:
    """Two vectors with random numbers, called "bee"."""
    width = read_checkpoint(source).text_encoder.conditioning_width
    vectors = torch.randn(2, width, generator=torch.Generator().manual_seed(4))
    return write(Path(_folder().name) / "bee.safetensors", {"bee": vectors})
