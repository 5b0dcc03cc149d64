"""What can be done to a network's self-attention so that it predicts worse on purpose: plain data, no torch.

Guiders describe a perturbation; a network carries it out (`sdgraph.models.attention`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PerturbationKind = Literal["identity", "blur", "skip"]


@dataclass(frozen=True, slots=True)
class Perturbation:
    """One change, made to some layers of a network for as long as a prediction takes."""

    kind: PerturbationKind
    """`identity`: every position attends to itself alone. `blur`: queries are smoothed over the picture. `skip`: the
    whole transformer block lets its input through."""
    layers: tuple[str, ...] = ()
    """Names of blocks, or beginnings of names: `mid`, `down.1`, `up.0.attentions.1`, `blocks.7`. Empty: the middle."""
    blur_sigma: float | None = None
    """Standard deviation of the blur in positions of the layer; None: infinite, which is the mean over the picture."""
