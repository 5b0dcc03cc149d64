"""An upscale model's network, called as the package spandrel calls it."""

from __future__ import annotations

from spandrel import ImageModelDescriptor, ModelTiling
from torch import Tensor, nn


class UpscaleNetwork(nn.Module):
    """The network, and what is to be known of it.

    The network itself is touched nowhere: many keep a `scale` or a `mean` of their own that means something else, and
    what they give is not always the picture alone.
    """

    def __init__(self, found: ImageModelDescriptor[nn.Module]) -> None:
        super().__init__()
        self.network = found.model
        self.descriptor = found
        """The network as spandrel describes it."""
        self.scale = found.scale
        """How many times as wide and high the result is."""

    @property
    def tiles(self) -> bool:
        """Whether parts of a picture can be enlarged one by one."""
        return self.descriptor.tiling == ModelTiling.SUPPORTED

    def forward(self, pixels: Tensor) -> Tensor:
        """[1, 3, h * scale, w * scale] in 0..1 of [1, 3, h, w], which is extended to a size that it takes."""
        return self.descriptor(pixels)
