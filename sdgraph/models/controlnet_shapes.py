"""Configurations of ControlNets for Stable Diffusion 3 and FLUX.1, read off the shapes of their tensors.

Their makers publish files with the names of diffusers; XLabs' files for FLUX.1 have those of Black Forest Labs.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sdgraph.models.flux_keys import flux_to_diffusers
from sdgraph.models.shipped_configs import shipped_config
from sdgraph.models.weights import read_config

if TYPE_CHECKING:
    from torch import Tensor

Shapes = Mapping[str, tuple[int, ...]]
_SD3_MARK, _FLUX_MARK, _XLABS_MARK = "pos_embed_input.proj.weight", "controlnet_x_embedder.weight", "pos_embed_input."
_SD3_HEAD = 64
"""Width of an attention head in all published models of Stable Diffusion 3."""
_HINT = re.compile(r"input_hint_block\.(\d+)\.(weight|bias)")


def transformer_controlnet_config(shapes: Shapes) -> dict[str, Any] | None:
    """The configuration of a network with tensors of these names and shapes; None: it is for no transformer."""
    if _SD3_MARK in shapes:
        return _sd3_config(shapes)
    if _FLUX_MARK in shapes:
        return _flux_config(shapes)
    if is_xlabs(shapes):
        return _flux_config(xlabs_shapes(shapes))
    return None


def is_xlabs(named: Mapping[str, Any]) -> bool:
    """Whether names are those of XLabs' files for FLUX.1."""
    return f"{_XLABS_MARK}weight" in named and "double_blocks.0.img_attn.qkv.weight" in named


def xlabs_to_diffusers(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A ControlNet in XLabs' names, as diffusers names it."""
    own = {name: tensor for name, tensor in tensors.items() if _own_name(name) != name}
    rest = {name: tensor for name, tensor in tensors.items() if name not in own}
    return flux_to_diffusers(rest) | {_own_name(name): tensor for name, tensor in own.items()}


def xlabs_shapes(shapes: Shapes) -> dict[str, tuple[int, ...]]:
    """The shapes that matter here, under the names of diffusers."""
    import torch

    with torch.device("meta"):
        return {
            name: tuple(tensor.shape)
            for name, tensor in xlabs_to_diffusers({name: torch.empty(shape) for name, shape in shapes.items()}).items()
        }


def _own_name(name: str) -> str:
    """The name in diffusers of what a ControlNet has beside its copy of the transformer; others stay as they are."""
    if found := _HINT.fullmatch(name):
        place = int(found[1]) // 2
        layer = {0: "conv_in", 7: "conv_out"}.get(place, f"blocks.{place - 1}")
        return f"input_hint_block.{layer}.{found[2]}"
    return name.replace(_XLABS_MARK, "controlnet_x_embedder.")


def _sd3_config(shapes: Shapes) -> dict[str, Any]:
    inner, channels = shapes[_SD3_MARK][:2]
    prompt = shapes.get("context_embedder.weight")
    places = shapes.get("pos_embed.pos_embed")
    own = shapes["pos_embed.proj.weight"][1] if places else 16
    return {
        "_class_name": "SD3ControlNetModel",
        "in_channels": own,
        "num_layers": _count(shapes, "transformer_blocks"),
        "attention_head_dim": _SD3_HEAD,
        "num_attention_heads": inner // _SD3_HEAD,
        "joint_attention_dim": prompt[1] if prompt else None,
        "caption_projection_dim": prompt[0] if prompt else inner,
        "pooled_projection_dim": _pooled(shapes),
        "out_channels": own,
        "pos_embed_max_size": math.isqrt(places[1]) if places else None,
        "extra_conditioning_channels": channels - own,
        "dual_attention_layers": _with(shapes, "attn2.to_q.weight"),
        "qk_norm": "rms_norm" if "transformer_blocks.0.attn.norm_q.weight" in shapes else None,
        "use_pos_embed": places is not None,
        # Stability AI's networks, which see no prompt, see its pooled vector; InstantX's see zeros.
        "force_zeros_for_pooled_projection": prompt is not None,
    }


def _flux_config(shapes: Shapes) -> dict[str, Any]:
    published = read_config(shipped_config("flux") / "transformer" / "config.json")
    inner, channels = shapes["x_embedder.weight"]
    blocks = "transformer_blocks" if _count(shapes, "transformer_blocks") else "single_transformer_blocks"
    head = shapes[f"{blocks}.0.attn.norm_q.weight"][0]
    kinds, hint = shapes.get("controlnet_mode_embedder.weight"), shapes.get("input_hint_block.conv_out.weight")
    return {
        "_class_name": "FluxControlNetModel",
        "patch_size": math.isqrt(channels // hint[0]) if hint else published["patch_size"],
        "in_channels": channels,
        "num_layers": _count(shapes, "transformer_blocks"),
        "num_single_layers": _count(shapes, "single_transformer_blocks"),
        "attention_head_dim": head,
        "num_attention_heads": inner // head,
        "joint_attention_dim": shapes["context_embedder.weight"][1],
        "pooled_projection_dim": _pooled(shapes),
        "guidance_embeds": "time_text_embed.guidance_embedder.linear_1.weight" in shapes,
        "axes_dims_rope": published["axes_dims_rope"],
        "num_mode": kinds[0] if kinds else None,
        "conditioning_embedding_channels": hint[0] if hint else None,
    }


def _pooled(shapes: Shapes) -> int:
    return shapes["time_text_embed.text_embedder.linear_1.weight"][1]


def _count(shapes: Shapes, blocks: str) -> int:
    """How many blocks there are of a list."""
    return len({name.split(".")[1] for name in shapes if name.startswith(f"{blocks}.")})


def _with(shapes: Shapes, ending: str) -> tuple[int, ...]:
    """The numbers of the transformer blocks that have a tensor with this ending."""
    found = (re.fullmatch(rf"transformer_blocks\.(\d+)\.{re.escape(ending)}", name) for name in shapes)
    return tuple(sorted(int(match[1]) for match in found if match))
