"""A UNet in memory that is pruned as a handle says, and brought back to what it was bit for bit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sdgraph.errors import ModelError
from sdgraph.models.pruning.channels import prune_channels
from sdgraph.models.pruning.heads import prune_heads
from sdgraph.models.pruning.surgery import Surgery
from sdgraph.payloads.handles import DenoiserHandle
from sdgraph.payloads.pruning import NO_PRUNING, Pruning

if TYPE_CHECKING:
    from torch import nn


class Pruned:
    """A model, and what is cut out of it. Patches come first: what matters least is told by the patched weights."""

    def __init__(self, model: nn.Module) -> None:
        self.key = NO_PRUNING
        """What is cut out."""
        self._model = model
        self._surgery = Surgery()

    def bring_to(self, pruning: Pruning) -> None:
        """Cut that out, and nothing else. After an error nothing is cut out."""
        if pruning == self.key:
            return
        self.restore()
        try:
            prune(self._model, pruning, self._surgery)
        except BaseException:
            self._surgery.undo()
            raise
        self.key = pruning

    def restore(self) -> None:
        """Have the model whole."""
        self._surgery.undo()
        self.key = NO_PRUNING

    @property
    def extra_bytes(self) -> int:
        """Memory beside the weights of the whole model: those of the layers that were cut."""
        return self._surgery.cut_bytes


def prune(unet: nn.Module, pruning: Pruning, surgery: Surgery) -> None:
    """Cut out of a UNet what `pruning` says."""
    if pruning.heads_share:
        prune_heads(unet, pruning.heads_share, surgery)
    if pruning.channels_share:
        prune_channels(unet, pruning.channels_share, surgery)


def with_pruning(denoiser: DenoiserHandle, **shares: float) -> DenoiserHandle:
    """The handle with other `Pruning` shares. Raises ModelError [pruning-family] for what is no UNet."""
    pruning = replace(denoiser.pruning, **shares)
    if pruning != NO_PRUNING and denoiser.inner_width:
        raise ModelError(
            "pruning-family",
            f"Heads and channels are pruned from UNets (Stable Diffusion 1, 2, XL), and `{denoiser.source}` is a "
            f"transformer of the family {denoiser.family}.",
            "Leave the node out.",
            port="denoiser",
        )
    return replace(denoiser, pruning=pruning)
