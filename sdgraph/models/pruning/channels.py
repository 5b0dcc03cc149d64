"""Filters of residual blocks that matter little are cut out (Li et al. 2017, arXiv:1608.08710, section 3.1).

Only the channels between a block's two convolutions go, so that what it is given and gives keeps its width. They go in
the groups over which the block normalises: the statistics of a group that stays are those that it had.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sdgraph.models.pruning.surgery import Surgery, fewest

if TYPE_CHECKING:
    from torch import Tensor, nn


def residual_blocks(unet: nn.Module) -> list[Any]:
    """The residual blocks of a UNet."""
    return [module for module in unet.modules() if type(module).__name__ == "ResnetBlock2D"]


def group_importance(block: Any) -> Tensor:
    """[groups], float64: the L1 norm of the filters that make each group of the block's inner channels.

    Summed on the processor, so that what goes does not depend on the device.
    """
    import torch

    norms = block.conv1.weight.detach().to("cpu").abs().sum(dim=(1, 2, 3), dtype=torch.float64)
    return norms.unflatten(0, (block.norm2.num_groups, -1)).sum(dim=1)


def prune_channels(unet: nn.Module, share: float, surgery: Surgery) -> None:
    """Cut `share` of the inner groups of channels out of each residual block, the least important, but never all."""
    for block in residual_blocks(unet):
        kept = fewest(_importance(block), share)
        if len(kept) < block.norm2.num_groups:
            keep_groups(block, kept, surgery)


def keep_groups(block: Any, kept: list[int], surgery: Surgery) -> None:
    """Cut all inner groups but these out of a residual block."""
    width = block.norm2.num_channels // block.norm2.num_groups
    places = [group * width + channel for group in kept for channel in range(width)]
    first, norm, second = block.conv1, block.norm2, block.conv2
    for layer in (first, norm):
        surgery.keep(layer.weight, places)
        surgery.keep(layer.bias, places)
    surgery.keep(second.weight, places, axis=1)
    _keep_time(block, places, norm.num_channels, surgery)
    surgery.describe(first, out_channels=len(places))
    surgery.describe(norm, num_groups=len(kept), num_channels=len(places))
    surgery.describe(second, in_channels=len(places))


def _keep_time(block: Any, places: list[int], channels: int, surgery: Surgery) -> None:
    """What the timestep adds to the inner channels; it may scale them too, by a second half of the projection."""
    project = block.time_emb_proj
    if project is not None:
        halves = project.out_features // channels
        rows = [half * channels + place for half in range(halves) for place in places]
        surgery.keep(project.weight, rows)
        surgery.keep(project.bias, rows)
        surgery.describe(project, out_features=len(rows))


def _importance(block: Any) -> Tensor:
    """As `group_importance`; of a model without weights, none matters more than another."""
    import torch

    is_empty = block.conv1.weight.device.type == "meta"
    return torch.zeros(block.norm2.num_groups) if is_empty else group_importance(block)
