"""Experiments on self-attention: a denoiser that computes it in part, for a somewhat different picture."""

from collections.abc import Mapping
from typing import Any

from sdgraph.core.context import RunContext
from sdgraph.core.infer import Known
from sdgraph.core.node import Node
from sdgraph.core.port import In, port
from sdgraph.models.shortened import with_shortcuts
from sdgraph.payloads.handles import DenoiserHandle
from sdgraph_nodes.denoiser_change import known_change
from sdgraph_nodes.shortcuts import ShortDenoiserOut


class TopKAttention(Node[ShortDenoiserOut], type="model.top_k_attention", version=2, lane="io", cache=False):
    """Let each place of the picture attend to the few places only that suit it best.

    An experiment: the scores of all pairs are still computed, so it takes more time and memory than PyTorch's
    attention. Gupta et al. 2021, arXiv:2106.06899. For Stable Diffusion 1, 2 and XL. With 0 keys the denoiser stays as
    it is; of this and `model.linear_attention` the later one counts.
    """

    denoiser: In[DenoiserHandle]
    """The network that removes noise."""
    keys: In[int] = port(16, ge=0, le=65536)
    """How many places each one attends to; as many as there are give the usual picture, 0 leaves all as it is."""

    def infer(self, known: Known) -> Mapping[str, Any]:
        return known_change(known, self._with, self.keys)

    def run(self, ctx: RunContext) -> ShortDenoiserOut:
        return ShortDenoiserOut(denoiser=self._with(self.denoiser))

    def _with(self, denoiser: DenoiserHandle) -> DenoiserHandle:
        if self.keys == 0:
            return denoiser
        return with_shortcuts(denoiser, attended_keys=self.keys, random_features=0, features_seed=0)


class LinearAttention(Node[ShortDenoiserOut], type="model.linear_attention", version=1, lane="io", cache=False):
    """Approximate self-attention by random features, at a cost that grows with the picture's area, not its square.

    An experiment: models that were not trained for it draw worse. FAVOR+ of the Performer (Choromanski et al. 2021,
    arXiv:2009.14794). For Stable Diffusion 1, 2 and XL. With 0 features the denoiser stays as it is; of this and
    `model.top_k_attention` the later one counts.
    """

    denoiser: In[DenoiserHandle]
    """The network that removes noise."""
    features: In[int] = port(256, ge=0, le=8192)
    """How many random features stand for the attention; more are nearer to it, 0 leaves all as it is."""
    features_seed: In[int] = port(0, ge=0)
    """What the features are drawn with."""

    def infer(self, known: Known) -> Mapping[str, Any]:
        return known_change(known, self._with, self.features, self.features_seed)

    def run(self, ctx: RunContext) -> ShortDenoiserOut:
        return ShortDenoiserOut(denoiser=self._with(self.denoiser))

    def _with(self, denoiser: DenoiserHandle) -> DenoiserHandle:
        if self.features == 0:
            return denoiser
        chosen = {"random_features": self.features, "features_seed": self.features_seed}
        return with_shortcuts(denoiser, attended_keys=0, **chosen)
