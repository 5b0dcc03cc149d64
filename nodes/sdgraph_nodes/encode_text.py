"""From a prompt to conditioning."""

from sdgraph.core.context import RunContext
from sdgraph.core.node import Node, Outputs
from sdgraph.core.port import In, Out, port
from sdgraph.models.pool import ModelPool
from sdgraph.models.prompt import Normalize, Syntax
from sdgraph.models.text import encode_text
from sdgraph.payloads.conditioning import Conditioning
from sdgraph.payloads.handles import TextEncoderHandle


class ConditioningOut(Outputs):
    """An encoded prompt."""

    conditioning: Out[Conditioning]
    """One vector per token."""


class EncodeText(Node[ConditioningOut], type="sd.encode_text", version=1, lane="device"):
    """Encode a prompt: what the denoiser is asked to draw, or to stay away from."""

    text_encoder: In[TextEncoderHandle]
    """The text model of the checkpoint whose denoiser draws."""
    prompt: In[str] = port("", widget="multiline")
    """The words, with weights in the chosen syntax. Longer prompts than the model takes are encoded in chunks."""
    syntax: In[Syntax] = port("a1111")
    """How weights are written: `a1111` reads (word:1.3), (word) and [word]; `plain` takes every character as it is."""
    normalize: In[Normalize] = port("mean_per_prompt")
    """What happens to the embedding's mean when weights have changed it: restored, or left."""
    clip_skip: In[int] = port(0, ge=0, le=11, unit="layers")
    """How many of the text model's last layers are left out."""

    def run(self, ctx: RunContext) -> ConditioningOut:
        with ctx.service(ModelPool).lease(self.text_encoder, ctx.device) as model:
            conditioning = encode_text(
                self.prompt, model, syntax=self.syntax, normalize=self.normalize, clip_skip=self.clip_skip
            )
        return ConditioningOut(conditioning=conditioning)
