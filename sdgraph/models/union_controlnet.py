"""Union ControlNets for SDXL (`ControlNetUnionModel`): one network for several kinds of pictures, seen together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from sdgraph.models.control_call import UNetCall, for_items
from sdgraph.models.controlnet import OpenControlNet
from sdgraph.payloads.control import ControlBranch, kinds_of

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class OpenUnionNet(OpenControlNet):
    """A union network that is told what its pictures show.

    Pictures of branches that follow each other, with the same network, mode, start and end, are shown to it together,
    as it was trained; the strength of each is then a factor on what it sees of that picture.
    """

    more: tuple[tuple[ControlBranch, Tensor], ...] = ()
    """Further branches with their pictures."""

    def _ask(self, call: UNetCall, rows: slice | list[int]) -> list[Tensor]:
        import torch

        seen = ((self.branch, self.picture), *self.more)
        kinds = [kinds_of(branch.net).index(branch.shows) for branch, _ in seen]
        x = call.x[rows]
        told = torch.zeros(len(x), self.branch.net.kinds, device=x.device, dtype=x.dtype)
        told[:, kinds] = 1
        down, mid = self.net(
            x,
            call.timestep[rows],
            call.embedding[rows],
            [for_items(picture, call, self.downscale)[rows] for _, picture in seen],
            control_type=told,
            control_type_idx=kinds,
            conditioning_scale=[branch.strength for branch, _ in seen],
            guess_mode=self.branch.mode != "balanced",
            added_cond_kwargs={name: value[rows] for name, value in call.added.items()} or None,
            return_dict=False,
        )
        return [*down, mid]


def together(branches: Sequence[ControlBranch]) -> list[tuple[ControlBranch, ...]]:
    """Branches in groups that one evaluation serves: each alone, except those that a union network sees together."""
    groups: list[tuple[ControlBranch, ...]] = []
    for (_, union, *_), found in groupby(branches, _company):
        company = tuple(found)
        groups.extend([company] if union else [(branch,) for branch in company])
    return groups


def _company(branch: ControlBranch) -> tuple[Any, ...]:
    union = branch.net.family == "sdxl" and branch.net.kinds > 0
    return branch.net.pool_key, union, branch.mode, branch.start, branch.end
