"""The cross-attention of IP-Adapters (Ye et al. 2023, equation 5), put into a UNet for one forward."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from diffusers.models.attention_processor import IPAdapterAttnProcessor2_0
from torch import Tensor, nn


class IPAdapterModel(nn.Module):
    """An adapter's weights."""

    def __init__(self, projection: nn.Module, keys: Sequence[nn.Linear], values: Sequence[nn.Linear]) -> None:
        super().__init__()
        self.projection = projection
        """Turns encoded pictures into tokens: [N, E] or [N, T, H] to [N, tokens, D]."""
        self.keys: Any = nn.ModuleList(keys)
        """Per cross-attention layer: tokens to keys."""
        self.values: Any = nn.ModuleList(values)
        """Per cross-attention layer: tokens to values."""


class ImageAttention(IPAdapterAttnProcessor2_0):
    """Attention to text and, beside it, to image prompts. Its projections are those of the adapters, not copies."""

    def __init__(self, keys: Sequence[nn.Linear], values: Sequence[nn.Linear]) -> None:
        # The parent's own projections are replaced at once, so they get neither memory nor random numbers.
        with torch.device("meta"):
            super().__init__(1, 1, num_tokens=(1,) * len(keys))
        self.to_k_ip = nn.ModuleList(keys)
        self.to_v_ip = nn.ModuleList(values)
        self.scale: Any = [0.0] * len(keys)
        self.masks: list[Tensor | None] = []
        """Per adapter [k*B, N, h, w] at the latents' size; None: everywhere."""
        self.grids: dict[int, tuple[int, int]] = {}
        """Height and width of the pixels by how many they are."""

    def __call__(self, attn: Any, hidden_states: Tensor, *more: Any, **options: Any) -> Tensor:
        """Like the parent's; a mask is resized here, because there the aspect ratio has to be guessed."""
        if any(mask is not None for mask in self.masks):
            grid = self.grids[hidden_states.shape[1]]
            options["ip_adapter_masks"] = [None if mask is None else _resized(mask, grid) for mask in self.masks]
        return super().__call__(attn, hidden_states, *more, **options)


class AttentionLayers:
    """A UNet's cross-attention layers, with a processor for each that attends to the image prompts of adapters."""

    def __init__(self, unet: Any, adapters: Sequence[IPAdapterModel]) -> None:
        self._layers = cross_attention_layers(unet)
        self._levels = len(unet.config.block_out_channels)
        self._processors = [
            ImageAttention(
                [_of_heads(adapter.keys[i], layer) for adapter in adapters],
                [_of_heads(adapter.values[i], layer) for adapter in adapters],
            )
            for i, layer in enumerate(self._layers)
        ]

    @contextmanager
    def attending(
        self, strengths: Sequence[float], masks: Sequence[Tensor | None], latents: tuple[int, int]
    ) -> Generator[None]:
        """Attend with these strengths, one per adapter, 0 for those at rest; afterwards all is as it was."""
        before = [layer.processor for layer in self._layers]
        grids = _grids(latents, self._levels)
        try:
            for layer, processor in zip(self._layers, self._processors, strict=True):
                processor.scale = list(strengths)
                processor.masks, processor.grids = list(masks), grids
                layer.set_processor(processor)
            yield
        finally:
            for layer, processor in zip(self._layers, before, strict=True):
                layer.set_processor(processor)


def cross_attention_layers(unet: Any) -> list[Any]:
    """The layers that attend to prompts, in the order in which IP-Adapter files number them."""
    names = [name.removesuffix(".processor") for name in unet.attn_processors]
    return [unet.get_submodule(name) for name in names if name.endswith("attn2")]


def _of_heads(project: nn.Linear, layer: Any) -> nn.Linear:
    """A projection to the heads that a layer has: the adapter's own, or its rows for those that pruning left."""
    rows: list[int] | None = getattr(layer, "kept_rows", None)
    if rows is None:
        return project
    with torch.device("meta"):
        cut = nn.Linear(project.in_features, len(rows), bias=False)
    cut.weight = nn.Parameter(project.weight.data[rows], requires_grad=False)
    return cut


def _grids(latents: tuple[int, int], levels: int) -> dict[int, tuple[int, int]]:
    """Height and width at each level of the UNet by their product; each level halves them, rounding up."""
    height, width = latents
    grids: dict[int, tuple[int, int]] = {}
    for _ in range(levels):
        grids[height * width] = (height, width)
        height, width = -(-height // 2), -(-width // 2)
    return grids


def _resized(mask: Tensor, grid: tuple[int, int]) -> Tensor:
    return nn.functional.interpolate(mask, size=grid, mode="bicubic")
