"""Between pictures and latents."""

from collections.abc import Mapping
from typing import Any

from sdgraph.core.context import RunContext
from sdgraph.core.infer import Known
from sdgraph.core.node import Node
from sdgraph.core.port import In, port
from sdgraph.models.facts import placed
from sdgraph.models.pool import ModelPool
from sdgraph.models.vae import decode_latents, encode_image, require_coding, require_readable
from sdgraph.payloads.facts import LatentsFact, latents_at, picture_at
from sdgraph.payloads.handles import VaeHandle
from sdgraph.payloads.image import Image
from sdgraph.payloads.latents import Latents
from sdgraph_nodes.outputs import ImageOut, LatentsOut


class VaeEncode(Node[LatentsOut], type="sd.vae_encode", version=2, lane="device"):
    """Encode a picture to latents.

    The image is [B, 3, H, W], float32 in 0..1; the latents are [B, C, H/8, W/8], the mean of what the encoder gives.
    """

    vae: In[VaeHandle]
    """The autoencoder."""
    image: In[Image]
    """Its width and height must be multiples of the autoencoder's downscale, which is 8."""
    tile_px: In[int] = port(0, ge=0, le=4096, multiple_of=8, unit="px")
    """Edge of one tile, in image pixels; 0 encodes in one piece. Tiles bound the memory
    of large pictures and leave the result as it is."""

    def infer(self, known: Known) -> Mapping[str, Any]:
        vae, image = known.get("vae"), picture_at(known, "image")
        if not isinstance(vae, VaeHandle):
            return {}
        require_coding(vae, self.tile_px, image)
        return {"latents": LatentsFact(vae.space, image, empty=False, mask="none")}

    def run(self, ctx: RunContext) -> LatentsOut:
        with ctx.service(ModelPool).lease(self.vae, ctx.device) as model:
            return LatentsOut(latents=encode_image(model, self.vae, self.image, self.tile_px))


class VaeDecode(Node[ImageOut], type="sd.vae_decode", version=2, lane="device"):
    """Decode latents to a picture.

    The latents are [B, C, H/8, W/8]; the image is [B, 3, H, W], float32 in 0..1.
    """

    vae: In[VaeHandle]
    """The autoencoder."""
    latents: In[Latents]
    """Latents of this autoencoder's model family."""
    tile_px: In[int] = port(0, ge=0, le=4096, multiple_of=8, unit="px")
    """Edge of one tile, in image pixels; 0 decodes in one piece. Tiles bound the memory
    of large pictures and leave the result as it is."""

    def infer(self, known: Known) -> Mapping[str, Any]:
        vae = known.get("vae")
        if isinstance(vae, VaeHandle):
            found = latents_at(known, "latents").space
            if found is not None:
                with placed("latents"):
                    require_readable(vae, found)
            require_coding(vae, self.tile_px)
        return {"image": latents_at(known, "latents").picture}

    def run(self, ctx: RunContext) -> ImageOut:
        with ctx.service(ModelPool).lease(self.vae, ctx.device) as model:
            return ImageOut(image=decode_latents(model, self.vae, self.latents, self.tile_px))
