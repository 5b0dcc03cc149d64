"""The kinds of change that a patch makes to a weight, each as a difference that is added to it.

All arithmetic is float32. A weight is [out, in] or [out, in, kh, kw]; `rows` are the output rows that are asked for,
because some files hold one change for several weights on top of each other. Norms and biases are weights of [out].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor


class Adapter(Protocol):
    """A change to a weight."""

    def delta(self, weight: Tensor, rows: slice) -> Tensor:
        """What is added to `weight`, the base's rows that `rows` of this change are for; of the same shape."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class LowRank:
    """LoRA (Hu et al. 2021, arXiv:2106.09685, section 4.1): scale * up @ down, with r inner numbers.

    For convolutions `down` is [r, in, kh, kw] and `up` [out, r, 1, 1]. With `mid` [r, r, kh, kw] (LyCORIS'
    "cp decomposition", Yeh et al. 2023, arXiv:2309.14859, appendix) both are 1x1.
    """

    down: Tensor
    up: Tensor
    scale: float
    mid: Tensor | None = None

    def delta(self, weight: Tensor, rows: slice) -> Tensor:
        import torch

        up = self.up[rows].flatten(1)
        if self.mid is None:
            return self.scale * (up @ self.down.flatten(1)).reshape(weight.shape)
        return self.scale * torch.einsum("or,rskl,si->oikl", up, self.mid, self.down.flatten(1)).reshape(weight.shape)


@dataclass(frozen=True, slots=True, eq=False)
class Hadamard:
    """LoHa (FedPara; Hyeon-Woo et al. 2021, arXiv:2108.06098, section 2.2): scale * (a1 @ b1) * (a2 @ b2).

    `a` are [out, r] and `b` [r, in * kh * kw]; with `cores` [r, r, kh, kw] (Tucker form) `a` are [r, out], `b` [r, in].
    """

    first: tuple[Tensor, Tensor]
    second: tuple[Tensor, Tensor]
    scale: float
    cores: tuple[Tensor, Tensor] | None = None

    def delta(self, weight: Tensor, rows: slice) -> Tensor:
        if self.cores is None:
            products = [a[rows] @ b for a, b in (self.first, self.second)]
        else:
            pairs = zip(self.cores, (self.first, self.second), strict=True)
            products = [_tucker(core, a[:, rows], b) for core, (a, b) in pairs]
        return self.scale * (products[0] * products[1]).reshape(weight.shape)


@dataclass(frozen=True, slots=True, eq=False)
class Kronecker:
    """LoKr (Yeh et al. 2023, arXiv:2309.14859, section 3.2): the Kronecker product of `left` and `right`, times scale.

    `left` is [o1, i1]; `right` is [o2, i2] or [o2, i2, kh, kw]. Each is one tensor, or the product of two.
    """

    left: Tensor | tuple[Tensor, Tensor]
    right: Tensor | tuple[Tensor, Tensor]
    scale: float
    core: Tensor | None = None
    """[r, r, kh, kw]: `right` is in Tucker form, [r, o2] and [r, i2]."""

    def delta(self, weight: Tensor, rows: slice) -> Tensor:
        import torch

        left, right = _whole(self.left), _whole(self.right, self.core)
        left = left.reshape(*left.shape, *[1] * (right.dim() - left.dim()))
        return self.scale * torch.kron(left, right.contiguous())[rows].reshape(weight.shape)


@dataclass(frozen=True, slots=True, eq=False)
class Difference:
    """The change itself ("full", "diff", and LyCORIS' norms and biases)."""

    diff: Tensor

    def delta(self, weight: Tensor, rows: slice) -> Tensor:
        return self.diff[rows].reshape(weight.shape)


@dataclass(frozen=True, slots=True, eq=False)
class Scaling:
    """(IA)^3 (Liu et al. 2022, arXiv:2205.05638, section 3.3): each input or output channel times 1 + `factor`."""

    factor: Tensor
    """[in] or [out]."""
    on_input: bool

    def delta(self, weight: Tensor, rows: slice) -> Tensor:
        places = [1] * weight.dim()
        places[1 if self.on_input else 0] = -1
        factor = self.factor if self.on_input else self.factor[rows]
        return weight * factor.reshape(places)


@dataclass(frozen=True, slots=True, eq=False)
class Decomposed:
    """DoRA (Liu et al. 2024, arXiv:2402.09353, equation 5): m * (W + D) / |W + D|, with a learnt magnitude m.

    Norms are taken per output row, or per input channel where `magnitude` has one number for each of those. A strength
    other than 1 goes that part of the way from W to the result.
    """

    direction: Adapter
    magnitude: Tensor
    """[out], or [in] with `on_input`."""
    on_input: bool = False

    def delta(self, weight: Tensor, rows: slice) -> Tensor:
        import torch

        moved = weight + self.direction.delta(weight, rows)
        kept = 1 if self.on_input else 0
        places = [1] * weight.dim()
        places[kept] = -1
        norm = torch.linalg.vector_norm(moved, dim=[axis for axis in range(weight.dim()) if axis != kept])
        magnitude = self.magnitude if self.on_input else self.magnitude[rows]
        # A row of zeros has no direction; LyCORIS adds the same smallest step before it divides.
        return moved * (magnitude / (norm + torch.finfo(norm.dtype).eps)).reshape(places) - weight


def _whole(factor: Tensor | tuple[Tensor, Tensor], core: Tensor | None = None) -> Tensor:
    if not isinstance(factor, tuple):
        return factor
    return factor[0] @ factor[1] if core is None else _tucker(core, *factor)


def _tucker(core: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """[out, in, kh, kw] of a core [r, r, kh, kw], `a` [r, out] and `b` [r, in]."""
    import torch

    return torch.einsum("ijkl,ip,jr->prkl", core, a, b)
