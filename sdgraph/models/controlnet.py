"""ControlNets: what they add to a UNet's features (Zhang et al. 2023), and which fit which denoiser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sdgraph.errors import ModelError
from sdgraph.models.control_call import UNetCall, for_items, mismatch
from sdgraph.models.families import FAMILIES
from sdgraph.payloads.control import ControlBranch
from sdgraph.payloads.handles import ControlNetHandle, DenoiserHandle, VaeHandle

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class OpenControlNet:
    """A control branch with its network and its picture as a tensor."""

    branch: ControlBranch
    net: Any
    picture: Tensor
    """[1 or B, 3, H, W] in 0..1, with parts hidden as `shown` does."""
    downscale: int

    def residuals(self, call: UNetCall) -> list[Tensor]:
        """What is added to the UNet's features, from the first skip connection to the middle, each [k*B, C', h', w'].

        One forward for all conditionings it acts on; no forward, and an empty list, where it acts on none. Raises
        SamplingError [control-size], [control-batch].
        """
        acting = self._acting(call)
        if not acting:
            return []
        whole = len(acting) == call.x.shape[0]
        rows = slice(None) if whole else acting
        added = self._ask(call, rows)
        return added if whole else [spread(part, acting, call.x.shape[0]) for part in added]

    def _ask(self, call: UNetCall, rows: slice | list[int]) -> list[Tensor]:
        """The network's answers for some items, each [n, C', h', w']."""
        picture = for_items(self.picture, call, self.downscale)
        down, mid = self.net(
            call.x[rows],
            call.timestep[rows],
            call.embedding[rows],
            picture[rows],
            conditioning_scale=self.branch.strength,
            guess_mode=self.branch.mode != "balanced",
            added_cond_kwargs={name: value[rows] for name, value in call.added.items()} or None,
            return_dict=False,
        )
        return [*down, mid]

    def _acting(self, call: UNetCall) -> list[int]:
        """The items that it acts on: all, or those of positive conditionings."""
        items = range(call.x.shape[0])
        # A net that was trained on pooled features (shuffle) works on the positive side only, as in diffusers.
        if self.branch.mode != "control" and not self.net.config.global_pool_conditions:
            return list(items)
        return [item for item in items if not call.is_negative(item)]


def shown(branch: ControlBranch) -> NDArray[np.float32]:
    """The control picture [1 or B, 3, H, W] in 0..1, hidden by the branch's mask as the network was trained.

    Hidden are pixels of -1 for networks for inpainting (ControlNet 1.1's for Stable Diffusion 1.5), and black ones for
    union networks, as in the example of diffusers' `StableDiffusionXLControlNetUnionInpaintPipeline`.
    """
    pixels = branch.image.pixels
    if branch.mask is None:
        return pixels
    return np.where(branch.mask.values > 0.5, np.float32(0 if branch.net.kinds else -1), pixels)


def require_match(net: ControlNetHandle, denoiser: DenoiserHandle) -> None:
    """Raises ModelError [control-mismatch] for a ControlNet of another kind of model."""
    # A network that sees no prompt fits any width; a denoiser whose tokens are not known is tried.
    width = net.conditioning_width or denoiser.conditioning_width
    inner = net.inner_width if denoiser.inner_width else 0
    found = _kind(net.family, width, net.downscale, inner)
    expected = _kind(
        denoiser.family, denoiser.conditioning_width, denoiser.space.downscale, net.inner_width and denoiser.inner_width
    )
    if found != expected:
        raise mismatch(f"The ControlNet `{net.source}`", found, f"is {expected}")


def require_encoder(net: ControlNetHandle, vae: VaeHandle) -> None:
    """Raises ModelError [latent-space-mismatch] for an autoencoder whose latents the network does not know."""
    space = FAMILIES[net.family].space
    if net.sees == "latents" and vae.space.name != space:
        raise ModelError(
            "latent-space-mismatch",
            f"The ControlNet `{net.source}` sees latents of the space `{space}`, the autoencoder `{vae.source}` makes "
            f"those of `{vae.space.name}`.",
            "Connect the autoencoder of the denoiser's own model, or none.",
            port="vae",
        )


def _kind(family: str, width: int, downscale: int, inner: int) -> str:
    tokens = f", {inner}-wide tokens" if inner else ""
    return f"{family} with {width}-wide conditioning{tokens} and 1/{downscale} latents"


def spread(part: Tensor, rows: list[int], count: int) -> Tensor:
    """[len(rows), ...] as [count, ...], zero elsewhere."""
    spread = part.new_zeros(count, *part.shape[1:])
    spread[rows] = part
    return spread
