"""Synthetic models: a real architecture with seeded random weights, for tests and benchmarks.

They are made once and kept as ordinary diffusers folders. Their tokenizer knows single bytes only, so that a word costs
as many tokens as it has letters.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdgraph.errors import ModelError
from sdgraph.models.home import models_home

if TYPE_CHECKING:
    from torch import nn

VERSION = 1
"""Count it up when the same recipe makes different weights."""
_SEED = 20260101
_BOS, _EOS = "<|startoftext|>", "<|endoftext|>"
_MAX_TOKENS = 77


def synthetic_folder(name: str) -> Path:
    """The folder of `synthetic:NAME`, made at first use (this imports torch).

    Raises ModelError [model-kind-unsupported] for a name that has no recipe.
    """
    recipe = _RECIPES.get(name)
    if recipe is None:
        raise ModelError(
            "model-kind-unsupported",
            f"There is no synthetic model `{name}`.",
            f"Known: {', '.join(f'`synthetic:{known}`' for known in _RECIPES)}.",
        )
    folder = models_home() / "synthetic" / f"{name}-{VERSION}"
    if not folder.is_dir():
        _build_whole(recipe, folder)
    return folder


def _build_whole(recipe: _Recipe, folder: Path) -> None:
    """Build beside the place and move in one step, so that nobody sees half a model."""
    import torch

    from sdgraph.models.quiet import quiet

    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=folder.parent))
    try:
        with quiet(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(_SEED)
            _build(recipe, work)
        os.replace(work, folder)
    except OSError:
        # Another process was faster; its model is the same.
        if not folder.is_dir():
            raise
    finally:
        shutil.rmtree(work, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class _Recipe:
    """Constructor arguments of a model's parts, where they differ from the library's defaults."""

    text: Mapping[str, Any]
    unet: Mapping[str, Any]
    vae: Mapping[str, Any]
    tiny: Mapping[str, Any]
    control_channels: tuple[int, ...]


# Stable Diffusion 1.5 with every width cut down: 32-wide conditioning, 64x64 pictures.
_SD15_TINY = _Recipe(
    text={"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4},
    unet={
        "sample_size": 8,
        "block_out_channels": (16, 32),
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
        "layers_per_block": 1,
        "cross_attention_dim": 32,
        "attention_head_dim": 4,
        "norm_num_groups": 8,
    },
    vae={
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
        "block_out_channels": (8, 8, 16, 16),
        "norm_num_groups": 4,
        "sample_size": 64,
    },
    tiny={
        "encoder_block_out_channels": (8, 8, 8, 8),
        "decoder_block_out_channels": (8, 8, 8, 8),
        "num_encoder_blocks": (1, 1, 1, 1),
        "num_decoder_blocks": (1, 1, 1, 1),
    },
    control_channels=(8, 8, 16, 16),
)
_RECIPES = {"sd15-tiny": _SD15_TINY}


def _build(recipe: _Recipe, root: Path) -> None:
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny
    from diffusers.models.controlnets.controlnet import ControlNetModel
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
    from diffusers.schedulers.scheduling_pndm import PNDMScheduler
    from transformers import CLIPTextConfig, CLIPTextModel

    vocabulary = _write_tokenizer(root / "tokenizer")
    text = CLIPTextConfig(
        vocab_size=vocabulary,
        max_position_embeddings=_MAX_TOKENS,
        bos_token_id=vocabulary - 2,
        eos_token_id=vocabulary - 1,
        pad_token_id=vocabulary - 1,
        **recipe.text,
    )
    unet = UNet2DConditionModel(**recipe.unet)
    control = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=recipe.control_channels)
    _train_a_little(control)
    encoder: Any = CLIPTextModel(text)
    _shift_output(encoder.final_layer_norm)
    parts: dict[str, Any] = {
        "text_encoder": encoder,
        "unet": unet,
        "vae": AutoencoderKL(**recipe.vae),
        "vae_tiny": AutoencoderTiny(**recipe.tiny),
        "controlnet_canny": control,
        "scheduler": PNDMScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", skip_prk_steps=True, steps_offset=1
        ),
    }
    for name, part in parts.items():
        part.save_pretrained(root / name)
    _write_index(root)


def _train_a_little(control: nn.Module) -> None:
    """A new ControlNet's last layers are zero and it does nothing; a trained one acts, and looks at its picture."""
    import torch

    for name, parameter in control.named_parameters():
        if name.startswith("controlnet_cond_embedding") and parameter.dim() == 4:
            torch.nn.init.kaiming_normal_(parameter)
        elif not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)


def _shift_output(norm: nn.Module) -> None:
    """A new encoder's vectors have a mean of zero; a trained one's have not, and prompt weights rely on that."""
    import torch

    torch.nn.init.normal_(norm.get_parameter("bias"), mean=-0.1, std=0.1)


def _write_index(root: Path) -> None:
    index = {
        "_class_name": "StableDiffusionPipeline",
        "feature_extractor": [None, None],
        "image_encoder": [None, None],
        "requires_safety_checker": False,
        "safety_checker": [None, None],
        "scheduler": ["diffusers", "PNDMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    (root / "model_index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def _write_tokenizer(folder: Path) -> int:
    """A byte-level CLIP tokenizer without merges; returns the size of its vocabulary."""
    from tokenizers.pre_tokenizers import ByteLevel

    letters = sorted(ByteLevel.alphabet())
    symbols = [*letters, *(letter + "</w>" for letter in letters), _BOS, _EOS]
    config = {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": _MAX_TOKENS,
        "bos_token": _BOS,
        "eos_token": _EOS,
        "unk_token": _EOS,
        "pad_token": _EOS,
    }
    folder.mkdir(parents=True)
    files = {
        "vocab.json": json.dumps({symbol: i for i, symbol in enumerate(symbols)}, ensure_ascii=False),
        "merges.txt": "#version: 0.2\n",
        "tokenizer_config.json": json.dumps(config, indent=2) + "\n",
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return len(symbols)
