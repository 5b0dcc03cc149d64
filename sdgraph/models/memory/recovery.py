"""What is done when a device's memory runs out, from what changes no bit to what may change the picture a little."""

from __future__ import annotations

import gc
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, TypeAlias

from sdgraph.core.context import RunContext
from sdgraph.core.recovery import Remedy
from sdgraph.errors import NodeError, SdgraphError
from sdgraph.models.memory.thrift import more_thrift
from sdgraph.models.placing import CPU
from sdgraph.models.pool import ModelPool
from sdgraph.payloads.control import Control
from sdgraph.payloads.handles import DenoiserHandle, ModelHandle, VaeHandle
from sdgraph.payloads.image import Image
from sdgraph.payloads.latents import Latents

Remedies: TypeAlias = Literal["all", "exact", "off"]
"""`exact`: only those whose result may be stored; `off`: none."""

TILES_PX = (512, 256, 128)
_SAID = ("can't allocate memory", "not enough memory", "out of memory", "failed to allocate")
"""What errors of allocators say that have no class of their own: torch's CPU allocator, MPS, cuBLAS."""


class MemoryRecovery:
    """The `Recovery` of nodes that run models."""

    def __init__(self, allowed: Remedies = "all") -> None:
        self.allowed: Remedies = allowed

    def is_curable(self, error: Exception) -> bool:
        """Whether memory ran out, and remedies are allowed."""
        return self.allowed != "off" and is_out_of_memory(error)

    def remedies(self, inputs: Mapping[str, Any], context: RunContext) -> Iterator[Remedy]:
        """Those that can help a node with these inputs.

        First the memory that others hold and that torch keeps for later; then less at a time, in networks, in
        attention, in autoencoders.
        """
        found = self._remedies(inputs, context)
        return (remedy for remedy in found if remedy.storable or self.allowed == "all")

    def hopeless(self, said: str, tried: tuple[Remedy, ...], context: RunContext) -> SdgraphError:
        """The error when all were tried: NodeError [out-of-memory]."""
        names = ", ".join(remedy.name for remedy in tried) or "nothing that would help"
        return NodeError(
            "out-of-memory",
            f"{context.device} has not enough memory for this node ({said}). Tried: {names}.",
            "Draw smaller or fewer pictures at once, set `tile_px`, or use a smaller `dtype`.",
        )

    def _remedies(self, inputs: Mapping[str, Any], context: RunContext) -> Iterator[Remedy]:
        handles = handles_in(inputs)
        yield Remedy(
            "free_memory",
            f"models that this node does not use left {context.device}, and torch gave its spare memory back",
            lambda: _freed(context, handles),
        )
        denoisers = [handle for handle in handles if isinstance(handle, DenoiserHandle)]
        draws = bool(denoisers)
        codes = [handle for handle in handles if isinstance(handle, VaeHandle)]
        if not _are_there(denoisers, context):  # which nothing helps that makes pictures smaller
            yield from _streaming(context.device)
        if draws or (codes and _batch(inputs) > 1):
            text = "pictures and conditionings went through the network one at a time"
            yield Remedy("one_at_a_time", text, lambda: more_thrift(one_at_a_time=True))
        if draws:
            text = "attention was computed in slices"
            yield Remedy("sliced_attention", text, lambda: more_thrift(sliced_attention=True))
            yield from _streaming(context.device)
        blended = any(handle.tiny for handle in codes)
        # Exact tiles leave whole fields on the host: where that is the device, they take more memory than one piece.
        if codes and (blended or context.device != CPU):
            yield from _tilings(inputs, blended=blended)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that an allocation failed: on the host, on a device, or in a library's own words."""
    names = {kind.__name__ for kind in type(error).__mro__}
    if names & {"MemoryError", "OutOfMemoryError"}:
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _SAID)


def handles_in(inputs: Mapping[str, Any]) -> tuple[ModelHandle, ...]:
    """The models that a node with these inputs uses, control networks included."""
    found: list[ModelHandle] = []
    for value in inputs.values():
        if isinstance(value, ModelHandle):
            found.append(value)
        elif isinstance(value, Control):
            found += [branch.net for branch in value.branches]
    return tuple(found)


@contextmanager
def _freed(context: RunContext, handles: tuple[ModelHandle, ...]) -> Generator[None]:
    gc.collect()
    context.service(ModelPool).vacate(context.device, keep=handles)
    yield


def _are_there(handles: Sequence[DenoiserHandle], context: RunContext) -> bool:
    """Whether models came to the device at all. On the CPU it makes no difference."""
    return context.device == CPU or all(context.service(ModelPool).holds(each, context.device) for each in handles)


def _streaming(device: str) -> Iterator[Remedy]:
    """Weights that wait on the CPU, where that is another place than the device."""
    if device != CPU:
        text = "the denoiser's weights waited in the processor's memory, and came piece by piece"
        yield Remedy("streamed_weights", text, lambda: more_thrift(streamed=True))


def _tilings(inputs: Mapping[str, Any], *, blended: bool) -> Iterator[Remedy]:
    """Tiles from large to small; the result is another one where they are blended (`models.vae`)."""
    asked, side = inputs.get("tile_px") or 0, _side_px(inputs)
    for tile_px in TILES_PX:
        if tile_px < side and not 0 < asked <= tile_px:
            text = f"the autoencoder took the picture in tiles of {tile_px} px"
            yield Remedy(f"tiles_{tile_px}", text, lambda tile_px=tile_px: more_thrift(tile_px=tile_px), not blended)


def _batch(inputs: Mapping[str, Any]) -> int:
    return max((value.batch for value in inputs.values() if isinstance(value, (Latents, Image))), default=1)


def _side_px(inputs: Mapping[str, Any]) -> int:
    """The longest side of a picture among the inputs, in pixels."""
    found = [value for value in inputs.values() if isinstance(value, (Latents, Image))]
    return max((max(value.width_px, value.height_px) for value in found), default=0)
