"""How attention is computed: a matter of speed and memory, so a setting and no part of a workflow.

diffusers' own `set_attention_backend` does nothing on UNets (their processors never ask its dispatcher), so processors
are set here, and what a model really runs is read from the model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import torch
    from torch import nn

AttentionBackend = Literal["auto", "sdpa", "math", "sliced", "xformers"]
"""`auto` and `sdpa`: PyTorch's fused attention, in whatever kernel it takes for the device. `math`: plain matrix
products. `sliced`: these, one head of one picture at a time, which needs the least memory. `xformers`: that package."""

_REPLACEABLE = ("AttnProcessor", "AttnProcessor2_0", "SlicedAttnProcessor", "XFormersAttnProcessor")


@dataclass(frozen=True, slots=True)
class AttentionChoice:
    """Which implementation a model gets, and why when it is not the one that was wanted."""

    wanted: AttentionBackend
    used: AttentionBackend
    reason: str | None = None
    """One sentence; None when the wish was granted."""


def choose_attention(wanted: AttentionBackend, model: nn.Module, device: str) -> AttentionChoice:
    """The implementation for `model` on `device`; PyTorch's own where the wanted one can't work."""
    fixed = sorted(set(processors(model)) - set(_REPLACEABLE))
    if wanted in ("auto", "sdpa"):
        return AttentionChoice(wanted, wanted)
    if fixed and not set(processors(model)) & set(_REPLACEABLE):
        return AttentionChoice(wanted, "sdpa", f"{type(model).__name__} has no other attention than {fixed[0]}")
    if wanted == "xformers" and find_spec("xformers") is None:
        return AttentionChoice(wanted, "sdpa", "the package xformers is not installed")
    if wanted == "xformers" and not device.startswith("cuda"):
        return AttentionChoice(wanted, "sdpa", f"xformers works on CUDA devices, and this is {device}")
    return AttentionChoice(wanted, wanted)


def set_attention(model: nn.Module, wanted: AttentionBackend, device: str) -> AttentionChoice:
    """Give every attention layer of `model` the wanted implementation, where it has a choice."""
    choice = choose_attention(wanted, model, device)
    if choice.used != "auto":
        for layer in _layers(model):
            if type(layer.processor).__name__ in _REPLACEABLE:
                layer.set_processor(_processor(choice.used))
    return choice


def processors(model: nn.Module) -> Mapping[str, int]:
    """The classes of the attention processors that `model` runs, and how many layers have each."""
    return Counter(type(layer.processor).__name__ for layer in _layers(model))


def sdpa_kernel(device: str, dtype: torch.dtype, head_size: int = 40, positions: int = 64) -> str:
    """The kernel that PyTorch's fused attention takes there: "flash_attention", "efficient_attention", "math", ..."""
    import torch
    from torch.nn.attention import SDPBackend

    probe = torch.zeros(1, 1, positions, head_size, dtype=dtype, device=device)
    chosen: int = torch._fused_sdp_choice(probe, probe, probe)  # pyright: ignore[reportPrivateImportUsage]
    return next(name.lower() for name, backend in SDPBackend.__members__.items() if backend.value == chosen)


def _layers(model: nn.Module) -> list[Any]:
    return [module for module in model.modules() if hasattr(module, "set_processor") and hasattr(module, "to_q")]


def _processor(backend: AttentionBackend) -> Any:
    from diffusers.models import attention_processor as kinds

    match backend:
        case "math":
            return kinds.AttnProcessor()
        case "sliced":
            return kinds.SlicedAttnProcessor(slice_size=1)
        case "xformers":
            return kinds.XFormersAttnProcessor()
        case _:
            return kinds.AttnProcessor2_0()
