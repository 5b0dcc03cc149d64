"""How signal and noise are mixed at a noise level: the conventions that noisy latents come in.

* `exploding`: x = x0 + sigma * noise. Variance preserving models are brought to this form by division by their signal
  level (Karras et al. 2022, arXiv:2206.00364, appendix C.1).
* `flow`: x = (1 - sigma) * x0 + sigma * noise, with sigma 0..1: the straight path of flow matching (Lipman et al. 2023,
  arXiv:2210.02747, section 4.1; Liu et al. 2023, arXiv:2209.03003).

In both, the probability flow ODE is dx / dsigma = (x - x0) / sigma, so methods that follow it in sigma need not know
which one they are on. Methods in the log of the signal-to-noise ratio ask `log_snr_step`.
"""

from __future__ import annotations

import math
from typing import Literal

NoisePath = Literal["exploding", "flow"]

_PUREST_NOISE = 1 - 1e-6


def signal_level(path: NoisePath, sigma: float) -> float:
    """The factor of x0 in x at `sigma`."""
    return 1.0 - sigma if path == "flow" else 1.0


def log_snr_step(path: NoisePath, sigma: float, sigma_next: float) -> float:
    """How much lambda = log(signal level / sigma) grows from `sigma` to `sigma_next`; infinite for `sigma_next` 0.

    Pure noise (sigma 1 of a flow) has a lambda of minus infinity, for which solvers have no formula; like diffusers,
    this takes the sigma just below it.
    """
    if sigma_next == 0:
        return math.inf
    if path == "flow":
        sigma, sigma_next = min(sigma, _PUREST_NOISE), min(sigma_next, _PUREST_NOISE)
    signal, signal_next = signal_level(path, sigma), signal_level(path, sigma_next)
    return math.log((sigma * signal_next) / (sigma_next * signal))
