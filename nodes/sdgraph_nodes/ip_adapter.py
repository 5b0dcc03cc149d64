"""IP-Adapters: loading one and its image encoder, encoding pictures for it, and applying it."""

from collections.abc import Mapping
from typing import Any

from sdgraph.core.context import RunContext
from sdgraph.core.infer import Known
from sdgraph.core.node import Node, Outputs
from sdgraph.core.port import In, Out, port
from sdgraph.models.facts import controls_with, placed, read_fact
from sdgraph.models.image_encoder import encode_images, image_encoder_fingerprint, read_image_encoder, require_fit
from sdgraph.models.ip_adapter import require_same_view
from sdgraph.models.ip_adapter_file import ip_adapter_fingerprint, read_ip_adapter
from sdgraph.models.pool import ModelPool
from sdgraph.models.present import require_part
from sdgraph.payloads.control import Control, IPAdapterBranch
from sdgraph.payloads.handles import Dtype, ImageEncoderHandle, IPAdapterHandle
from sdgraph.payloads.image import Image
from sdgraph.payloads.image_prompt import ImagePrompt
from sdgraph.payloads.mask import Mask
from sdgraph_nodes.outputs import ControlOut


class IPAdapterOut(Outputs):
    """An IP-Adapter."""

    adapter: Out[IPAdapterHandle]
    """The adapter, to be applied with an image prompt."""


class ImageEncoderOut(Outputs):
    """An image encoder."""

    encoder: Out[ImageEncoderHandle]
    """The vision model, for encoding pictures."""


class ImagePromptOut(Outputs):
    """An image prompt."""

    prompt: Out[ImagePrompt]
    """The pictures as the adapter wants them."""


class LoadIPAdapter(Node[IPAdapterOut], type="control.load_ip_adapter", version=1, lane="io"):
    """Take an IP-Adapter from a .safetensors file; the plain, the Plus and the Full kind work, face adapters do not.

    The output is a handle; its weights come in when sampling runs.
    """

    source: In[str] = port(linkable=False, widget="model")
    """A file, a folder with one, or one on the hub: `hf:h94/IP-Adapter/models/ip-adapter_sd15.safetensors`."""
    dtype: In[Dtype] = port("float32", linkable=False)
    """The numbers that the adapter computes with."""

    def fingerprint(self) -> str:
        return ip_adapter_fingerprint(self.source)

    def infer(self, known: Known) -> Mapping[str, Any]:
        return {"adapter": read_fact(lambda: read_ip_adapter(self.source, self.dtype))}

    def run(self, ctx: RunContext) -> IPAdapterOut:
        return IPAdapterOut(adapter=read_ip_adapter(self.source, self.dtype))


class LoadImageEncoder(Node[ImageEncoderOut], type="control.load_image_encoder", version=1, lane="io"):
    """Take the image encoder of an IP-Adapter, a CLIP vision model, from a folder. The output is a handle."""

    source: In[str] = port(linkable=False, widget="model")
    """A folder, or one on the hub: `hf:h94/IP-Adapter/models/image_encoder`."""
    dtype: In[Dtype] = port("float32", linkable=False)
    """The numbers that the encoder computes with."""

    def fingerprint(self) -> str:
        return image_encoder_fingerprint(self.source)

    def infer(self, known: Known) -> Mapping[str, Any]:
        return {"encoder": read_fact(lambda: read_image_encoder(self.source, self.dtype))}

    def run(self, ctx: RunContext) -> ImageEncoderOut:
        return ImageEncoderOut(encoder=read_image_encoder(self.source, self.dtype))


class EncodeImagePrompt(Node[ImagePromptOut], type="control.encode_image", version=1, lane="device"):
    """Encode pictures as an image prompt for an IP-Adapter. The encoder sees the middle square of each."""

    encoder: In[ImageEncoderHandle]
    """The image encoder that came with the adapter."""
    adapter: In[IPAdapterHandle]
    """The adapter, which says what it wants to know of the pictures."""
    image: In[Image]
    """One picture, or a batch of pictures that act together."""

    def infer(self, known: Known) -> Mapping[str, Any]:
        encoder, adapter = known.get("encoder"), known.get("adapter")
        if isinstance(encoder, ImageEncoderHandle) and isinstance(adapter, IPAdapterHandle):
            with placed("encoder"):
                require_part(encoder)
                require_fit(encoder, adapter)
        return {"prompt": adapter}

    def run(self, ctx: RunContext) -> ImagePromptOut:
        with ctx.service(ModelPool).lease(self.encoder, ctx.device) as model:
            return ImagePromptOut(prompt=encode_images(model, self.encoder, self.adapter, self.image))


class ApplyIPAdapter(Node[ControlOut], type="control.apply_ip_adapter", version=1, keep=True):
    """Let the denoiser attend to an image prompt beside the text prompt, through an IP-Adapter (Ye et al. 2023).

    Chain several, and other controls, to apply them together.
    """

    adapter: In[IPAdapterHandle]
    """The adapter."""
    prompt: In[ImagePrompt]
    """Pictures that were encoded for it."""
    mask: In[Mask | None] = port(None)
    """Where it acts, of the size of the result; none: everywhere."""
    control: In[Control | None] = port(None)
    """Controls that apply too."""
    strength: In[float] = port(1.0, ge=0, le=4)
    """Factor on the attention to the image prompt; 0 is off."""
    start: In[float] = port(0.0, ge=0, le=1)
    """Sampling progress at which it begins to act."""
    end: In[float] = port(1.0, ge=0, le=1)
    """Sampling progress until which it acts."""

    def infer(self, known: Known) -> Mapping[str, Any]:
        adapter, seen = known.get("adapter"), known.get("prompt")
        if isinstance(adapter, IPAdapterHandle) and isinstance(seen, IPAdapterHandle):
            require_same_view(adapter, seen)
        return {"control": controls_with(known, "adapter", "mask", (self.strength, self.start, self.end))}

    def run(self, ctx: RunContext) -> ControlOut:
        branch = IPAdapterBranch(self.adapter, self.prompt, self.strength, self.start, self.end, self.mask)
        return ControlOut(control=(self.control or Control(())).with_branch(branch))
