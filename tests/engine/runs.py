"""Short ways to run the toys, shared by the tests of runs."""

from typing import Any

from sdgraph.core.workflow import Workflow
from sdgraph.engine.stores.base import NullStore
from sdgraph.engine.stores.memory import MemoryStore
from tests.engine.toys import Bench, Count

WAIT_S = 20.0
"""How long a test waits for what must happen before it fails."""


def in_memory(**options: Any) -> Bench:
    return Bench(MemoryStore, **options)


def uncached(**options: Any) -> Bench:
    return Bench(lambda payloads: NullStore(), **options)


def diamond() -> Workflow:
    """root feeds left and right, which both feed join."""
    workflow = Workflow("diamond")
    root = workflow.add("root", Count(name="root", start=1)).out.value
    left = workflow.add("left", Count(name="left", start=2, a=root)).out.value
    right = workflow.add("right", Count(name="right", start=3, a=root)).out.value
    workflow.output("out", workflow.add("join", Count(name="join", a=left, b=right)).out.value)
    return workflow
