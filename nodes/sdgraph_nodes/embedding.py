"""Textual inversion: words that were learnt from pictures."""

from collections.abc import Mapping
from typing import Any

from sdgraph.core.context import RunContext
from sdgraph.core.infer import Known
from sdgraph.core.node import Node, Outputs
from sdgraph.core.port import In, Out, port
from sdgraph.models.embeddings import announced_embedding, embedding_fingerprint, with_embedding
from sdgraph.models.facts import read_fact
from sdgraph.payloads.handles import TextEncoderHandle


class EmbeddingOut(Outputs):
    """The text encoder with one more word."""

    text_encoder: Out[TextEncoderHandle]
    """For encoding prompts, or for the next word."""


class TextEmbedding(Node[EmbeddingOut], type="text.embedding", version=1, lane="io", cache=False):
    """Teach the text encoder a word (textual inversion): prompts may then use it. Chain several.

    Files of A1111, diffusers and those with a tensor per text tower (`clip_l`, `clip_g`) are read. Nothing is loaded
    here, and the checkpoint's own vocabulary stays as it is.
    """

    text_encoder: In[TextEncoderHandle]
    """The text encoder of the checkpoint."""
    source: In[str] = port("builtin:shapes/embedding_bee", keyed=False, linkable=False, widget="model")
    """A `.safetensors` file, a folder with one, `builtin:shapes/embedding_bee`, or `hf:org/name`. The result depends
    on what the file contains, not on its name."""
    name: In[str] = port("", linkable=False)
    """How prompts call it; empty: the word that the file gives, or else the file's name."""
    allow_pickle: In[bool] = port(False, linkable=False, keyed=False)
    """Also read `.pt` and `.bin` files, with torch's reader that runs no code."""

    def fingerprint(self) -> str:
        return embedding_fingerprint(self.source, self.allow_pickle)

    def infer(self, known: Known) -> Mapping[str, Any]:
        encoder = known.get("text_encoder")
        if not isinstance(encoder, TextEncoderHandle):
            return {}
        return {"text_encoder": read_fact(lambda: announced_embedding(encoder, self.source, self.name))}

    def run(self, ctx: RunContext) -> EmbeddingOut:
        return EmbeddingOut(text_encoder=with_embedding(self.text_encoder, self.source, self.name, self.allow_pickle))
