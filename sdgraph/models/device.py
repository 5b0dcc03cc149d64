"""Which device models run on."""

from __future__ import annotations

from sdgraph.errors import ModelError


def resolve_device(wanted: str) -> str:
    """The device in torch's notation. "auto" is the fastest one that is there; "cuda" is the first of its kind.

    Imports torch, unless the answer is "cpu". Raises ModelError [device-missing] for one that is not there.
    """
    if wanted == "cpu":
        return wanted
    import torch

    found = ["cpu"]
    if torch.backends.mps.is_available():
        found.insert(0, "mps")
    if torch.cuda.is_available():
        found[:0] = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    if wanted == "auto":
        return found[0]
    device = "cuda:0" if wanted == "cuda" else wanted
    if device not in found:
        hint = f"This machine has: {', '.join(found)}."
        raise ModelError("device-missing", f"There is no device {wanted!r}.", hint)
    return device
