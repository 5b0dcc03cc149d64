"""Compiled transformer blocks of denoisers: they change how long a step takes, so they are a setting.

Regional compilation: all blocks of a kind run one compiled `forward`, which is compiled once for each width and again
when the shape of what it sees becomes another one. diffusers' `compile_repeated_blocks` compiles by `Module.compile`:
that leaves out Stable Diffusion 3 (it names no repeated blocks), keeps each block in a reference cycle, so that a freed
model's memory stays until the garbage is collected, and traces whatever stands on a block while it is first called.
Here code belongs to the kind of block, so a model that is loaded again finds it, and a block that something changes (a
perturbed, sliced or merged attention, an IP-Adapter, a hook) runs as it is, uncompiled.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from sdgraph.core.context import current_context
from sdgraph.errors import Problem
from sdgraph.models.memory.thrift import Thrift, thrift
from sdgraph.models.pool_events import Listener, PoolEvent

if TYPE_CHECKING:
    from torch import nn

CompileMode = Literal["off", "blocks"]
KINDS = ("BasicTransformerBlock", "JointTransformerBlock", "FluxTransformerBlock", "FluxSingleTransformerBlock")
"""The repeated blocks of UNets, Stable Diffusion 3 and FLUX.1."""
_PLAIN_ATTENTION = ("AttnProcessor", "AttnProcessor2_0")
_MOST_GRAPHS = 64
"""Of one kind of block, over all models of a process. torch's own limit of 8 is less than two UNets take."""


class CompiledBlocks:
    """The compiled blocks of one model, and what compiling them took. Not for two threads at once."""

    def __init__(self, model: nn.Module, name: str, device: str, say: Listener) -> None:
        """Compiles nothing yet: the first forward does. `say` hears of every call that compiled something."""
        self.graphs = 0
        """Graphs that were compiled for this model so far; code that another one left costs nothing and is not
        counted."""
        self.recompiled = 0
        """Those of them that blocks needed which had run before: what they saw had another shape."""
        self.elapsed_s = 0.0
        """What compiling took, the forwards of the blocks included."""
        self.problem: Problem | None = None
        """Why the model runs uncompiled."""
        self._name, self._device, self._say = name, device, say
        for module in model.modules():
            if type(module).__name__ in KINDS:
                module._compiled_call_impl = _Block(module, self)

    def count(self, graphs: int, elapsed_s: float, *, again: bool) -> None:
        """A block's call compiled so many graphs; `again` if the block had run before."""
        self.elapsed_s += elapsed_s
        self.recompiled += graphs if again else 0
        what = "recompiled" if again else "compiled"
        self._say(PoolEvent(what, self._name, self._device, 0, elapsed_s, graphs))

    def give_up(self, error: Exception) -> None:
        """Run uncompiled from here on, and say why."""
        cause: Exception = getattr(error, "inner_exception", error)
        said = next(iter(str(cause).strip().splitlines()), type(cause).__name__).rstrip(".")
        self.problem = Problem(
            "compile-failed",
            f"`{self._name}` runs uncompiled, because torch.compile failed: {said}.",
            "torch.compile needs a C++ compiler (Debian: g++) on the processor, and Triton with a C compiler on CUDA. "
            "Install what is missing, or set SDGRAPH_COMPILE=off.",
            severity="warning",
        )
        if (context := current_context()) is not None:
            context.warn(self.problem)


_RUNNING: ContextVar[CompiledBlocks | None] = ContextVar("sdgraph_compiling", default=None)


class _Block:
    """What a block calls in place of its `_call_impl`: compiled code while nothing but itself is on it."""

    def __init__(self, block: nn.Module, model: CompiledBlocks) -> None:
        self._block = weakref.ref(block)  # the block has this object
        self._parts = [part for part in block.modules() if part is not block]
        self._kind = type(block)
        self._attention = {type(part.processor).__name__ for part in self._parts if hasattr(part, "processor")}
        self._model = model
        self._has_run = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        block, model = self._block(), self._model
        assert block is not None  # it is the block that calls
        if model.problem is not None or not self._is_plain(block):
            return block._call_impl(*args, **kwargs)
        graphs, started = model.graphs, time.perf_counter()
        token = _RUNNING.set(model)
        try:
            found = compiled_forward(self._kind)(block, *args, **kwargs)
        except _errors() as error:
            model.give_up(error)
            return block._call_impl(*args, **kwargs)
        finally:
            _RUNNING.reset(token)
        if model.graphs > graphs:
            model.count(model.graphs - graphs, time.perf_counter() - started, again=self._has_run)
        self._has_run = True
        return found

    def _is_plain(self, block: nn.Module) -> bool:
        """Whether the block is as it was loaded, weights aside, and memory is not short."""
        if type(block) is not self._kind or thrift() != Thrift():
            return False
        return all(map(_is_untouched, (block, *self._parts))) and all(
            type(part.processor).__name__ in (*self._attention, *_PLAIN_ATTENTION)
            for part in self._parts
            if hasattr(part, "processor")
        )


@cache
def compiled_forward(kind: type[nn.Module]) -> Callable[..., Any]:
    """The compiled `forward` of a kind of block; its first argument is the block."""
    import torch
    import torch._dynamo.config as config

    config.recompile_limit = max(config.recompile_limit, _MOST_GRAPHS)
    return torch.compile(kind.forward, backend=_inductor, fullgraph=True)


def _inductor(graph: Any, inputs: Sequence[Any]) -> Callable[..., Any]:
    """torch's inductor, counting what it compiles."""
    from sdgraph.models.quiet import quiet

    with quiet():
        from torch._inductor.compile_fx import compile_fx

        made: Any = compile_fx(graph, inputs)
    if (model := _RUNNING.get()) is not None:
        model.graphs += 1
    return made


def _is_untouched(module: nn.Module) -> bool:
    """Whether a module runs its class' `forward`, without hooks."""
    return not ("forward" in module.__dict__ or module._forward_hooks or module._forward_pre_hooks)


def _errors() -> tuple[type[Exception], ...]:
    """What torch.compile raises when it can't; errors of the block itself are others, or come again uncompiled."""
    from torch._dynamo.exc import FailOnRecompileLimitHit, TorchDynamoException

    return TorchDynamoException, FailOnRecompileLimitHit
