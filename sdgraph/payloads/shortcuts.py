"""Ways to compute less of a denoiser, at the price of a somewhat different picture. They are part of its handle."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shortcuts:
    """What is left out of a UNet's evaluations; the defaults leave nothing out."""

    merged_share: float = 0.0
    """Share of the picture's tokens, 0..0.75, that self-attention merges with others (ToMe)."""
    merged_levels: int = 1
    """In how many of the UNet's levels that have self-attention, from the one with the most tokens on."""
    reuse_every: int = 1
    """Deep features are computed at every so many steps, and used again in between (DeepCache); 1: at each."""
    reuse_layers: int = 1
    """How many layers of the outermost block are computed at each step, 1..3."""

    attended_keys: int = 0
    """How many keys each query of self-attention sees, the best ones; 0: all."""
    random_features: int = 0
    """By how many random features self-attention is approximated (FAVOR+); 0: it is not."""
    features_seed: int = 0
    """What these features are drawn with."""

    @property
    def reuses(self) -> bool:
        """Whether an evaluation may depend on those of the steps before."""
        return self.reuse_every > 1


NO_SHORTCUTS = Shortcuts()
"""Everything is computed."""
