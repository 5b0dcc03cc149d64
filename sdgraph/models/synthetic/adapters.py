"""Adapters beside a tiny synthetic UNet: a T2I-Adapter, IP-Adapters of two kinds, and their image encoder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

T2I_ADAPTER, IMAGE_ENCODER = "t2i_adapter", "image_encoder"
SAFETY_CHECKER = "safety_checker"
IP_ADAPTER, IP_ADAPTER_PLUS = "ip_adapter", "ip_adapter_plus"
_PICTURE_WIDTH, _PATCH_WIDTH = 24, 16
_TOKENS = 4
_RESAMPLER_WIDTH, _RESAMPLER_DEPTH = 64, 4


def write_adapters(unet: Any, root: Path) -> None:
    """Write each into a folder of its own below `root`."""
    from safetensors.torch import save_file
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    _t2i_adapter(unet).save_pretrained(str(root / T2I_ADAPTER))
    config = CLIPVisionConfig(
        hidden_size=_PATCH_WIDTH,
        intermediate_size=32,
        projection_dim=_PICTURE_WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=32,
        patch_size=8,
    )
    CLIPVisionModelWithProjection(config).save_pretrained(str(root / IMAGE_ENCODER))
    for name, projection in ((IP_ADAPTER, _linear_projection(unet)), (IP_ADAPTER_PLUS, _resampler(unet))):
        (root / name).mkdir()
        tensors = {f"image_proj.{key}": value for key, value in projection.items()} | _attention(unet)
        save_file(tensors, root / name / f"{name}.safetensors")


def _t2i_adapter(unet: Any) -> Any:
    from diffusers.models.adapter import T2IAdapter

    large = unet.config.addition_embed_type == "text_time"
    return T2IAdapter(
        channels=list(unet.config.block_out_channels),
        num_res_blocks=1,
        downscale_factor=16 if large else 8,
        adapter_type="full_adapter_xl" if large else "full_adapter",
    )


def _attention(unet: Any) -> dict[str, Tensor]:
    """Keys and values per cross-attention layer, numbered as h94's files do: by all attention layers."""
    weights: dict[str, Tensor] = {}
    layers = [name.removesuffix(".processor") for name in unet.attn_processors]
    for number, name in enumerate(layers):
        if name.endswith("attn2"):
            for part in ("to_k", "to_v"):
                weights[f"ip_adapter.{number}.{part}_ip.weight"] = _random(
                    *unet.get_submodule(f"{name}.{part}").weight.shape
                )
    return weights


def _linear_projection(unet: Any) -> dict[str, Tensor]:
    width = unet.config.cross_attention_dim
    return {
        "proj.weight": _random(_TOKENS * width, _PICTURE_WIDTH),
        "proj.bias": _random(_TOKENS * width),
        **_norm("norm", width),
    }


def _resampler(unet: Any) -> dict[str, Tensor]:
    """A perceiver resampler under the names of the original files."""
    width, out = _RESAMPLER_WIDTH, unet.config.cross_attention_dim
    weights = {"latents": _random(1, _TOKENS, width), **_norm("norm_out", out)}
    for name, rows, columns in (("proj_in", width, _PATCH_WIDTH), ("proj_out", out, width)):
        weights |= {f"{name}.weight": _random(rows, columns), f"{name}.bias": _random(rows)}
    for layer in range(_RESAMPLER_DEPTH):
        attention, forward = f"layers.{layer}.0", f"layers.{layer}.1"
        weights |= (
            _norm(f"{attention}.norm1", width) | _norm(f"{attention}.norm2", width) | _norm(f"{forward}.0", width)
        )
        weights |= {
            f"{attention}.to_q.weight": _random(width, width),
            f"{attention}.to_kv.weight": _random(2 * width, width),
            f"{attention}.to_out.weight": _random(width, width),
            f"{forward}.1.weight": _random(4 * width, width),
            f"{forward}.3.weight": _random(width, 4 * width),
        }
    return weights


def _norm(name: str, width: int) -> dict[str, Tensor]:
    import torch

    return {f"{name}.weight": torch.ones(width), f"{name}.bias": torch.zeros(width)}


def _random(*shape: int) -> Tensor:
    """Weights that keep the size of what goes through them."""
    import torch

    return torch.randn(*shape) / max(shape[-1], 1) ** 0.5


def write_safety_checker(root: Path) -> None:
    """Write a safety checker with random concepts, at thresholds that few pictures reach."""
    import torch
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
    from transformers import CLIPConfig

    vision = {
        "hidden_size": _PATCH_WIDTH,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 32,
        "patch_size": 8,
        "projection_dim": _PICTURE_WIDTH,
    }
    checker: Any = StableDiffusionSafetyChecker(CLIPConfig(vision_config=vision, projection_dim=_PICTURE_WIDTH))
    for concepts in (checker.concept_embeds, checker.special_care_embeds):
        torch.nn.init.normal_(concepts)
    for thresholds in (checker.concept_embeds_weights, checker.special_care_embeds_weights):
        torch.nn.init.constant_(thresholds, 0.5)
    checker.save_pretrained(str(root / SAFETY_CHECKER))
