"""Names of FLUX.1's weights in Black Forest Labs' layout and in that of diffusers.

Two things differ beside names. The original keeps query, key and value in one matrix; and of the last layer's two
modulations it has the shift first where diffusers has the scale.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_OUTER = {
    "img_in": "x_embedder",
    "txt_in": "context_embedder",
    "time_in.in_layer": "time_text_embed.timestep_embedder.linear_1",
    "time_in.out_layer": "time_text_embed.timestep_embedder.linear_2",
    "vector_in.in_layer": "time_text_embed.text_embedder.linear_1",
    "vector_in.out_layer": "time_text_embed.text_embedder.linear_2",
    "guidance_in.in_layer": "time_text_embed.guidance_embedder.linear_1",
    "guidance_in.out_layer": "time_text_embed.guidance_embedder.linear_2",
    "final_layer.linear": "proj_out",
    "final_layer.adaLN_modulation.1": "norm_out.linear",
}
_DOUBLE = {
    "img_mod.lin": "norm1.linear",
    "txt_mod.lin": "norm1_context.linear",
    "img_attn.proj": "attn.to_out.0",
    "txt_attn.proj": "attn.to_add_out",
    "img_attn.norm.query_norm": "attn.norm_q",
    "img_attn.norm.key_norm": "attn.norm_k",
    "txt_attn.norm.query_norm": "attn.norm_added_q",
    "txt_attn.norm.key_norm": "attn.norm_added_k",
    "img_mlp.0": "ff.net.0.proj",
    "img_mlp.2": "ff.net.2",
    "txt_mlp.0": "ff_context.net.0.proj",
    "txt_mlp.2": "ff_context.net.2",
}
_SINGLE = {
    "modulation.lin": "norm.linear",
    "linear2": "proj_out",
    "norm.query_norm": "attn.norm_q",
    "norm.key_norm": "attn.norm_k",
}
_JOINED = {
    "img_attn.qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "txt_attn.qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
}
_BLOCK = re.compile(r"(double|single)_blocks\.(\d+)\.(.+)\.(weight|bias|scale)")


def flux_to_diffusers(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A transformer's weights in the original layout, without prefix, as diffusers names them.

    A name that is not known stays as it is, for the caller to report.
    """
    found: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        block = _BLOCK.fullmatch(name)
        found |= _outer(name, tensor) if block is None else _block(name, tensor, block)
    return found


def _outer(name: str, tensor: Tensor) -> dict[str, Tensor]:
    import torch

    stem, _, kind = name.rpartition(".")
    if stem == "final_layer.adaLN_modulation.1":
        shift, scale = tensor.chunk(2)
        tensor = torch.cat([scale, shift])
    return {f"{_OUTER[stem]}.{kind}" if stem in _OUTER else name: tensor}


def _block(name: str, tensor: Tensor, block: re.Match[str]) -> dict[str, Tensor]:
    place, number, part, kind = block.groups()
    root = f"{'transformer_blocks' if place == 'double' else 'single_transformer_blocks'}.{number}"
    ending = "weight" if kind == "scale" else kind
    if place == "double" and part in _JOINED:
        return {
            f"{root}.{target}.{ending}": third for target, third in zip(_JOINED[part], tensor.chunk(3), strict=True)
        }
    if place == "single" and part == "linear1":
        return {f"{root}.{target}.{ending}": rows for target, rows in _split_linear1(tensor).items()}
    target = (_DOUBLE if place == "double" else _SINGLE).get(part)
    return {f"{root}.{target}.{ending}" if target else name: tensor}


def _split_linear1(tensor: Tensor) -> dict[str, Tensor]:
    """Query, key, value and the hidden layer of the MLP, which is four times as wide as each of them."""
    width = tensor.shape[0] // 7
    query, key, value, hidden = tensor.split([width, width, width, tensor.shape[0] - 3 * width])
    return {"attn.to_q": query, "attn.to_k": key, "attn.to_v": value, "proj_mlp": hidden}
