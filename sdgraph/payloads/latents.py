"""Latents, and the latent space they live in."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from sdgraph.core.porttype import Encoded, PortType
from sdgraph.errors import ModelError
from sdgraph.payloads.tensors import from_blob, shared, to_blob

if TYPE_CHECKING:
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


@dataclass(frozen=True, slots=True, eq=False)
class Latents:
    """Pictures in a latent space."""

    samples: Tensor
    """[B, C, h, w] float32, as the denoiser sees them: scaled, and without noise."""
    space: LatentSpace
    seeds: tuple[int, ...] | None = None
    """One seed per item, for the noise that sampling adds; None leaves the choice to the sampler."""
    empty: bool = False
    """Nothing is drawn yet: sampling starts from pure noise, and `samples` (zeros) only give the size."""

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
    return f"`{space.name}` latents ({size}{f', shift {space.shift_factor:g}' if space.shift_factor else ''})"


class LatentsCodec:
    """Stores latents bit for bit."""

    def encode(self, value: Latents) -> Encoded:
        """The samples as one blob, the rest as JSON."""
        meta = {"space": asdict(value.space), "seeds": value.seeds and list(value.seeds), "empty": value.empty}
        return Encoded(meta, {"samples": to_blob(value.samples)})

    def decode(self, encoded: Encoded) -> Latents:
        """The latents, on the CPU."""
        meta = encoded.meta
        seeds = None if meta["seeds"] is None else tuple(meta["seeds"])
        return Latents(from_blob(encoded.blobs["samples"]), LatentSpace(**meta["space"]), seeds, meta["empty"])


LATENTS = PortType(
    "Latents",
    Latents,
    "Pictures in a model's latent space, [B, C, h, w] float32.",
    "#c77dff",
    LatentsCodec(),
    share=lambda latents: replace(latents, samples=shared(latents.samples)),
    size_bytes=lambda latents: latents.samples.nbytes,
)
