"""Attention heads that matter little are cut out (Michel et al. 2019, arXiv:1905.10650).

What a head adds to its layer's output is a mean of tokens, weighted by its attention, times its values and its part of
the output projection. Attention weights sum to 1, so for tokens of length 1 the norm of that product bounds what the
head can add (Kobayashi et al. 2020, arXiv:2004.10102, section 3: the norm of the transformed vectors, and not attention
alone).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sdgraph.models.attention import attention_blocks
from sdgraph.models.pruning.surgery import Surgery, fewest

if TYPE_CHECKING:
    from torch import Tensor, nn


def attention_layers(unet: nn.Module) -> list[Any]:
    """The attention layers of a UNet's transformer blocks, to the picture itself and to the prompt."""
    blocks = [dict(block.named_children()) for block in attention_blocks(unet).values()]
    return [block[name] for block in blocks for name in ("attn1", "attn2") if block.get(name) is not None]


def head_importance(attention: Any) -> Tensor:
    """[heads], float64: the Frobenius norm of each head's output projection times its value projection.

    |O V| of O [D, d] and V [d, C] is computed as sqrt(sum(O'O * VV')), so the product [D, C] is never made.
    """
    import torch

    heads = attention.heads
    value = attention.to_v.weight.detach().to("cpu", torch.float64).unflatten(0, (heads, -1))  # [heads, d, C]
    output = attention.to_out[0].weight.detach().to("cpu", torch.float64).unflatten(1, (heads, -1))  # [D, heads, d]
    output = output.transpose(0, 1)
    squared = ((output.mT @ output) * (value @ value.mT)).sum(dim=(1, 2))
    return squared.clamp_min(0).sqrt()


def prune_heads(unet: nn.Module, share: float, surgery: Surgery) -> None:
    """Cut `share` of the heads out of each attention layer of a UNet, the least important ones, but never all."""
    for attention in attention_layers(unet):
        kept = fewest(_importance(attention), share)
        if len(kept) < attention.heads:
            keep_heads(attention, kept, surgery)


def keep_heads(attention: Any, kept: list[int], surgery: Surgery) -> None:
    """Cut all heads but these out of an attention layer, whose input and output keep their width."""
    width = attention.to_q.out_features // attention.heads
    rows = [head * width + row for head in kept for row in range(width)]
    for project in (attention.to_q, attention.to_k, attention.to_v):
        surgery.keep(project.weight, rows)
        surgery.keep(project.bias, rows)
        surgery.describe(project, out_features=len(rows))
    output = attention.to_out[0]
    surgery.keep(output.weight, rows, axis=1)
    surgery.describe(output, in_features=len(rows))
    surgery.describe(attention, heads=len(kept), sliceable_head_dim=len(kept), kept_rows=rows)
    surgery.describe(attention, inner_dim=len(rows), inner_kv_dim=len(rows))


def _importance(attention: Any) -> Tensor:
    """As `head_importance`; of a model without weights, none matters more than another."""
    import torch

    is_empty = attention.to_v.weight.device.type == "meta"
    return torch.zeros(attention.heads) if is_empty else head_importance(attention)
