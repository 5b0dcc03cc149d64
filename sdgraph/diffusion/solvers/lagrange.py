"""Integrals of interpolation polynomials: what linear multistep solvers weigh their history with."""

from __future__ import annotations

import math
from collections.abc import Sequence

from numpy.polynomial import Polynomial


def lagrange_integrals(nodes: Sequence[float], start: float, end: float, rate: float = 0.0) -> list[float]:
    """For each node i the integral from `start` to `end` of l_i(u) exp(rate (u - end)) du.

    l_i is the polynomial of least degree that is 1 at node i and 0 at the other nodes. The factor is at most 1 for a
    rate of at least 0, so nothing overflows.
    """
    shifted = [node - end for node in nodes]
    return [_integral(_lagrange(shifted, index), start - end, rate) for index in range(len(nodes))]


def _lagrange(nodes: Sequence[float], index: int) -> Polynomial:
    others = [node for place, node in enumerate(nodes) if place != index]
    numerator = Polynomial.fromroots(others) if others else Polynomial([1.0])
    return numerator / float(numerator(nodes[index]))


def _integral(polynomial: Polynomial, start: float, rate: float) -> float:
    """The integral of polynomial(v) exp(rate v) from `start` to 0, by repeated integration by parts."""
    if rate == 0:
        return -float(polynomial.integ()(start))
    antiderivative = sum(
        ((-1) ** k * polynomial.deriv(k) / rate ** (k + 1) for k in range(1, polynomial.degree() + 1)),
        start=polynomial / rate,
    )
    return float(antiderivative(0.0) - antiderivative(start) * math.exp(rate * start))
