"""Model families: what each is made of, as a table.

A family is an architecture with its text towers and its latent space; a checkpoint's configuration files say how large
everything is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sdgraph.payloads.latents import LatentSpace

FamilyName = Literal["sd1", "sd2", "sdxl", "sdxl_refiner", "sd3", "flux"]
SpaceName = Literal["sd1", "sdxl", "sd3", "flux"]

SPACES: Mapping[str, LatentSpace] = {
    "sd1": LatentSpace("sd1", 4, 8, 0.18215),
    "sdxl": LatentSpace("sdxl", 4, 8, 0.13025),
    "sd3": LatentSpace("sd3", 16, 8, 1.5305, 0.0609),
    "flux": LatentSpace("flux", 16, 8, 0.3611, 0.1159),
}
"""The latent spaces of the published autoencoders."""


@dataclass(frozen=True, slots=True)
class TowerKind:
    """A text tower that a family has."""

    component: str
    tokenizer: str
    kind: Literal["clip", "t5"]
    layer: Literal["last", "penultimate", "none"]
    projected: bool = False
    pooled: bool = False
    max_tokens: int | None = None
    """None: as many as the text model has positions."""
    optional: bool = False

    @property
    def model_class(self) -> str:
        """The class of the text model, as `model_index.json` has it."""
        if self.kind == "t5":
            return "T5EncoderModel"
        return "CLIPTextModelWithProjection" if self.projected else "CLIPTextModel"

    @property
    def tokenizer_class(self) -> str:
        """The class of the tokenizer, as `model_index.json` has it."""
        return "T5Tokenizer" if self.kind == "t5" else "CLIPTokenizer"


@dataclass(frozen=True, slots=True)
class Family:
    """What a model family is made of."""

    name: FamilyName
    title: str
    space: SpaceName
    denoiser: Literal["unet", "transformer"]
    denoiser_class: str
    towers: tuple[TowerKind, ...]
    size_numbers: int = 0
    """Numbers about the picture's size and quality that the denoiser is told (SDXL's micro-conditioning)."""


_CLIP = TowerKind("text_encoder", "tokenizer", "clip", "last")
_CLIP_L = TowerKind("text_encoder", "tokenizer", "clip", "penultimate")
_CLIP_G = TowerKind("text_encoder_2", "tokenizer_2", "clip", "penultimate", projected=True, pooled=True)
_CLIP_L_POOLED = TowerKind("text_encoder", "tokenizer", "clip", "penultimate", projected=True, pooled=True)
_CLIP_POOLED_ONLY = TowerKind("text_encoder", "tokenizer", "clip", "none", pooled=True)
_T5_SD3 = TowerKind("text_encoder_3", "tokenizer_3", "t5", "last", max_tokens=256, optional=True)
_T5_FLUX = TowerKind("text_encoder_2", "tokenizer_2", "t5", "last", max_tokens=512)

FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (
        Family("sd1", "Stable Diffusion 1.x", "sd1", "unet", "UNet2DConditionModel", (_CLIP,)),
        Family("sd2", "Stable Diffusion 2.x", "sd1", "unet", "UNet2DConditionModel", (_CLIP,)),
        Family("sdxl", "SDXL", "sdxl", "unet", "UNet2DConditionModel", (_CLIP_L, _CLIP_G), 6),
        Family("sdxl_refiner", "SDXL refiner", "sdxl", "unet", "UNet2DConditionModel", (_CLIP_G,), 5),
        Family(
            "sd3",
            "Stable Diffusion 3",
            "sd3",
            "transformer",
            "SD3Transformer2DModel",
            (_CLIP_L_POOLED, _CLIP_G, _T5_SD3),
        ),
        Family("flux", "FLUX.1", "flux", "transformer", "FluxTransformer2DModel", (_CLIP_POOLED_ONLY, _T5_FLUX)),
    )
}

PIPELINES: Mapping[str, tuple[FamilyName, ...]] = {
    "StableDiffusionPipeline": ("sd1", "sd2"),
    "StableDiffusionImg2ImgPipeline": ("sd1", "sd2"),
    "StableDiffusionInpaintPipeline": ("sd1", "sd2"),
    "StableDiffusionXLPipeline": ("sdxl", "sdxl_refiner"),
    "StableDiffusionXLImg2ImgPipeline": ("sdxl", "sdxl_refiner"),
    "StableDiffusionXLInpaintPipeline": ("sdxl", "sdxl_refiner"),
    "StableDiffusion3Pipeline": ("sd3",),
    "StableDiffusion3Img2ImgPipeline": ("sd3",),
    "FluxPipeline": ("flux",),
    "FluxImg2ImgPipeline": ("flux",),
}
"""The families of each pipeline class that `model_index.json` may name."""


def family_of(index: Mapping[str, Any], denoiser: Mapping[str, Any]) -> Family | None:
    """The family of a diffusers folder by its `model_index.json` and its denoiser's configuration; None: not known.

    Both SDXL models are of one pipeline class; the refiner has no first text encoder. Stable Diffusion 2 has linear
    projections around its attention where 1 has convolutions.
    """
    match PIPELINES.get(str(index.get("_class_name")), ()):
        case ("sd1", "sd2"):
            return FAMILIES["sd2" if denoiser.get("use_linear_projection") else "sd1"]
        case ("sdxl", "sdxl_refiner"):
            return FAMILIES["sdxl" if part_class(index, "text_encoder") else "sdxl_refiner"]
        case (only,):
            return FAMILIES[only]
        case _:
            return None


def part_class(index: Mapping[str, Any], part: str) -> str | None:
    """The class that `model_index.json` names for a part; None where the model has no such part."""
    entry = index.get(part)
    found = entry[-1] if isinstance(entry, list) and entry else entry
    return None if found is None else str(found)
