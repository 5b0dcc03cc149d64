"""From a patch to the changes that it makes to a network's tensors: here the file's tensors are read."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from sdgraph.models.patches.adapters import Adapter
from sdgraph.models.patches.build import make_adapter
from sdgraph.models.patches.files import read_tensors
from sdgraph.models.patches.fit import Piece, Shapes, fit_entries
from sdgraph.models.patches.keys import Component, accepted
from sdgraph.models.patches.lora import open_patch, require_fit
from sdgraph.payloads.patch import Patch


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """A patch's change to one tensor."""

    adapter: Adapter
    strength: float
    piece: Piece


def read_changes(
    patch: Patch, component: Component, networks: Collection[Component], shapes: Shapes, device: str
) -> Iterator[Change]:
    """What a patch does to `component`, whose tensors have these shapes; `networks` are all of the model's.

    Raises ModelError [model-missing], [model-changed], [model-damaged], [lora-mismatch].
    """
    lora = open_patch(patch)
    fit = fit_entries(lora.file, lora.entries, accepted(component, networks), shapes)
    require_fit(lora, fit, component, "the model")
    keys = [key for fitted in fit.fitted for key in fitted.entry.parts.values()]
    tensors = read_tensors(lora.file.path, keys, device)
    for fitted in fit.fitted:
        rows = fitted.pieces[-1].change.stop
        adapter = make_adapter(lora.file, fitted.entry, component, tensors, rows)
        for piece in fitted.pieces:
            yield Change(adapter, patch.strength, piece)
