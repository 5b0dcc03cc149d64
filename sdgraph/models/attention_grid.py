"""Where the positions of an attention layer lie in the picture, and a blur over them."""

from __future__ import annotations

import math
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn


class ImageGrid:
    """The height and width of what a model sees, known while it runs."""

    def __init__(self) -> None:
        self.height = self.width = 0

    @property
    def positions(self) -> int:
        """Positions of a model whose input is a row of them (FLUX)."""
        return self.height * self.width

    def of_layer(self, length: int) -> tuple[int, int]:
        """(h, w) of a layer with `length` positions of the picture, halved as often as that takes.

        A row that also holds text has the picture last; it has the whole grid then.
        """
        return self._halved(length)[:2]

    def halvings(self, length: int) -> int:
        """How often the grid is halved, each time rounding up, until it has `length` positions."""
        return self._halved(length)[2]

    def _halved(self, length: int) -> tuple[int, int, int]:
        height, width, times = self.height, self.width, 0
        while height * width > length and max(height, width) > 1:
            height, width, times = math.ceil(height / 2), math.ceil(width / 2), times + 1
        return height, width, times


@contextmanager
def watched_grid(model: nn.Module) -> Generator[ImageGrid]:
    """The grid of whatever `model` is called with inside the `with` block."""
    grid = ImageGrid()

    def look(_: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        seen: Tensor = args[0] if args else kwargs["sample" if "sample" in kwargs else "hidden_states"]
        if seen.dim() == 4:
            grid.height, grid.width = seen.shape[2:]
        else:  # FLUX: a row of patches, whose places are in img_ids [positions, (_, row, column)]
            places = kwargs["img_ids"]
            grid.height, grid.width = (int(places[..., axis].max()) + 1 for axis in (1, 2))

    handle = model.register_forward_pre_hook(look, with_kwargs=True)
    try:
        yield grid
    finally:
        handle.remove()


def blurred(queries: Tensor, grid: ImageGrid, sigma: float | None) -> Tensor:
    """Queries [B, length, D] blurred over the picture; `sigma` in positions, None: the mean over the picture.

    The picture's positions are the last ones. The kernel reaches 3 sigma and reflects at the borders (Hong 2024,
    arXiv:2408.00760, section 3.3 and its published code), but no further than the picture.
    """
    import torch

    height, width = grid.of_layer(queries.shape[1])
    text, picture = queries.split([queries.shape[1] - height * width, height * width], dim=1)
    if sigma is None:
        smooth = picture.mean(dim=1, keepdim=True).expand_as(picture)
    else:
        field = picture.transpose(1, 2).reshape(*picture.shape[::2], height, width)
        smooth = _gaussian(field, sigma).flatten(2).transpose(1, 2)
    return torch.cat([text, smooth], dim=1)


def _gaussian(field: Tensor, sigma: float) -> Tensor:
    """[B, C, h, w] blurred along both sides."""
    for axis in (2, 3):
        field = _along(field, axis, sigma)
    return field


def _along(field: Tensor, axis: int, sigma: float) -> Tensor:
    import torch

    radius = min(math.ceil(6 * sigma) // 2, field.shape[axis] - 1)
    if radius < 1:
        return field
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float32, device=field.device)
    weights = torch.exp(-0.5 * (offsets / sigma) ** 2)
    weights = (weights / weights.sum()).to(field.dtype)
    padding = (radius, radius, 0, 0) if axis == 3 else (0, 0, radius, radius)
    padded = torch.nn.functional.pad(field, padding, mode="reflect")
    shape = (1, 1, 1, -1) if axis == 3 else (1, 1, -1, 1)
    channels = field.shape[1]
    return torch.conv2d(padded, weights.reshape(shape).expand(channels, *[-1] * 3), groups=channels)
