"""A model in memory that is brought from one set of patches to another, and back to its own weights bit for bit.

A touched tensor's original is set aside, not copied: the parameter points to a tensor of its own while patches are on,
and back to the original afterwards. Every set is computed from the originals, never from another set, so neither
rounding nor the order of events leaves a trace.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sdgraph.models.patches.changes import Change, read_changes
from sdgraph.models.patches.keys import Component
from sdgraph.payloads.patch import Patch

if TYPE_CHECKING:
    from torch import Tensor, nn

PatchKey = tuple[tuple[str, str, float], ...]


Changes = Mapping[str, Sequence[Change]]
"""The changes of every touched tensor, by its name, in the order of the patches."""
Networks = Mapping[Component, "nn.Module"]


@dataclass(eq=False)
class Patched:
    """The networks of one model, and which patches are on them. Not for two threads at once."""

    networks: Networks
    key: PatchKey | None = ()
    """The patches that are on; None while that is not certain."""
    _originals: dict[tuple[Component, str], Tensor] = field(default_factory=dict[Any, Any])

    def bring_to(self, patches: Sequence[Patch], device: str | None = None) -> None:
        """Make the weights those of the base with these patches, or, when that fails, those of the base.

        They are computed on `device`, whose bits they then have wherever the weights are; None: where these are.
        Raises ModelError [model-missing], [model-damaged], [lora-mismatch].
        """
        wanted = tuple(patch.key for patch in patches)
        if wanted == self.key:
            return
        try:
            self.key = None
            self._switch(patches, device)
            self.key = wanted
        except BaseException:
            self.restore()
            raise

    def restore(self) -> None:
        """Give every touched tensor its original back."""
        self.key = None
        for place in list(self._originals):
            self._put_back(place)
        self.key = ()

    @property
    def kept_bytes(self) -> int:
        """Memory of the originals that are set aside."""
        return sum(tensor.nbytes for tensor in self._originals.values())

    def _switch(self, patches: Sequence[Patch], device: str | None) -> None:
        planned: dict[Component, Changes] = {
            component: self._plan(component, patches, device) for component in self.networks
        }
        touched = {(component, name) for component, changes in planned.items() for name in changes}
        for place in self._originals.keys() - touched:
            self._put_back(place)
        for component, changes in planned.items():
            for name, of_tensor in changes.items():
                self._change(component, name, of_tensor, device)

    def _plan(self, component: Component, patches: Sequence[Patch], device: str | None) -> Changes:
        tensors = dict(self.networks[component].named_parameters())
        shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        planned: dict[str, list[Change]] = {}
        for patch in patches:
            place = device or str(next(iter(tensors.values())).device)
            for change in read_changes(patch, component, self.networks, shapes, place):
                planned.setdefault(change.piece.tensor, []).append(change)
        return planned

    def _change(self, component: Component, name: str, changes: Sequence[Change], device: str | None) -> None:
        parameter = self.networks[component].get_parameter(name)
        original = self._originals.setdefault((component, name), parameter.data)
        parameter.data = changed(original.to(device or original.device), changes).to(original.device)

    def _put_back(self, place: tuple[Component, str]) -> None:
        component, name = place
        self.networks[component].get_parameter(name).data = self._originals[place]
        del self._originals[place]


def changed(original: Tensor, changes: Sequence[Change]) -> Tensor:
    """A new tensor: the original plus all changes, each computed from the original, summed in float32."""
    import torch

    base = original.to(torch.float32)
    total = base.clone()
    for change in changes:
        rows = change.piece.rows
        total[rows] += change.strength * change.adapter.delta(base[rows], change.piece.change)
    return total.to(original.dtype)
