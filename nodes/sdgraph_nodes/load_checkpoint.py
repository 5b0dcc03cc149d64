"""Loading a model: handles now, weights when something really runs."""

from collections.abc import Mapping
from typing import Any

from sdgraph.core.context import RunContext
from sdgraph.core.infer import Known
from sdgraph.core.node import Node, Outputs
from sdgraph.core.port import In, Out, port
from sdgraph.models.checkpoint import Checkpoint, Prediction, checkpoint_fingerprint, read_checkpoint
from sdgraph.models.facts import read_fact
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
    """Take a model from a folder or a file: Stable Diffusion 1.x, 2.x, 3, SDXL, its refiner, SDXL-Turbo or FLUX.1.

    What it is shows in the names and shapes of its weights. Nothing is loaded here: the outputs are handles, and the
    weights come in when a node that needs them runs.
    """

    source: In[str] = port("builtin:shapes", linkable=False, widget="model")
    """`builtin:shapes`, a diffusers folder, a `.safetensors` file, or `hf:org/name[@revision]` from the Hugging Face
    hub."""
    dtype: In[Dtype] = port("float32", linkable=False)
    """The numbers that the model computes with; the two 16-bit kinds halve its memory. An autoencoder whose
    configuration asks for full precision stays float32."""
    config: In[str] = port("", linkable=False)
    """For a file: a diffusers folder that describes it, when it is not of a published size or needs a tokenizer. Empty:
    the folder of the same name beside the file, or what ships with sdgraph."""
    prediction: In[Prediction] = port("checkpoint", linkable=False)
    """What the denoiser predicts, for files that do not say it. Of Stable Diffusion 2 in one file it is taken to be
    `v_prediction`; the 512-pixel base model needs `epsilon`."""
    allow_pickle: In[bool] = port(False, linkable=False)
    """Read pickled weights (`.ckpt`, `.pt`, `.bin`) by torch's restricted reader, which builds tensors only."""

    def fingerprint(self) -> str:
        return checkpoint_fingerprint(
            self.source, config=self.config, prediction=self.prediction, allow_pickle=self.allow_pickle
        )

    def infer(self, known: Known) -> Mapping[str, Any]:
        found = read_fact(self._read)
        if found is None:
            return {}
        return {"denoiser": found.denoiser, "text_encoder": found.text_encoder, "vae": found.vae}

    def _read(self) -> Checkpoint:
        return read_checkpoint(
            self.source,
            self.dtype,
            config=self.config,
            prediction=self.prediction,
            allow_pickle=self.allow_pickle,
        )

    def run(self, ctx: RunContext) -> CheckpointOut:
        found = self._read()
        return CheckpointOut(denoiser=found.denoiser, text_encoder=found.text_encoder, vae=found.vae)
