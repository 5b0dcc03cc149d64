"""What a single file of weights is, by the names and shapes of its tensors.

Names of files lie, so only tensors count. The tables go from the particular to the general: the first entry that fits
names the file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sdgraph.errors import ModelError
from sdgraph.models.families import FamilyName
from sdgraph.models.shipped_configs import ConfigName

Shapes = Mapping[str, tuple[int, ...]]
"""Shapes of tensors by their names."""

UNET_PREFIXES = ("model.diffusion_model.", "")
VAE_PREFIXES = ("first_stage_model.", "vae.", "")


@dataclass(frozen=True, slots=True)
class Detected:
    """A checkpoint that can be used."""

    family: FamilyName
    config: ConfigName
    """The shipped configuration that describes it."""
    denoiser: str
    """What the names of the denoiser's tensors begin with."""
    vae: str | None
    """The same of the autoencoder; None: the file has none."""


def detect_checkpoint(shapes: Shapes, source: str) -> Detected:
    """The kind of checkpoint. Raises ModelError [model-kind-unsupported], which names what the file is instead."""
    found = what_is(shapes)
    if isinstance(found, Detected):
        return found
    name, hint = found
    raise ModelError(
        "model-kind-unsupported",
        f"`{source}` is {name}, expected a text-to-image checkpoint of Stable Diffusion, SDXL or FLUX.1.",
        hint,
    )


def what_is(shapes: Shapes) -> Detected | tuple[str, str]:
    """A checkpoint that can be used; of any other file what it is, in words, and what to do with it."""
    special = _first(_OTHER_KINDS, shapes)
    if special is not None:
        return special
    for prefix in UNET_PREFIXES:
        config = _denoiser_config(shapes, prefix)
        if config is not None:
            return Detected(_FAMILY[config], config, prefix, vae_prefix(shapes))
    return _first(_PARTS, shapes) or _unknown(shapes)


def vae_prefix(shapes: Shapes) -> str | None:
    """What the names of an autoencoder's tensors begin with; None: the file has none in the original layout."""
    for prefix in VAE_PREFIXES:
        if f"{prefix}decoder.conv_in.weight" in shapes and f"{prefix}decoder.mid.block_1.conv1.weight" in shapes:
            return prefix
    return None


def vae_channels(shapes: Shapes, prefix: str) -> int:
    """Latent channels of an autoencoder in the original layout."""
    return shapes[f"{prefix}decoder.conv_in.weight"][1]


_FAMILY: Mapping[ConfigName, FamilyName] = {
    "sd1": "sd1",
    "sd2": "sd2",
    "sdxl": "sdxl",
    "sdxl_refiner": "sdxl_refiner",
    "sd3": "sd3",
    "sd35_medium": "sd3",
    "sd35_large": "sd3",
    "flux": "flux",
    "flux_schnell": "flux",
}
"""The family of each configuration."""


def _denoiser_config(shapes: Shapes, prefix: str) -> ConfigName | None:
    if f"{prefix}double_blocks.0.img_attn.qkv.weight" in shapes:
        return "flux" if f"{prefix}guidance_in.in_layer.weight" in shapes else "flux_schnell"
    if f"{prefix}joint_blocks.0.context_block.attn.qkv.weight" in shapes:
        if f"{prefix}joint_blocks.0.x_block.attn2.qkv.weight" in shapes:
            return "sd35_medium"
        return "sd35_large" if f"{prefix}joint_blocks.0.x_block.attn.ln_q.weight" in shapes else "sd3"
    if f"{prefix}input_blocks.0.0.weight" not in shapes:
        return None
    if f"{prefix}label_emb.0.0.weight" in shapes:
        return _sdxl_config(shapes, prefix)
    linear = any(
        len(shape) == 2
        for name, shape in shapes.items()
        if name.startswith(f"{prefix}input_blocks.") and name.endswith(".1.proj_in.weight")
    )
    return "sd2" if linear else "sd1"


def _sdxl_config(shapes: Shapes, prefix: str) -> ConfigName | None:
    """Base or refiner, by their text towers; a UNet alone by the numbers about the picture that it takes."""
    if any(name.startswith("conditioner.embedders.1.") for name in shapes):
        return "sdxl"
    if any(name.startswith("conditioner.embedders.0.model.") for name in shapes):
        return "sdxl_refiner"
    by_width: Mapping[int, ConfigName] = {2816: "sdxl", 2560: "sdxl_refiner"}
    return by_width.get(shapes[f"{prefix}label_emb.0.0.weight"][-1])


Found = tuple[str, str]
"""What a file is, and what to do with it."""
Rule = tuple[Callable[[Shapes], bool], str, str]


def _ends(*suffixes: str) -> Callable[[Shapes], bool]:
    return lambda shapes: any(name.endswith(suffixes) for name in shapes)


def _has(*parts: str) -> Callable[[Shapes], bool]:
    return lambda shapes: any(part in name for name in shapes for part in parts)


def _starts(*prefixes: str) -> Callable[[Shapes], bool]:
    return lambda shapes: any(name.startswith(prefixes) for name in shapes)


def _all_in(*names: str) -> Callable[[Shapes], bool]:
    return lambda shapes: bool(shapes) and all(name.split(".")[0] in names for name in shapes)


def _inputs(*channels: int) -> Callable[[Shapes], bool]:
    return lambda shapes: any(
        shapes.get(f"{prefix}input_blocks.0.0.weight", (0, 0))[1:2] == (channel,)
        for prefix in UNET_PREFIXES
        for channel in channels
    )


def _flux_inputs(*channels: int) -> Callable[[Shapes], bool]:
    return lambda shapes: any(
        f"{prefix}double_blocks.0.img_attn.qkv.weight" in shapes
        and shapes.get(f"{prefix}img_in.weight", (0, 0))[1:2] == (channel,)
        for prefix in UNET_PREFIXES
        for channel in channels
    )


def _is_video(shapes: Shapes) -> bool:
    """Weights of convolutions over time have five dimensions; others mix frames in blocks of their own."""
    denoisers = (name for name, shape in shapes.items() if len(shape) == 5 and "vae" not in name)
    return any(True for _ in denoisers) or _has("time_stack", "temporal_transformer", "time_mixer")(shapes)


def _no_middle(shapes: Shapes) -> bool:
    """The distilled SDXLs have no attention in the middle."""
    return any(
        f"{prefix}label_emb.0.0.weight" in shapes
        and f"{prefix}middle_block.1.transformer_blocks.0.attn1.to_q.weight" not in shapes
        for prefix in UNET_PREFIXES
        if f"{prefix}input_blocks.0.0.weight" in shapes
    )


_USE_T2I = "Use a text-to-image checkpoint; inpainting by mask works with those too."
_OTHER_KINDS: tuple[Rule, ...] = (
    (lambda shapes: not shapes, "an empty file", "Copy or download it again."),
    (
        _ends(
            ".lora_down.weight", ".lora_up.weight", ".lora_A.weight", ".lora_B.weight", ".lora_linear_layer.up.weight"
        ),
        "a LoRA",
        "Apply it to a checkpoint's denoiser and text encoder instead.",
    ),
    (
        _ends(".hada_w1_a", ".lokr_w1", ".lokr_w1_a", ".oft_diag", ".oft_blocks"),
        "a LyCORIS (LoHa, LoKr or OFT)",
        "Apply it to a checkpoint instead.",
    ),
    (
        _all_in("emb_params", "clip_l", "clip_g", "t5xxl", "string_to_param", "string_to_token", "name", "step"),
        "a textual inversion",
        "Add it to a checkpoint's text encoder instead.",
    ),
    (
        lambda shapes: _starts("control_model.", "input_hint_block.", "controlnet_")(shapes),
        "a ControlNet",
        "Load it with `control.load`.",
    ),
    (_starts("ip_adapter.", "image_proj."), "an IP-Adapter", "Load it as an adapter."),
    (_starts("adapter.body.", "body.0.block1", "adapter.conv_in"), "a T2I-Adapter", "Load it as an adapter."),
    (_has("motion_modules."), "a motion module (AnimateDiff)", "Video models are not supported."),
    (_is_video, "a video model", "Video models are not supported."),
    (
        _starts("edm_mean", "edm_std", "edm_vpred."),
        "a model in EDM's formulation (Playground v2.5, CosXL) in one file",
        "Give its diffusers folder, which says how it is sampled.",
    ),
    (_inputs(8), "an image-editing model (InstructPix2Pix, 8 input channels)", _USE_T2I),
    (_inputs(7), "an upscaler (7 input channels)", _USE_T2I),
    (_inputs(5), "a depth-to-image model (5 input channels)", _USE_T2I),
    (_no_middle, "a distilled SDXL without a middle block (SSD-1B, Segmind Vega)", "Use SDXL base, or SDXL-Turbo."),
    (_has("noise_augmentor.", "embedder.model.visual."), "a Stable unCLIP model", _USE_T2I),
    (_flux_inputs(384), "FLUX.1 Fill (384 input channels)", "Use FLUX.1 dev or schnell."),
    (_flux_inputs(128, 196), "a FLUX.1 Control model", "Use FLUX.1 dev or schnell."),
    (_has("distilled_guidance_layer."), "Chroma", "Use FLUX.1 dev or schnell."),
    (_has("double_stream_modulation_img."), "FLUX.2", "Use FLUX.1 dev or schnell."),
    (
        _has("joint_transformer_blocks.", "caption_projection.y_embedding", "adaln_single."),
        "a PixArt or AuraFlow model",
        _USE_T2I,
    ),
)
_PARTS: tuple[Rule, ...] = (
    (
        lambda shapes: (
            vae_prefix(shapes) is not None or {"decoder.conv_in.weight", "encoder.conv_in.weight"} <= set(shapes)
        ),
        "an autoencoder (VAE) alone",
        "Load it with `sd.load_vae`.",
    ),
    (
        _starts("encoder.layers.", "decoder.layers.", "decoder.1.weight"),
        "a tiny autoencoder",
        "Load it with `sd.load_vae`.",
    ),
    (
        _starts("down_blocks.", "transformer_blocks.", "single_transformer_blocks."),
        "a denoiser in the diffusers layout",
        "Give the diffusers folder that it belongs to.",
    ),
    (_starts("vision_model.", "visual."), "an image encoder (CLIP vision)", "Give a checkpoint."),
    (
        _starts(
            "text_model.",
            "encoder.block.",
            "text_encoders.",
            "cond_stage_model.",
            "conditioner.",
            "transformer.resblocks.",
        ),
        "a text encoder alone",
        "Give a checkpoint.",
    ),
    (_starts("conv_first.", "model.0.", "params_ema."), "an upscaler", "Give a checkpoint."),
)


def _first(rules: tuple[Rule, ...], shapes: Shapes) -> Found | None:
    return next(((name, hint) for fits, name, hint in rules if fits(shapes)), None)


def _unknown(shapes: Shapes) -> Found:
    names = sorted(shapes)
    some = ", ".join(f"`{name[:60]}`" for name in names[:3])
    return f"of an unknown kind ({len(names)} tensors, such as {some})", "Check the file."
