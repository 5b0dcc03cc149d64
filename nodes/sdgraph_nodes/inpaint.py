"""Latents of which only a part is to be drawn."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from sdgraph.core.context import RunContext
from sdgraph.core.infer import Known
from sdgraph.core.port import In, port
from sdgraph.errors import MediaError
from sdgraph.models.pool import ModelPool
from sdgraph.models.vae import encode_image, require_coding
from sdgraph.payloads.facts import LatentsFact, Sized, is_settled, latents_at, picture_at
from sdgraph.payloads.handles import VaeHandle
from sdgraph.payloads.image import Image
from sdgraph.payloads.latents import LatentMask, Latents
from sdgraph.payloads.mask import Mask
from sdgraph_nodes.mask_edits import require_mask_size
from sdgraph_nodes.outputs import LatentsOut, SameSpace

if TYPE_CHECKING:
    from torch import Tensor

Fill = Literal["picture", "noise"]
Kind = Literal["mix", "differential"]
MaskSampling = Literal["area", "nearest"]


class _MaskPorts(SameSpace):
    """How a mask counts."""

    mask: In[Mask]
    """1 is drawn, 0 stays; one mask for all pictures or one per picture."""
    kind: In[Kind] = port("mix")
    """What values between 0 and 1 mean. `mix`: at every step so much of what is drawn, and the rest of what was there.
    `differential`: the strength of each point, so that a gradient changes a picture more and more."""
    mask_sampling: In[MaskSampling] = port("area")
    """How the mask becomes one value per latent pixel: their mean, or the first one, as diffusers does."""


class InpaintLatents(_MaskPorts, type="sd.inpaint_latents", version=3, lane="device"):
    """Encode a picture to latents of which only the masked part is drawn; the rest stays as it is.

    Works with every model. Models that were trained for inpainting (with nine input channels) also see the mask and the
    visible part of the picture. An autoencoder changes a picture a little everywhere: lay the result over the picture
    with `image.composite` to have the rest bit for bit.
    """

    vae: In[VaeHandle]
    """The autoencoder."""
    image: In[Image]
    """The picture; its width and height must be multiples of the autoencoder's downscale, which is 8."""
    fill: In[Fill] = port("picture")
    """What the masked part is drawn from: the `picture` under noise, as much as the sampler's strength says, or `noise`
    alone. diffusers does the latter when the strength is 1."""
    tile_px: In[int] = port(0, ge=0, le=4096, multiple_of=8, unit="px")
    """Edge of one tile, in image pixels; 0 encodes in one piece. Tiles bound the memory of large pictures and
    leave the result as it is."""

    def infer(self, known: Known) -> Mapping[str, Any]:
        vae, image, mask = known.get("vae"), picture_at(known, "image"), picture_at(known, "mask")
        if image is not None and mask is not None:
            _require_masks(image, mask)
        if not isinstance(vae, VaeHandle):
            return {}
        require_coding(vae, self.tile_px, image)
        empty = self.fill == "noise" if is_settled(self.fill) else None
        drawn = image and mask and replace(image, batch=max(image.batch, mask.batch))
        return {"latents": LatentsFact(vae.space, drawn, empty, "seen")}

    def run(self, ctx: RunContext) -> LatentsOut:
        _require_masks(self.image, self.mask)
        grey = _greyed(self.image, self.mask)
        with ctx.service(ModelPool).lease(self.vae, ctx.device) as model:
            latents = encode_image(model, self.vae, self.image, self.tile_px)
            visible = encode_image(model, self.vae, grey, self.tile_px).samples
        values = latent_mask(self.mask, self.vae.space.downscale, self.mask_sampling)
        mask = LatentMask(values, self.kind == "differential", visible)
        return LatentsOut(latents=replace(_for_masks(latents, mask), mask=mask, empty=self.fill == "noise"))


class SetMask(_MaskPorts, type="latents.set_mask", version=1):
    """Let sampling draw only the masked part of latents. The mask has the size of the picture that they decode to."""

    latents: In[Latents]
    """The latents."""

    def infer(self, known: Known) -> Mapping[str, Any]:
        latents, mask = latents_at(known, "latents"), picture_at(known, "mask")
        if latents.picture is not None and mask is not None:
            require_mask_size(mask, latents.picture.width_px, latents.picture.height_px, "The latents' picture")
        _require_picture(latents.empty is True and latents.mask == "none")
        drawn = latents.picture and mask and replace(latents.picture, batch=max(latents.picture.batch, mask.batch))
        return {"latents": replace(latents, picture=drawn, mask="mask")}

    def run(self, ctx: RunContext) -> LatentsOut:
        latents = self.latents
        require_mask_size(self.mask, latents.width_px, latents.height_px, "The latents' picture")
        _require_picture(latents.empty and latents.mask is None)
        values = latent_mask(self.mask, latents.space.downscale, self.mask_sampling)
        mask = LatentMask(values, self.kind == "differential")
        return LatentsOut(latents=replace(_for_masks(latents, mask), mask=mask))


def _require_picture(lacks_picture: bool) -> None:
    if lacks_picture:
        raise MediaError(
            "mask-without-picture",
            "Empty latents hold no picture of which a part could stay.",
            "Encode a picture first, for example with `sd.vae_encode`.",
            port="latents",
        )


class RemoveMask(SameSpace, type="latents.remove_mask", version=1):
    """Let sampling draw all of latents again."""

    latents: In[Latents]
    """The latents."""

    def infer(self, known: Known) -> Mapping[str, Any]:
        return {"latents": replace(latents_at(known, "latents"), mask="none", empty=False)}

    def run(self, ctx: RunContext) -> LatentsOut:
        return LatentsOut(latents=replace(self.latents, mask=None, empty=False))


def latent_mask(mask: Mask, downscale: int, sampling: MaskSampling = "area") -> "Tensor":
    """[B, 1, H/d, W/d] float32 of a mask [B, 1, H, W] whose sides are multiples of `downscale`."""
    import torch

    values = torch.tensor(mask.values).clamp(0, 1)
    if sampling == "nearest":
        return values[..., ::downscale, ::downscale].contiguous()
    return torch.nn.functional.avg_pool2d(values, downscale)


def _for_masks(latents: Latents, mask: LatentMask) -> Latents:
    """The latents as many times as there are masks."""
    masks = len(mask.values)
    if latents.batch == 1 and masks > 1:
        return replace(latents, mask=None, samples=latents.samples.repeat(masks, 1, 1, 1))
    return replace(latents, mask=None)


def _greyed(image: Image, mask: Mask) -> Image:
    """The pictures with grey where the mask is at least a half, as inpainting models were trained."""
    import numpy as np

    return Image(np.where(mask.values >= 0.5, np.float32(0.5), image.pixels))


def _require_masks(image: Sized, mask: Sized) -> None:
    """Raises MediaError [mask-size], [mask-batch] unless the masks are of the pictures' size and number."""
    require_mask_size(mask, image.width_px, image.height_px, "The picture")
    if 1 not in (image.batch, mask.batch) and image.batch != mask.batch:
        raise MediaError(
            "mask-batch",
            f"There are {mask.batch} masks for {image.batch} pictures.",
            "Use one mask, or one per picture.",
            port="mask",
        )
