"""Latents, and the latent space they live in."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from sdgraph.core.porttype import Encoded, PortType, Shown
from sdgraph.errors import MediaError, ModelError
from sdgraph.payloads.shown import false_colours, size_text
from sdgraph.payloads.tensors import from_blob, shared, tensor_bytes, to_blob

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor


@dataclass(frozen=True, slots=True)
class LatentSpace:
    """What an autoencoder makes of pictures. Latents fit a model only when their spaces agree."""

    name: str
    """The model family that introduced it: "sd1", "sdxl", ..."""
    channels: int
    downscale: int
    """Picture pixels per latent pixel, in each direction."""
    scaling_factor: float
    """Latents = (what the autoencoder gives - shift_factor) * scaling_factor."""
    shift_factor: float = 0.0
    mean: tuple[float, ...] = ()
    """Of each channel, what is taken off before the scaling (Playground v2.5); empty: nothing."""
    deviation: tuple[float, ...] = ()
    """Of each channel, what it is divided by then; empty: nothing."""

    def __post_init__(self) -> None:
        for name in ("mean", "deviation"):
            object.__setattr__(self, name, tuple(getattr(self, name)))  # stored ones come back as lists


@dataclass(frozen=True, slots=True, eq=False)
class LatentMask:
    """Which part of latents sampling may redraw."""

    values: Tensor
    """[1 or B, 1, h, w] float32 in 0..1: 1 is redrawn, 0 stays."""
    differential: bool = False
    """False: a value between 0 and 1 mixes what is redrawn with what was there. True: it is the strength of its point,
    which is redrawn during that share of sampling and not mixed."""
    visible: Tensor | None = None
    """[1 or B, C, h, w] float32: latents of the picture with the masked part grey. Networks that were trained for
    inpainting see them; others don't need them."""


@dataclass(frozen=True, slots=True, eq=False)
class Latents:
    """Pictures in a latent space. Raises MediaError [mask-size] for a mask of another size or batch."""

    samples: Tensor
    """[B, C, h, w] float32, as the denoiser sees them: scaled, and without noise."""
    space: LatentSpace
    seeds: tuple[int, ...] | None = None
    """One seed per item, for the noise that sampling adds; None leaves the choice to the sampler."""
    empty: bool = False
    """Nothing is drawn yet: sampling starts from pure noise, and `samples` (zeros) only give the size. With a mask,
    `samples` are still what stays outside of it."""
    mask: LatentMask | None = None
    """What sampling may redraw; None: everything."""
    numbers: tuple[int, ...] | None = None
    """What is added to the sampler's seed for each item, when there are no `seeds`; None: 0, 1, 2, ... So an item that
    was picked from a batch keeps the noise that it has there."""

    def __post_init__(self) -> None:
        if self.mask is None:
            return
        for part in (self.mask.values, self.mask.visible):
            if part is not None and (part.shape[2:] != self.samples.shape[2:] or len(part) not in (1, self.batch)):
                raise MediaError(
                    "mask-size",
                    f"The mask is {list(part.shape)}, the latents are {list(self.samples.shape)}.",
                    "Make the mask from the size of the picture, one for all items or one per item.",
                )

    @property
    def batch(self) -> int:
        """How many items."""
        return self.samples.shape[0]

    @property
    def height_px(self) -> int:
        """Height of the picture that these latents decode to."""
        return self.samples.shape[2] * self.space.downscale

    @property
    def width_px(self) -> int:
        """Width of the picture that these latents decode to."""
        return self.samples.shape[3] * self.space.downscale


def changed(latents: Latents, change: Callable[[Tensor], Tensor]) -> Latents:
    """Latents whose tensors, those of the mask included, went through `change`: [B, *, h, w] -> [B', *, h', w']."""
    mask = latents.mask
    if mask is not None:
        visible = None if mask.visible is None else change(mask.visible)
        mask = replace(mask, values=change(mask.values), visible=visible)
    return replace(latents, samples=change(latents.samples), mask=mask)


def per_item(latents: Latents, items: Sequence[int]) -> Latents:
    """The items at these places, each as often as it is named, with their masks, seeds and numbers."""
    chosen, batch = list(items), latents.batch
    whole = changed(latents, lambda part: part.expand(batch, *part.shape[1:])[chosen])
    seeds, numbers = latents.seeds, latents.numbers or tuple(range(batch))
    return replace(
        whole,
        seeds=None if seeds is None else tuple(seeds[item] for item in chosen),
        numbers=tuple(numbers[item] for item in chosen),
    )


def item_seeds(latents: Latents, seed: int) -> tuple[int, ...]:
    """One seed per item: those that the latents bring, or `seed` and each item's number."""
    return variation_seeds(latents, seed) if latents.seeds is None else latents.seeds


def variation_seeds(latents: Latents, seed: int) -> tuple[int, ...]:
    """`seed` and each item's number, whatever seeds the latents bring."""
    return tuple(seed + number for number in latents.numbers or range(latents.batch))


def require_same_space(found: LatentSpace, expected: LatentSpace, who: str) -> None:
    """Raises ModelError [latent-space-mismatch] unless latents of `found` fit `who`, which works in `expected`."""
    if found != expected:
        raise ModelError(
            "latent-space-mismatch",
            f"{who} works on {_describe(expected)}, found {_describe(found)}.",
            "Use the autoencoder and the denoiser of one model family.",
        )


def _describe(space: LatentSpace) -> str:
    size = f"{space.channels} channels, 1/{space.downscale} size, scale {space.scaling_factor:g}"
    size += f", shift {space.shift_factor:g}" if space.shift_factor else ""
    return f"`{space.name}` latents ({size}{', channels of their own means' if space.mean else ''})"


class LatentsCodec:
    """Stores latents bit for bit."""

    def encode(self, value: Latents) -> Encoded:
        """The samples (and those of a mask) as blobs, the rest as JSON."""
        meta: dict[str, Any] = {
            "space": asdict(value.space),
            "seeds": value.seeds and list(value.seeds),
            "empty": value.empty,
        }
        blobs = {"samples": to_blob(value.samples)}
        if value.numbers is not None:
            meta["numbers"] = list(value.numbers)
        if value.mask is not None:
            meta["differential"] = value.mask.differential
            blobs["mask"] = to_blob(value.mask.values)
            if value.mask.visible is not None:
                blobs["visible"] = to_blob(value.mask.visible)
        return Encoded(meta, blobs)

    def decode(self, encoded: Encoded) -> Latents:
        """The latents, on the CPU."""
        meta, blobs = encoded.meta, {name: from_blob(blob) for name, blob in encoded.blobs.items()}
        mask = LatentMask(blobs["mask"], meta["differential"], blobs.get("visible")) if "mask" in blobs else None
        return Latents(
            blobs["samples"],
            LatentSpace(**meta["space"]),
            None if meta["seeds"] is None else tuple(meta["seeds"]),
            meta["empty"],
            mask,
            tuple(meta["numbers"]) if "numbers" in meta else None,
        )


def _size_bytes(latents: Latents) -> int:
    mask = latents.mask
    return tensor_bytes((latents.samples, *((mask.values, mask.visible) if mask else ())))


def _show(latents: Latents, count: int) -> Shown:
    """False colours: what decodes latents is a model."""
    shape = " x ".join(map(str, latents.samples.shape[1:]))
    text = f"{size_text(latents.batch, latents.width_px, latents.height_px)} as {shape} ({latents.space.name})"
    if latents.empty:
        return Shown(f"empty, {text}")
    return Shown(text, false_colours(latents.samples[:count].float().cpu().numpy(), count), approximate=True)


LATENTS = PortType(
    "Latents",
    Latents,
    "Pictures in a model's latent space, [B, C, h, w] float32.",
    "#c77dff",
    LatentsCodec(),
    share=lambda latents: changed(latents, shared),
    size_bytes=_size_bytes,
    show=_show,
)
