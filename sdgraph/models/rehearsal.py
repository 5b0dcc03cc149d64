"""One forward of a denoiser on pictures as a run will show it, so that what compiles at first sight is compiled."""

from __future__ import annotations

from sdgraph.models.families import FAMILIES
from sdgraph.models.memory.needs import Need
from sdgraph.models.network import open_network
from sdgraph.models.pool import ModelPool
from sdgraph.payloads.conditioning import Conditioning, ConditioningEntry
from sdgraph.payloads.handles import DenoiserHandle

CLIP_TOKENS = 77
_TIMESTEP = 500.0


def rehearse(handle: DenoiserHandle, need: Need, pool: ModelPool, device: str) -> None:
    """Predict zeros' noise at the size, batch and number of conditionings of a node, with prompts of one chunk.

    Control is left out: it changes nothing of the shapes inside the blocks. Raises as `open_network` does.
    """
    import torch

    assert need.shown is not None  # asked where the size is known
    step, batch = handle.space.downscale, need.shown.batch
    height, width = need.shown.height_px // step, need.shown.width_px // step
    x = torch.zeros(need.prompts * batch, handle.space.channels, height, width, device=device)
    channels = torch.zeros(1, handle.space.channels + 1, height, width, device=device) if handle.inpainting else None
    # On the device from the start, because nobody's prompt is sent.
    entry = ConditioningEntry(
        torch.zeros(1, prompt_tokens(handle), handle.conditioning_width, device=device),
        torch.zeros(1, handle.pooled_width, device=device) if handle.pooled_width else None,
    )
    with open_network(pool, handle, None, device, channels) as network:
        network(x, torch.full((len(x),), _TIMESTEP, device=device), (Conditioning((entry,)),) * need.prompts)


def prompt_tokens(handle: DenoiserHandle) -> int:
    """Vectors of an encoded prompt of one chunk for this model."""
    towers = FAMILIES[handle.family].towers
    t5 = sum(tower.max_tokens or 0 for tower in towers if tower.kind == "t5")
    return t5 + (CLIP_TOKENS if any(tower.kind == "clip" and tower.layer != "none" for tower in towers) else 0)
