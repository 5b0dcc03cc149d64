"""A model in one file is the model of its folder, bit for bit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sdgraph.models.checkpoint import read_checkpoint
from sdgraph.models.load import load_model
from sdgraph.models.towers import TextModel
from sdgraph.payloads.handles import ModelHandle
from tests.models.family_references import TINY
from tests.models.original_layout import single_file


def states(handle: ModelHandle) -> dict[str, torch.Tensor]:
    """All parameters and buffers of the handle's model."""
    model = load_model(handle)
    modules = model.modules if isinstance(model, TextModel) else (model,)
    return {
        f"{number}.{name}": tensor
        for number, module in enumerate(modules)  # pyright: ignore[reportArgumentType]
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]
    }


@pytest.mark.parametrize("name", TINY)
def test_a_single_file_has_the_weights_of_its_folder(name: str, tmp_path: Path) -> None:
    file = single_file(name, tmp_path / "model.safetensors")
    one, many = read_checkpoint(str(file)), read_checkpoint(TINY[name])
    assert one.denoiser.family == many.denoiser.family
    for found, expected in (
        (one.denoiser, many.denoiser),
        (one.text_encoder, many.text_encoder),
        (one.vae, many.vae),
    ):
        weights, same = states(found), states(expected)
        assert weights.keys() == same.keys()
        assert all(torch.equal(weights[key], same[key]) for key in same)
    assert (one.denoiser.space, one.denoiser.conditioning_width, one.denoiser.pooled_width) == (
        many.denoiser.space,
        many.denoiser.conditioning_width,
        many.denoiser.pooled_width,
    )
    assert one.text_encoder.towers == many.text_encoder.towers
