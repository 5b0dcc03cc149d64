"""Looking at a picture in the middle of a workflow."""

from collections.abc import Mapping
from typing import Any

from sdgraph.core.context import RunContext
from sdgraph.core.infer import Known
from sdgraph.core.node import Node
from sdgraph.core.port import In, port
from sdgraph.payloads.facts import Sized, is_settled, picture_at
from sdgraph.payloads.image import Image
from sdgraph_nodes.outputs import ImageOut
from sdgraph_nodes.resize import resample


class Preview(Node[ImageOut], type="image.preview", version=1):
    """Show a picture here, scaled down to fit a square. Nothing is written."""

    image: In[Image]
    """The picture to look at."""
    edge_px: In[int] = port(512, ge=16, le=4096, unit="px")
    """The longer edge of the preview is at most this."""

    def infer(self, known: Known) -> Mapping[str, Any]:
        image = picture_at(known, "image")
        return {} if image is None or not is_settled(self.edge_px) else {"image": image.sized(*self._size(image))}

    def run(self, ctx: RunContext) -> ImageOut:
        return ImageOut(image=resample(self.image, *self._size(self.image), "area"))

    def _size(self, image: Sized) -> tuple[int, int]:
        """Width and height of the preview."""
        scale = min(self.edge_px / max(image.width_px, image.height_px), 1)
        return max(round(image.width_px * scale), 1), max(round(image.height_px * scale), 1)
