"""The transformers of Stable Diffusion 3 and FLUX.1 as networks that `sdgraph.diffusion` samples with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from sdgraph.errors import ModelError, SamplingError
from sdgraph.models.conditions import join_conditionings, join_guidance, join_pooled
from sdgraph.models.view import EVERYTHING
from sdgraph.payloads.conditioning import Conditioning
from sdgraph.payloads.handles import DenoiserHandle

if TYPE_CHECKING:
    from torch import Tensor

    from sdgraph.diffusion.schedule import NoiseSchedule
    from sdgraph.payloads.control import Control

PATCH = 2
"""Latent pixels per token, in each direction."""


class TransformerNetwork(ABC):
    """Predicts under several conditionings in one forward; see `sdgraph.diffusion.denoiser.Network`."""

    control_forwards = 0
    """No control is known for these families."""

    def __init__(self, transformer: Any, handle: DenoiserHandle, schedule: NoiseSchedule) -> None:
        self.view = EVERYTHING
        """Which pictures of the batch, and which part of them, the latents are that come in."""
        self.schedule = schedule
        self.forwards = 0
        """Forwards of the transformer so far."""
        self.module = transformer
        self._handle = handle

    def __call__(self, x: Tensor, timestep: Tensor, conditionings: tuple[Conditioning, ...]) -> Tensor:
        """The predicted velocity noise - x0, [k*B, C, h, w] like `x`.

        `x` is [k*B, C, h, w], `timestep` [k*B] in 0..1000; items j*B to (j+1)*B are under conditioning j of k. Raises
        SamplingError [latents-size], [latents-channels], [conditioning-width], [conditioning-pooled],
        [conditioning-entries].
        """
        import torch

        _require_patches(x)
        require_channels(x, self._handle)
        batch = x.shape[0] // len(conditionings)
        place = {"device": self.module.device, "dtype": self.module.dtype}
        with torch.no_grad():
            embedding = join_conditionings(conditionings, batch, self._handle.conditioning_width).to(**place)
            pooled = join_pooled(conditionings, batch, self._handle.pooled_width).to(**place)
            self.forwards += 1
            prediction = self._predict(x.to(**place), timestep.to(place["device"]), embedding, pooled, conditionings)
        return prediction.to(x.device, x.dtype)

    @abstractmethod
    def _predict(
        self, x: Tensor, timestep: Tensor, embedding: Tensor, pooled: Tensor, conditionings: tuple[Conditioning, ...]
    ) -> Tensor:
        """What the transformer predicts, [k*B, C, h, w]; everything is on its device and in its dtype."""


class Sd3Network(TransformerNetwork):
    """`SD3Transformer2DModel` (Esser et al. 2024, arXiv:2403.03206), which cuts the patches itself."""

    def _predict(
        self, x: Tensor, timestep: Tensor, embedding: Tensor, pooled: Tensor, conditionings: tuple[Conditioning, ...]
    ) -> Tensor:
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
            timestep=timestep,
            encoder_hidden_states=embedding,
            pooled_projections=pooled,
            return_dict=False,
        )[0]


class FluxNetwork(TransformerNetwork):
    """`FluxTransformer2DModel`: latents as a sequence of 2x2 patches, with the place of each beside it."""

    def _predict(
        self, x: Tensor, timestep: Tensor, embedding: Tensor, pooled: Tensor, conditionings: tuple[Conditioning, ...]
    ) -> Tensor:
        import torch

        guidance = None
        if self._handle.distilled_guidance:
            guidance = join_guidance(conditionings, x.shape[0] // len(conditionings)).to(x.device)
        prediction = self.module(
            hidden_states=pack(x),
            timestep=(timestep / 1000).to(x.dtype),
            guidance=guidance,
            pooled_projections=pooled,
            encoder_hidden_states=embedding,
            txt_ids=torch.zeros(embedding.shape[1], 3, device=x.device, dtype=x.dtype),
            img_ids=patch_places(x),
            return_dict=False,
        )[0]
        return unpack(prediction, x.shape[-2], x.shape[-1])


def pack(x: Tensor) -> Tensor:
    """[B, C, h, w] -> [B, h/2 * w/2, C*4]: each 2x2 patch as one token."""
    b, c, h, w = x.shape
    return x.reshape(b, c, h // 2, 2, w // 2, 2).permute(0, 2, 4, 1, 3, 5).reshape(b, (h // 2) * (w // 2), c * 4)


def unpack(tokens: Tensor, height: int, width: int) -> Tensor:
    """[B, h/2 * w/2, C*4] -> [B, C, h, w]; the inverse of `pack`."""
    b, _, c = tokens.shape
    patches = tokens.reshape(b, height // 2, width // 2, c // 4, 2, 2)
    return patches.permute(0, 3, 1, 4, 2, 5).reshape(b, c // 4, height, width)


def patch_places(x: Tensor) -> Tensor:
    """[h/2 * w/2, 3]: 0, row and column of each patch of latents [B, C, h, w]."""
    import torch

    rows, columns = (torch.arange(side // 2, device=x.device, dtype=x.dtype) for side in x.shape[-2:])
    row, column = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([torch.zeros_like(row), row, column], dim=-1).reshape(-1, 3)


def refuse_control(control: Control | None, handle: DenoiserHandle) -> None:
    """Raises ModelError [control-mismatch] for control that is not off: none is known for transformers."""
    if control and any(branch.strength for branch in control.branches):
        raise ModelError(
            "control-mismatch",
            f"Control works on the UNets of Stable Diffusion and SDXL; `{handle.source}` is a {handle.family} model.",
            "Sample without control.",
        )


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
