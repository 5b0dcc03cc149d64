"""What the model pool tells of: models that come, move and go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from sdgraph.core.context import current_context
from sdgraph.payloads.handles import ModelHandle

PoolAction = Literal["loaded", "offloaded", "returned", "streamed", "freed", "compiled", "recompiled"]
"""`offloaded`: from its device to the CPU; `returned`: the way back; `streamed`: it waits on the CPU, and from here on
comes piece by piece; `freed`: its memory was given back. `compiled`: a part of it, at its first call; `recompiled`:
again, because what it saw had another shape."""


@dataclass(frozen=True, slots=True)
class PoolEvent:
    """One model came, moved or went."""

    what: PoolAction
    model: str
    """Reference and component, for example `builtin:shapes/unet`."""
    device: str
    """Where it is after the event; of a freed one, where it was."""
    bytes: int
    """Memory of its weights and of what patches keep beside them; 0 where nothing came, moved or went."""
    elapsed_s: float = 0.0
    graphs: int = 0
    """Graphs that were compiled."""


Listener: TypeAlias = Callable[[PoolEvent], None]


def tell_run(event: PoolEvent) -> None:
    """Tell the run whose node asked for a model, if there is one."""
    if (context := current_context()) is not None:
        more: dict[str, Any] = {"graphs": event.graphs} if event.graphs else {}
        context.tell(
            "model",
            what=event.what,
            model=event.model,
            device=event.device,
            bytes=event.bytes,
            elapsed_s=round(event.elapsed_s, 6),
            **more,
        )


def name_of(handle: ModelHandle) -> str:
    """A model as people know it: its reference, and the component unless the reference is it."""
    return f"{handle.source}/{handle.component}" if handle.component else handle.source
