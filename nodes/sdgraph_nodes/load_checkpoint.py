"""Loading a model: handles now, weights when something really runs."""

from sdgraph.core.context import RunContext
from sdgraph.core.node import Node, Outputs
from sdgraph.core.port import In, Out, port
from sdgraph.models.checkpoint import checkpoint_fingerprint, read_checkpoint
from sdgraph.payloads.handles import DenoiserHandle, Dtype, TextEncoderHandle, VaeHandle


class CheckpointOut(Outputs):
    """The three parts of a model."""

    denoiser: Out[DenoiserHandle]
    """The network that removes noise; samplers want it."""
    text_encoder: Out[TextEncoderHandle]
    """Reads prompts."""
    vae: Out[VaeHandle]
    """The autoencoder between pictures and latents."""


class LoadCheckpoint(Node[CheckpointOut], type="sd.load_checkpoint", version=1, lane="io"):
    """Take a Stable Diffusion model from a folder.

    Nothing is loaded here: the outputs are handles, and the weights come in when a node that needs them runs.
    """

    source: In[str] = port("builtin:shapes", linkable=False, widget="model")
    """`builtin:shapes`, a diffusers folder, or `hf:org/name[@revision]` from the Hugging Face hub."""
    dtype: In[Dtype] = port("float32", linkable=False)
    """The numbers that the model computes with; the two 16-bit kinds halve its memory. An autoencoder whose
    configuration asks for full precision stays float32."""

    def fingerprint(self) -> str:
        return checkpoint_fingerprint(self.source)

    def run(self, ctx: RunContext) -> CheckpointOut:
        found = read_checkpoint(self.source, self.dtype)
        return CheckpointOut(denoiser=found.denoiser, text_encoder=found.text_encoder, vae=found.vae)
