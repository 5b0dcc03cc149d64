"""T2I-Adapters: loading one, and applying it with a picture."""

from collections.abc import Mapping
from typing import Any

from sdgraph.core.context import RunContext
from sdgraph.core.infer import Known
from sdgraph.core.node import Node, Outputs
from sdgraph.core.port import In, Out, port
from sdgraph.models.facts import controls_with, read_fact
from sdgraph.models.t2i_adapter import read_t2i_adapter, t2i_adapter_fingerprint
from sdgraph.payloads.control import Control, T2IAdapterBranch
from sdgraph.payloads.handles import Dtype, T2IAdapterHandle
from sdgraph.payloads.image import Image
from sdgraph_nodes.outputs import ControlOut


class T2IAdapterOut(Outputs):
    """A T2I-Adapter."""

    adapter: Out[T2IAdapterHandle]
    """The adapter, to be applied with a picture."""


class LoadT2IAdapter(Node[T2IAdapterOut], type="control.load_t2i_adapter", version=1, lane="io"):
    """Take a T2I-Adapter from a folder. The output is a handle; its weights come in when sampling runs."""

    source: In[str] = port(linkable=False, widget="model")
    """A diffusers folder, or `hf:org/name[@revision]` from the hub."""
    dtype: In[Dtype] = port("float32", linkable=False)
    """The numbers that the adapter computes with."""

    def fingerprint(self) -> str:
        return t2i_adapter_fingerprint(self.source)

    def infer(self, known: Known) -> Mapping[str, Any]:
        return {"adapter": read_fact(lambda: read_t2i_adapter(self.source, self.dtype))}

    def run(self, ctx: RunContext) -> T2IAdapterOut:
        return T2IAdapterOut(adapter=read_t2i_adapter(self.source, self.dtype))


class ApplyT2IAdapter(Node[ControlOut], type="control.apply_t2i_adapter", version=1, keep=True):
    """Let a picture steer sampling through a T2I-Adapter, which looks at it once and so costs next to nothing.

    Chain several, and other controls, to apply them together (Mou et al. 2023).
    """

    adapter: In[T2IAdapterHandle]
    """The adapter."""
    image: In[Image]
    """The picture that the adapter was made for, such as edges, of the size of the result."""
    control: In[Control | None] = port(None)
    """Controls that apply too."""
    strength: In[float] = port(1.0, ge=0, le=4)
    """Factor on the adapter's effect; 0 is off."""
    start: In[float] = port(0.0, ge=0, le=1)
    """Sampling progress at which it begins to act."""
    end: In[float] = port(1.0, ge=0, le=1)
    """Sampling progress until which it acts."""

    def infer(self, known: Known) -> Mapping[str, Any]:
        return {"control": controls_with(known, "adapter", "image", (self.strength, self.start, self.end))}

    def run(self, ctx: RunContext) -> ControlOut:
        branch = T2IAdapterBranch(self.adapter, self.image, self.strength, self.start, self.end)
        return ControlOut(control=(self.control or Control(())).with_branch(branch))
