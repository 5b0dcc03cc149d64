"""Adams-Bashforth weights for even steps, which the PNDM family uses on uneven ones too."""

from __future__ import annotations

from torch import Tensor

_WEIGHTS = (
    (1.0,),
    (3 / 2, -1 / 2),
    (23 / 12, -16 / 12, 5 / 12),
    (55 / 24, -59 / 24, 37 / 24, -9 / 24),
)
"""By how many outputs there are, newest first (Liu et al. 2022, arXiv:2202.09778, equation 12 for the last row)."""


def combined(outputs: tuple[Tensor, ...]) -> Tensor:
    """One output [B, C, h, w] from the last 1 to 4, given oldest first."""
    weights = _WEIGHTS[len(outputs) - 1]
    total = weights[0] * outputs[-1]
    for weight, output in zip(weights[1:], reversed(outputs[:-1]), strict=True):
        total = total + weight * output
    return total
