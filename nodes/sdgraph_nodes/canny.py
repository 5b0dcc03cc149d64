"""Edges of a picture."""

from collections.abc import Mapping
from typing import Any

from sdgraph.core.context import RunContext
from sdgraph.core.infer import Known
from sdgraph.core.port import In, port
from sdgraph.errors import MediaError
from sdgraph.payloads.facts import is_settled
from sdgraph.payloads.image import Image
from sdgraph_nodes.outputs import ImageOut, SamePicture


class Canny(SamePicture, type="control.canny", version=1):
    """Find the edges of a picture: white lines, one pixel wide, on black.

    Canny 1986, "A computational approach to edge detection", with OpenCV's result bit for bit (3x3 Sobel, L1 norm, the
    strongest colour channel at each pixel). The result is [B, 3, H, W] of 0 and 1.
    """

    image: In[Image]
    """The picture whose edges are wanted."""
    low: In[float] = port(0.4, ge=0, le=4)
    """Gradient above which a pixel continues an edge; 1 is 255 of OpenCV."""
    high: In[float] = port(0.8, ge=0, le=4)
    """Gradient above which a pixel starts an edge."""
    blur_px: In[float] = port(0.0, ge=0, le=20, unit="px")
    """Deviation of a Gaussian blur that goes before, against noise and texture; 0 is none."""

    def infer(self, known: Known) -> Mapping[str, Any]:
        if is_settled(self.low, self.high):
            self._require_thresholds()
        return super().infer(known)

    def run(self, ctx: RunContext) -> ImageOut:
        import numpy as np

        from sdgraph.models.preprocess.canny import canny

        self._require_thresholds()
        pictures = self.image.to_uint8().transpose(0, 3, 1, 2)
        edges = np.stack([canny(picture, self.low * 255, self.high * 255, self.blur_px) for picture in pictures])
        return ImageOut(image=Image(np.repeat(edges[:, None].astype(np.float32), 3, axis=1)))

    def _require_thresholds(self) -> None:
        if self.low > self.high:
            raise MediaError(
                "canny-thresholds",
                f"The low threshold {self.low:g} is above the high one, {self.high:g}.",
                "Continue edges at a lower gradient than they start at.",
                port="low",
            )
