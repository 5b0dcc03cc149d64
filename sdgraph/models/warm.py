"""Bringing models into memory before the first run that needs them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sdgraph.errors import ModelError, Problem
from sdgraph.models.memory.needs import Need
from sdgraph.models.pool import ModelPool
from sdgraph.models.pool_events import name_of
from sdgraph.payloads.handles import ModelHandle


@dataclass(frozen=True, slots=True)
class WarmModel:
    """What became of one model."""

    model: str
    device: str
    """Where it runs."""
    ready: bool
    """Whether it is there, without loading or moving it, when the next run asks for it."""
    elapsed_s: float
    problem: Problem | None = None
    """Why it can't be loaded."""

    def to_json(self) -> dict[str, Any]:
        """A JSON object; `problem` is left out where there is none."""
        found = {"model": self.model, "device": self.device, "ready": self.ready, "elapsed_s": round(self.elapsed_s, 6)}
        return found if self.problem is None else {**found, "problem": self.problem.to_json()}


@dataclass(frozen=True, slots=True)
class WarmReport:
    """What warming up came to."""

    models: tuple[WarmModel, ...]

    @property
    def ready(self) -> bool:
        """Whether a run finds every model where it needs it. A budget that is too small for all of them says no."""
        return all(model.ready for model in self.models)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with models that can't be loaded."""
        return tuple(model.problem for model in self.models if model.problem is not None)

    def to_json(self) -> dict[str, Any]:
        """What `sdgraph warm --json` prints, and what a server's health can show."""
        return {"ready": self.ready, "models": [model.to_json() for model in self.models]}


def warm(needs: Iterable[Need], pool: ModelPool, device: str) -> WarmReport:
    """Bring the models that nodes need to the device, each once, with the patches of the node that comes first.

    A model that can't be loaded is reported, not raised, and the others are still brought. Progress is told to the run
    context of this thread, as in a run. Raises RunCancelled.
    """
    tried: dict[ModelHandle, tuple[float, Problem | None]] = {}
    for handle in _distinct(needs):
        started, problem = time.perf_counter(), None
        try:
            with pool.lease(handle, device):
                pass
        except ModelError as error:
            problem = error.problem
        tried[handle] = (time.perf_counter() - started, problem)
    return WarmReport(
        tuple(
            WarmModel(name_of(handle), pool.device_for(handle, device), pool.holds(handle, device), elapsed_s, problem)
            for handle, (elapsed_s, problem) in tried.items()
        )
    )


def _distinct(needs: Iterable[Need]) -> Iterable[ModelHandle]:
    found: dict[Any, ModelHandle] = {}
    for need in needs:
        for handle in need.handles:
            found.setdefault(handle.pool_key, handle)
    return found.values()
