"""IP-Adapters: letting a UNet attend to image prompts beside the text (Ye et al. 2023)."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sdgraph.errors import SamplingError
from sdgraph.models.control_call import UNetCall, for_items, mismatch
from sdgraph.models.families import FAMILIES
from sdgraph.payloads.control import IPAdapterBranch
from sdgraph.payloads.handles import DenoiserHandle, IPAdapterHandle

if TYPE_CHECKING:
    from torch import Tensor

    from sdgraph.models.ip_attention import IPAdapterModel


def require_match(net: IPAdapterHandle, denoiser: DenoiserHandle) -> None:
    """Raises ModelError [control-mismatch] for an adapter of another kind of model."""
    if FAMILIES[denoiser.family].denoiser != "unet":
        raise mismatch(f"The IP-Adapter `{net.source}`", "UNets", f"is {denoiser.family}")
    if net.conditioning_width != denoiser.conditioning_width:
        found, expected = (
            f"{width}-wide conditioning" for width in (net.conditioning_width, denoiser.conditioning_width)
        )
        raise mismatch(f"The IP-Adapter `{net.source}`", found, f"has {expected}")


def require_layers(net: IPAdapterHandle, count: int) -> None:
    """Raises ModelError [control-mismatch] unless an adapter is for `count` cross-attention layers."""
    if net.layers != count:
        raise mismatch(f"The IP-Adapter `{net.source}`", f"{net.layers} cross-attention layers", f"has {count}")


def require_prompt(branch: IPAdapterBranch) -> None:
    """Raises SamplingError [image-prompt] for an image prompt that was encoded for another adapter."""
    net, prompt = branch.net, branch.prompt
    dimensions = 2 if net.looks_at == "picture" else 3
    if prompt.features.ndim != dimensions or prompt.features.shape[-1] != net.width:
        raise _unreadable(net, str(list(prompt.features.shape)))


def require_same_view(net: IPAdapterHandle, encoded_for: IPAdapterHandle) -> None:
    """Raises SamplingError [image-prompt] for an image prompt that was encoded for an adapter of another kind."""
    if (net.looks_at, net.width) != (encoded_for.looks_at, encoded_for.width):
        raise _unreadable(net, f"of {encoded_for.width} per {encoded_for.looks_at}")


def _unreadable(net: IPAdapterHandle, found: str) -> SamplingError:
    return SamplingError(
        "image-prompt",
        f"The IP-Adapter `{net.source}` reads {net.width} numbers per {net.looks_at}, the image prompt is {found}.",
        "Encode the picture for this adapter.",
        port="prompt",
    )


@dataclass(frozen=True, slots=True, eq=False)
class OpenIPAdapter:
    """An IP-Adapter branch with its weights, and its image prompt as tokens."""

    branch: IPAdapterBranch
    model: IPAdapterModel
    tokens: Tensor
    """[N, tokens, D]."""
    negative: Tensor
    """The same of no picture."""
    mask: Tensor | None
    """[1 or B, 1, H, W]."""
    downscale: int

    @classmethod
    def see(
        cls, branch: IPAdapterBranch, model: IPAdapterModel, tensor: Callable[[Any], Tensor], downscale: int
    ) -> OpenIPAdapter:
        """Turn the image prompt into tokens, once. `tensor` puts an array where the UNet is."""
        import torch

        with torch.no_grad():
            tokens, negative = (
                model.projection(tensor(part)) for part in (branch.prompt.features, branch.prompt.negative)
            )
        mask = None if branch.mask is None else tensor(branch.mask.values)
        return cls(branch, model, tokens, negative, mask, downscale)

    def states(self, call: UNetCall) -> Tensor:
        """The tokens per item, [k*B, N, tokens, D]; on the negative side those of no picture."""
        import torch

        items = range(call.x.shape[0])
        return torch.stack([self.negative if call.is_negative(item) else self.tokens for item in items])

    def masks(self, call: UNetCall) -> Tensor | None:
        """[k*B, N, H, W], or None. Raises SamplingError [control-size], [control-batch]."""
        if self.mask is None:
            return None
        return for_items(self.mask, call, self.downscale, "mask").repeat(1, self.branch.prompt.pictures, 1, 1)


class OpenImageAttention:
    """A UNet that can attend to image prompts.

    Raises ModelError [control-mismatch] for an adapter with another number of cross-attention layers.
    """

    def __init__(self, unet: Any, entries: Sequence[OpenIPAdapter]) -> None:
        from sdgraph.models.ip_attention import AttentionLayers, cross_attention_layers

        self.entries = tuple(entries)
        count = len(cross_attention_layers(unet))
        for entry in entries:
            require_layers(entry.branch.net, count)
        self._layers = AttentionLayers(unet, [entry.model for entry in entries])

    @contextmanager
    def attending(self, call: UNetCall, acting: Sequence[OpenIPAdapter]) -> Generator[Any]:
        """What the UNet takes as embeddings, [k*B, L, D] and per adapter its tokens, to be used within the block."""
        strengths = [entry.branch.strength if entry in acting else 0.0 for entry in self.entries]
        masks = [entry.masks(call) if entry in acting else None for entry in self.entries]
        height, width = call.x.shape[2:]
        with self._layers.attending(strengths, masks, (height, width)):
            yield call.embedding, [entry.states(call) for entry in self.entries]
