"""What people should know of a prompt: its tokens, its chunks, what stands there twice."""

from sdgraph.core.context import RunContext
from sdgraph.core.node import Node, Outputs
from sdgraph.core.port import In, Out, port
from sdgraph.models.embeddings import read_vectors
from sdgraph.models.load import load_tokenizers
from sdgraph.models.prompt import Syntax
from sdgraph.models.prompt_lint import lint_prompt, placeholder_words
from sdgraph.models.prompt_words import Words
from sdgraph.payloads.handles import TextEncoderHandle


class LintOut(Outputs):
    """What was found about a prompt."""

    report: Out[str]
    """Sentences for people, one a line."""
    tokens: Out[int]
    """Tokens of the prompt's longest text."""
    chunks: Out[int]
    """Chunks of the prompt's longest text."""


class LintPrompt(Node[LintOut], type="prompt.lint", version=1):
    """Count a prompt's tokens and chunks, and say what stands in it twice, without loading a text model."""

    text_encoder: In[TextEncoderHandle]
    """The text model that will read the prompt; its first tokenizer counts."""
    prompt: In[str] = port("", widget="multiline")
    """The prompt."""
    syntax: In[Syntax] = port("a1111")
    """How the prompt is written."""

    def run(self, ctx: RunContext) -> LintOut:
        tower = load_tokenizers(self.text_encoder)[0]
        reports = lint_prompt(self.prompt, tower, self.syntax, self._words(tower.spec.component))
        longest = max(reports, key=lambda report: report.tokens)
        lines = [line for report in reports for line in report.lines()]
        return LintOut(report="\n".join(lines), tokens=longest.tokens, chunks=len(longest.chunk_tokens))

    def _words(self, component: str) -> Words:
        handle = self.text_encoder
        found = {embedding.name: read_vectors(embedding, handle.towers) for embedding in handle.embeddings}
        return placeholder_words({name: len(vectors.get(component, ())) for name, vectors in found.items()})
