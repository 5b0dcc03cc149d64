"""What ships with the package to describe models: configurations, CLIP's vocabulary, recipes of synthetic models."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from safetensors.torch import load_file

from sdgraph.models.checkpoint import read_checkpoint
from sdgraph.models.clip_vocabulary import PAD_G, byte_letters, clip_tokenizer, clip_vocabulary
from sdgraph.models.families import FAMILIES, SPACES
from sdgraph.models.load import load_model
from sdgraph.models.shipped_configs import ConfigName, shipped_config
from sdgraph.models.synthetic.build import build
from sdgraph.models.synthetic.recipes import RECIPES
from sdgraph.models.text import encode_text
from sdgraph.models.towers import TextModel

PUBLISHED = {
    "sd1": {"unet": 859_520_964, "vae": 83_653_863, "text_encoder": 123_060_480},
    "sd2": {"unet": 865_910_724, "text_encoder": 340_387_840},
    "sdxl": {"unet": 2_567_463_684, "text_encoder_2": 694_659_840},
    "sdxl_refiner": {"unet": 2_259_526_660},
    "sd3": {"transformer": 2_028_328_000, "vae": 83_819_683},
    "sd35_medium": {"transformer": 2_243_171_520},
    "sd35_large": {"transformer": 8_056_627_520},
    "flux": {"transformer": 11_901_408_320, "text_encoder_2": 4_762_310_656},
    "flux_schnell": {"transformer": 11_891_178_560},
}
"""Parameters of published models."""


def parameters(config: ConfigName, part: str) -> int:
    """How many parameters a part has, counted without making any."""
    import diffusers
    import transformers

    fields: dict[str, Any] = json.loads((shipped_config(config) / part / "config.json").read_bytes())
    with torch.device("meta"):
        if "_class_name" in fields:
            model: Any = getattr(diffusers, fields["_class_name"]).from_config(fields)
        else:
            kind: Any = getattr(transformers, fields["architectures"][0])
            model = kind(kind.config_class(**fields))
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("config", get_args(ConfigName))
def test_a_shipped_configuration_has_the_size_of_the_published_model(config: ConfigName) -> None:
    assert {part: parameters(config, part) for part in PUBLISHED[config]} == PUBLISHED[config]


@pytest.mark.parametrize("config", get_args(ConfigName))
def test_a_shipped_autoencoder_makes_the_latents_of_its_family(config: ConfigName) -> None:
    fields = json.loads((shipped_config(config) / "vae" / "config.json").read_bytes())
    space = SPACES[FAMILIES[config.split("_schnell")[0] if "sd35" not in config else "sd3"].space]
    assert (fields["latent_channels"], fields["scaling_factor"]) == (space.channels, space.scaling_factor)
    assert fields.get("shift_factor", 0.0) == space.shift_factor


def test_every_family_has_a_synthetic_model_of_its_size_and_a_tiny_one() -> None:
    names = {"sd15", "sd21", "sdxl", "sdxl_refiner", "sd3", "flux"}
    assert names | {f"{name}-tiny" for name in names} <= RECIPES.keys()
    assert {RECIPES[name].tiny for name in names} == {False}


def test_clip_s_vocabulary_gives_the_published_ids() -> None:
    assert len(clip_vocabulary()) == 49408
    tokenizer = clip_tokenizer()
    start, end = 49406, 49407
    assert tokenizer("a photo of a cat")["input_ids"] == [start, 320, 1125, 539, 320, 2368, end]
    assert tokenizer.pad_token_id == end
    assert clip_tokenizer(PAD_G).pad_token_id == 0


def test_every_byte_has_a_letter_of_its_own() -> None:
    from tokenizers.pre_tokenizers import ByteLevel

    assert sorted(byte_letters()) == sorted(ByteLevel.alphabet())
    assert len(set(byte_letters())) == 256


@pytest.mark.parametrize("name", ["sdxl-tiny", "flux-tiny"])
def test_a_synthetic_model_in_16_bits_with_the_published_vocabulary_is_a_model(name: str, tmp_path: Path) -> None:
    # The large ones are built this way; here with the widths of the tiny ones.
    build(replace(RECIPES[name], tiny=False, dtype="bfloat16"), tmp_path / "model")
    found = read_checkpoint(str(tmp_path / "model"), "bfloat16")
    stored = load_file(tmp_path / "model" / found.denoiser.component / "diffusion_pytorch_model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.bfloat16}
    model = load_model(found.text_encoder)
    assert isinstance(model, TextModel)
    assert model.encoder.config.vocab_size == 49408
    assert encode_text("a star", model).entries[0].embedding.isfinite().all()
