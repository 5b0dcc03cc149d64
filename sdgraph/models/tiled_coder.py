"""Running an autoencoder of Stable Diffusion tile by tile, with the result that it has in one piece.

Each layer runs over the whole field before the next one does, one tile at a time on the device, while the field waits
in host memory. So a convolution sees its neighbours' values across the borders of tiles, and a group norm, whose mean
and variance are those of the whole picture, has them: normalising each tile by its own is what makes tiles of other
schemes differ in brightness and contrast. Attention in the middle, at the latents' size, runs in one piece. Device
memory is bounded by a tile of the largest layer, host memory by a few fields of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

    Change = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class TiledCoder:
    """Runs the layers of a model, diffusers' `AutoencoderKL`, over fields [1, C, H, W] in the host's memory."""

    model: Any
    cells: int
    """Edge of a tile in latent pixels; at every resolution a tile is the same part of the picture."""

    def decode(self, latents: Tensor) -> Tensor:
        """[1, C, h, w] as the autoencoder made them -> [1, 3, H, W] in about -1..1."""
        decoder, rows = self.model.decoder, latents.shape[2]
        field = latents.to(self.model.dtype).cpu()
        if self.model.post_quant_conv is not None:
            field = self._conv(field, self.model.post_quant_conv, rows)
        field = self._middle(self._conv(field, decoder.conv_in, rows), decoder.mid_block, rows)
        for block in decoder.up_blocks:
            for resnet in block.resnets:
                field = self._resnet(field, resnet, rows)
            for upsampler in block.upsamplers or ():
                doubled = field.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
                field = self._conv(doubled, upsampler.conv, rows)
        return self._ended(field, decoder, rows).float()

    def encode(self, pixels: Tensor) -> Tensor:
        """[1, 3, H, W] in -1..1 -> [1, C, h, w]: the mean of what the encoder finds likely."""
        encoder = self.model.encoder
        rows = pixels.shape[2] // 2 ** (len(encoder.down_blocks) - 1)
        field = self._conv(pixels.to(self.model.dtype).cpu(), encoder.conv_in, rows)
        for block in encoder.down_blocks:
            for resnet in block.resnets:
                field = self._resnet(field, resnet, rows)
            for downsampler in block.downsamplers or ():
                field = self._conv(field, downsampler.conv, rows, pads=(0, 1))
        field = self._ended(self._middle(field, encoder.mid_block, rows), encoder, rows)
        if self.model.quant_conv is not None:
            field = self._conv(field, self.model.quant_conv, rows)
        return field.float().chunk(2, dim=1)[0]

    def _middle(self, field: Tensor, block: Any, rows: int) -> Tensor:
        field = self._resnet(field, block.resnets[0], rows)
        for attention, resnet in zip(block.attentions, block.resnets[1:], strict=True):
            if attention is not None:
                field = attention(field.to(self.model.device)).cpu()
            field = self._resnet(field, resnet, rows)
        return field

    def _ended(self, field: Tensor, part: Any, rows: int) -> Tensor:
        return self._conv(field, part.conv_out, rows, _normalised(field, part.conv_norm_out, part.conv_act))

    def _resnet(self, field: Tensor, block: Any, rows: int) -> Tensor:
        first = self._conv(field, block.conv1, rows, _normalised(field, block.norm1, block.nonlinearity))
        change = self._conv(first, block.conv2, rows, _normalised(first, block.norm2, block.nonlinearity))
        del first
        straight = field if block.conv_shortcut is None else self._conv(field, block.conv_shortcut, rows)
        return change.add_(straight).div_(block.output_scale_factor)

    def _conv(
        self, field: Tensor, conv: Any, rows: int, before: Change | None = None, pads: tuple[int, int] | None = None
    ) -> Tensor:
        """A convolution of a field that went through `before`, where `rows` latent pixels are its height.

        `pads` are the zeros before and after each side; None: as the convolution has it.
        """
        import torch

        kernel, stride = conv.kernel_size[0], conv.stride[0]
        front, back = pads or (conv.padding[0], conv.padding[0])
        height, width = ((side + front + back - kernel) // stride + 1 for side in field.shape[2:])
        result = torch.empty((1, conv.out_channels, height, width), dtype=field.dtype)
        edge = max(self.cells * height // rows, 1)
        for top, bottom in _spans(height, edge):
            down, down_pads = _reach(top, bottom, field.shape[2], kernel, stride, front)
            for left, right in _spans(width, edge):
                across, across_pads = _reach(left, right, field.shape[3], kernel, stride, front)
                tile = field[..., down, across].to(self.model.device)
                tile = tile if before is None else before(tile)
                padded = torch.nn.functional.pad(tile, (*across_pads, *down_pads))
                found = torch.nn.functional.conv2d(padded, conv.weight, conv.bias, stride)
                result[..., top:bottom, left:right] = found.cpu()
        return result


def _spans(length: int, edge: int) -> Iterator[tuple[int, int]]:
    """Where the tiles of a side begin and end."""
    return ((start, min(start + edge, length)) for start in range(0, length, edge))


def _reach(start: int, end: int, length: int, kernel: int, stride: int, front: int) -> tuple[slice, tuple[int, int]]:
    """What outputs `start` to `end` of a convolution see of a side, and how many zeros before and after it."""
    low, high = start * stride - front, (end - 1) * stride - front + kernel
    return slice(max(low, 0), min(high, length)), (max(-low, 0), max(high - length, 0))


def _normalised(field: Tensor, norm: nn.GroupNorm, activation: Change) -> Change:
    """A group norm by the statistics of the whole field, and the activation after it, to be applied to its tiles.

    Sums are of float64, by group, so the variance is as exact as that of one piece.
    """
    import torch

    groups = field.reshape(norm.num_groups, -1)
    stats = [torch.var_mean(group.double(), correction=0) for group in groups]
    variance, mean = (torch.stack(values) for values in zip(*stats, strict=True))
    channels = field.shape[1] // norm.num_groups
    scale = (variance + norm.eps).rsqrt().repeat_interleave(channels) * norm.weight.double().cpu()
    shift = norm.bias.double().cpu() - mean.repeat_interleave(channels) * scale
    a, b = (values.to(norm.weight.device, torch.float32).reshape(1, -1, 1, 1) for values in (scale, shift))

    def change(tile: Tensor) -> Tensor:
        return activation((tile.float() * a + b).to(tile.dtype))

    return change
