"""Shortcuts: a denoiser that computes less, for a somewhat different picture."""

from collections.abc import Mapping
from typing import Any

from sdgraph.core.context import RunContext
from sdgraph.core.infer import Known
from sdgraph.core.node import Node, Outputs
from sdgraph.core.port import In, Out, port
from sdgraph.models.shortened import with_shortcuts
from sdgraph.payloads.handles import DenoiserHandle
from sdgraph_nodes.denoiser_change import known_change


class ShortDenoiserOut(Outputs):
    """The denoiser with the shortcut."""

    denoiser: Out[DenoiserHandle]
    """For samplers; for no other it changes anything."""


class MergeTokens(Node[ShortDenoiserOut], type="model.merge_tokens", version=2, lane="io", cache=False):
    """Let self-attention look at fewer tokens: similar ones are merged before it (ToMe), for large pictures above all.

    Bolya & Hoffman 2023, arXiv:2303.17604. The picture changes a little; the larger it is, the more time is saved. For
    Stable Diffusion 1, 2 and XL. With a share of 0 the denoiser stays as it is.
    """

    denoiser: In[DenoiserHandle]
    """The network that removes noise."""
    share: In[float] = port(0.5, ge=0, le=0.75)
    """Share of the tokens that are merged with others."""
    levels: In[int] = port(1, ge=1, le=4)
    """In how many levels of the network that have self-attention, from that with the most tokens on; most of the time
    is spent in the first."""

    def infer(self, known: Known) -> Mapping[str, Any]:
        return known_change(known, self._with, self.share, self.levels)

    def run(self, ctx: RunContext) -> ShortDenoiserOut:
        return ShortDenoiserOut(denoiser=self._with(self.denoiser))

    def _with(self, denoiser: DenoiserHandle) -> DenoiserHandle:
        return with_shortcuts(denoiser, merged_share=self.share, merged_levels=self.levels if self.share else 1)


class ReuseFeatures(Node[ShortDenoiserOut], type="model.reuse_features", version=1, lane="io", cache=False):
    """Compute the deep part of the network at every few steps only, and use it again in between (DeepCache).

    Ma et al. 2023, arXiv:2312.00858. The picture changes a little, with many steps hardly. Each stage of a sampler, and
    each part of `sd.sampler_advanced`, begins with a whole evaluation. For Stable Diffusion 1, 2 and XL. With `every` 1
    the denoiser stays as it is.
    """

    denoiser: In[DenoiserHandle]
    """The network that removes noise."""
    every: In[int] = port(3, ge=1, le=20)
    """At every so many steps the whole network is computed."""
    layers: In[int] = port(1, ge=1, le=3)
    """How many of the network's outermost layers are computed at each step; more is slower and nearer to the whole."""

    def infer(self, known: Known) -> Mapping[str, Any]:
        return known_change(known, self._with, self.every, self.layers)

    def run(self, ctx: RunContext) -> ShortDenoiserOut:
        return ShortDenoiserOut(denoiser=self._with(self.denoiser))

    def _with(self, denoiser: DenoiserHandle) -> DenoiserHandle:
        return with_shortcuts(denoiser, reuse_every=self.every, reuse_layers=self.layers if self.every > 1 else 1)
