"""Models that compute on a device which can't hold their weights: these come piece by piece, and go after use.

What diffusers calls group offloading. A piece's weights are copied to the device when its forward begins and let go
when it ends; nothing travels back, because no forward changes weights. Taking a model off the stream gives every
parameter the very memory back that it had before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

_PIECES = 16
"""A model is cut into at least as many pieces, so that one of them is small beside the whole."""
_ROOM_PARTS = 4
"""A piece takes at most this part of the room that is there, so that most of it can hold weights that stay."""
_NEVER_CALLED = ("ModuleList", "ModuleDict", "ParameterList", "ParameterDict")


class Streamed:
    """A model on the stream. Not for two threads at once."""

    def __init__(self, model: nn.Module, device: str, room_bytes: int) -> None:
        """`model` is on the CPU. Weights that fit into `room_bytes` beside the largest piece go to `device` and stay.

        What no piece has (parameters of a module whose children are pieces) stays there too.
        """
        self.room_bytes = room_bytes
        self._device = device
        pieces, rest = _cut(model, room_bytes)
        self._rest = rest
        self._weights: list[_Weights] = []
        self._handles: list[Any] = []
        self.device_bytes = 0
        """What the weights take of the device at once, at most."""
        try:
            self._put(pieces)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Let the model be as it was: whole, on the CPU, in the same memory, without hooks."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        for weights in self._weights:
            weights.restore()

    def _put(self, pieces: list[nn.Module]) -> None:
        self._weights = [_Weights(self._rest, self._device), *(_Weights(_tensors(p), self._device) for p in pieces)]
        first, *others = self._weights
        first.bring()
        largest = max((weights.size_bytes for weights in others), default=0)
        self.device_bytes = first.size_bytes
        for piece, weights in zip(pieces, others, strict=True):
            if self.device_bytes + weights.size_bytes + largest <= self.room_bytes:
                weights.bring()
                self.device_bytes += weights.size_bytes
            else:
                weights.leave()
                self._handles.append(piece.register_forward_pre_hook(weights.before))
                self._handles.append(piece.register_forward_hook(weights.after, always_call=True))
        self.device_bytes += largest


class _Weights:
    """The weights of one piece: here or there."""

    def __init__(self, tensors: Iterable[Tensor], device: str) -> None:
        self._device = device
        self._own = [(tensor, tensor.data) for tensor in tensors]
        self.size_bytes = sum(data.nbytes for _, data in self._own)

    def bring(self) -> None:
        """To the device."""
        for tensor, data in self._own:
            tensor.data = data.to(self._device, copy=True)

    def leave(self) -> None:
        """From the device. What is left is empty, so that using it without `bring` is an error on any device."""
        for tensor, data in self._own:
            tensor.data = data.new_empty(0, device=self._device)

    def restore(self) -> None:
        """As they were."""
        for tensor, data in self._own:
            tensor.data = data

    def before(self, *_: Any) -> None:
        """Hook: the piece is called."""
        self.bring()

    def after(self, *_: Any) -> None:
        """Hook: it is done, or failed."""
        self.leave()


def _cut(model: nn.Module, room_bytes: int) -> tuple[list[nn.Module], list[Tensor]]:
    """The pieces of a model in its order, and the tensors that belong to none."""
    total = _bytes(_tensors(model))
    most = total // _PIECES if room_bytes == 0 else min(total // _PIECES, room_bytes // _ROOM_PARTS)
    pieces = [*_pieces(model, most)]
    taken = {id(tensor) for piece in pieces for tensor in _tensors(piece)}
    return pieces, [tensor for tensor in _tensors(model) if id(tensor) not in taken]


def _pieces(module: nn.Module, most_bytes: int) -> Iterator[nn.Module]:
    """The largest modules below this one that are called and no larger than that, or can't be cut further."""
    for child in module.children():
        tensors = _tensors(child)
        if not tensors:
            continue
        is_called = type(child).__name__ not in _NEVER_CALLED
        can_be_cut = any(_tensors(part) for part in child.children())
        if is_called and (_bytes(tensors) <= most_bytes or not can_be_cut):
            yield child
        else:
            yield from _pieces(child, most_bytes)


def _tensors(module: nn.Module) -> list[Tensor]:
    """Parameters and buffers, each once."""
    return list({id(tensor): tensor for tensor in (*module.parameters(), *module.buffers())}.values())


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.nbytes for tensor in tensors)
