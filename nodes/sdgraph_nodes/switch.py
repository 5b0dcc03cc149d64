"""Choosing between two branches, of which only the one taken runs."""

from collections.abc import Iterable
from typing import Any

from sdgraph.core.context import RunContext
from sdgraph.core.node import Node
from sdgraph.core.port import In, port
from sdgraph.errors import NodeError
from sdgraph_nodes.outputs import AnyOut


class Switch(Node[AnyOut], type="value.switch", version=1, fold=True):
    """Hand on one of two inputs; what feeds the other one is not run."""

    condition: In[bool] = port(True)
    """Which input is taken."""
    if_true: In[Any] = port(None, lazy=True)
    """Taken when the condition holds."""
    if_false: In[Any] = port(None, lazy=True)
    """Taken when it does not."""

    def needed(self) -> Iterable[str]:
        return ("if_true" if self.condition else "if_false",)

    def run(self, ctx: RunContext) -> AnyOut:
        taken = self.if_true if self.condition else self.if_false
        if taken is None:
            (name,) = self.needed()
            raise NodeError(
                "switch-branch-missing",
                f"The condition is {str(self.condition).lower()}, but `{name}` has no input.",
                f"Connect `{name}` or give it a value.",
                port=name,
            )
        return AnyOut(value=taken)
