"""How ancestral solvers divide a step: down below the next noise level, then up to it with fresh noise."""

from __future__ import annotations

from dataclasses import dataclass

from sdgraph.diffusion.solvers.contract import Span


@dataclass(frozen=True)
class Division:
    """The two halves of an ancestral step."""

    down: float
    """The sigma that the deterministic half leads to."""
    scale: float
    """What x is multiplied by there, so that its signal is that of the next sigma."""
    up: float
    """Standard deviation of the noise that is then added."""


def ancestral_noise(sigma: float, sigma_next: float) -> float:
    """Standard deviation of the noise that a full ancestral step adds; never more than `sigma_next`.

    It is that of the posterior (Ho et al. 2020, arXiv:2006.11239, equation 7), with sigmas exploding.
    """
    return sigma_next * max(1 - (sigma_next / sigma) ** 2, 0.0) ** 0.5


def divided(span: Span) -> Division:
    """The division of a whole ancestral step (Song et al. 2021, arXiv:2011.13456, appendix F).

    For flow matching, the sigma goes down by the same ratio once more, and signal and noise are brought to what they
    are at the next sigma, as diffusers' `LTXEulerAncestralRFScheduler` does.
    """
    if span.schedule.path == "flow":
        down = span.sigma_next * span.kept
        scale = span.alpha_next / span.schedule.alpha(down)
        return Division(down, scale, max(span.sigma_next**2 - (scale * down) ** 2, 0.0) ** 0.5)
    up = ancestral_noise(span.sigma, span.sigma_next)
    return Division((span.sigma_next**2 - up**2) ** 0.5, 1.0, up)
