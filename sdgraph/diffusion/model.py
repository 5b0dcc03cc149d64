"""What guiders see of a model: denoised latents under conditionings, and the way to predictions and back."""

from __future__ import annotations

from typing import Protocol, TypeVar

from torch import Tensor

C_contra = TypeVar("C_contra", contravariant=True)


class Model(Protocol[C_contra]):
    """A model under conditionings that are opaque to guiders; `ModelDenoiser` is the plain one."""

    def denoise(self, x: Tensor, sigma: Tensor, conditionings: tuple[C_contra, ...]) -> tuple[Tensor, ...]:
        """The denoised latents [B, C, h, w] under each conditioning; `x` has noise of deviation `sigma` [B]."""
        ...

    def from_prediction(self, prediction: Tensor, x: Tensor, sigma: Tensor) -> Tensor:
        """The denoised latents that a prediction at `x`, `sigma` amounts to."""
        ...

    def to_prediction(self, denoised: Tensor, x: Tensor, sigma: Tensor) -> Tensor:
        """The prediction that amounts to `denoised`; the inverse of `from_prediction`."""
        ...
