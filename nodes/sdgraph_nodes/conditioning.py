"""Conditionings put together: all of them, one after the other, in between, or none."""

from collections.abc import Mapping
from typing import Any

from sdgraph.core.context import RunContext
from sdgraph.core.infer import Known
from sdgraph.core.node import Node
from sdgraph.core.port import In, port
from sdgraph.models.conditioning_algebra import averaged, combined, concatenated, zeroed
from sdgraph.models.facts import ConditioningFact
from sdgraph.models.prompt_join import require_width
from sdgraph.payloads.conditioning import Conditioning
from sdgraph_nodes.encode_text import ConditioningOut


class _Pair(Node[ConditioningOut]):
    """What works on two conditionings."""

    first: In[Conditioning]
    """The conditioning that the other one is added to."""
    second: In[Conditioning]
    """The other conditioning."""

    def infer(self, known: Known) -> Mapping[str, Any]:
        first, second = known.get("first"), known.get("second")
        if isinstance(first, ConditioningFact) and isinstance(second, ConditioningFact):
            require_width(second.width, first.width)
        return {"conditioning": first or second}


class CombineConditioning(_Pair, type="conditioning.combine", version=1):
    """Let both conditionings apply: where and when they do, the predictions under them are averaged by strength.

    Costs one network evaluation for each prompt. Masks, areas and ranges stay with their prompts.
    """

    def run(self, ctx: RunContext) -> ConditioningOut:
        return ConditioningOut(conditioning=combined(self.first, self.second))


class ConcatConditioning(_Pair, type="conditioning.concat", version=1):
    """Put the second conditioning's vectors behind the first one's, as if both were one long prompt.

    The second must be of one prompt. Costs no further evaluation; BREAK in an a1111 prompt does the same.
    """

    def run(self, ctx: RunContext) -> ConditioningOut:
        return ConditioningOut(conditioning=concatenated(self.first, self.second))


class AverageConditioning(_Pair, type="conditioning.average", version=1):
    """Mix the vectors of two conditionings: a prompt between the two. The second must be of one prompt."""

    share: In[float] = port(0.5, ge=0, le=1)
    """Share of the first conditioning: 1 is the first alone, 0 the second."""

    def run(self, ctx: RunContext) -> ConditioningOut:
        return ConditioningOut(conditioning=averaged(self.first, self.second, self.share))


class ZeroConditioning(Node[ConditioningOut], type="conditioning.zero_out", version=1):
    """Set all vectors of a conditioning to 0, which SDXL and SD 3 were trained to take for no prompt at all."""

    conditioning: In[Conditioning]
    """What is emptied; its length, masks and ranges stay."""

    def infer(self, known: Known) -> Mapping[str, Any]:
        return {"conditioning": known.get("conditioning")}

    def run(self, ctx: RunContext) -> ConditioningOut:
        return ConditioningOut(conditioning=zeroed(self.conditioning))
