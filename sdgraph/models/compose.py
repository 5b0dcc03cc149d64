"""The model that guiders see: a denoiser's network under conditionings of several parts."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from sdgraph.models.attention import perturbed
from sdgraph.models.network import Network, open_network
from sdgraph.models.pool import ModelPool
from sdgraph.payloads.conditioning import Conditioning
from sdgraph.payloads.control import Control
from sdgraph.payloads.handles import DenoiserHandle

if TYPE_CHECKING:
    from torch import Tensor

    from sdgraph.diffusion.denoiser import ModelDenoiser
    from sdgraph.diffusion.perturbation import Perturbation
    from sdgraph.diffusion.schedule import NoiseSchedule


class ComposedModel:
    """A denoiser under conditionings; see `sdgraph.diffusion.model.Model`."""

    def __init__(self, network: Network, plain: ModelDenoiser[Conditioning]) -> None:
        self.network = network
        self._plain = plain

    @property
    def schedule(self) -> NoiseSchedule:
        """The noise levels of the model."""
        return self.network.schedule

    def begin_step(self, index: int, sigma: float) -> None:
        """Say which step begins: its 0-based index in the leg, and its noise level."""

    def denoise(self, x: Tensor, sigma: Tensor, conditionings: tuple[Conditioning, ...]) -> tuple[Tensor, ...]:
        """The denoised latents [B, C, h, w] under each conditioning."""
        return self._plain.denoise(x, sigma, conditionings)

    def from_prediction(self, prediction: Tensor, x: Tensor, sigma: Tensor) -> Tensor:
        """The denoised latents that a prediction at `x`, `sigma` amounts to."""
        return self._plain.from_prediction(prediction, x, sigma)

    def to_prediction(self, denoised: Tensor, x: Tensor, sigma: Tensor) -> Tensor:
        """The prediction that amounts to `denoised`; the inverse of `from_prediction`."""
        return self._plain.to_prediction(denoised, x, sigma)

    def perturbed(self, perturbation: Perturbation) -> AbstractContextManager[None]:
        """Within the `with` block the network is perturbed. Raises ModelError [attention-layers]."""
        return perturbed(self.network.module, perturbation)


@contextmanager
def open_model(
    pool: ModelPool, handle: DenoiserHandle, control: Control | None = None, device: str = "cpu"
) -> Generator[ComposedModel]:
    """The model of a denoiser, its weights leased until the `with` block ends. Raises as `open_network`."""
    from sdgraph.diffusion.denoiser import ModelDenoiser

    with open_network(pool, handle, control, device) as network:
        yield ComposedModel(network, ModelDenoiser(network, network.schedule))
