"""A denoiser, with what control adds to it, as the network that `sdgraph.diffusion` samples with."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

from sdgraph.models.attention import perturbed
from sdgraph.models.conditions import join_conditionings, join_facts, join_pooled
from sdgraph.models.control import ROUNDING_TIMESTEPS, OpenControl, acting_branches, open_control
from sdgraph.models.control_call import UNetCall
from sdgraph.models.families import FAMILIES
from sdgraph.models.inpainting import require_picture, with_picture
from sdgraph.models.memory.parts import join, parts_of
from sdgraph.models.open_transformer_control import open_transformer_control
from sdgraph.models.pool import ModelPool
from sdgraph.models.transfers import Courier, send
from sdgraph.models.transformer_network import FluxNetwork, Sd3Network, TransformerNetwork, require_channels
from sdgraph.models.view import EVERYTHING
from sdgraph.payloads.conditioning import Conditioning
from sdgraph.payloads.control import Control
from sdgraph.payloads.handles import DenoiserHandle

if TYPE_CHECKING:
    from torch import Tensor

    from sdgraph.diffusion.perturbation import Perturbation
    from sdgraph.diffusion.schedule import NoiseSchedule


class UNetNetwork:
    """Predicts under several conditionings in one forward; see `sdgraph.diffusion.denoiser.Network`."""

    def __init__(
        self,
        unet: Any,
        handle: DenoiserHandle,
        schedule: NoiseSchedule,
        control: OpenControl | None = None,
        channels: Tensor | None = None,
        courier: Courier | None = None,
    ) -> None:
        self.view = EVERYTHING
        """Which pictures of the batch, and which part of them, the latents are that come in."""
        self.schedule = schedule
        self.forwards = 0
        """Forwards of the UNet so far."""
        self.module = unet
        self._handle = handle
        self._control = control or OpenControl()
        self._channels = require_picture(handle, channels)
        self._courier = courier or Courier(str(unet.device))

    @property
    def control_forwards(self) -> int:
        """Forwards of ControlNets so far."""
        return self._control.forwards

    @property
    def transfers(self) -> int:
        """Encoded prompts that were brought from another device so far."""
        return self._courier.transfers

    def __call__(self, x: Tensor, timestep: Tensor, conditionings: tuple[Conditioning, ...]) -> Tensor:
        """The prediction [k*B, C, h, w], like `x`.

        `x` is [k*B, C, h, w], `timestep` [k*B]; items j*B to (j+1)*B are under conditioning j of k. Raises
        SamplingError [latents-channels], [conditioning-width], [conditioning-pooled], [conditioning-entries],
        [control-size], [control-batch].
        """
        import torch

        require_channels(x, self._handle)
        with torch.no_grad():
            call = self._call(x, timestep, conditionings)
            prediction = join([self._forward(part) for part in parts_of(call)])
        return send(prediction, x.device, x.dtype)

    def _forward(self, call: UNetCall) -> Tensor:
        with self._control.acting(call) as more:
            self.forwards += 1
            added = dict(call.added) or None
            seen = with_picture(call, self._channels)
            return self.module(seen, call.timestep, added_cond_kwargs=added, **more, return_dict=False)[0]

    def perturbed(self, perturbation: Perturbation) -> AbstractContextManager[None]:
        """Within the `with` block the UNet's self-attention is perturbed. Raises ModelError [attention-layers]."""
        return perturbed(self.module, perturbation)

    def _call(self, x: Tensor, timestep: Tensor, conditionings: tuple[Conditioning, ...]) -> UNetCall:
        batch = x.shape[0] // len(conditionings)
        device, dtype = self.module.device, self.module.dtype
        there = self._courier.bring(conditionings)
        embedding = send(join_conditionings(there, batch, self._handle.conditioning_width), device, dtype)
        progress = self.schedule.progress_of(float(timestep[0]))
        added = {name: send(tensor, device, dtype) for name, tensor in self._added(x, there, batch).items()}
        negative = tuple(conditioning.entries[0].negative for conditioning in conditionings)
        x, timestep = send(x, device, dtype), send(timestep, device)
        return UNetCall(x, timestep, embedding, batch, progress, added, negative, self.view)

    def _added(self, x: Tensor, conditionings: tuple[Conditioning, ...], batch: int) -> dict[str, Tensor]:
        """What SDXL's UNet takes beside the embedding: the pooled prompt, and numbers about the picture."""
        numbers = FAMILIES[self._handle.family].size_numbers
        if not numbers:
            return {}
        step = self._handle.space.downscale
        size_px = (x.shape[-2] * step, x.shape[-1] * step)
        return {
            "text_embeds": join_pooled(conditionings, batch, self._handle.pooled_width),
            "time_ids": join_facts(conditionings, batch, size_px, numbers),
        }


Network: TypeAlias = UNetNetwork | TransformerNetwork


@contextmanager
def open_network(
    pool: ModelPool,
    handle: DenoiserHandle,
    control: Control | None = None,
    device: str = "cpu",
    channels: Tensor | None = None,
) -> Generator[Network]:
    """The network of a denoiser, its models leased until the `with` block ends.

    `channels` [1 or B, 1 + C, h, w] are the mask and the visible part of the picture, for denoisers that were trained
    for inpainting; others ignore them.

    Control of strength 0 is left out and not even loaded. Raises ModelError, [control-mismatch] for control of another
    kind of model.
    """
    from sdgraph.diffusion.schedule import NoiseSchedule

    schedule = NoiseSchedule.from_config(handle.scheduler)
    kind = {"sd3": Sd3Network, "flux": FluxNetwork}.get(handle.family)
    branches = acting_branches(control, handle)
    tolerance = ROUNDING_TIMESTEPS / schedule.count
    courier = Courier(pool.device_for(handle, device), pool.arrivals)
    if kind is not None:
        with (
            pool.lease(handle, device) as transformer,
            open_transformer_control(pool, branches, handle, device, tolerance) as added,
        ):
            yield kind(transformer, handle, schedule, added, courier)
        return
    with (
        pool.lease(handle, device) as unet,
        open_control(pool, branches, handle, device, unet, tolerance) as opened,
    ):
        yield UNetNetwork(unet, handle, schedule, opened, channels, courier)
