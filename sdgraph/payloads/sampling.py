"""Where sampling stands between two stages, as it travels along a link."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from sdgraph.core.porttype import Encoded, PortType, Shown
from sdgraph.payloads.latents import LatentSpace
from sdgraph.payloads.shown import false_colours, many
from sdgraph.payloads.tensors import from_blob, shared, tensor_bytes, to_blob

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class SamplingState:
    """A sampler's state taken apart: what `sdgraph.diffusion.state.SamplerState.to_tensors` gives, and its space."""

    meta: Mapping[str, Any]
    """JSON-able: position, seeds, solver."""
    tensors: Mapping[str, Tensor]
    """The noisy latents and the solver's history."""
    space: LatentSpace
    model: str = ""
    """Fingerprint of the denoiser that took the last step; "": none did."""


class SamplingStateCodec:
    """Stores a sampler's state bit for bit."""

    def encode(self, value: SamplingState) -> Encoded:
        """One blob per tensor."""
        blobs = {name: to_blob(tensor) for name, tensor in value.tensors.items()}
        return Encoded({"state": dict(value.meta), "space": asdict(value.space), "model": value.model}, blobs)

    def decode(self, encoded: Encoded) -> SamplingState:
        """The state, on the CPU."""
        tensors = {name: from_blob(blob) for name, blob in encoded.blobs.items()}
        meta = encoded.meta
        return SamplingState(meta["state"], tensors, LatentSpace(**meta["space"]), meta.get("model", ""))


def _show(state: SamplingState, count: int) -> Shown:
    """False colours of the noisy latents."""
    text = f"after {many(int(state.meta['step']), 'step')} ({state.space.name})"
    return Shown(text, false_colours(state.tensors["x"][:count].float().cpu().numpy(), count), approximate=True)


SAMPLING_STATE = PortType(
    "SamplingState",
    SamplingState,
    "Where sampling stands between two stages: noisy latents and the solver's history.",
    "#9d4edd",
    SamplingStateCodec(),
    share=lambda state: replace(
        state, tensors={name: shared(tensor) for name, tensor in state.tensors.items()}, meta=dict(state.meta)
    ),
    size_bytes=lambda state: tensor_bytes(state.tensors.values()),
    show=_show,
)
