"""From a handle to a module with weights: one component at a time, never over the network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdgraph.errors import ModelError
from sdgraph.models.checkpoint import open_layout
from sdgraph.models.controlnet_file import controlnet_class, load_controlnet_file
from sdgraph.models.ip_adapter_file import load_ip_adapter
from sdgraph.models.layout import Layout
from sdgraph.models.load_progress import read_ahead
from sdgraph.models.present import require_part
from sdgraph.models.single_file import FileLayout
from sdgraph.models.source import locate
from sdgraph.models.text_files import open_text_files
from sdgraph.models.towers import LoadedTower, TextModel
from sdgraph.models.unchanged import require_unchanged
from sdgraph.models.upscaler import load_upscaler
from sdgraph.models.vae_source import vae_layout
from sdgraph.models.weights import check_whole, damaged, weights_files
from sdgraph.payloads.handles import (
    ControlNetHandle,
    DenoiserHandle,
    ImageEncoderHandle,
    IPAdapterHandle,
    ModelHandle,
    SafetyCheckerHandle,
    T2IAdapterHandle,
    TextEncoderHandle,
    TextTower,
    UpscalerHandle,
    VaeHandle,
)

if TYPE_CHECKING:
    from torch import nn


def load_model(handle: ModelHandle, device: str = "cpu") -> nn.Module | TextModel:
    """The model of a handle, in eval mode, without gradients, in the handle's dtype.

    Raises ModelError [model-missing], [model-part-missing], [model-damaged], [model-kind-unsupported], and
    [model-changed] when the files are others than those that the handle was made of.
    """
    require_part(handle)
    model = _read(handle, device)
    require_unchanged(handle)
    return model


def _read(handle: ModelHandle, device: str) -> nn.Module | TextModel:
    match handle:
        case TextEncoderHandle():
            return TextModel(handle, tuple(_load_tower(handle, spec, device) for spec in handle.towers))
        case DenoiserHandle():
            return _load(_denoiser_class(handle), handle, handle.component, device)
        case VaeHandle():
            from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
            from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny

            return _load(AutoencoderTiny if handle.tiny else AutoencoderKL, handle, handle.component, device)
        case ControlNetHandle():
            if (file := locate(handle.source)).is_file():
                return load_controlnet_file(file, handle, device)
            return _load(controlnet_class(handle), handle, handle.component, device)
        case T2IAdapterHandle():
            from diffusers.models.adapter import T2IAdapter

            return _load(T2IAdapter, handle, handle.component, device)
        case IPAdapterHandle():
            return load_ip_adapter(handle, device)
        case SafetyCheckerHandle():
            from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker

            return _load(StableDiffusionSafetyChecker, handle, handle.component, device)
        case UpscalerHandle():
            return load_upscaler(handle, device)
        case ImageEncoderHandle():
            from transformers import CLIPVisionModelWithProjection

            return _load(CLIPVisionModelWithProjection, handle, handle.component, device)
        case _:
            raise ModelError(
                "model-kind-unsupported", f"A {type(handle).__name__} can't be loaded.", "Use one of its subclasses."
            )


def _denoiser_class(handle: DenoiserHandle) -> Any:
    match handle.family:
        case "sd3":
            from diffusers.models.transformers.transformer_sd3 import SD3Transformer2DModel

            return SD3Transformer2DModel
        case "flux":
            from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel

            return FluxTransformer2DModel
        case _:
            from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

            return UNet2DConditionModel


def load_tokenizers(handle: TextEncoderHandle) -> tuple[LoadedTower, ...]:
    """The text towers of a handle with their tokenizers alone, for counting tokens: `encoder` is None.

    Raises ModelError [model-damaged].
    """
    return tuple(
        LoadedTower(spec, _load_tokenizer(_tokenizer_folder(handle, spec), handle, spec), None)
        for spec in handle.towers
    )


def _load_tower(handle: TextEncoderHandle, spec: TextTower, device: str) -> LoadedTower:
    from transformers import CLIPTextModel, CLIPTextModelWithProjection, T5EncoderModel

    kind: Any = (
        T5EncoderModel if spec.kind == "t5" else CLIPTextModelWithProjection if spec.projected else CLIPTextModel
    )
    encoder = _load(kind, handle, spec.component, device)
    tokenizer = _load_tokenizer(_tokenizer_folder(handle, spec), handle, spec)
    return LoadedTower(spec, tokenizer, encoder)


def _load(kind: Any, handle: ModelHandle, component: str, device: str) -> nn.Module:
    import torch
    from safetensors import SafetensorError

    from sdgraph.models.quiet import quiet

    layout = part_layout(handle, component)
    if isinstance(layout, FileLayout):
        from sdgraph.models.single_file_weights import load_part

        with quiet():
            model = load_part(kind, layout, component, getattr(torch, handle.dtype), handle.allow_pickle)
        return model.to(device).eval().requires_grad_(False)
    folder = layout.configs / component
    files, variant = weights_files(folder, handle.allow_pickle)
    for path in files:
        if path.suffix == ".safetensors":
            check_whole(path)
    read_ahead(files, f"{handle.source}/{component}")
    # diffusers' fast path needs the package accelerate.
    options: dict[str, Any] = {} if kind.__module__.startswith("transformers.") else {"low_cpu_mem_usage": False}
    try:
        with quiet():
            model, info = kind.from_pretrained(
                str(folder),
                torch_dtype=getattr(torch, handle.dtype),
                use_safetensors=files[0].suffix == ".safetensors",
                local_files_only=True,
                output_loading_info=True,
                variant=variant,
                **options,
            )
    except (OSError, RuntimeError, ValueError, TypeError, KeyError, SafetensorError) as error:
        raise damaged(folder, f"{type(error).__name__}: {_first_line(error)}") from error
    for what, names in (("missing", info["missing_keys"]), ("of another shape", info["mismatched_keys"])):
        if names:
            raise damaged(folder, f"{len(names)} of its weights are {what}, for example `{min(map(_name, names))}`")
    if "low_cpu_mem_usage" in options and model.dtype != getattr(torch, handle.dtype):
        # diffusers 0.42 leaves Stable Diffusion 3's transformer in the dtype of its file.
        with quiet():
            model = model.to(getattr(torch, handle.dtype))
    return model.to(device).eval().requires_grad_(False)


def part_layout(handle: ModelHandle, component: str) -> Layout:
    """Where a component of a handle is."""
    if isinstance(handle, VaeHandle):
        return vae_layout(handle)
    if isinstance(handle, TextEncoderHandle) and handle.more_sources:
        family: Any = handle.family
        sources = (handle.source, *handle.more_sources)
        return open_text_files(sources, family, handle.config, handle.allow_pickle).files[component]
    return open_layout(handle.source, handle.config, handle.allow_pickle)


def _tokenizer_folder(handle: TextEncoderHandle, spec: TextTower) -> Path | None:
    """The folder of a tower's tokenizer; None: the one that ships with the package."""
    layout = part_layout(handle, spec.component)
    if isinstance(layout, FileLayout):
        return layout.tokenizer_folder(spec.tokenizer)
    return layout.configs / spec.tokenizer


def _load_tokenizer(folder: Path | None, handle: TextEncoderHandle, spec: TextTower) -> Any:
    from transformers import CLIPTokenizer, T5Tokenizer

    from sdgraph.models.clip_vocabulary import END, PAD_G, clip_tokenizer
    from sdgraph.models.quiet import quiet

    if folder is None:
        return clip_tokenizer(PAD_G if handle.family == "sd2" or spec.tokenizer == "tokenizer_2" else END)
    try:
        with quiet():
            kind: Any = T5Tokenizer if spec.kind == "t5" else CLIPTokenizer
            return kind.from_pretrained(str(folder), local_files_only=True)
    except Exception as error:
        # The tokenizers library raises bare Exception.
        raise damaged(folder, f"{type(error).__name__}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no message"])[0].rstrip(".")


def _name(entry: Any) -> str:
    return entry if isinstance(entry, str) else str(entry[0])
