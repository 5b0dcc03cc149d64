"""Results and keys for tests of the disk store."""

import numpy as np

from sdgraph.core.workflow import Workflow
from sdgraph.engine.stores.base import Payloads, Result
from sdgraph.engine.stores.memory import MemoryStore
from tests.engine.toys import Bench, Louder, Record, Tape


def payloads() -> Payloads:
    return Bench(MemoryStore).payloads


def tape(level: float = 1.0, *, count: int = 8, elapsed_s: float = 1.0) -> Result:
    return Result({"tape": Tape(np.full(count, level, np.float32)), "name": "é", "level": level}, elapsed_s, "toy", 3)


def key(number: int) -> bytes:
    return number.to_bytes(32, "big")


def recordings() -> Workflow:
    """A tape, and a louder one."""
    workflow = Workflow("recordings")
    first = workflow.add("first", Record(name="first", level=0.1)).out.tape
    workflow.output("louder", workflow.add("louder", Louder(name="louder", tape=first, gain=3.0)).out.tape)
    workflow.output("first", first)
    return workflow
