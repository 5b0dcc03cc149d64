"""Denoisers that were trained for inpainting: they take a mask and the visible part of a picture beside the latents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sdgraph.errors import SamplingError
from sdgraph.models.control_call import UNetCall
from sdgraph.payloads.handles import DenoiserHandle

if TYPE_CHECKING:
    from torch import Tensor


def require_picture(handle: DenoiserHandle, channels: Tensor | None) -> Tensor | None:
    """The further channels of a denoiser, None for one that takes none. Raises SamplingError [inpaint-picture-missing].

    `channels` is [1 or B, 1 + C, h, w]: the mask, then latents of the picture with the masked part grey.
    """
    if not handle.inpainting:
        return None
    if channels is None:
        raise picture_missing(handle)
    return channels


def picture_missing(handle: DenoiserHandle) -> SamplingError:
    """The error for latents without what an inpainting model sees."""
    return SamplingError(
        "inpaint-picture-missing",
        f"The denoiser `{handle.source}` was trained for inpainting and needs a picture with a mask.",
        "Start from the latents of `sd.inpaint_latents`, or use another checkpoint.",
        port="latents",
    )


def with_picture(call: UNetCall, channels: Tensor | None) -> Tensor:
    """[k*B, C + 1 + C, h, w]: the latents, the mask and the visible part, as Stable Diffusion Inpainting has them."""
    import torch

    if channels is None:
        return call.x
    seen = call.view.of(channels).to(call.x.device, call.x.dtype)
    seen = seen.expand(call.batch, -1, -1, -1).repeat(call.x.shape[0] // call.batch, 1, 1, 1)
    return torch.cat([call.x, seen], dim=1)
