"""What is cut out of a denoiser's weights. It is part of its handle."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pruning:
    """Shares of a UNet's parts that are removed, the least important ones first; the defaults remove nothing."""

    heads_share: float = 0.0
    """Share of the heads of each attention layer, 0..0.9; one head stays at least."""
    channels_share: float = 0.0
    """Share of the inner channels of each residual block, 0..0.9, in whole groups of its normalisation; one stays."""


NO_PRUNING = Pruning()
"""Everything is there."""
