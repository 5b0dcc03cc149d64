"""Thumbnails of latents through the tiny autoencoder of a model: quick, and good enough to recognise the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sdgraph.models.vae import decode_preview

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sdgraph.models.pool import ModelPool
    from sdgraph.payloads.handles import VaeHandle
    from sdgraph.payloads.latents import Latents

_EDGE_PX = 512
"""Latents of pictures that are twice as large or more are averaged down first, so that decoding stays quick."""


def tiny_pictures(
    latents: Latents, count: int, handle: VaeHandle, pool: ModelPool, device: str
) -> tuple[NDArray[np.uint8], ...]:
    """The first items of latents as uint8 [H, W, 3]; `handle` is a tiny autoencoder of their space.

    Raises ModelError when it can't be loaded.
    """
    from torch.nn.functional import avg_pool2d

    chosen = latents.samples[:count].float()
    step = max(max(latents.height_px, latents.width_px) // _EDGE_PX, 1)
    small = avg_pool2d(chosen, step) if step > 1 and min(chosen.shape[2:]) >= step else chosen
    with pool.lease(handle, device) as model:
        return tuple(decode_preview(model, handle, item).to_uint8()[0] for item in small.split(1))
