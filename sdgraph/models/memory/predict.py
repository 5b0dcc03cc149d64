"""How much memory a run will take at most: weights by their files' headers, the rest by what was measured before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sdgraph.errors import Problem
from sdgraph.models.memory.needs import Need
from sdgraph.models.memory.peaks import PeakTable
from sdgraph.models.weights_bytes import weights_bytes
from sdgraph.payloads.handles import ModelHandle, PoolKey, TextEncoderHandle


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a run will take of one device's memory."""

    device: str
    peak_bytes: int
    """At most at once, as far as it is known."""
    weights_bytes: int
    """Of all models that the run needs there."""
    node: str | None
    """The node at which it is most; None: no node needs a model."""
    unmeasured: tuple[str, ...]
    """Nodes of which only the weights are known: none of their kind was measured on such a device."""
    available_bytes: int | None
    """What the run may take; None: not known."""

    @property
    def fits(self) -> bool:
        """Whether it is certain not to be too much, as far as it is known."""
        return self.available_bytes is None or self.peak_bytes <= self.available_bytes

    def to_json(self) -> dict[str, Any]:
        """As `sdgraph plan --json` prints it."""
        return {
            "device": self.device,
            "peak_bytes": self.peak_bytes,
            "weights_bytes": self.weights_bytes,
            "node": self.node,
            "unmeasured": list(self.unmeasured),
            "available_bytes": self.available_bytes,
        }

    def problems(self) -> list[Problem]:
        """A warning when it does not fit."""
        if self.fits or self.available_bytes is None:
            return []
        message = (
            f"The run is expected to need {_gib(self.peak_bytes)} of {self.device}, most of it at `{self.node}`; "
            f"there are {_gib(self.available_bytes)}."
        )
        hint = "Draw smaller or fewer pictures at once, set `tile_px`, use a smaller `dtype`, or lower the budget."
        return [Problem("memory-short", message, hint, self.node, severity="warning")]


def predict(
    needs: Sequence[Need],
    table: PeakTable,
    device: str,
    *,
    available_bytes: int | None = None,
    budget_bytes: int | None = None,
    text_device: str | None = None,
) -> Prediction:
    """The peak of a run whose nodes need this, one after another on `device`.

    Models stay in memory up to `budget_bytes` (None: all of them); those of the node that runs stay in any case.
    Text encoders are left out when they have a device of their own.
    """
    sizes = _weights(needs, device, text_device)
    everything = sum(sizes.values())
    worst, peak, unmeasured = None, 0, list[str]()
    for need in needs:
        own = sum(sizes.get(key, 0) for key in {handle.pool_key for handle in need.handles})
        if not own:
            continue
        taken = None if need.pixels is None else table.predict(need.entry(device), need.pixels)
        if taken is None:
            unmeasured.append(need.node)
        held = everything if budget_bytes is None else max(own, min(everything, budget_bytes))
        if held + (taken or 0) > peak:
            worst, peak = need.node, held + (taken or 0)
    return Prediction(device, peak, everything, worst, tuple(unmeasured), available_bytes)


def _weights(needs: Iterable[Need], device: str, text_device: str | None) -> Mapping[PoolKey, int]:
    there: dict[PoolKey, ModelHandle] = {
        handle.pool_key: handle
        for need in needs
        for handle in need.handles
        if not (isinstance(handle, TextEncoderHandle) and text_device not in (None, device))
    }
    return {key: weights_bytes(handle) or 0 for key, handle in there.items()}


def _gib(size_bytes: int) -> str:
    return f"{size_bytes / 2**30:.2f} GiB"
