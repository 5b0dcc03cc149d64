"""The guidance that FLUX.1 dev takes as an input."""

from sdgraph.core.context import RunContext
from sdgraph.core.node import Node
from sdgraph.core.port import In, port
from sdgraph.payloads.conditioning import Conditioning
from sdgraph_nodes.encode_text import ConditioningOut


class SetDistilledGuidance(Node[ConditioningOut], type="conditioning.distilled_guidance", version=1):
    """Tell FLUX.1 dev how strongly to follow the prompt.

    The model was trained to draw in one evaluation what guidance draws in two, and takes its scale as an input. That is
    not the sampler's `guidance`, which stays at 1. Without this node the scale is 3.5; other models do not listen.
    """

    conditioning: In[Conditioning]
    """An encoded prompt."""
    scale: In[float] = port(3.5, ge=0, le=100)
    """The scale; 1 to 10 is usual."""

    def run(self, ctx: RunContext) -> ConditioningOut:
        return ConditioningOut(conditioning=self.conditioning.changed(distilled_guidance=self.scale))
