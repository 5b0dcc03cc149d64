"""Words that a text model knows beside its vocabulary, while it is leased.

A word's vectors get token ids of their own, counted down from -1: no vocabulary has those, so a prompt's tokens may
hold them like any other, and whoever looks for the end token (the largest id, in old CLIP configurations) finds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from torch import Tensor, nn

_NOTHING: Mapping[str, tuple[int, ...]] = MappingProxyType({})
_KNOWN: WeakKeyDictionary[nn.Module, _Extension] = WeakKeyDictionary()


def words(encoder: nn.Module) -> Mapping[str, tuple[int, ...]]:
    """The extra words of a leased text model and the token ids (all negative) that stand for each."""
    extension = _KNOWN.get(encoder)
    return _NOTHING if extension is None else extension.ids


def set_words(encoder: nn.Module, vectors: Mapping[str, Tensor]) -> None:
    """Make these the text model's only extra words; `vectors` [n, D] of each, in the order that their tokens have.

    With none, the model is exactly what it was.
    """
    former = _KNOWN.pop(encoder, None)
    if former is not None:
        former.remove()
    if vectors:
        _KNOWN[encoder] = _Extension(encoder, vectors)


def words_bytes(encoder: nn.Module) -> int:
    """Memory of the extra words' vectors."""
    extension = _KNOWN.get(encoder)
    return 0 if extension is None else extension.table.nbytes


class _Extension:
    """Hooks on a model's token embedding that look up negative ids in a table."""

    def __init__(self, encoder: Any, vectors: Mapping[str, Tensor]) -> None:
        import torch

        embedding = encoder.get_input_embeddings()
        place = {"device": embedding.weight.device, "dtype": embedding.weight.dtype}
        self.table = torch.cat(list(vectors.values())).to(**place)
        self.ids: dict[str, tuple[int, ...]] = {}
        first = 0
        for word, own in vectors.items():
            self.ids[word] = tuple(-1 - row for row in range(first, first + len(own)))
            first += len(own)
        self._tokens: Tensor | None = None
        self._hooks = [
            embedding.register_forward_pre_hook(self._before),
            embedding.register_forward_hook(self._after),
        ]

    def remove(self) -> None:
        for hook in self._hooks:
            hook.remove()

    def _before(self, module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        self._tokens = args[0]
        return (args[0].clamp(min=0), *args[1:])

    def _after(self, module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
        import torch

        tokens, self._tokens = self._tokens, None
        assert tokens is not None  # the hook before has just run
        extra = self.table[(-1 - tokens).clamp(min=0)]
        return torch.where((tokens < 0)[..., None], extra, output)
