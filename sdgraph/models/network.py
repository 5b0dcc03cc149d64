"""A UNet, with what control adds to it, as the network that `sdgraph.diffusion` samples with."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sdgraph.errors import SamplingError
from sdgraph.models.control import ROUNDING_TIMESTEPS, OpenControl, UNetCall, acting_branches, open_control
from sdgraph.models.pool import ModelPool
from sdgraph.payloads.conditioning import Conditioning
from sdgraph.payloads.control import Control
from sdgraph.payloads.handles import DenoiserHandle

if TYPE_CHECKING:
    from torch import Tensor

    from sdgraph.diffusion.schedule import NoiseSchedule


class UNetNetwork:
    """Predicts under several conditionings in one forward; see `sdgraph.diffusion.denoiser.Network`."""

    def __init__(
        self, unet: Any, handle: DenoiserHandle, schedule: NoiseSchedule, control: OpenControl | None = None
    ) -> None:
        self.schedule = schedule
        self.forwards = 0
        """Forwards of the UNet so far."""
        self._unet = unet
        self._handle = handle
        self._control = control or OpenControl()

    @property
    def control_forwards(self) -> int:
        """Forwards of ControlNets so far."""
        return self._control.forwards

    def __call__(self, x: Tensor, timestep: Tensor, conditionings: tuple[Conditioning, ...]) -> Tensor:
        """The prediction [k*B, C, h, w], like `x`.

        `x` is [k*B, C, h, w], `timestep` [k*B]; items j*B to (j+1)*B are under conditioning j of k. Raises
        SamplingError [conditioning-width], [conditioning-entries], [control-size], [control-batch].
        """
        import torch

        with torch.no_grad():
            call = self._call(x, timestep, conditionings)
            more = self._control.arguments(call)
            self.forwards += 1
            prediction = self._unet(call.x, call.timestep, call.embedding, **more, return_dict=False)[0]
        return prediction.to(x.device, x.dtype)

    def _call(self, x: Tensor, timestep: Tensor, conditionings: tuple[Conditioning, ...]) -> UNetCall:
        batch = x.shape[0] // len(conditionings)
        place = {"device": self._unet.device, "dtype": self._unet.dtype}
        embedding = join_conditionings(conditionings, batch, self._handle.conditioning_width).to(**place)
        progress = self.schedule.progress_of(float(timestep[0]))
        return UNetCall(x.to(**place), timestep.to(place["device"]), embedding, batch, progress)


@contextmanager
def open_network(
    pool: ModelPool, handle: DenoiserHandle, control: Control | None = None, device: str = "cpu"
) -> Generator[UNetNetwork]:
    """The network of a denoiser, its models leased until the `with` block ends.

    Control of strength 0 is left out and not even loaded. Raises ModelError, [control-mismatch] for control of another
    kind of model.
    """
    from sdgraph.diffusion.schedule import NoiseSchedule

    branches = acting_branches(control, handle)
    schedule = NoiseSchedule.from_config(handle.scheduler)
    tolerance = ROUNDING_TIMESTEPS / schedule.count
    with pool.lease(handle, device) as unet, open_control(pool, branches, handle, device, tolerance) as opened:
        yield UNetNetwork(unet, handle, schedule, opened)


def join_conditionings(conditionings: Sequence[Conditioning], batch: int, width: int) -> Tensor:
    """Embeddings [k*B, L, D], each conditioning repeated `batch` times.

    Shorter ones are lengthened by repeating their last vector, as A1111 does. Raises SamplingError
    [conditioning-width] and [conditioning-entries].
    """
    import torch

    embeddings = [_embedding(conditioning, width) for conditioning in conditionings]
    length = max(embedding.shape[1] for embedding in embeddings)
    padded = [
        torch.cat([embedding, embedding[:, -1:].expand(-1, length - embedding.shape[1], -1)], dim=1)
        for embedding in embeddings
    ]
    return torch.cat([embedding.expand(batch, -1, -1) for embedding in padded])


def _embedding(conditioning: Conditioning, width: int) -> Tensor:
    if len(conditioning.entries) != 1:
        raise SamplingError(
            "conditioning-entries",
            f"The sampler takes conditioning of one prompt, found {len(conditioning.entries)}.",
            "Encode one text.",
        )
    embedding = conditioning.entries[0].embedding
    if embedding.shape[-1] != width:
        raise SamplingError(
            "conditioning-width",
            f"The denoiser takes conditioning vectors of {width} numbers, found {embedding.shape[-1]}.",
            "Encode the prompt with the text encoder of the same checkpoint.",
        )
    return embedding
