"""Laying one picture over another."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sdgraph.core.context import RunContext
from sdgraph.core.infer import Known
from sdgraph.core.node import Node
from sdgraph.core.port import In
from sdgraph.errors import MediaError
from sdgraph.payloads.facts import Sized, picture_at
from sdgraph.payloads.image import Image
from sdgraph.payloads.mask import Mask
from sdgraph_nodes.mask_edits import require_mask_size
from sdgraph_nodes.outputs import ImageOut


class Composite(Node[ImageOut], type="image.composite", version=1):
    """Lay a picture over another of the same size, where a mask says so.

    Where the mask is 0 the picture below comes out bit for bit, where it is 1 the one above.
    """

    below: In[Image]
    """The picture that stays where the mask is 0."""
    above: In[Image]
    """The picture that is laid on top."""
    mask: In[Mask]
    """Where the upper picture is seen; values between 0 and 1 mix the two."""

    def infer(self, known: Known) -> Mapping[str, Any]:
        below, above, mask = (picture_at(known, port) for port in ("below", "above", "mask"))
        if below is None or above is None or mask is None:
            return {}
        return {"image": replace(below, batch=require_layers(below, above, mask))}

    def run(self, ctx: RunContext) -> ImageOut:
        return ImageOut(image=composite(self.below, self.above, self.mask))


def composite(below: Image, above: Image, mask: Mask) -> Image:
    """`above` over `below` where `mask` is 1. Raises MediaError [mask-size], [image-sizes-differ], [batch-mismatch]."""
    import numpy as np

    require_layers(below, above, mask)
    share = mask.values
    mixed = below.pixels + share * (above.pixels - below.pixels)
    # Written out, because a + 1 * (b - a) need not be b.
    exact = np.where(share >= 1, above.pixels, np.where(share <= 0, below.pixels, mixed))
    return Image(exact.astype(np.float32))


def require_layers(below: Sized, above: Sized, mask: Sized) -> int:
    """How many pictures come out. Raises MediaError [mask-size], [image-sizes-differ], [batch-mismatch]."""
    if (below.width_px, below.height_px) != (above.width_px, above.height_px):
        raise MediaError(
            "image-sizes-differ",
            f"The picture below has {below.width_px} x {below.height_px} px, "
            f"the one above {above.width_px} x {above.height_px} px.",
            "Resize one of them first.",
            port="above",
        )
    require_mask_size(mask, below.width_px, below.height_px, "The picture")
    batch = max(below.batch, above.batch, mask.batch)
    if any(part.batch not in (1, batch) for part in (below, above, mask)):
        raise MediaError(
            "batch-mismatch",
            f"There are {below.batch} pictures below, {above.batch} above and {mask.batch} masks.",
            "Use one of a kind, or as many as there are of the others.",
            port="above",
        )
    return batch
