"""Upscale models: loading one, and enlarging pictures with it."""

from collections.abc import Mapping
from typing import Any

from sdgraph.core.context import RunContext
from sdgraph.core.infer import Known
from sdgraph.core.node import Node, Outputs
from sdgraph.core.port import In, Out, port
from sdgraph.models.facts import placed, read_fact
from sdgraph.models.pool import ModelPool
from sdgraph.models.upscaler import read_upscaler, require_package, upscale, upscaler_fingerprint
from sdgraph.payloads.handles import Dtype, UpscalerHandle
from sdgraph.payloads.image import Image
from sdgraph_nodes.outputs import ImageOut


class UpscalerOut(Outputs):
    """An upscale model."""

    upscaler: Out[UpscalerHandle]
    """The network, to enlarge pictures with."""


class LoadUpscaler(Node[UpscalerOut], type="image.load_upscaler", version=1, lane="io"):
    """Take an upscale model from a file: ESRGAN, Real-ESRGAN, SwinIR, HAT, DAT, SPAN and what else spandrel knows.

    The output is a handle; the weights come in when pictures are enlarged. Needs `pip install "sdgraph[upscale]"`.
    """

    source: In[str] = port(linkable=False, widget="model")
    """A `.safetensors` file, a folder with one, or `hf:org/name[/file.safetensors]`."""
    dtype: In[Dtype] = port("float32", linkable=False)
    """The numbers that the network computes with."""
    allow_pickle: In[bool] = port(False, linkable=False)
    """Whether the file may be a pickle (`.pth`), which torch's restricted reader then reads."""

    def fingerprint(self) -> str:
        return upscaler_fingerprint(self.source, allow_pickle=self.allow_pickle)

    def infer(self, known: Known) -> Mapping[str, Any]:
        with placed("source"):
            require_package()
        return {"upscaler": read_fact(self._read)}

    def run(self, ctx: RunContext) -> UpscalerOut:
        return UpscalerOut(upscaler=self._read())

    def _read(self) -> UpscalerHandle:
        return read_upscaler(self.source, self.dtype, allow_pickle=self.allow_pickle)


class UpscaleWithModel(Node[ImageOut], type="image.upscale_with_model", version=2, lane="device"):
    """Enlarge pictures with an upscale model, as many times as it was trained for, each as if it were alone.

    Takes [B, 3, H, W], gives [B, 3, H * scale, W * scale]. `image.resize` afterwards brings it to another size.
    """

    upscaler: In[UpscalerHandle]
    """The upscale model."""
    image: In[Image]
    """The pictures."""
    tile_px: In[int] = port(0, ge=0, le=4096, unit="px")
    """Edge of the parts in which the network sees a large picture, which bound its memory; 0: the whole picture."""
    halo_px: In[int] = port(32, ge=0, le=512, unit="px")
    """What the network sees around each part, so that no seams arise: with as much as a pixel of the result depends on,
    the result is that of one piece."""

    def run(self, ctx: RunContext) -> ImageOut:
        with ctx.service(ModelPool).lease(self.upscaler, ctx.device) as network:
            return ImageOut(image=upscale(network, self.image, self.tile_px, self.halo_px, ctx.progress))
