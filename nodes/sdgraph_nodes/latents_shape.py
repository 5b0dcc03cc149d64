"""Latents of another size or place: enlarging, cutting, turning, mirroring, and laying over each other."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from sdgraph.core.context import RunContext
from sdgraph.core.infer import Known
from sdgraph.core.node import Node
from sdgraph.core.port import In, port
from sdgraph.errors import SamplingError
from sdgraph.models.facts import require_space
from sdgraph.payloads.facts import Sized, is_settled, latents_at, picture_at
from sdgraph.payloads.latents import Latents, LatentSpace, changed, require_same_space
from sdgraph.payloads.mask import Mask
from sdgraph_nodes.inpaint import latent_mask
from sdgraph_nodes.mask_edits import require_mask_size
from sdgraph_nodes.outputs import LatentsOut, SameSpace

if TYPE_CHECKING:
    from torch import Tensor

Interpolation = Literal["nearest", "bilinear", "bicubic", "area"]
Axis = Literal["horizontal", "vertical"]
Turn = Literal["90", "180", "270"]


class UpscaleLatents(SameSpace, type="latents.upscale", version=1):
    """Enlarge (or shrink) latents by interpolation, as the first half of a hires fix.

    Latents are no picture: what comes out is blurred or blocky until a sampler draws over it, with a strength of about
    0.5 or more. Enlarging the decoded picture instead needs less strength.
    """

    latents: In[Latents]
    """The latents."""
    factor: In[float] = port(2.0, gt=0, le=8)
    """How much larger the result is, when no width or height is given; rounded to whole latent pixels."""
    width_px: In[int] = port(0, ge=0, le=16384, multiple_of=8, unit="px")
    """Width of the picture that the result decodes to; 0: whatever keeps the proportions."""
    height_px: In[int] = port(0, ge=0, le=16384, multiple_of=8, unit="px")
    """Height of the picture that the result decodes to; 0: whatever keeps the proportions."""
    method: In[Interpolation] = port("nearest")
    """`nearest` repeats values; `bilinear` and `bicubic` are smooth; `area` averages, for shrinking."""

    def infer(self, known: Known) -> Mapping[str, Any]:
        latents = latents_at(known, "latents")
        picture, space = latents.picture, latents.space
        if picture is None or space is None or not is_settled(self.factor, self.width_px, self.height_px):
            return {"latents": latents.of_picture(None)}
        height, width = self._size(picture.height_px // space.downscale, picture.width_px // space.downscale, space)
        return {"latents": latents.of_picture(picture.sized(width * space.downscale, height * space.downscale))}

    def run(self, ctx: RunContext) -> LatentsOut:
        height, width = self.latents.samples.shape[2:]
        size = self._size(height, width, self.latents.space)
        if size == tuple(self.latents.samples.shape[2:]):
            return LatentsOut(latents=self.latents)
        return LatentsOut(latents=changed(self.latents, lambda part: _resized(part, size, self.method)))

    def _size(self, height: int, width: int, space: LatentSpace) -> tuple[int, int]:
        """Height and width in latent pixels of what latents of `height` and `width` become."""
        step = space.downscale
        across, down = self.width_px / (width * step), self.height_px / (height * step)
        if not self.width_px and not self.height_px:
            across = down = self.factor
        across, down = across or down, down or across
        return max(round(height * down), 1), max(round(width * across), 1)


class CropLatents(SameSpace, type="latents.crop", version=1):
    """Cut a rectangle out of latents, in pixels of the picture that they decode to."""

    latents: In[Latents]
    """The latents."""
    left_px: In[int] = port(0, ge=0, le=16384, multiple_of=8, unit="px")
    """Where it begins across."""
    top_px: In[int] = port(0, ge=0, le=16384, multiple_of=8, unit="px")
    """Where it begins down."""
    width_px: In[int] = port(512, ge=8, le=16384, multiple_of=8, unit="px")
    """Its width."""
    height_px: In[int] = port(512, ge=8, le=16384, multiple_of=8, unit="px")
    """Its height."""

    def infer(self, known: Known) -> Mapping[str, Any]:
        latents = latents_at(known, "latents")
        if latents.picture is None or not is_settled(self.left_px, self.top_px, self.width_px, self.height_px):
            return {"latents": latents.of_picture(None)}
        self._require_inside(latents.picture)
        return {"latents": latents.of_picture(latents.picture.sized(self.width_px, self.height_px))}

    def run(self, ctx: RunContext) -> LatentsOut:
        latents, step = self.latents, self.latents.space.downscale
        self._require_inside(latents)
        rows = slice(self.top_px // step, (self.top_px + self.height_px) // step)
        columns = slice(self.left_px // step, (self.left_px + self.width_px) // step)
        return LatentsOut(latents=changed(latents, lambda part: part[..., rows, columns].contiguous()))

    def _require_inside(self, latents: Sized) -> None:
        if self.left_px + self.width_px > latents.width_px or self.top_px + self.height_px > latents.height_px:
            raise SamplingError(
                "latents-size",
                f"A part of {self.width_px} x {self.height_px} px from {self.left_px}, {self.top_px} does not lie in "
                f"{latents.width_px} x {latents.height_px} px.",
                "Cut out a smaller part.",
                port="width_px",
            )


class FlipLatents(SameSpace, type="latents.flip", version=1):
    """Mirror latents. The decoded picture is nearly, not exactly, the mirrored one."""

    latents: In[Latents]
    """The latents."""
    axis: In[Axis] = port("horizontal")
    """`horizontal` swaps left and right, `vertical` top and bottom."""

    def run(self, ctx: RunContext) -> LatentsOut:
        axis = -1 if self.axis == "horizontal" else -2
        return LatentsOut(latents=changed(self.latents, lambda part: part.flip(axis)))


class RotateLatents(SameSpace, type="latents.rotate", version=1):
    """Turn latents clockwise by quarters. The decoded picture is nearly, not exactly, the turned one."""

    latents: In[Latents]
    """The latents."""
    degrees: In[Turn] = port("90")
    """How far."""

    def infer(self, known: Known) -> Mapping[str, Any]:
        latents = latents_at(known, "latents")
        if latents.picture is None or not is_settled(self.degrees):
            return {"latents": latents.of_picture(None)}
        sides = latents.picture.width_px, latents.picture.height_px
        width, height = sides if self.degrees == "180" else sides[::-1]
        return {"latents": latents.of_picture(latents.picture.sized(width, height))}

    def run(self, ctx: RunContext) -> LatentsOut:
        quarters = -int(self.degrees) // 90  # torch turns the other way
        return LatentsOut(latents=changed(self.latents, lambda part: part.rot90(quarters, (-2, -1)).contiguous()))


class CompositeLatents(Node[LatentsOut], type="latents.composite", version=1):
    """Lay latents over others at a place, wholly or where a mask says so. The result has the size of those below."""

    below: In[Latents]
    """The latents that stay elsewhere; their seeds and mask go on."""
    above: In[Latents]
    """The latents that are laid on top, one for all items or one per item."""
    left_px: In[int] = port(0, ge=0, le=16384, multiple_of=8, unit="px")
    """Where the upper ones begin across, in pixels of the decoded picture; what sticks out is cut off."""
    top_px: In[int] = port(0, ge=0, le=16384, multiple_of=8, unit="px")
    """Where they begin down."""
    mask: In[Mask | None] = port(None)
    """Where the upper ones are seen, of the size of their picture; none: everywhere."""

    def infer(self, known: Known) -> Mapping[str, Any]:
        below, above, mask = latents_at(known, "below"), latents_at(known, "above").picture, picture_at(known, "mask")
        if below.space is not None:
            require_space(below.space, known, "above", "`below`")
        if below.picture is not None and above is not None:
            _require_batch(above, below.picture)
        if above is not None and mask is not None:
            require_mask_size(mask, above.width_px, above.height_px, "The upper latents' picture")
        return {"latents": below}

    def run(self, ctx: RunContext) -> LatentsOut:
        import torch

        below, above = self.below, self.above
        require_same_space(above.space, below.space, "The latents below")
        _require_batch(above, below)
        share = torch.ones(1, 1, *above.samples.shape[2:])
        if self.mask is not None:
            require_mask_size(self.mask, above.width_px, above.height_px, "The upper latents' picture")
            share = latent_mask(self.mask, above.space.downscale)
        samples = self._laid_over(above.samples, share)
        return LatentsOut(latents=replace(below, samples=samples))

    def _laid_over(self, above: "Tensor", share: "Tensor") -> "Tensor":
        import torch

        step = self.below.space.downscale
        top, left = self.top_px // step, self.left_px // step
        result = self.below.samples.clone()
        place = result[..., top : top + above.shape[2], left : left + above.shape[3]]
        height, width = place.shape[2:]
        above, share = above[..., :height, :width], share[..., :height, :width]
        place.copy_(torch.where(share == 1, above, share * above + (1 - share) * place))
        return result


def _require_batch(above: Sized, below: Sized) -> None:
    """Raises SamplingError [latents-batch] unless there is one above, or one for each below."""
    if above.batch not in (1, below.batch):
        raise SamplingError(
            "latents-batch",
            f"There are {above.batch} latents above {below.batch}.",
            "Use one for all of those below, or as many.",
            port="above",
        )


def _resized(part: "Tensor", size: tuple[int, int], method: Interpolation) -> "Tensor":
    """[B, C, h, w] -> [B, C, *size]; smooth methods average when they shrink."""
    import torch

    if method in ("nearest", "area"):
        return torch.nn.functional.interpolate(part, size, mode="nearest-exact" if method == "nearest" else "area")
    return torch.nn.functional.interpolate(part, size, mode=method, align_corners=False, antialias=True)
