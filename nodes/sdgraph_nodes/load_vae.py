"""Another autoencoder than the checkpoint's own."""

from collections.abc import Mapping
from typing import Any

from sdgraph.core.context import RunContext
from sdgraph.core.infer import Known
from sdgraph.core.node import Node, Outputs
from sdgraph.core.port import In, Out, port
from sdgraph.models.facts import read_fact
from sdgraph.models.vae_source import SpaceChoice, read_vae, vae_fingerprint
from sdgraph.payloads.handles import Dtype, VaeHandle


class VaeOut(Outputs):
    """An autoencoder."""

    vae: Out[VaeHandle]
    """The autoencoder between pictures and latents."""


class LoadVae(Node[VaeOut], type="sd.load_vae", version=1, lane="io"):
    """Take an autoencoder from a folder or a file, to use it instead of the checkpoint's own.

    Connecting its output is the override: without this node, the autoencoder is always that of the checkpoint. The
    output is a handle; its weights come in when a node that needs them runs.
    """

    source: In[str] = port("builtin:shapes", linkable=False, widget="model")
    """An autoencoder (`AutoencoderKL`, or the small `AutoencoderTiny`) as a diffusers folder or a `.safetensors` file,
    or a whole checkpoint, of which only the autoencoder is taken."""
    space: In[SpaceChoice] = port("auto", linkable=False)
    """Whose latents it makes. `auto` takes its configuration's word; files have none, and an autoencoder of SDXL looks
    like one of Stable Diffusion 1."""
    dtype: In[Dtype] = port("float32", linkable=False)
    """The numbers that it computes with. One whose configuration asks for full precision stays float32."""
    config: In[str] = port("", linkable=False)
    """For a file: a diffusers folder that describes it, when it is not of a published size."""
    allow_pickle: In[bool] = port(False, linkable=False)
    """Read pickled weights by torch's restricted reader, which builds tensors only."""

    def fingerprint(self) -> str:
        return vae_fingerprint(self.source, space=self.space, config=self.config, allow_pickle=self.allow_pickle)

    def infer(self, known: Known) -> Mapping[str, Any]:
        return {"vae": read_fact(self._read)}

    def _read(self) -> VaeHandle:
        return read_vae(self.source, self.dtype, space=self.space, config=self.config, allow_pickle=self.allow_pickle)

    def run(self, ctx: RunContext) -> VaeOut:
        return VaeOut(vae=self._read())
