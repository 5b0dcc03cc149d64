"""The names of transformer blocks that a configuration tells are those of the model that diffusers builds from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel
from diffusers.models.transformers.transformer_sd3 import SD3Transformer2DModel
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

import sdgraph.models
from sdgraph.models.attention import attention_blocks
from sdgraph.models.attention_names import block_names
from sdgraph.models.source import resolve

SHIPPED = sorted((Path(sdgraph.models.__file__).parent / "configs").glob("*/*/config.json"))
DENOISERS = [path for path in SHIPPED if path.parent.name in ("unet", "transformer")]
TINY = ["sd15", "sd21", "sdxl", "sd3", "flux"]
SMALL: dict[str, Any] = {
    "_class_name": "UNet2DConditionModel",
    "block_out_channels": [32, 64],
    "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
    "cross_attention_dim": 32,
    "attention_head_dim": 8,
}
VARIANTS: list[dict[str, Any]] = [
    {},
    {"layers_per_block": [1, 3]},
    {"layers_per_block": 1, "transformer_layers_per_block": [2, 3]},
    {"layers_per_block": 2, "transformer_layers_per_block": [[1, 2], 3]}
    | {"reverse_transformer_layers_per_block": [1, [3, 2, 1]]},
    {"mid_block_type": None},
    {"mid_block_type": None, "down_block_types": ["DownBlock2D"] * 2, "up_block_types": ["UpBlock2D"] * 2},
]


def names_in(config: dict[str, Any]) -> tuple[str, ...]:
    """Of the model itself, built without memory for its weights."""
    classes: dict[str, Any] = {
        kind.__name__: kind for kind in (UNet2DConditionModel, SD3Transformer2DModel, FluxTransformer2DModel)
    }
    with torch.device("meta"):
        model: Any = classes[config["_class_name"]].from_config(config)
    return tuple(attention_blocks(model))


@pytest.mark.parametrize("path", DENOISERS, ids=lambda path: path.parts[-3])
def test_the_names_of_every_published_model(path: Path) -> None:
    config = json.loads(path.read_text("utf-8"))
    assert block_names(config) == names_in(config)


@pytest.mark.parametrize("name", TINY)
def test_the_names_of_the_tiny_models(name: str) -> None:
    folder = resolve(f"synthetic:{name}-tiny")
    (path,) = [found for part in ("unet", "transformer") for found in folder.glob(f"{part}/config.json")]
    config = json.loads(path.read_text("utf-8"))
    assert block_names(config) == names_in(config)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_names_of_unusual_unets(variant: dict[str, Any]) -> None:
    assert block_names({**SMALL, **variant}) == names_in({**SMALL, **variant})


@pytest.mark.parametrize(
    "config",
    [
        {**SMALL, "dual_cross_attention": True},
        {**SMALL, "down_block_types": ["SimpleCrossAttnDownBlock2D", "DownBlock2D"]},
        {"_class_name": "PixArtTransformer2DModel", "num_layers": 4},
        {"_class_name": "SD3Transformer2DModel"},
    ],
)
def test_a_configuration_of_another_kind_tells_nothing(config: dict[str, Any]) -> None:
    assert block_names(config) is None
