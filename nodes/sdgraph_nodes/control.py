"""ControlNets: loading one, and applying it with a picture."""

from collections.abc import Mapping
from typing import Any

from sdgraph.core.context import RunContext
from sdgraph.core.infer import Known
from sdgraph.core.node import Node, Outputs
from sdgraph.core.port import In, Out, port
from sdgraph.models.checkpoint import controlnet_fingerprint, read_controlnet
from sdgraph.models.controlnet import require_encoder
from sdgraph.models.facts import controls_with, read_fact
from sdgraph.payloads.control import (
    Control,
    ControlBranch,
    ControlMode,
    Shows,
    require_covering,
    require_kind,
    require_maskable,
)
from sdgraph.payloads.facts import picture_at
from sdgraph.payloads.handles import ControlNetHandle, Dtype, VaeHandle
from sdgraph.payloads.image import Image
from sdgraph.payloads.mask import Mask
from sdgraph_nodes.outputs import ControlOut


class ControlNetOut(Outputs):
    """A ControlNet."""

    net: Out[ControlNetHandle]
    """The network, to be applied with a picture."""


class LoadControlNet(Node[ControlNetOut], type="control.load", version=1, lane="io"):
    """Take a ControlNet from a folder or a file. The output is a handle; its weights come in when sampling runs."""

    source: In[str] = port("builtin:shapes/controlnet_canny", linkable=False, widget="model")
    """`builtin:shapes/controlnet_canny`, a diffusers folder, a `.safetensors` file, or `hf:org/name[@revision]`."""
    dtype: In[Dtype] = port("float32", linkable=False)
    """The numbers that the network computes with."""
    config: In[str] = port("", linkable=False)
    """For a single file: a folder whose `config.json` describes it; empty: the family's usual configuration."""
    allow_pickle: In[bool] = port(False, linkable=False)
    """Whether weights may be a pickle (`.pth`), which torch's restricted reader then reads."""

    def fingerprint(self) -> str:
        return controlnet_fingerprint(self.source, config=self.config, allow_pickle=self.allow_pickle)

    def infer(self, known: Known) -> Mapping[str, Any]:
        return {"net": read_fact(self._read)}

    def run(self, ctx: RunContext) -> ControlNetOut:
        return ControlNetOut(net=self._read())

    def _read(self) -> ControlNetHandle:
        return read_controlnet(self.source, self.dtype, config=self.config, allow_pickle=self.allow_pickle)


class ApplyControl(Node[ControlOut], type="control.apply", version=2, keep=True):
    """Let a picture steer sampling through a ControlNet. Chain several to apply them together."""

    net: In[ControlNetHandle]
    """The ControlNet."""
    image: In[Image]
    """The picture that the network was made for, such as edges, of the size of the result."""
    control: In[Control | None] = port(None)
    """Controls that apply too."""
    strength: In[float] = port(1.0, ge=0, le=4)
    """Factor on the network's effect; 0 is off."""
    start: In[float] = port(0.0, ge=0, le=1)
    """Sampling progress at which it begins to act."""
    end: In[float] = port(1.0, ge=0, le=1)
    """Sampling progress until which it acts."""
    mode: In[ControlMode] = port("balanced")
    """What matters more: `prompt` weakens the picture's effect on the first layers, `control` does so too but lets the
    picture act on the positive side only, so that guidance amplifies it (guess mode)."""
    shows: In[Shows] = port("auto", linkable=False)
    """What the picture shows, for networks that know several kinds (union networks of FLUX.1 and SDXL); `auto` is for
    all the others. Pictures of one union network of SDXL, one after the other in a chain, are looked at together."""
    vae: In[VaeHandle | None] = port(None)
    """The autoencoder for networks that see latents, as most of Stable Diffusion 3 and FLUX.1 do; without it, the one
    that came with the denoiser. Others ignore it."""

    mask: In[Mask | None] = port(None)
    """For networks for inpainting: where the picture is to be drawn anew, so that they do not see it there. Of the size
    of the picture; usually the mask of `sd.inpaint_latents`."""

    def infer(self, known: Known) -> Mapping[str, Any]:
        net, vae = known.get("net"), known.get("vae")
        mask, image = picture_at(known, "mask"), picture_at(known, "image")
        if mask is not None and image is not None:
            require_covering(mask, image)
        if isinstance(net, ControlNetHandle):
            require_kind(net, self.shows)
            require_maskable(net, self.mask is not None)
            if isinstance(vae, VaeHandle):
                require_encoder(net, vae)
        return {"control": controls_with(known, "net", "image", (self.strength, self.start, self.end))}

    def run(self, ctx: RunContext) -> ControlOut:
        branch = ControlBranch(
            self.net, self.image, self.strength, self.start, self.end, self.mode, self.shows, self.vae, self.mask
        )
        return ControlOut(control=(self.control or Control(())).with_branch(branch))
