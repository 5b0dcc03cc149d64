"""Handles: light recipes of models. The weights come in through the model pool when a node really runs.

A handle says where a model is (`source`), what it contains (`fingerprint`) and, read from small configuration files,
what graph checks and planning ask about it. Handles are what a cached loader node gives back: no weights, no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Generic, Literal, TypeVar

from sdgraph.core.porttype import Encoded, PortType, Shown
from sdgraph.payloads.latents import LatentSpace
from sdgraph.payloads.patch import Embedding, Patch
from sdgraph.payloads.pruning import NO_PRUNING, Pruning
from sdgraph.payloads.shortcuts import NO_SHORTCUTS, Shortcuts

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
    """The model family: "sd1", "sd2", "sdxl", "sdxl_refiner", "sd3", "flux"."""
    dtype: Dtype = "float32"
    """The numbers that the model computes with."""
    config: str = ""
    """For a single file: the reference of the folder that describes it; "": what ships with the package."""
    allow_pickle: bool = False
    """Whether a pickle may be read, by torch's restricted reader."""
    missing: str = ""
    """What is missing, in words, of a model that can't be loaded; "": nothing."""
    patches: tuple[Patch, ...] = ()
    """What is done to the weights while the model is leased, in this order."""

    @property
    def pool_key(self) -> PoolKey:
        """What makes two handles the same model in memory: kind, content and dtype; neither the place nor patches."""
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
    pooled_width: int = 0
    """Length of the pooled vector that it also wants; 0: none."""
    distilled_guidance: bool = False
    """Whether it takes a guidance scale as an input, as FLUX.1 dev does."""
    inpainting: bool = False
    """Whether it was trained for inpainting: it takes a mask and the visible part of a picture as further channels."""
    sample_px: int
    """Side of the pictures that it was trained on."""
    preview: VaeHandle | None = None
    """The tiny autoencoder that came with it."""
    inner_width: int = 0
    """Length of a transformer's token vectors; 0: it is a UNet."""
    vae: VaeHandle | None = None
    """The autoencoder that came with a transformer: many of its ControlNets see latents."""
    shortcuts: Shortcuts = NO_SHORTCUTS
    """What is left out of its evaluations."""
    pruning: Pruning = NO_PRUNING
    """What is cut out of its weights while it is leased, after the patches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextTower:
    """One tokenizer with its text model; a text encoder has one or several."""

    kind: Literal["clip", "t5"]
    component: str
    """Folder of the text model inside the model."""
    tokenizer: str
    """Folder of the tokenizer inside the model."""
    layer: Literal["last", "penultimate", "none"]
    """The layer whose vectors are used; "none": only the pooled vector is."""
    max_tokens: int
    """Tokens per chunk, the start and end tokens included."""
    layers: int
    width: int
    """Length of its vectors."""
    projected: bool = False
    """Whether its pooled vector goes through a projection."""
    pooled_width: int = 0
    """Length of its pooled vector; 0: not used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextEncoderHandle(ModelHandle):
    """Tokenizers, and the text models that turn tokens into vectors."""

    conditioning_width: int
    """Length of the vectors that it makes, all towers joined."""
    pooled_width: int = 0
    """Length of the vector that it makes of a whole prompt; 0: none."""
    towers: tuple[TextTower, ...]
    """Its text models. `component` is the first one's."""
    more_sources: tuple[str, ...] = ()
    """Further files, when each text model is a file of its own; `source` is then the first."""
    embeddings: tuple[Embedding, ...] = ()
    """Words that prompts may use beside the tokenizer's own; of two with one name the later one counts."""

    @property
    def max_tokens(self) -> int:
        """Tokens per chunk of the first tower, the start and end tokens included."""
        return self.towers[0].max_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlNetHandle(ModelHandle):
    """A network that steers a denoiser by a picture."""

    conditioning_width: int
    downscale: int
    """Control-picture pixels per latent pixel."""
    inner_width: int = 0
    """Length of the token vectors that it adds to; 0: it is for a UNet."""
    sees: Literal["pixels", "latents"] = "pixels"
    """What it is shown of the picture: the picture itself, or its latents."""
    kinds: int = 0
    """How many kinds of pictures a union network tells apart; 0: it knows one and is not told."""
    takes_mask: bool = False
    """Whether it takes a mask beside the latents of the picture, for inpainting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class T2IAdapterHandle(ModelHandle):
    """A small network that steers a denoiser by a picture, which it sees once and not at every step."""

    channels: tuple[int, ...]
    """Channels of the features that it makes, from the first block on."""
    picture_channels: int
    """Channels of the picture that it reads: 1 (grey) or 3."""
    downscale: int
    """Picture pixels per pixel of its first features."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageEncoderHandle(ModelHandle):
    """A vision model that turns pictures into vectors."""

    image_px: int
    """Side of the square that it sees of a picture."""
    width: int
    """Length of its vector of a whole picture."""
    patch_width: int
    """Length of its vectors of a picture's patches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetyCheckerHandle(ModelHandle):
    """A network that tells which pictures should not be shown."""

    image_px: int
    """Side of the square that it sees of a picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpscalerHandle(ModelHandle):
    """A network that enlarges pictures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IPAdapterHandle(ModelHandle):
    """Attention layers through which a denoiser attends to pictures."""

    looks_at: Literal["picture", "patches"]
    """Whether it reads one vector of a whole picture, or those of its patches ("plus")."""
    width: int
    """Length of the vectors that it reads."""
    conditioning_width: int
    layers: int
    """How many cross-attention layers it has weights for."""


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
    if "towers" in fields:
        fields["towers"] = tuple(TextTower(**tower) for tower in fields["towers"])
        fields["more_sources"] = tuple(fields["more_sources"])
    if "channels" in fields:
        fields["channels"] = tuple(fields["channels"])
    if "shortcuts" in fields:
        fields["shortcuts"] = Shortcuts(**fields["shortcuts"])
    if "pruning" in fields:
        fields["pruning"] = Pruning(**fields["pruning"])
    for name in ("preview", "vae"):
        if fields.get(name) is not None:
            fields[name] = VaeHandle(**_revived(fields[name]))
    for name, kind in (("patches", Patch), ("embeddings", Embedding)):
        if name in fields:
            fields[name] = tuple(kind(**entry) for entry in fields[name])
    return fields


def _show(handle: ModelHandle, count: int) -> Shown:
    patched = ", patched" if handle.patches else ""
    return Shown(f"{handle.source} ({handle.family}, {handle.dtype}{patched})")


DENOISER = PortType(
    "DenoiserHandle",
    DenoiserHandle,
    "A handle of the network that removes noise from latents.",
    "#ef476f",
    HandleCodec(DenoiserHandle),
    show=_show,
)
TEXT_ENCODER = PortType(
    "TextEncoderHandle",
    TextEncoderHandle,
    "A handle of a tokenizer and text model.",
    "#ffd166",
    HandleCodec(TextEncoderHandle),
    show=_show,
)
VAE = PortType(
    "VaeHandle",
    VaeHandle,
    "A handle of an autoencoder between pictures and latents.",
    "#f78c6b",
    HandleCodec(VaeHandle),
    show=_show,
)
CONTROLNET = PortType(
    "ControlNetHandle",
    ControlNetHandle,
    "A handle of a network that steers a denoiser by a picture.",
    "#06d6a0",
    HandleCodec(ControlNetHandle),
    show=_show,
)
T2I_ADAPTER = PortType(
    "T2IAdapterHandle",
    T2IAdapterHandle,
    "A handle of a small network that steers a denoiser by a picture.",
    "#74c69d",
    HandleCodec(T2IAdapterHandle),
    show=_show,
)
IMAGE_ENCODER = PortType(
    "ImageEncoderHandle",
    ImageEncoderHandle,
    "A handle of a vision model that turns pictures into vectors.",
    "#9d4edd",
    HandleCodec(ImageEncoderHandle),
    show=_show,
)
IP_ADAPTER = PortType(
    "IPAdapterHandle",
    IPAdapterHandle,
    "A handle of attention layers through which a denoiser attends to pictures.",
    "#b5179e",
    HandleCodec(IPAdapterHandle),
    show=_show,
)
UPSCALER = PortType(
    "UpscalerHandle",
    UpscalerHandle,
    "A handle of a network that enlarges pictures.",
    "#83c5be",
    HandleCodec(UpscalerHandle),
    show=_show,
)
SAFETY_CHECKER = PortType(
    "SafetyCheckerHandle",
    SafetyCheckerHandle,
    "A handle of a network that tells which pictures should not be shown.",
    "#adb5bd",
    HandleCodec(SafetyCheckerHandle),
    show=_show,
)
