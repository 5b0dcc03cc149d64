"""From a handle to a module with weights: one component at a time, safetensors only, never the network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdgraph.errors import ModelError
from sdgraph.models.checkpoint import component_folder
from sdgraph.models.weights import check_whole, damaged, weights_files
from sdgraph.payloads.handles import ControlNetHandle, DenoiserHandle, ModelHandle, TextEncoderHandle, VaeHandle

if TYPE_CHECKING:
    from torch import nn
    from transformers import CLIPTextModel, CLIPTokenizer


@dataclass(frozen=True, slots=True, eq=False)
class TextModel:
    """A text encoder with its tokenizer."""

    tokenizer: CLIPTokenizer
    encoder: CLIPTextModel


def load_model(handle: ModelHandle, device: str = "cpu") -> nn.Module | TextModel:
    """The model of a handle, in eval mode, without gradients, in the handle's dtype.

    Raises ModelError [model-missing], [model-damaged], [model-kind-unsupported].
    """
    folder = component_folder(handle.source, handle.component)
    match handle:
        case TextEncoderHandle():
            from transformers import CLIPTextModel

            encoder: Any = _load(CLIPTextModel.from_pretrained, folder, handle.dtype, device)
            return TextModel(_load_tokenizer(folder.parent / "tokenizer"), encoder)
        case DenoiserHandle():
            from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

            return _load(UNet2DConditionModel.from_pretrained, folder, handle.dtype, device, **_DIFFUSERS)
        case VaeHandle():
            from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
            from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny

            kind = AutoencoderTiny if handle.tiny else AutoencoderKL
            return _load(kind.from_pretrained, folder, handle.dtype, device, **_DIFFUSERS)
        case ControlNetHandle():
            from diffusers.models.controlnets.controlnet import ControlNetModel

            return _load(ControlNetModel.from_pretrained, folder, handle.dtype, device, **_DIFFUSERS)
        case _:
            raise ModelError(
                "model-kind-unsupported", f"A {type(handle).__name__} can't be loaded.", "Use one of its subclasses."
            )


# Its fast path needs the package accelerate.
_DIFFUSERS: dict[str, Any] = {"low_cpu_mem_usage": False}


def _load(from_pretrained: Callable[..., Any], folder: Path, dtype: str, device: str, **options: Any) -> nn.Module:
    import torch
    from safetensors import SafetensorError

    from sdgraph.models.quiet import quiet

    files, variant = weights_files(folder)
    for path in files:
        check_whole(path)
    try:
        with quiet():
            model, info = from_pretrained(
                str(folder),
                torch_dtype=getattr(torch, dtype),
                use_safetensors=True,
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
    return model.to(device).eval().requires_grad_(False)


def _load_tokenizer(folder: Path) -> CLIPTokenizer:
    from transformers import CLIPTokenizer

    from sdgraph.models.quiet import quiet

    try:
        with quiet():
            return CLIPTokenizer.from_pretrained(str(folder), local_files_only=True)
    except Exception as error:
        # The tokenizers library raises bare Exception.
        raise damaged(folder, f"{type(error).__name__}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no message"])[0].rstrip(".")


def _name(entry: Any) -> str:
    return entry if isinstance(entry, str) else str(entry[0])
