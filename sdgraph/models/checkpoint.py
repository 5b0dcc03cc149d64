"""Checkpoints in the diffusers folder layout: from a reference to handles, reading small files only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sdgraph.errors import ModelError
from sdgraph.models.fingerprint import combine, fingerprint_files
from sdgraph.models.source import resolve
from sdgraph.models.weights import damaged, read_config, weights_files
from sdgraph.payloads.handles import ControlNetHandle, DenoiserHandle, Dtype, TextEncoderHandle, VaeHandle
from sdgraph.payloads.latents import LatentSpace

PIPELINES = {"StableDiffusionPipeline": "sd1"}
"""The model family of each supported pipeline class in `model_index.json`."""
_CLASSES = {
    "unet": "UNet2DConditionModel",
    "vae": "AutoencoderKL",
    "text_encoder": "CLIPTextModel",
    "tokenizer": "CLIPTokenizer",
}
PREVIEW = "vae_tiny"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The handles of one model."""

    denoiser: DenoiserHandle
    text_encoder: TextEncoderHandle
    vae: VaeHandle

    @property
    def fingerprint(self) -> str:
        """Digest of everything that decides what the model draws: weights, configurations, noise schedule."""
        schedule = repr(sorted(self.denoiser.scheduler.items()))
        return combine(self.denoiser.fingerprint, self.text_encoder.fingerprint, self.vae.fingerprint, schedule)


def read_checkpoint(source: str, dtype: Dtype = "float32") -> Checkpoint:
    """The handles of a checkpoint. Raises ModelError (see `resolve`), [model-damaged], [model-kind-unsupported].

    An autoencoder whose configuration asks for full precision (`force_upcast`) stays float32 whatever the `dtype`.
    """
    root = resolve(source)
    family = _family(root, source)
    read_config(root / "tokenizer" / "tokenizer_config.json")
    unet, vae, text = (read_config(root / part / "config.json") for part in ("unet", "vae", "text_encoder"))
    space = _latent_space(root / "vae", vae, family)
    if unet.get("in_channels") != space.channels:
        raise ModelError(
            "model-kind-unsupported",
            f"The denoiser of `{source}` takes {unet.get('in_channels')} channels, its autoencoder makes "
            f"{space.channels}; expected a text-to-image model.",
            "Inpainting and other special checkpoints are not supported.",
        )
    common: dict[str, Any] = {"source": source, "family": family, "dtype": dtype}
    return Checkpoint(
        DenoiserHandle(
            component="unet",
            fingerprint=_fingerprint(root, "unet"),
            space=space,
            scheduler=read_config(root / "scheduler" / "scheduler_config.json"),
            conditioning_width=_number(root / "unet", unet, "cross_attention_dim"),
            sample_px=_number(root / "unet", unet, "sample_size") * space.downscale,
            preview=_preview(root, common, space),
            **common,
        ),
        TextEncoderHandle(
            component="text_encoder",
            fingerprint=_fingerprint(root, "text_encoder", "tokenizer"),
            max_tokens=_number(root / "text_encoder", text, "max_position_embeddings"),
            conditioning_width=_number(root / "text_encoder", text, "hidden_size"),
            **common,
        ),
        VaeHandle(
            component="vae",
            fingerprint=_fingerprint(root, "vae"),
            space=space,
            source=source,
            family=family,
            dtype="float32" if vae.get("force_upcast", True) else dtype,
        ),
    )


def read_controlnet(source: str, dtype: Dtype = "float32") -> ControlNetHandle:
    """The handle of a ControlNet, for example `builtin:shapes/controlnet_canny`. Raises ModelError as above."""
    folder = resolve(source)
    config = read_config(folder / "config.json")
    _require_class(source, config.get("_class_name"), "ControlNetModel")
    hint_channels = config.get("conditioning_embedding_out_channels") or (16, 32, 96, 256)
    return ControlNetHandle(
        source=source,
        component="",
        fingerprint=_fingerprint(folder, ""),
        family="sd1",
        dtype=dtype,
        conditioning_width=_number(folder, config, "cross_attention_dim"),
        downscale=2 ** (len(hint_channels) - 1),
    )


def checkpoint_fingerprint(source: str) -> str:
    """Digest of a checkpoint's content, for a loader node's key. Raises ModelError as `read_checkpoint` does."""
    return read_checkpoint(source).fingerprint


def controlnet_fingerprint(source: str) -> str:
    """Digest of a ControlNet's content, for a loader node's key. Raises ModelError as `read_controlnet` does."""
    return read_controlnet(source).fingerprint


def component_folder(source: str, component: str) -> Path:
    """The folder of a component's configuration and weights, now."""
    return resolve(source) / component


def _family(root: Path, source: str) -> str:
    index = read_config(root / "model_index.json")
    pipeline = index.get("_class_name")
    family = PIPELINES.get(str(pipeline))
    if family is None:
        raise ModelError(
            "model-kind-unsupported",
            f"`{source}` is a model for {pipeline}, expected {' or '.join(PIPELINES)}.",
            "Use a Stable Diffusion 1.x model, for example `builtin:shapes`.",
        )
    for part, expected in _CLASSES.items():
        entry = index.get(part)
        _require_class(f"{source}/{part}", entry[-1] if isinstance(entry, list) and entry else entry, expected)
    return family


def _require_class(source: str, found: object, expected: str) -> None:
    # "CLIPTokenizerFast" is the same tokenizer, written in Rust.
    if found not in (expected, f"{expected}Fast"):
        raise ModelError(
            "model-kind-unsupported",
            f"`{source}` is a {found or 'model of unknown kind'}, expected {expected}.",
            "Check the model reference.",
        )


def _latent_space(folder: Path, config: Mapping[str, Any], family: str) -> LatentSpace:
    blocks = config.get("block_out_channels")
    if not isinstance(blocks, list) or not blocks:
        raise damaged(folder / "config.json", "`block_out_channels` is no list of numbers")
    scale = config.get("scaling_factor", 0.18215)
    shift = config.get("shift_factor") or 0.0
    if not isinstance(scale, int | float) or not isinstance(shift, int | float) or scale == 0:
        raise damaged(folder / "config.json", "`scaling_factor` or `shift_factor` is no number")
    channels = _number(folder, config, "latent_channels")
    return LatentSpace(family, channels, 2 ** (len(blocks) - 1), float(scale), float(shift))


def _preview(root: Path, common: Mapping[str, Any], space: LatentSpace) -> VaeHandle | None:
    if not (root / PREVIEW / "config.json").is_file():
        return None
    return VaeHandle(component=PREVIEW, fingerprint=_fingerprint(root, PREVIEW), space=space, tiny=True, **common)


def _fingerprint(root: Path, component: str, *more: str) -> str:
    weights, _ = weights_files(root / component)
    small = [
        path for part in (component, *more) for path in (root / part).glob("*") if path.suffix in (".json", ".txt")
    ]
    return fingerprint_files(root, {*weights, *small})


def _number(folder: Path, config: Mapping[str, Any], name: str) -> int:
    value = config.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise damaged(folder / "config.json", f"`{name}` is {value!r}, expected a whole number above 0")
    return value
