"""Bringing models into memory, compiled where a setting asks for it, before the first run that needs them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sdgraph.errors import ModelError, Problem, SamplingError
from sdgraph.models.memory.needs import Need
from sdgraph.models.memory.recovery import is_out_of_memory
from sdgraph.models.pool import ModelPool
from sdgraph.models.pool_events import name_of
from sdgraph.models.rehearsal import rehearse
from sdgraph.payloads.handles import DenoiserHandle, ModelHandle


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
    """Why it can't be loaded, or, as a warning, why it runs uncompiled, at some size or at all."""
    compiled: bool = False
    """Whether it runs compiled, and has run at every size that the plan knows."""
    graphs: int = 0
    """Graphs that were compiled for it now; what was compiled for a model of its kind before serves it too."""
    compile_s: float = 0.0
    """What that took of `elapsed_s`."""

    def to_json(self) -> dict[str, Any]:
        """A JSON object; `problem` is left out where there is none."""
        found = {
            "model": self.model,
            "device": self.device,
            "ready": self.ready,
            "elapsed_s": round(self.elapsed_s, 6),
            "compiled": self.compiled,
            "graphs": self.graphs,
            "compile_s": round(self.compile_s, 6),
        }
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
        """What is wrong with models that can't be loaded, or compiled."""
        return tuple(model.problem for model in self.models if model.problem is not None)

    def to_json(self) -> dict[str, Any]:
        """What `sdgraph warm --json` prints, and what a server's health can show."""
        return {"ready": self.ready, "models": [model.to_json() for model in self.models]}


def warm(needs: Iterable[Need], pool: ModelPool, device: str) -> WarmReport:
    """Bring the models that nodes need to the device, each once, with the patches of the node that comes first.

    Where the pool compiles, each denoiser then makes one forward at every size that is known before the run. A model
    that can't be loaded is reported, not raised, and the others are still brought. Progress is told to the run context
    of this thread, as in a run. Raises RunCancelled.
    """
    needed = tuple(needs)
    brought = {handle: _bring(handle, needed, pool, device) for handle in _distinct(needed)}
    # A later model may have driven an earlier one out, so readiness is what is true at the end.
    return WarmReport(tuple(replace(model, ready=pool.holds(handle, device)) for handle, model in brought.items()))


def _bring(handle: ModelHandle, needs: Sequence[Need], pool: ModelPool, device: str) -> WarmModel:
    started = time.perf_counter()
    model = WarmModel(name_of(handle), pool.device_for(handle, device), ready=False, elapsed_s=0.0)
    try:
        with pool.lease(handle, device):
            if isinstance(handle, DenoiserHandle):
                model = _compile(model, handle, needs, pool, device)
    except (ModelError, SamplingError) as error:
        model = replace(model, problem=error.problem)
    return replace(model, elapsed_s=time.perf_counter() - started)


def _compile(
    model: WarmModel, handle: DenoiserHandle, needs: Sequence[Need], pool: ModelPool, device: str
) -> WarmModel:
    """Let a leased denoiser see every size that nodes will show it, if it is to be compiled."""
    if (compilation := pool.compilation(handle, device)) is None:
        return model
    graphs, before_s = compilation.graphs, compilation.elapsed_s
    own = [need for need in needs if any(other.pool_key == handle.pool_key for other in need.handles)]
    sizes = {(need.shown, need.prompts): need for need in own if need.shown and need.prompts}
    problem = next(filter(None, [_rehearsed(handle, need, pool, device) for need in sizes.values()]), None)
    problem = compilation.problem or problem
    return replace(
        model,
        problem=problem,
        compiled=problem is None and bool(sizes),
        graphs=compilation.graphs - graphs,
        compile_s=compilation.elapsed_s - before_s,
    )


def _rehearsed(handle: DenoiserHandle, need: Need, pool: ModelPool, device: str) -> Problem | None:
    """What memory has to say against a forward as this node will make it."""
    try:
        rehearse(handle, need, pool, device)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        message = f"{device} has not enough memory for `{need.node}` as it is: what it will be shown is not compiled."
        hint = "A run tries the remedies for lack of memory, and computes uncompiled then. Draw smaller pictures."
        return Problem("out-of-memory", message, hint, need.node, severity="warning")
    return None


def _distinct(needs: Iterable[Need]) -> Iterable[ModelHandle]:
    found: dict[Any, ModelHandle] = {}
    for need in needs:
        for handle in need.handles:
            found.setdefault(handle.pool_key, handle)
    return found.values()
