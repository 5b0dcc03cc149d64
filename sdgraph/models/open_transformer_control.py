"""Opening the control of a transformer: networks leased, pictures shown to the autoencoder where they see latents."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from sdgraph.errors import ModelError
from sdgraph.models.flux_controlnet import OpenFluxNet
from sdgraph.models.pool import ModelPool
from sdgraph.models.sd3_controlnet import OpenSd3Net, as_seen
from sdgraph.models.transformer_control import OpenTransformerControl, OpenTransformerNet
from sdgraph.models.vae import encode_image
from sdgraph.payloads.control import Branch, ControlBranch
from sdgraph.payloads.handles import DenoiserHandle, PoolKey, VaeHandle
from sdgraph.payloads.image import Image
from sdgraph.payloads.latents import require_same_space
from sdgraph.payloads.mask import Mask

if TYPE_CHECKING:
    from torch import Tensor

_KINDS: Mapping[str, type[OpenTransformerNet]] = {"sd3": OpenSd3Net, "flux": OpenFluxNet}


@contextmanager
def open_transformer_control(
    pool: ModelPool, branches: Sequence[Branch], handle: DenoiserHandle, device: str, tolerance: float
) -> Generator[OpenTransformerControl]:
    """Control for a leased transformer, its networks leased until the `with` block ends. `tolerance` is in progress.

    Raises ModelError, [model-part-missing] without an autoencoder for a network that sees latents.
    """
    nets = [branch for branch in branches if isinstance(branch, ControlBranch)]
    handles = {branch.net.pool_key: branch.net for branch in nets}
    with ExitStack() as leases:
        models: dict[PoolKey, Any] = {
            key: leases.enter_context(pool.lease(handles[key], device)) for key in sorted(handles)
        }
        kind = _KINDS[handle.family]
        opened = [
            kind(branch, model, _seen(pool, branch, model, handle, device), handle.space.downscale)
            for branch, model in ((branch, models[branch.net.pool_key]) for branch in nets)
        ]
        yield OpenTransformerControl(opened, tolerance)


def _seen(pool: ModelPool, branch: ControlBranch, model: Any, handle: DenoiserHandle, device: str) -> Tensor:
    """What a network sees of its picture: pixels in -1..1, or the mean of its latents."""
    import torch

    if branch.net.sees == "pixels":
        seen = 2 * torch.tensor(branch.image.pixels) - 1
        return (seen if branch.mask is None else seen.masked_fill(_hidden(branch.mask), -1)).to(device)
    vae = _autoencoder(branch, handle)
    with pool.lease(vae, device) as coder:
        latents = encode_image(coder, vae, _visible(branch)).samples
    if branch.mask is not None:
        return _with_mask(latents, branch.mask).to(device)
    return (as_seen(latents, vae.space, model) if branch.net.family == "sd3" else latents).to(device)


def _visible(branch: ControlBranch) -> Image:
    """The control picture, black where a mask hides it."""
    pixels = branch.image.pixels
    return branch.image if branch.mask is None else Image(np.where(branch.mask.values > 0.5, np.float32(0), pixels))


def _with_mask(latents: Tensor, mask: Mask) -> Tensor:
    """Latents [B, C, h, w] and, as one more channel, 1 where the picture is seen (alimama's networks)."""
    import torch

    seen = 1 - torch.nn.functional.interpolate(_hidden(mask).float(), size=latents.shape[-2:])
    count = max(len(latents), len(seen))
    return torch.cat([latents.expand(count, -1, -1, -1), seen.expand(count, -1, -1, -1)], dim=1)


def _hidden(mask: Mask) -> Tensor:
    import torch

    return torch.tensor(mask.values) > 0.5


def _autoencoder(branch: ControlBranch, handle: DenoiserHandle) -> VaeHandle:
    """The branch's own, or else the one that came with the denoiser."""
    vae = branch.vae or handle.vae
    if vae is None:
        raise ModelError(
            "model-part-missing",
            f"The ControlNet `{branch.net.source}` sees latents, and no autoencoder came with `{handle.source}`.",
            "Connect one to `vae` of `control.apply`.",
        )
    require_same_space(vae.space, handle.space, f"The denoiser `{handle.source}`")
    return vae
