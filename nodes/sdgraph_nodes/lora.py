"""LoRA: small files of weight changes, put on a model's handles."""

from collections.abc import Mapping
from typing import Any

from sdgraph.core.context import RunContext
from sdgraph.core.infer import Known
from sdgraph.core.node import Node, Outputs
from sdgraph.core.port import In, Link, Out, port
from sdgraph.errors import ModelError
from sdgraph.models.patches.lora import WithLora, lora_fingerprint, with_lora
from sdgraph.payloads.handles import DenoiserHandle, TextEncoderHandle

MAX_STRENGTH = 10.0


class LoraOut(Outputs):
    """The model with the LoRA on it."""

    denoiser: Out[DenoiserHandle]
    """For samplers, or for the next LoRA."""
    text_encoder: Out[TextEncoderHandle]
    """For encoding prompts, or for the next LoRA."""


class DenoiserLoraOut(Outputs):
    """The denoiser with the LoRA on it."""

    denoiser: Out[DenoiserHandle]
    """For samplers, or for the next LoRA."""


class Lora(Node[LoraOut], type="model.lora", version=1, lane="io", cache=False):
    """Put a LoRA on a model: a style, a subject, or a way to sample in fewer steps. Chain several to add them up.

    LoRA, LoCon, LoHa, LoKr, DoRA and (IA)3 files of kohya's scripts, LyCORIS, PEFT and diffusers are read. Nothing is
    loaded here; all variants of a checkpoint share its weights in memory. With a strength of 0 a part stays as it is.
    """

    denoiser: In[DenoiserHandle]
    """The network that removes noise."""
    text_encoder: In[TextEncoderHandle]
    """The checkpoint's text encoder. To leave it as it is, use `model.lora_denoiser` or a text strength of 0."""
    source: In[str] = port("builtin:shapes/lora_neon", keyed=False, linkable=False, widget="model")
    """A `.safetensors` file, a folder with one, `builtin:shapes/lora_neon`, or `hf:org/name[/file.safetensors]`. The
    result depends on what the file contains, not on its name."""
    strength: In[float] = port(1.0, ge=-MAX_STRENGTH, le=MAX_STRENGTH)
    """Factor on the changes to the denoiser."""
    text_strength: In[float] = port(1.0, ge=-MAX_STRENGTH, le=MAX_STRENGTH)
    """Factor on the changes to the text encoder."""

    def fingerprint(self) -> str:
        return lora_fingerprint(self.source)

    def infer(self, known: Known) -> Mapping[str, Any]:
        denoiser, encoder = known.get("denoiser"), known.get("text_encoder")
        if isinstance(denoiser, DenoiserHandle) and isinstance(encoder, TextEncoderHandle):
            _require_fit(denoiser, encoder, self.source, self.strength, self.text_strength)
        return {"denoiser": denoiser, "text_encoder": encoder}

    def run(self, ctx: RunContext) -> LoraOut:
        found = with_lora(self.denoiser, self.text_encoder, self.source, self.strength, self.text_strength)
        _warn(ctx, found)
        return LoraOut(denoiser=found.denoiser, text_encoder=found.text_encoder or self.text_encoder)


class DenoiserLora(Node[DenoiserLoraOut], type="model.lora_denoiser", version=1, lane="io", cache=False):
    """Put a LoRA on a denoiser alone; what the file has for text encoders is not used."""

    denoiser: In[DenoiserHandle]
    """The network that removes noise."""
    source: In[str] = port("builtin:shapes/lora_neon", keyed=False, linkable=False, widget="model")
    """A `.safetensors` file, a folder with one, `builtin:shapes/lora_neon`, or `hf:org/name[/file.safetensors]`. The
    result depends on what the file contains, not on its name."""
    strength: In[float] = port(1.0, ge=-MAX_STRENGTH, le=MAX_STRENGTH)
    """Factor on the changes."""

    def fingerprint(self) -> str:
        return lora_fingerprint(self.source)

    def infer(self, known: Known) -> Mapping[str, Any]:
        denoiser = known.get("denoiser")
        if isinstance(denoiser, DenoiserHandle):
            _require_fit(denoiser, None, self.source, self.strength, 0.0)
        return {"denoiser": denoiser}

    def run(self, ctx: RunContext) -> DenoiserLoraOut:
        found = with_lora(self.denoiser, None, self.source, self.strength, 0.0)
        _warn(ctx, found)
        return DenoiserLoraOut(denoiser=found.denoiser)


def _require_fit(
    denoiser: DenoiserHandle, encoder: TextEncoderHandle | None, source: str, strength: Any, text_strength: Any
) -> None:
    """Raise ModelError [lora-mismatch] for a file of another kind of model; a file that can't be read is the plan's."""
    given = [1.0 if isinstance(value, Link) else value for value in (strength, text_strength)]
    try:
        with_lora(denoiser, encoder, source, *given)
    except ModelError as error:
        if error.code == "lora-mismatch":
            raise


def _warn(ctx: RunContext, found: WithLora) -> None:
    if found.warning is not None:
        ctx.warn(found.warning)
