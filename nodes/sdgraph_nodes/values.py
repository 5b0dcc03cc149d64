"""Plain values as nodes, so that one number or text can feed several ports. The planner computes them."""

from sdgraph.core.context import RunContext
from sdgraph.core.node import Node, Outputs
from sdgraph.core.port import In, Out, port


class IntOut(Outputs):
    value: Out[int]
    """The value."""


class FloatOut(Outputs):
    value: Out[float]
    """The value."""


class StringOut(Outputs):
    value: Out[str]
    """The value."""


class BoolOut(Outputs):
    value: Out[bool]
    """The value."""


class IntValue(Node[IntOut], type="value.int", version=1, fold=True, cutoff=True):
    """A whole number."""

    value: In[int] = port(0)
    """The number."""

    def run(self, ctx: RunContext) -> IntOut:
        return IntOut(value=self.value)


class FloatValue(Node[FloatOut], type="value.float", version=1, fold=True, cutoff=True):
    """A number."""

    value: In[float] = port(0.0)
    """The number."""

    def run(self, ctx: RunContext) -> FloatOut:
        return FloatOut(value=self.value)


class StringValue(Node[StringOut], type="value.string", version=1, fold=True, cutoff=True):
    """A text. It may also feed a port that offers a choice."""

    value: In[str] = port("", widget="multiline")
    """The text."""

    def run(self, ctx: RunContext) -> StringOut:
        return StringOut(value=self.value)


class BoolValue(Node[BoolOut], type="value.bool", version=1, fold=True, cutoff=True):
    """Yes or no."""

    value: In[bool] = port(False)
    """The answer."""

    def run(self, ctx: RunContext) -> BoolOut:
        return BoolOut(value=self.value)
