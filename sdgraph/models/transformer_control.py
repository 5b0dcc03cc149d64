"""What ControlNets add to the transformers of Stable Diffusion 3 and FLUX.1: opened, gated by progress and summed.

A ControlNet of these is a copy of the transformer's first blocks, whose answers are added to the tokens after the
transformer's own blocks (Zhang et al. 2023, arXiv:2302.05543, carried over as in Esser et al. 2024's published
networks). It has fewer blocks than the transformer, so each answer serves several of them.
"""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import TYPE_CHECKING, Any

from sdgraph.models.control_call import for_items, is_active, require_size
from sdgraph.models.controlnet import spread
from sdgraph.models.view import EVERYTHING, View
from sdgraph.payloads.control import ControlBranch

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class TransformerCall:
    """What a transformer is about to be called with, on its device and in its dtype."""

    x: Tensor
    """[k*B, C, h, w]: items j*B to (j+1)*B are under conditioning j of k."""
    timestep: Tensor
    """[k*B], 0..1000."""
    embedding: Tensor
    """[k*B, L, D]."""
    pooled: Tensor
    """[k*B, P]."""
    guidance: Tensor
    """[k*B]: what networks are told that take a guidance scale as an input."""
    batch: int
    """B."""
    progress: float
    """Sampling progress, 0..1."""
    negative: tuple[bool, ...] = ()
    """Of each conditioning, whether it is what to stay away from; empty: none is."""
    view: View = EVERYTHING
    """Which pictures of the batch, and which part of them, x is."""

    def is_negative(self, item: int) -> bool:
        """Whether an item, 0 to k*B - 1, is under a negative conditioning."""
        return bool(self.negative) and self.negative[item // self.batch]


@dataclass(frozen=True, slots=True, eq=False)
class Residuals:
    """What is added to the tokens after each block of a transformer, [k*B, tokens, width] each; empty: nothing."""

    blocks: list[Tensor] = field(default_factory=list["Tensor"])
    """One per block of both streams."""
    single: list[Tensor] = field(default_factory=list["Tensor"])
    """One per block of the joined stream, which FLUX.1 has."""


@dataclass(frozen=True, slots=True, eq=False)
class OpenTransformerNet(ABC):
    """A control branch with its network, and what that sees of the picture."""

    branch: ControlBranch
    net: Any
    seen: Tensor
    """[1 or B, 3, H, W] in -1..1, or latents [1 or B, C, h, w]."""
    downscale: int
    """Picture pixels per latent pixel."""

    def residuals(self, call: TransformerCall, transformer: Any) -> Residuals:
        """What it adds under all conditionings, from one forward; none, and no forward, where it acts on none.

        Raises SamplingError [control-size], [control-batch].
        """
        image = self.branch.image
        require_size((image.height_px, image.width_px), call, self.downscale)
        seen = for_items(self.seen, call, self.downscale if self.branch.net.sees == "pixels" else 1)
        rows = self._acting(call)
        if not rows:
            return Residuals()
        count = len(call.x)
        asked = self._ask(call, seen[rows].to(self.net.dtype), rows, transformer)
        answers = self._weighted([answer.to(call.x.dtype) for answer in (*asked.blocks, *asked.single)])
        if len(rows) < count:
            answers = [spread(answer, rows, count) for answer in answers]
        cut = len(asked.blocks)
        return self._dealt(Residuals(answers[:cut], answers[cut:]), transformer)

    @abstractmethod
    def _ask(self, call: TransformerCall, seen: Tensor, rows: list[int], transformer: Any) -> Residuals:
        """The network's answers for some items, one per block of its own."""

    @abstractmethod
    def _dealt(self, answers: Residuals, transformer: Any) -> Residuals:
        """The answers, one for each of the transformer's blocks."""

    def _acting(self, call: TransformerCall) -> list[int]:
        """The items that it acts on: all, or those of positive conditionings."""
        items = range(len(call.x))
        return [item for item in items if self.branch.mode != "control" or not call.is_negative(item)]

    def _weighted(self, answers: list[Tensor]) -> list[Tensor]:
        """From a tenth in the first layer to the whole in the last one, unless all weigh the same."""
        if self.branch.mode == "balanced":
            return answers
        import torch

        weights = torch.logspace(-1, 0, len(answers)).tolist()
        return [answer * weight for answer, weight in zip(answers, weights, strict=True)]


class OpenTransformerControl:
    """Control of a transformer, its networks leased."""

    def __init__(self, nets: Sequence[OpenTransformerNet] = (), tolerance: float = 0.0) -> None:
        self.forwards = 0
        """Forwards of ControlNets so far."""
        self._nets = tuple(nets)
        self._tolerance = tolerance

    def residuals(self, call: TransformerCall, transformer: Any) -> Residuals:
        """The sums of what the active branches add. Raises SamplingError [control-size], [control-batch]."""
        active = [net for net in self._nets if is_active(net.branch, call.progress, self._tolerance)]
        found = [net.residuals(call, transformer) for net in active]
        self.forwards += sum(bool(parts.blocks or parts.single) for parts in found)
        return Residuals(_sum([parts.blocks for parts in found]), _sum([parts.single for parts in found]))


def _sum(parts: Sequence[list[Tensor]]) -> list[Tensor]:
    """Place by place, the sums over the lists that are not empty.

    An answer that serves several blocks is one tensor in several places, and so is a sum of such.
    """
    filled = [part for part in parts if part]
    if len(filled) < 2:
        return filled[0] if filled else []
    sums: dict[tuple[int, ...], Tensor] = {}
    total: list[Tensor] = []
    for place in zip(*filled, strict=True):
        key = tuple(map(id, place))
        if key not in sums:
            sums[key] = reduce(operator.add, place)
        total.append(sums[key])
    return total
