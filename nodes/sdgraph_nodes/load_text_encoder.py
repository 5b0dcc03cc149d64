"""Text encoders from another place than the denoiser."""

from collections.abc import Mapping
from typing import Any

from sdgraph.core.context import RunContext
from sdgraph.core.infer import Known
from sdgraph.core.node import Node, Outputs
from sdgraph.core.port import In, Out, port
from sdgraph.models.checkpoint import read_text_encoder, text_encoder_fingerprint
from sdgraph.models.facts import read_fact
from sdgraph.models.text_files import FilesFamily
from sdgraph.payloads.handles import Dtype, TextEncoderHandle


class TextEncoderOut(Outputs):
    """Text models."""

    text_encoder: Out[TextEncoderHandle]
    """Reads prompts."""


class LoadTextEncoder(Node[TextEncoderOut], type="sd.load_text_encoder", version=1, lane="io"):
    """Take only the text encoders of a model, for a denoiser that comes without them, such as FLUX.1 in one file.

    The output is a handle; the weights come in when a prompt is encoded.
    """

    source: In[str] = port("builtin:shapes", linkable=False, widget="model")
    """A diffusers folder, which needs nothing but its text encoders and tokenizers, or a checkpoint in one file; with a
    `family`, the first of several files."""
    more: In[tuple[str, ...]] = port((), max_length=2, linkable=False)
    """With a `family`: its other text encoders, in any order, for example the files of CLIP-L and T5 for FLUX.1."""
    family: In[FilesFamily] = port("auto", linkable=False)
    """Whose text encoders the files are, when each is a file of its own."""
    dtype: In[Dtype] = port("float32", linkable=False)
    """The numbers that they compute with."""
    config: In[str] = port("", linkable=False)
    """For a file: a diffusers folder that describes it, when it is not of a published size or needs a tokenizer."""
    allow_pickle: In[bool] = port(False, linkable=False)
    """Read pickled weights by torch's restricted reader, which builds tensors only."""

    def fingerprint(self) -> str:
        return text_encoder_fingerprint(self.source, **self._options)

    def infer(self, known: Known) -> Mapping[str, Any]:
        return {"text_encoder": read_fact(self._read)}

    def _read(self) -> TextEncoderHandle:
        return read_text_encoder(self.source, self.dtype, **self._options)

    @property
    def _options(self) -> dict[str, Any]:
        return {"more": self.more, "family": self.family, "config": self.config, "allow_pickle": self.allow_pickle}

    def run(self, ctx: RunContext) -> TextEncoderOut:
        return TextEncoderOut(text_encoder=self._read())
