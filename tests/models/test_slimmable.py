"""A convolution at a part of its width."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from sdgraph.models.slimmable import SlimmableConv2d, slimmable


def conv() -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(8, 16, 3, padding=1, stride=2)


def at(width: float) -> SlimmableConv2d:
    slim = slimmable(conv())
    slim.width = width
    return slim


def picture(channels: int) -> Tensor:
    return torch.randn(2, channels, 9, 9, generator=torch.Generator().manual_seed(1))


def operations(width: float) -> int:
    slim, counter = at(width), FlopCounterMode(display=False)
    with counter:
        slim(picture(slim.kept(8)))
    return counter.get_total_flops()


def test_the_whole_width_is_the_convolution_bit_for_bit() -> None:
    assert torch.equal(at(1.0)(picture(8)), conv()(picture(8)))


def test_a_part_of_the_width_is_the_first_channels() -> None:
    base = conv()
    expected = nn.functional.conv2d(
        picture(4), base.weight[:8, :4], base.bias[:8] if base.bias is not None else None, 2, 1
    )
    assert torch.equal(at(0.5)(picture(4)), expected)


def test_slices_share_the_memory_of_the_whole() -> None:
    base = conv()
    slim = slimmable(base)
    assert slim.weight is base.weight
    for width in (1.0, 0.5, 0.25):
        slim.width = width
        assert slim.kept_weight().data_ptr() == base.weight.data_ptr()


def test_operations_fall_with_the_square_of_the_width() -> None:
    whole = operations(1.0)
    assert [operations(width) / whole for width in (0.75, 0.5, 0.25)] == [0.5625, 0.25, 0.0625]


@pytest.mark.parametrize("width", [0.0, -0.5, 1.5])
def test_a_width_that_is_none_is_refused(width: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        at(width)(picture(8))
