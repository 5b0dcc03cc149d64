"""Cutting rows and columns out of a model's tensors, and putting the originals back.

Masks and `torch.nn.utils.prune` keep every shape, so nothing gets smaller or quicker. Here the shapes shrink, together
with those of all layers that depend on them (Fang et al. 2023, DepGraph, arXiv:2301.12900, section 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

_ABSENT = object()


class Surgery:
    """What was cut so far. A cut tensor's original is set aside, not copied. Not for two threads at once."""

    def __init__(self) -> None:
        self._tensors: list[tuple[nn.Parameter, Tensor]] = []
        self._attributes: list[tuple[nn.Module, str, Any]] = []
        self.cut_bytes = 0
        """Memory of what stands in for the originals; these are kept beside it."""

    def keep(self, parameter: nn.Parameter | None, places: Sequence[int], axis: int = 0) -> None:
        """Of a parameter, only these places along an axis; a layer without it (a bias) is left as it is."""
        import torch

        if parameter is not None:
            self._tensors.append((parameter, parameter.data))
            chosen = torch.tensor(places, device=parameter.device)
            parameter.data = parameter.data.index_select(axis, chosen)
            self.cut_bytes += parameter.nbytes

    def describe(self, module: nn.Module, **attributes: Any) -> None:
        """Have a module say what it is like from here on, such as how many heads it has."""
        for name, value in attributes.items():
            self._attributes.append((module, name, module.__dict__.get(name, _ABSENT)))
            setattr(module, name, value)

    def undo(self) -> None:
        """Give every tensor its own memory back, and every module what it said of itself."""
        while self._tensors:
            parameter, original = self._tensors.pop()
            parameter.data = original
        self.cut_bytes = 0
        while self._attributes:
            module, name, value = self._attributes.pop()
            if value is _ABSENT:
                delattr(module, name)
            else:
                setattr(module, name, value)


def fewest(importance: Tensor, share: float) -> list[int]:
    """The places of [n] that stay, in order, when `share` of them goes, the least important first; one stays."""
    count = len(importance)
    gone = min(int(share * count + 1e-9), count - 1)
    order: list[int] = importance.argsort(stable=True).tolist()
    return sorted(order[gone:])
