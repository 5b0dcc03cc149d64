"""A convolution that can run at a part of its width: a demonstration, which no node uses.

Slimmable networks (Yu et al. 2019, arXiv:1812.08928, section 3) run the first channels of each layer alone. They have
to be trained at all their widths, which the models that sdgraph loads are not. For these see `sdgraph.models.pruning`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SlimmableConv2d(nn.Conv2d):
    """A convolution whose first channels can run alone, with the same weights in the same memory."""

    width = 1.0
    """Share of the input and output channels that run, above 0 and at most 1; at least one channel does."""

    def forward(self, input: Tensor) -> Tensor:
        """[B, kept outputs, h, w] of [B, kept inputs, H, W]."""
        bias = None if self.bias is None else self.bias[: self.kept(self.out_channels)]
        return self._conv_forward(input, self.kept_weight(), bias)

    def kept(self, channels: int) -> int:
        """How many of so many channels run. Raises ValueError for a width that is none."""
        if not 0 < self.width <= 1:
            raise ValueError(f"A width is above 0 and at most 1, and this is {self.width}.")
        return max(1, round(self.width * channels))

    def kept_weight(self) -> Tensor:
        """The part of the weight that runs; no copy."""
        if self.groups != 1:
            raise ValueError(f"Only convolutions of one group can be slimmed, and this one has {self.groups}.")
        return self.weight[: self.kept(self.out_channels), : self.kept(self.in_channels)]


def slimmable(conv: nn.Conv2d) -> SlimmableConv2d:
    """A convolution that can be slimmed, over the very weights of one that is there."""
    with torch.device("meta"):
        slim = SlimmableConv2d(
            conv.in_channels,
            conv.out_channels,
            conv.kernel_size,  # pyright: ignore[reportArgumentType]
            conv.stride,  # pyright: ignore[reportArgumentType]
            conv.padding,  # pyright: ignore[reportArgumentType]
            conv.dilation,  # pyright: ignore[reportArgumentType]
            conv.groups,
            conv.bias is not None,
            conv.padding_mode,
        )
    slim.weight, slim.bias = conv.weight, conv.bias
    return slim
