"""The probability flow ODE, which solvers in sigma follow."""

from __future__ import annotations

from torch import Tensor

from sdgraph.diffusion.denoiser import Denoiser, sigma_for


def slope(denoise: Denoiser, x: Tensor, sigma: float) -> Tensor:
    """dx / dsigma [B, C, h, w] at x and `sigma`: (x - x0) / sigma (Karras et al. 2022, arXiv:2206.00364, equation 3).

    With sigmas exploding it is the noise estimate; for flow matching it is the velocity noise - x0.
    """
    return (x - denoise(x, sigma_for(x, sigma))) / sigma
