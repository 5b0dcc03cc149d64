"""Texts with gaps: one frame for many prompts."""

import re

from sdgraph.core.context import RunContext
from sdgraph.core.node import Node
from sdgraph.core.port import In, port
from sdgraph_nodes.values import StringOut

_GAP = re.compile(r"\{(first|second|third|fourth)\}")


class TextTemplate(Node[StringOut], type="text.template", version=1, fold=True, cutoff=True):
    """Fill the gaps of a text, so that products and styles, for example, make prompts in all combinations.

    The planner computes it: prompts that come out equal are one prompt, and each is encoded once.
    """

    template: In[str] = port("{first}", widget="multiline")
    """The text with its gaps `{first}`, `{second}`, `{third}`, `{fourth}`, each as often as you like. Other braces are
    text."""
    first: In[str] = port("")
    """What stands for `{first}`."""
    second: In[str] = port("")
    """What stands for `{second}`."""
    third: In[str] = port("")
    """What stands for `{third}`."""
    fourth: In[str] = port("")
    """What stands for `{fourth}`."""

    def run(self, ctx: RunContext) -> StringOut:
        # In one pass: braces that a filling brings along are text.
        return StringOut(value=_GAP.sub(lambda gap: getattr(self, gap.group(1)), self.template))
