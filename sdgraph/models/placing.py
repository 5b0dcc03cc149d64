"""Where a model's weights lie: how many bytes they are, and moving them to another device."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from sdgraph.models.towers import TextModel

if TYPE_CHECKING:
    from torch import nn

CPU = "cpu"
"""Where models wait that have to leave their device."""


def modules_of(model: Any) -> Iterable[nn.Module]:
    """The modules with weights that a model in the pool is made of."""
    return model.modules if isinstance(model, TextModel) else (model,)


def model_bytes(model: Any) -> int:
    """Memory of a model's weights and buffers, in bytes."""
    return sum(
        tensor.nbytes
        for module in modules_of(model)
        for tensor in itertools.chain(module.parameters(), module.buffers())
    )


def move_model(model: Any, device: str) -> None:
    """Bring a model's weights to `device`, in place and bit for bit."""
    for module in modules_of(model):
        module.to(device)


def give_back(device: str) -> None:
    """Hand memory that torch's allocator keeps for later back to a device."""
    if device == CPU:
        return
    import torch

    if device.startswith("cuda"):
        torch.cuda.empty_cache()
    elif device.startswith("mps"):
        torch.mps.empty_cache()
