"""What a ControlNet's configuration says of it: the fields of its handle, by the class that it names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sdgraph.errors import ModelError
from sdgraph.models.families import SPACES
from sdgraph.models.layout import number
from sdgraph.payloads.control import SHOWN

CLASSES = ("ControlNetModel", "ControlNetUnionModel", "SD3ControlNetModel", "FluxControlNetModel")
_HINT_CHANNELS = {"ControlNetModel": (16, 32, 96, 256), "ControlNetUnionModel": (48, 96, 192, 384)}
"""diffusers' default channels of the layers that read the picture."""
_UNION_KINDS = 6
"""diffusers' default number of kinds of pictures."""
_FLUX_PATCH = 4


def controlnet_facts(place: Path, config: Mapping[str, Any], source: str) -> dict[str, Any]:
    """The fields of the handle of a ControlNet with this configuration, which is at `place`.

    Raises ModelError [model-kind-unsupported] for other classes and for networks that take further inputs,
    [model-damaged].
    """
    match config.get("_class_name"):
        case "ControlNetModel":
            return _unet_facts(place, config)
        case "ControlNetUnionModel":
            return _unet_facts(place, config) | {"kinds": _union_kinds(place, config, source)}
        case "SD3ControlNetModel":
            return _sd3_facts(place, config, source)
        case "FluxControlNetModel":
            return _flux_facts(place, config, source)
        case other:
            raise ModelError(
                "model-kind-unsupported",
                f"`{source}` is a {other or 'model of unknown kind'}, expected {', '.join(CLASSES)}.",
                "Check the model reference.",
            )


def controlnet_family(config: Mapping[str, Any]) -> str:
    """The family of the UNet that a `ControlNetModel` of this configuration was copied from."""
    if config.get("addition_embed_type") == "text_time":
        return "sdxl"
    return "sd2" if config.get("use_linear_projection") else "sd1"


def _unet_facts(place: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    hint_channels = config.get("conditioning_embedding_out_channels") or _HINT_CHANNELS[config["_class_name"]]
    return {
        "family": controlnet_family(config),
        "conditioning_width": number(place, config, "cross_attention_dim"),
        "downscale": 2 ** (len(hint_channels) - 1),
    }


def _union_kinds(place: Path, config: Mapping[str, Any], source: str) -> int:
    """How many kinds of pictures a union network for SDXL knows."""
    kinds = number(place, config, "num_control_type") if "num_control_type" in config else _UNION_KINDS
    family = controlnet_family(config)
    if family not in SHOWN or not 0 < kinds <= len(SHOWN[family]):
        raise ModelError(
            "model-kind-unsupported",
            f"`{source}` is a union ControlNet of {family} for {kinds} kinds of pictures; those that are known are for "
            f"SDXL, for up to {len(SHOWN['sdxl'])} kinds.",
            "Use a union network for SDXL, or a ControlNet for one kind.",
        )
    return kinds


def _sd3_facts(place: Path, config: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Stability AI's networks for Stable Diffusion 3.5 large see no prompt; theirs is a width of 0."""
    sees_prompt = config.get("joint_attention_dim", 0) is not None
    further = config.get("extra_conditioning_channels") or 0
    if further not in (0, 1) or config.get("in_channels", 16) != SPACES["sd3"].channels:
        raise _further_inputs(source)
    return {
        "family": "sd3",
        "conditioning_width": number(place, config, "joint_attention_dim") if sees_prompt else 0,
        "downscale": SPACES["sd3"].downscale,
        "inner_width": inner_width(place, config),
        "sees": "latents",
        "takes_mask": further == 1,
    }


def _flux_facts(place: Path, config: Mapping[str, Any], source: str) -> dict[str, Any]:
    """With layers for pixels (XLabs), or with the autoencoder's latents (InstantX, Shakker), maybe of several kinds."""
    if config.get("in_channels", 64) != _FLUX_PATCH * SPACES["flux"].channels:
        raise _further_inputs(source)
    kinds = config.get("num_mode")
    return {
        "family": "flux",
        "conditioning_width": number(place, config, "joint_attention_dim"),
        "downscale": SPACES["flux"].downscale,
        "inner_width": inner_width(place, config),
        "sees": "pixels" if config.get("conditioning_embedding_channels") else "latents",
        "kinds": 0 if kinds is None else number(place, config, "num_mode"),
    }


def inner_width(place: Path, config: Mapping[str, Any]) -> int:
    """Length of a transformer's token vectors."""
    return number(place, config, "num_attention_heads") * number(place, config, "attention_head_dim")


def _further_inputs(source: str) -> ModelError:
    return ModelError(
        "model-kind-unsupported",
        f"`{source}` is a ControlNet that takes further pictures, or latents of another shape.",
        "Use one that takes one picture, or one for inpainting of Stable Diffusion 1 or 3.",
    )
