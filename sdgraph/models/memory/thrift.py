"""How sparingly models compute on this thread: the remedies for memory that ran out, as data that models look at.

Nothing here is set unless memory ran out. It changes no more than the order of sums, as another attention backend or
device does; except for tiles of small autoencoders, which are blended and change the picture a little.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Thrift:
    """What models do without."""

    one_at_a_time: bool = False
    """One picture under one conditioning goes through a network at a time, instead of all in one forward."""
    sliced_attention: bool = False
    """Attention is computed one head of one picture at a time."""
    streamed: bool = False
    """Denoisers wait on the CPU, and their weights come to the device piece by piece."""
    tile_px: int = 0
    """Autoencoders take pictures in tiles of at most this edge, in pixels; 0: as they are asked to."""


_PLENTY = Thrift()
_THRIFT: ContextVar[Thrift] = ContextVar("sdgraph_thrift", default=_PLENTY)


def thrift() -> Thrift:
    """How sparingly to compute on this thread."""
    return _THRIFT.get()


@contextmanager
def more_thrift(**changes: Any) -> Generator[None]:
    """Within the `with` block models on this thread compute more sparingly, on top of what is set already."""
    token = _THRIFT.set(replace(_THRIFT.get(), **changes))
    try:
        yield
    finally:
        _THRIFT.reset(token)
