"""A small node pack for the tests of core: numbers, texts, and a payload that is a list of numbers."""

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from sdgraph.core.context import RunContext
from sdgraph.core.infer import Known
from sdgraph.core.node import Node, Outputs
from sdgraph.core.pack import NodePack
from sdgraph.core.port import In, Link, Out, port
from sdgraph.core.porttype import PortType
from sdgraph.core.registry import Registry
from sdgraph.core.workflow import Workflow
from sdgraph.errors import NodeError


class Wave:
    """A toy payload: samples of a signal."""

    def __init__(self, samples: tuple[float, ...]) -> None:
        self.samples = samples


class Paint:
    """Another toy payload."""


class Shape(Enum):
    SINE = "sine"
    SQUARE = "square"


class Point(BaseModel):
    model_config = ConfigDict(frozen=True)

    at: float
    level: float = 1.0


class NumberOut(Outputs):
    value: Out[int]
    """The number."""


class FloatOut(Outputs):
    value: Out[float]


class WaveOut(Outputs):
    wave: Out[Wave]


class PaintOut(Outputs):
    paint: Out[Paint]


class AnyOut(Outputs):
    value: Out[Any]


class Number(Node[NumberOut], type="toy.number", fold=True):
    """A whole number."""

    value: In[int] = port(0)

    def run(self, ctx: RunContext) -> NumberOut:
        return NumberOut(value=self.value)


class Divide(Node[NumberOut], type="toy.divide", fold=True):
    """Whole-number division."""

    a: In[int] = port(1)
    b: In[int] = port(1)

    def run(self, ctx: RunContext) -> NumberOut:
        return NumberOut(value=self.a // self.b)


class Measure(Node[NumberOut], type="toy.measure"):
    """A number that is known only after a run."""

    wave: In[Wave]

    def run(self, ctx: RunContext) -> NumberOut:
        return NumberOut(value=len(self.wave.samples))


class Oscillator(Node[WaveOut], type="toy.oscillator"):
    """Make a wave."""

    pitch_hz: In[float] = port(440, gt=0, le=20_000, unit="Hz", widget="slider")
    """How often it swings in a second.

    More is higher.
    """
    shape: In[Shape] = port(Shape.SINE)
    quality: In[Literal["draft", "fine"]] = port("draft")
    steps: In[int] = port(8, ge=1, multiple_of=4)
    name: In[str] = port("", max_length=20)
    loud: In[bool] = port(False)
    envelope: In[tuple[Point, ...]] = port(())
    seed: In[int | None] = port(None)

    def run(self, ctx: RunContext) -> WaveOut:
        return WaveOut(wave=Wave((self.pitch_hz,) * self.steps))


class Louder(Node[WaveOut], type="toy.louder", version=3):
    """Make a wave louder."""

    wave: In[Wave]
    gain: In[float] = port(2.0)

    @classmethod
    def upgrade(cls, made_for: int, inputs: dict[str, Any]) -> dict[str, Any]:
        if made_for < 2 and "amount" in inputs:
            inputs["gain"] = inputs.pop("amount")
        return inputs

    def run(self, ctx: RunContext) -> WaveOut:
        return WaveOut(wave=Wave(tuple(sample * self.gain for sample in self.wave.samples)))


class Mix(Node[WaveOut], type="toy.mix"):
    """Add two waves."""

    second: In[Wave]
    first: In[Wave]
    mask: In[Wave | None] = port(None)

    def run(self, ctx: RunContext) -> WaveOut:
        return WaveOut(wave=Wave(self.first.samples + self.second.samples))


class Draw(Node[PaintOut], type="toy.draw"):
    """Draw a wave."""

    wave: In[Wave]
    label: In[str] = port("wave", linkable=False)

    def run(self, ctx: RunContext) -> PaintOut:
        return PaintOut(paint=Paint())


class Switch(Node[AnyOut], type="toy.switch", fold=True):
    """Hand on one of two inputs."""

    first: In[bool] = port(True)
    a: In[Any] = port(None, lazy=True)
    b: In[Any] = port(None, lazy=True)

    def needed(self) -> Iterable[str]:
        return ("a",) if self.first else ("b",)

    def run(self, ctx: RunContext) -> AnyOut:
        return AnyOut(value=self.a if self.first else self.b)


class Repeat(Node[WaveOut], type="toy.repeat"):
    """Louder, several times: one small node each."""

    wave: In[Wave]
    times: In[int] = port(2, ge=0, linkable=False)

    def expand(self, inner: Workflow) -> WaveOut:
        wave: Any = self.wave
        for step in range(self.times):
            wave = inner.add(f"step{step}", Louder(wave=wave)).out.wave
        return WaveOut(wave=wave)


class Endless(Node[WaveOut], type="toy.endless"):
    """Expands into two of itself: a pack's mistake."""

    wave: In[Wave]

    def expand(self, inner: Workflow) -> WaveOut:
        inner.add("left", Endless(wave=self.wave))
        return inner.add("right", Endless(wave=self.wave)).out


class Broken(Node[WaveOut], type="toy.broken"):
    """Fails when it is expanded, in a way that `fault` chooses."""

    fault: In[Literal["crash", "value", "stranger", "wrong-type"]] = port("crash")

    def expand(self, inner: Workflow) -> WaveOut:
        if self.fault == "crash":
            raise ZeroDivisionError("by zero")
        if self.fault == "value":
            return WaveOut(wave=Wave(()))
        if self.fault == "stranger":
            return inner.add("stranger", Stranger()).out
        paint: Any = Link("nowhere", "paint")
        return inner.add("louder", Louder(wave=paint)).out


class Sampled(Node[WaveOut], type="toy.sampled"):
    """A wave whose number of samples is known before it runs; an `odd` one it refuses, for 13 its code fails."""

    samples: In[int] = port(8, ge=1)

    def infer(self, known: Known) -> Mapping[str, Any]:
        if isinstance(self.samples, Link):
            return {}
        if self.samples == 13:
            raise ZeroDivisionError("by zero")
        if self.samples % 2:
            raise NodeError("odd-samples", f"{self.samples} samples are odd.", "Take an even number.", port="samples")
        if self.samples > 1000:
            known.warn("many-samples", f"{self.samples} samples are many.", "Take fewer.", "samples")
        return {"wave": self.samples}

    def run(self, ctx: RunContext) -> WaveOut:
        return WaveOut(wave=Wave((0.0,) * self.samples))


class Add(Node[WaveOut], type="toy.add_waves"):
    """Add waves of one length."""

    a: In[Wave]
    b: In[Wave]

    def infer(self, known: Known) -> Mapping[str, Any]:
        found = {known[port] for port in ("a", "b") if port in known}
        if len(found) > 1:
            raise NodeError("lengths-differ", "The waves differ in length.", "Make them equal.", port="b")
        return {"wave": found.pop()} if found else {}


class Twice(Node[WaveOut], type="toy.twice"):
    """Expands into the wave added to itself."""

    wave: In[Wave]

    def infer(self, known: Known) -> Mapping[str, Any]:
        return {"wave": known.get("wave")}

    def expand(self, inner: Workflow) -> WaveOut:
        return inner.add("sum", Add(a=self.wave, b=self.wave)).out


class Stranger(Node[WaveOut], type="toy.stranger"):
    """A node that no pack has."""


WAVE = PortType("Wave", Wave, "Samples of a signal.", "#3b82f6")
PAINT = PortType("Paint", Paint, "Something drawn.", "#f59e0b")
NODES = (Number, Divide, Measure, Oscillator, Louder, Mix, Draw, Switch, Repeat, Endless, Broken, Sampled, Add, Twice)
PACK = NodePack("toys", "1", NODES, (WAVE, PAINT))


def registry() -> Registry:
    """A registry with the toy pack."""
    return Registry([PACK])
