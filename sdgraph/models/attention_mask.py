"""Joint attention in which the positions of a picture don't see each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


class ImageIdentity(TorchFunctionMode):
    """While it is active, scaled dot product attention masks each picture position from all others but itself.

    Text sees everything, and everything sees the text: identity attention for joint blocks, as diffusers'
    `PAGJointAttnProcessor2_0` has it.
    """

    def __init__(self, positions: int, picture_first: bool) -> None:
        """`positions` of the picture; they come before the text or after it."""
        super().__init__()
        self._positions = positions
        self._first = picture_first

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        if func is torch.nn.functional.scaled_dot_product_attention:
            query = args[0] if args else given["query"]
            args, given = args[:3], {**given, "attn_mask": self._mask(query)}
        return func(*args, **given)

    def _mask(self, query: Tensor) -> Tensor:
        """[length, length] additive, for queries [B, heads, length, D]."""
        length = query.shape[-2]
        mask = torch.zeros(length, length, dtype=query.dtype, device=query.device)
        begin = 0 if self._first else length - self._positions
        picture = slice(begin, begin + self._positions)
        mask[picture, picture] = float("-inf")
        mask[picture, picture].fill_diagonal_(0)
        return mask
