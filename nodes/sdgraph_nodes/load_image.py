"""A picture from a file."""

from collections.abc import Mapping
from typing import Any

from sdgraph.core.context import RunContext
from sdgraph.core.infer import Known
from sdgraph.core.node import Node, Outputs
from sdgraph.core.port import In, Out, port
from sdgraph.errors import MediaError
from sdgraph.payloads.facts import PictureFact
from sdgraph.payloads.image import Image
from sdgraph.payloads.mask import Mask
from sdgraph_nodes.picture_reader import picture_digest, picture_size, read_pixels


class LoadedImage(Outputs):
    """A picture and where it is opaque."""

    image: Out[Image]
    """[1, 3, H, W], float32 in 0..1."""
    mask: Out[Mask]
    """[1, 1, H, W]: 1 where the picture is opaque."""


class LoadImage(Node[LoadedImage], type="image.load", version=1, lane="io"):
    """Read a picture: PNG, JPEG, WebP, BMP, TIFF or the first frame of a GIF.

    It is turned upright as its EXIF data say. Transparent parts show white, and the mask is 1 where the picture is
    opaque. The result depends on what the file contains, not on its name.
    """

    file: In[str] = port(keyed=False, linkable=False, widget="file")
    """A path, or `builtin:NAME.png` for a picture that ships with sdgraph."""

    def fingerprint(self) -> str:
        return picture_digest(self.file)

    def infer(self, known: Known) -> Mapping[str, Any]:
        try:
            size = PictureFact(*picture_size(self.file))
        except MediaError:
            return {}  # the plan tells of it, if the picture is needed
        return {"image": size, "mask": size}

    def run(self, ctx: RunContext) -> LoadedImage:
        rgb, opacity = read_pixels(self.file)
        return LoadedImage(image=Image(rgb), mask=Mask(opacity))
