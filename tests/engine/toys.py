"""A node pack for tests of the engine: nodes that count, wait, fail, choose, expand, deliver, and try to do harm."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sdgraph.core.build import build_graph
from sdgraph.core.context import RunContext
from sdgraph.core.graph import Graph
from sdgraph.core.node import Delivery, Node, Outputs
from sdgraph.core.pack import NodePack
from sdgraph.core.port import In, Out, port
from sdgraph.core.porttype import Blob, Encoded, PortType
from sdgraph.core.registry import Registry
from sdgraph.core.workflow import Workflow
from sdgraph.engine.executor import Executor
from sdgraph.engine.plan import Plan, make_plan
from sdgraph.engine.report import RunReport
from sdgraph.engine.stores.base import Payloads, ResultStore
from sdgraph.errors import ModelError

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Tape:
    """A toy payload: float32 samples [N], writable unless shared."""

    samples: Samples


@dataclass(frozen=True, slots=True)
class Secret:
    """A payload without a codec: it never leaves memory."""

    word: str


class TapeCodec:
    def encode(self, value: Tape) -> Encoded:
        return Encoded(
            {"count": len(value.samples)}, {"samples": Blob("F32", value.samples.shape, value.samples.tobytes())}
        )

    def decode(self, encoded: Encoded) -> Tape:
        samples = np.frombuffer(encoded.blobs["samples"].data, np.float32)
        if len(samples) != encoded.meta["count"]:
            raise ValueError("the count does not match the samples")
        return Tape(samples.copy())


def share_tape(tape: Tape) -> Tape:
    view = tape.samples.view()
    view.flags.writeable = False
    return Tape(view)


@dataclass(eq=False)
class Log:
    """What the toys did, and what the tests tell them. One for each registry, as a service."""

    runs: Counter[str] = field(default_factory=Counter[str])
    """How often a node ran, by its name."""
    threads: dict[str, str] = field(default_factory=dict[str, str])
    hooks: dict[str, Callable[[RunContext], object]] = field(default_factory=dict[str, Callable[[RunContext], object]])
    """Called while the node of this name runs."""
    broken: set[str] = field(default_factory=set[str])
    """Names of nodes that fail."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def enter(self, name: str, ctx: RunContext) -> None:
        with self.lock:
            self.runs[name] += 1
            self.threads[name] = threading.current_thread().name
        if name in self.broken:
            raise RuntimeError(f"{name} is broken")
        if name in self.hooks:
            self.hooks[name](ctx)


class TapeOut(Outputs):
    tape: Out[Tape]


class NumberOut(Outputs):
    value: Out[int]


class AnyOut(Outputs):
    value: Out[Any]


class PairOut(Outputs):
    low: Out[int]
    high: Out[int]


class Count(Node[NumberOut], type="toy.count"):
    """Add numbers up, and note that it ran. `name` is no part of the key."""

    name: In[str] = port("", keyed=False)
    start: In[int] = port(0)
    a: In[int] = port(0)
    b: In[int] = port(0)

    def run(self, ctx: RunContext) -> NumberOut:
        ctx.service(Log).enter(self.name, ctx)
        return NumberOut(value=(self.start + 2 * self.a + 3 * self.b) % 1_000_003)


class DeviceCount(Count, type="toy.device_count", lane="device"):
    """The same on the device lane."""


class Handle(Count, type="toy.handle", cache=False):
    """The same, made anew in every run."""


class Coarse(Node[NumberOut], type="toy.coarse", cutoff=True):
    """A number without its last digit: cheap, and often what it was. With early cut-off."""

    name: In[str] = port("", keyed=False)
    start: In[int] = port(0)
    a: In[int] = port(0)
    b: In[int] = port(0)

    def run(self, ctx: RunContext) -> NumberOut:
        ctx.service(Log).enter(self.name, ctx)
        return NumberOut(value=(self.start + self.a + self.b) // 10)


class Split(Node[PairOut], type="toy.split"):
    """Two outputs from one number."""

    name: In[str] = port("", keyed=False)
    value: In[int] = port(0)

    def run(self, ctx: RunContext) -> PairOut:
        ctx.service(Log).enter(self.name, ctx)
        return PairOut(low=self.value % 10, high=self.value // 10)


class Half(Node[AnyOut], type="toy.half"):
    """A number that may not be whole."""

    value: In[float] = port(1.0)

    def run(self, ctx: RunContext) -> AnyOut:
        return AnyOut(value=self.value / 2)


class Record(Node[TapeOut], type="toy.record"):
    """Make a tape."""

    name: In[str] = port("", keyed=False)
    level: In[float] = port(1.0)
    count: In[int] = port(4, ge=0)

    def run(self, ctx: RunContext) -> TapeOut:
        ctx.service(Log).enter(self.name, ctx)
        return TapeOut(tape=Tape(np.full(self.count, self.level, np.float32)))


class Louder(Node[TapeOut], type="toy.louder"):
    """Amplify a tape."""

    name: In[str] = port("", keyed=False)
    tape: In[Tape]
    gain: In[float] = port(2.0)

    def run(self, ctx: RunContext) -> TapeOut:
        ctx.service(Log).enter(self.name, ctx)
        return TapeOut(tape=Tape(self.tape.samples * np.float32(self.gain)))


class Vandal(Node[TapeOut], type="toy.vandal"):
    """Write into its input."""

    tape: In[Tape]

    def run(self, ctx: RunContext) -> TapeOut:
        self.tape.samples[:] = -1
        return TapeOut(tape=self.tape)


class ListVandal(Node[NumberOut], type="toy.list_vandal"):
    """Write into a list that it is given."""

    things: In[Any] = port(None)

    def run(self, ctx: RunContext) -> NumberOut:
        self.things.append("graffiti")
        return NumberOut(value=len(self.things))


class Things(Node[AnyOut], type="toy.things"):
    """Make a list."""

    def run(self, ctx: RunContext) -> AnyOut:
        return AnyOut(value=["clean"])


class Whisper(Node[AnyOut], type="toy.whisper"):
    """A result that can't be stored on disk."""

    name: In[str] = port("", keyed=False)

    def run(self, ctx: RunContext) -> AnyOut:
        ctx.service(Log).enter(self.name, ctx)
        return AnyOut(value=Secret("psst"))


class Switch(Node[AnyOut], type="toy.switch"):
    """Hand on one of two inputs, chosen while running."""

    name: In[str] = port("", keyed=False)
    choice: In[int] = port(0)
    a: In[Any] = port(None, lazy=True)
    b: In[Any] = port(None, lazy=True)

    def needed(self) -> Iterable[str]:
        return ("a",) if self.choice % 2 == 0 else ("b",)

    def run(self, ctx: RunContext) -> AnyOut:
        ctx.service(Log).enter(self.name, ctx)
        return AnyOut(value=self.a if self.choice % 2 == 0 else self.b)


class Repeat(Node[NumberOut], type="toy.repeat"):
    """Count several times: one small node each."""

    a: In[int]
    times: In[int] = port(2, ge=1, linkable=False)

    def expand(self, inner: Workflow) -> NumberOut:
        value: Any = self.a
        for step in range(self.times):
            value = inner.add(f"step{step}", Count(name=f"step{step}", start=step, a=value)).out.value
        return NumberOut(value=value)


class ReadFile(Node[NumberOut], type="toy.read_file"):
    """A number from a file, identified by its content."""

    name: In[str] = port("", keyed=False)
    path: In[str] = port("", keyed=False, linkable=False)

    def fingerprint(self) -> str:
        if not self.path:
            raise ZeroDivisionError("no path")
        try:
            return Path(self.path).read_text()
        except OSError as error:
            raise ModelError("model-missing", f"There is no file {self.path}.", "Give another path.") from error

    def run(self, ctx: RunContext) -> NumberOut:
        ctx.service(Log).enter(self.name, ctx)
        return NumberOut(value=int(Path(self.path).read_text()))


class Save(Node[NumberOut], type="toy.save"):
    """Write a number to a file, computed or not."""

    name: In[str] = port("", keyed=False)
    value: In[int]
    file_name: In[str] = port("out.txt", keyed=False)

    def run(self, ctx: RunContext) -> NumberOut:
        ctx.service(Log).enter(self.name, ctx)
        return NumberOut(value=self.value)

    def deliver(self, outputs: Mapping[str, Any], delivery: Delivery) -> list[Path]:
        path = delivery.folder / delivery.values["file_name"]
        path.write_text(str(outputs["value"]))
        return [path]


class Liar(Node[TapeOut], type="toy.liar"):
    """Returns something else than it says."""

    def run(self, ctx: RunContext) -> TapeOut:
        tape: Any = "no tape"
        return TapeOut(tape=tape)


NODES = (
    Count, DeviceCount, Handle, Coarse, Split, Half, Record, Louder, Vandal, ListVandal, Things, Whisper, Switch,
    Repeat, ReadFile, Save, Liar,
)  # fmt: skip
TAPE = PortType("Tape", Tape, "Samples.", "#000", TapeCodec(), share_tape, size_bytes=lambda tape: tape.samples.nbytes)
SECRET = PortType("Secret", Secret, "A word.", "#000")
PACK = NodePack("engine-toys", "1", NODES, (TAPE, SECRET), services={Log: Log})


class Bench:
    """A registry, a store and an executor, with short ways to plan and to run."""

    def __init__(self, store: Callable[[Payloads], ResultStore], **options: Any) -> None:
        self.registry = Registry([PACK])
        self.payloads = Payloads(self.registry.port_types)
        self.store = store(self.payloads)
        self.executor = Executor(self.registry, self.store, **options)
        self.log = self.executor.services.get(Log)

    def graph(self, workflow: Workflow, inputs: Mapping[str, Any] | None = None) -> Graph:
        return build_graph(workflow, self.registry, inputs, max_nodes=200_000)

    def plan(self, workflow: Workflow, **options: Any) -> Plan:
        return make_plan(self.graph(workflow), self.store, **options)

    def run(self, workflow: Workflow | Plan, **options: Any) -> RunReport:
        plan = workflow if isinstance(workflow, Plan) else self.plan(workflow)
        return self.executor.run(plan, **options)


def chain(length: int, *, start: int = 0) -> Workflow:
    """Counts n0 to n(length - 1), each feeding the next; the output is `out`."""
    workflow = Workflow("chain")
    value: Any = workflow.add("n0", Count(name="n0", start=start)).out.value
    for place in range(1, length):
        value = workflow.add(f"n{place}", Count(name=f"n{place}", start=place, a=value)).out.value
    workflow.output("out", value)
    return workflow
