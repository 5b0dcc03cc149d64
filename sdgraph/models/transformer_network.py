"""The transformers of Stable Diffusion 3 and FLUX.1 as networks that `sdgraph.diffusion` samples with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from sdgraph.errors import SamplingError
from sdgraph.models.conditions import join_conditionings, join_guidance, join_pooled
from sdgraph.models.flux_patches import pack, patch_places, unpack
from sdgraph.models.memory.parts import join, parts_of
from sdgraph.models.transfers import Courier, send
from sdgraph.models.transformer_control import OpenTransformerControl, Residuals, TransformerCall
from sdgraph.models.view import EVERYTHING
from sdgraph.payloads.conditioning import Conditioning
from sdgraph.payloads.handles import DenoiserHandle

if TYPE_CHECKING:
    from torch import Tensor

    from sdgraph.diffusion.schedule import NoiseSchedule

PATCH = 2
"""Latent pixels per token, in each direction."""


class TransformerNetwork(ABC):
    """Predicts under several conditionings in one forward; see `sdgraph.diffusion.denoiser.Network`."""

    def __init__(
        self,
        transformer: Any,
        handle: DenoiserHandle,
        schedule: NoiseSchedule,
        control: OpenTransformerControl | None = None,
        courier: Courier | None = None,
    ) -> None:
        self.view = EVERYTHING
        """Which pictures of the batch, and which part of them, the latents are that come in."""
        self.schedule = schedule
        self.forwards = 0
        """Forwards of the transformer so far."""
        self.module = transformer
        self._handle = handle
        self._control = control or OpenTransformerControl()
        self._courier = courier or Courier(str(transformer.device))

    @property
    def control_forwards(self) -> int:
        """Forwards of ControlNets so far."""
        return self._control.forwards

    @property
    def transfers(self) -> int:
        """Encoded prompts that were brought from another device so far."""
        return self._courier.transfers

    def __call__(self, x: Tensor, timestep: Tensor, conditionings: tuple[Conditioning, ...]) -> Tensor:
        """The predicted velocity noise - x0, [k*B, C, h, w] like `x`.

        `x` is [k*B, C, h, w], `timestep` [k*B] in 0..1000; items j*B to (j+1)*B are under conditioning j of k. Raises
        SamplingError [latents-size], [latents-channels], [conditioning-width], [conditioning-pooled],
        [conditioning-entries], [control-size], [control-batch].
        """
        import torch

        _require_patches(x)
        require_channels(x, self._handle)
        with torch.no_grad():
            call = self._call(x, timestep, conditionings)
            prediction = join([self._forward(part) for part in parts_of(call)])
        return send(prediction, x.device, x.dtype)

    def _forward(self, call: TransformerCall) -> Tensor:
        added = self._control.residuals(call, self.module)
        self.forwards += 1
        return self._predict(call, added)

    def _call(self, x: Tensor, timestep: Tensor, conditionings: tuple[Conditioning, ...]) -> TransformerCall:
        batch = x.shape[0] // len(conditionings)
        device, dtype = self.module.device, self.module.dtype
        there = self._courier.bring(conditionings)
        schedule = self.schedule.for_latents(*self.view.whole(x))
        return TransformerCall(
            send(x, device, dtype),
            send(timestep, device),
            send(join_conditionings(there, batch, self._handle.conditioning_width), device, dtype),
            send(join_pooled(there, batch, self._handle.pooled_width), device, dtype),
            send(join_guidance(conditionings, batch), device),
            batch,
            schedule.progress_of(float(timestep[0])),
            tuple(conditioning.entries[0].negative for conditioning in conditionings),
            self.view,
        )

    @abstractmethod
    def _predict(self, call: TransformerCall, added: Residuals) -> Tensor:
        """What the transformer predicts, [k*B, C, h, w]."""


class Sd3Network(TransformerNetwork):
    """`SD3Transformer2DModel` (Esser et al. 2024, arXiv:2403.03206), which cuts the patches itself."""

    def _predict(self, call: TransformerCall, added: Residuals) -> Tensor:
        x = call.x
        most = self.module.config.pos_embed_max_size * PATCH
        if max(x.shape[-2:]) > most:
            raise SamplingError(
                "latents-size",
                f"This model draws pictures of at most {most * self._handle.space.downscale} pixels a side, found "
                f"{x.shape[-1] * self._handle.space.downscale}x{x.shape[-2] * self._handle.space.downscale}.",
                "Draw a smaller picture and enlarge it.",
            )
        return self.module(
            hidden_states=x,
            timestep=call.timestep,
            encoder_hidden_states=call.embedding,
            pooled_projections=call.pooled,
            block_controlnet_hidden_states=added.blocks or None,
            return_dict=False,
        )[0]


class FluxNetwork(TransformerNetwork):
    """`FluxTransformer2DModel`: latents as a sequence of 2x2 patches, with the place of each beside it."""

    def _predict(self, call: TransformerCall, added: Residuals) -> Tensor:
        import torch

        x = call.x
        prediction = self.module(
            hidden_states=pack(x),
            timestep=(call.timestep / 1000).to(x.dtype),
            guidance=call.guidance if self._handle.distilled_guidance else None,
            pooled_projections=call.pooled,
            encoder_hidden_states=call.embedding,
            controlnet_block_samples=added.blocks or None,
            controlnet_single_block_samples=added.single or None,
            txt_ids=torch.zeros(call.embedding.shape[1], 3, device=x.device, dtype=x.dtype),
            img_ids=patch_places(x),
            return_dict=False,
        )[0]
        return unpack(prediction, x.shape[-2], x.shape[-1])


def require_channels(x: Tensor, handle: DenoiserHandle) -> None:
    """Raises SamplingError [latents-channels] unless latents [B, C, h, w] have the channels of the model's space."""
    if x.shape[1] != handle.space.channels:
        raise SamplingError(
            "latents-channels",
            f"The denoiser `{handle.source}` takes latents of {handle.space.channels} channels, found {x.shape[1]}.",
            "Use the autoencoder and the denoiser of one model family.",
        )


def _require_patches(x: Tensor) -> None:
    if x.shape[-1] % PATCH or x.shape[-2] % PATCH:
        raise SamplingError(
            "latents-size",
            f"This model takes latents of an even width and height, found {x.shape[-1]}x{x.shape[-2]}.",
            "Use a picture whose sides are multiples of 16 pixels.",
        )
