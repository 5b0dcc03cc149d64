"""How large a pruned UNet is, and how much it computes, beside the whole one: told by shapes, without any weights."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sdgraph.core.context import current_context
from sdgraph.models.families import FAMILIES
from sdgraph.models.pool_events import name_of
from sdgraph.models.pruning.pruned import prune
from sdgraph.models.pruning.surgery import Surgery
from sdgraph.payloads.handles import DenoiserHandle
from sdgraph.payloads.pruning import NO_PRUNING

if TYPE_CHECKING:
    from torch import Tensor, nn

PROMPT_TOKENS = 77


@dataclass(frozen=True, slots=True)
class NetworkCost:
    """A network's size, and its work for one picture of the size that it was trained on under one prompt."""

    parameters: int
    flops: int
    """Floating point operations of one evaluation; a multiplication and an addition are two."""


@lru_cache(maxsize=32)
def network_costs(handle: DenoiserHandle, config: str) -> tuple[NetworkCost, NetworkCost]:
    """A whole UNet and the same pruned as its handle says; `config` is its configuration, JSON."""
    import torch
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    with torch.device("meta"):
        unet: Any = UNet2DConditionModel.from_config(json.loads(config))
    whole = _cost(unet, handle)
    prune(unet, handle.pruning, Surgery())
    return whole, _cost(unet, handle)


def tell_pruning(handle: DenoiserHandle, unet: Any) -> None:
    """Tell the run whose node evaluates a UNet what pruning saves of it, if there is a run and anything is pruned."""
    context = current_context()
    if context is None or handle.pruning == NO_PRUNING:
        return
    whole, pruned = network_costs(handle, json.dumps(dict(unet.config)))
    context.tell(
        "model",
        what="pruned",
        model=name_of(handle),
        device=str(unet.device),
        parameters=pruned.parameters,
        parameters_whole=whole.parameters,
        flops=pruned.flops,
        flops_whole=whole.flops,
    )


def _cost(unet: nn.Module, handle: DenoiserHandle) -> NetworkCost:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    sample, timestep, given = _inputs(unet, handle)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        unet(sample, timestep, **given, return_dict=False)
    return NetworkCost(sum(parameter.numel() for parameter in unet.parameters()), counter.get_total_flops())


def _inputs(unet: Any, handle: DenoiserHandle) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """Latents [1, C, h, w], a timestep [1], and what else the network takes, all of them without numbers."""
    import torch

    with torch.device("meta"):
        side = handle.sample_px // handle.space.downscale
        sample, timestep = torch.empty(1, unet.config.in_channels, side, side), torch.empty(1)
        given: dict[str, Any] = {"encoder_hidden_states": torch.empty(1, PROMPT_TOKENS, handle.conditioning_width)}
        if handle.pooled_width:
            numbers = FAMILIES[handle.family].size_numbers
            facts = {"text_embeds": torch.empty(1, handle.pooled_width), "time_ids": torch.empty(1, numbers)}
            given["added_cond_kwargs"] = facts
    return sample, timestep, given
