"""Handles: light recipes of models. The weights come in through the model pool when a node really runs.

A handle says where a model is (`source`), what it contains (`fingerprint`) and, read from small configuration files,
what graph checks and planning ask about it. Handles are what a cached loader node gives back: no weights, no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Generic, Literal, TypeVar

from sdgraph.core.porttype import Encoded, PortType
from sdgraph.payloads.latents import LatentSpace

Dtype = Literal["float32", "bfloat16", "float16"]
PoolKey = tuple[str, str, Dtype]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelHandle:
    """What all handles have."""

    source: str
    """The model reference, for example `builtin:shapes`."""
    component: str
    """Folder of the component inside the model, for example `unet`; "" when the reference is the component itself."""
    fingerprint: str
    """Digest of the component's configuration and weights, hex."""
    family: str
    """The model family: "sd1", ..."""
    dtype: Dtype = "float32"
    """The numbers that the model computes with."""

    @property
    def pool_key(self) -> PoolKey:
        """What makes two handles the same model: kind, content and dtype, never the place."""
        return type(self).__name__, self.fingerprint, self.dtype


@dataclass(frozen=True, slots=True, kw_only=True)
class VaeHandle(ModelHandle):
    """An autoencoder between pictures and latents."""

    space: LatentSpace
    tiny: bool = False
    """A small approximate autoencoder, for previews."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DenoiserHandle(ModelHandle):
    """The network that removes noise from latents."""

    space: LatentSpace
    scheduler: Mapping[str, Any] = field(hash=False)
    """The model's `scheduler_config.json`; `NoiseSchedule.from_config` reads it."""
    conditioning_width: int
    """Length of the embedding vectors that it understands."""
    sample_px: int
    """Side of the pictures that it was trained on."""
    preview: VaeHandle | None = None
    """The tiny autoencoder that came with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextEncoderHandle(ModelHandle):
    """A tokenizer and the text model that turns tokens into vectors."""

    max_tokens: int
    """Tokens per chunk, the start and end tokens included."""
    conditioning_width: int
    """Length of the vectors that it makes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlNetHandle(ModelHandle):
    """A network that steers a denoiser by a picture."""

    conditioning_width: int
    downscale: int
    """Control-picture pixels per latent pixel."""


H = TypeVar("H", bound=ModelHandle)


@dataclass(frozen=True, slots=True)
class HandleCodec(Generic[H]):
    """Stores a handle as JSON."""

    kind: type[H]

    def encode(self, value: H) -> Encoded:
        """JSON only, no blobs."""
        return Encoded(asdict(value), {})

    def decode(self, encoded: Encoded) -> H:
        """The handle."""
        return self.kind(**_revived(encoded.meta))


def _revived(meta: Mapping[str, Any]) -> dict[str, Any]:
    fields = dict(meta)
    if "space" in fields:
        fields["space"] = LatentSpace(**fields["space"])
    if fields.get("preview") is not None:
        fields["preview"] = VaeHandle(**_revived(fields["preview"]))
    return fields


DENOISER = PortType(
    "DenoiserHandle",
    DenoiserHandle,
    "A handle of the network that removes noise from latents.",
    "#ef476f",
    HandleCodec(DenoiserHandle),
)
TEXT_ENCODER = PortType(
    "TextEncoderHandle",
    TextEncoderHandle,
    "A handle of a tokenizer and text model.",
    "#ffd166",
    HandleCodec(TextEncoderHandle),
)
VAE = PortType(
    "VaeHandle",
    VaeHandle,
    "A handle of an autoencoder between pictures and latents.",
    "#f78c6b",
    HandleCodec(VaeHandle),
)
CONTROLNET = PortType(
    "ControlNetHandle",
    ControlNetHandle,
    "A handle of a network that steers a denoiser by a picture.",
    "#06d6a0",
    HandleCodec(ControlNetHandle),
)
