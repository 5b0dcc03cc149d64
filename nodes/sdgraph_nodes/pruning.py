"""Pruning: a denoiser with fewer weights, for a somewhat different picture."""

from collections.abc import Mapping
from typing import Any

from sdgraph.core.context import RunContext
from sdgraph.core.infer import Known
from sdgraph.core.node import Node, Outputs
from sdgraph.core.port import In, Out, port
from sdgraph.models.pruning.pruned import with_pruning
from sdgraph.payloads.handles import DenoiserHandle
from sdgraph_nodes.denoiser_change import known_change


class PrunedDenoiserOut(Outputs):
    """The denoiser without what is cut out."""

    denoiser: Out[DenoiserHandle]
    """For samplers; for no other it changes anything."""


class PruneHeads(Node[PrunedDenoiserOut], type="model.prune_heads", version=1, lane="io", cache=False):
    """Cut the least important heads out of every attention layer: fewer weights, less to compute, a changed picture.

    A head's importance is the norm of its output projection times its value projection (after Kobayashi et al. 2020,
    arXiv:2004.10102; Michel et al. 2019, arXiv:1905.10650). LoRAs come first, wherever they stand. The run tells
    parameters and operations before and after. For Stable Diffusion 1, 2 and XL. With a share of 0 the denoiser stays
    as it is.
    """

    denoiser: In[DenoiserHandle]
    """The network that removes noise."""
    share: In[float] = port(0.25, ge=0, le=0.9)
    """Share of the heads of each layer, rounded down; one head stays."""

    def infer(self, known: Known) -> Mapping[str, Any]:
        return known_change(known, lambda denoiser: with_pruning(denoiser, heads_share=self.share), self.share)

    def run(self, ctx: RunContext) -> PrunedDenoiserOut:
        return PrunedDenoiserOut(denoiser=with_pruning(self.denoiser, heads_share=self.share))


class PruneChannels(Node[PrunedDenoiserOut], type="model.prune_channels", version=2, lane="io", cache=False):
    """Cut the least important channels out of every residual block: fewer weights, less to compute, a changed picture.

    Of the channels between a block's two convolutions go those whose filters have the smallest L1 norm (Li et al. 2017,
    arXiv:1608.08710), in whole groups of the block's normalisation. LoRAs come first, wherever they stand. The run
    tells parameters and operations before and after. For Stable Diffusion 1, 2 and XL. With a share of 0 the denoiser
    stays as it is.
    """

    denoiser: In[DenoiserHandle]
    """The network that removes noise."""
    share: In[float] = port(0.25, ge=0, le=0.9)
    """Share of the inner channels of each block, rounded down to whole groups; one group stays."""

    def infer(self, known: Known) -> Mapping[str, Any]:
        return known_change(known, lambda denoiser: with_pruning(denoiser, channels_share=self.share), self.share)

    def run(self, ctx: RunContext) -> PrunedDenoiserOut:
        return PrunedDenoiserOut(denoiser=with_pruning(self.denoiser, channels_share=self.share))
